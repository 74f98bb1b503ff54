//! Puts packets back in order and in time: takes them as they come, gives samples at a steady pace.

use crate::codec::Codec;
use crate::rtp;

/// Packets held. At 20 ms that is 1.28 s, far beyond the largest delay.
const SLOTS: usize = 64;
/// Samples to go on with while a packet is missing.
const TAIL: usize = 160;
/// Over so many tails a missing sound fades out.
const FADE_TAILS: usize = 3;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    Stored,
    Duplicate,
    /// Its time was over. The delay grows, so that the next as late as this one is not.
    Late,
    /// Seconds away from what was played: a new timeline begins with it.
    Restarted,
}

/// A playout buffer with a delay that begins at `target`, grows with late packets and shrinks when it was not needed.
/// No allocation once every slot has held a packet.
#[derive(Debug, Clone)]
pub struct JitterBuffer {
    slots: Vec<Slot>,
    /// Timestamp of the next sample to give; `None` before the first packet.
    playout: Option<u32>,
    /// Samples.
    target: u32,
    max_delay: u32,
    /// The least samples that lay ready over the last pulls, and how many those were.
    least_ready: u32,
    pulled: u32,
    shrink_after: u32,
    /// The sequence number after the packet last given.
    next_sequence: Option<u16>,
    tail: [i16; TAIL],
    tail_at: usize,
    /// Samples made up since the last real one.
    concealed: usize,
}

#[derive(Debug, Clone)]
struct Slot {
    held: bool,
    sequence: u16,
    timestamp: u32,
    codec: Codec,
    octets: Vec<u8>,
}

impl Slot {
    fn end(&self) -> u32 {
        // G.711: an octet a sample.
        self.timestamp.wrapping_add(self.octets.len() as u32)
    }
}

impl JitterBuffer {
    /// `clock_rate` in samples per second; `target_ms`, the delay to begin with.
    pub fn new(clock_rate: u32, target_ms: u32) -> JitterBuffer {
        let slot = Slot { held: false, sequence: 0, timestamp: 0, codec: Codec::Pcmu, octets: Vec::new() };
        let target = clock_rate * target_ms / 1000;
        JitterBuffer {
            slots: vec![slot; SLOTS],
            playout: None,
            target,
            max_delay: target + clock_rate / 2,
            least_ready: u32::MAX,
            pulled: 0,
            shrink_after: clock_rate * 4,
            next_sequence: None,
            tail: [0; TAIL],
            tail_at: 0,
            concealed: usize::MAX,
        }
    }

    /// The delay at the beginning, in samples.
    pub fn target(&self) -> u32 {
        self.target
    }

    /// Forgets what is held: the next packet begins a new timeline.
    pub fn restart(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.held = false);
        self.playout = None;
        self.next_sequence = None;
        self.least_ready = u32::MAX;
        self.pulled = 0;
    }

    pub fn push(&mut self, sequence: u16, timestamp: u32, codec: Codec, octets: &[u8]) -> Pushed {
        let mut result = Pushed::Stored;
        if let Some(playout) = self.playout {
            let end = timestamp.wrapping_add(octets.len() as u32);
            let late = rtp::timestamp_distance(end, playout);
            let early = rtp::timestamp_distance(playout, timestamp);
            let limit = self.max_delay as i32;
            if late > limit || early > limit * 2 {
                self.restart();
                result = Pushed::Restarted;
            } else if late >= 0 {
                // Room for what comes as late, and half a packet more.
                let grow = late as u32 + octets.len() as u32 + octets.len() as u32 / 2;
                let grow = grow.min(self.max_delay.saturating_sub(self.ready(playout)));
                self.playout = Some(playout.wrapping_sub(grow));
                return Pushed::Late;
            }
        }
        if self.playout.is_none() {
            self.playout = Some(timestamp.wrapping_sub(self.target));
        }
        let slot = &mut self.slots[usize::from(sequence) % SLOTS];
        if slot.held && slot.sequence == sequence {
            return Pushed::Duplicate;
        }
        slot.held = true;
        slot.sequence = sequence;
        slot.timestamp = timestamp;
        slot.codec = codec;
        slot.octets.clear();
        slot.octets.extend_from_slice(octets);
        result
    }

    /// Gives the next samples. What is missing is made up from what was before, fading; a pause of the speaker, told
    /// by consecutive sequence numbers, is silent.
    pub fn pull(&mut self, out: &mut [i16]) {
        let Some(mut playout) = self.playout else { return out.fill(0) };
        let mut filled = 0;
        while filled < out.len() {
            let rest = &mut out[filled..];
            let next = self
                .slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.held)
                .min_by_key(|(_, slot)| rtp::timestamp_distance(playout, slot.end()))
                .map(|(index, _)| index);
            let Some(index) = next else {
                self.conceal(rest);
                playout = playout.wrapping_add(rest.len() as u32);
                break;
            };
            let slot = &mut self.slots[index];
            let behind = rtp::timestamp_distance(slot.timestamp, playout);
            if behind < 0 {
                let gap = behind.unsigned_abs() as usize;
                let count = gap.min(rest.len());
                let pause = self.next_sequence == Some(slot.sequence);
                if pause {
                    self.silence(&mut rest[..count]);
                } else {
                    self.conceal(&mut rest[..count]);
                }
                playout = playout.wrapping_add(count as u32);
                filled += count;
                continue;
            }
            let unplayed = slot.octets.get(behind as usize..).unwrap_or_default();
            let count = unplayed.len().min(rest.len());
            slot.codec.decode(&unplayed[..count], &mut rest[..count]);
            if count == unplayed.len() {
                slot.held = false;
                self.next_sequence = Some(slot.sequence.wrapping_add(1));
            }
            self.remember(&rest[..count]);
            playout = playout.wrapping_add(count as u32);
            filled += count;
        }
        self.playout = Some(playout);
        self.adapt(playout, out.len() as u32);
    }

    /// Samples from `playout` to the end of the latest packet.
    fn ready(&self, playout: u32) -> u32 {
        let ends = self.slots.iter().filter(|slot| slot.held).map(|slot| rtp::timestamp_distance(playout, slot.end()));
        ends.max().unwrap_or(0).max(0) as u32
    }

    /// Leaves out a packet time when more lay ready than needed for seconds: the sender's clock is faster, or the
    /// network calmer than before.
    fn adapt(&mut self, playout: u32, pulled: u32) {
        self.least_ready = self.least_ready.min(self.ready(playout));
        self.pulled += pulled;
        if self.pulled < self.shrink_after {
            return;
        }
        if self.least_ready > self.target + 2 * pulled {
            self.playout = Some(playout.wrapping_add(pulled));
        }
        self.least_ready = u32::MAX;
        self.pulled = 0;
    }

    fn remember(&mut self, samples: &[i16]) {
        for sample in samples {
            self.tail[self.tail_at] = *sample;
            self.tail_at = (self.tail_at + 1) % TAIL;
        }
        self.concealed = 0;
    }

    fn silence(&mut self, out: &mut [i16]) {
        out.fill(0);
        self.concealed = usize::MAX;
    }

    fn conceal(&mut self, out: &mut [i16]) {
        const LENGTH: usize = TAIL * FADE_TAILS;
        for sample in out {
            if self.concealed >= LENGTH {
                *sample = 0;
                continue;
            }
            let source = i32::from(self.tail[(self.tail_at + self.concealed) % TAIL]);
            *sample = (source * (LENGTH - self.concealed) as i32 / LENGTH as i32) as i16;
            self.concealed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: i16 = 0;

    fn packet(number: u8) -> [u8; 160] {
        [0x80 + number % 64; 160]
    }

    fn level(number: u8) -> i16 {
        let mut out = [0];
        Codec::Pcmu.decode(&[0x80 + number % 64], &mut out);
        out[0]
    }

    fn push(buffer: &mut JitterBuffer, number: u8) -> Pushed {
        let first_sequence = 0xFFFEu16;
        let first_timestamp = u32::MAX - 200;
        buffer.push(
            first_sequence.wrapping_add(u16::from(number)),
            first_timestamp.wrapping_add(160 * u32::from(number)),
            Codec::Pcmu,
            &packet(number),
        )
    }

    /// The packets heard in turn, `None` where samples are mixed or made up.
    fn pull(buffer: &mut JitterBuffer) -> Vec<i16> {
        let mut out = [0; 160];
        buffer.pull(&mut out);
        out.to_vec()
    }

    #[test]
    fn order_is_restored_and_duplicates_are_dropped() {
        let mut buffer = JitterBuffer::new(8000, 40);
        assert_eq!(push(&mut buffer, 0), Pushed::Stored);
        for number in [2, 1, 3, 5, 4] {
            assert_eq!(push(&mut buffer, number), Pushed::Stored);
        }
        assert_eq!(push(&mut buffer, 4), Pushed::Duplicate);
        assert_eq!(pull(&mut buffer), [SILENCE; 160]);
        assert_eq!(pull(&mut buffer), [SILENCE; 160]);
        for number in 0..6 {
            assert_eq!(pull(&mut buffer), [level(number); 160]);
        }
    }

    #[test]
    fn a_lost_packet_is_made_up_and_fades() {
        let mut buffer = JitterBuffer::new(8000, 0);
        push(&mut buffer, 0);
        push(&mut buffer, 2);
        assert_eq!(pull(&mut buffer), [level(0); 160]);
        let made_up = pull(&mut buffer);
        assert_eq!(made_up[0], level(0));
        assert!(made_up[159] < level(0) && made_up[159] > level(0) / 2);
        assert_eq!(pull(&mut buffer), [level(2); 160]);
    }

    #[test]
    fn a_pause_is_silent() {
        let mut buffer = JitterBuffer::new(8000, 0);
        buffer.push(1, 0, Codec::Pcmu, &packet(1));
        buffer.push(2, 480, Codec::Pcmu, &packet(2));
        assert_eq!(pull(&mut buffer), [level(1); 160]);
        assert_eq!(pull(&mut buffer), [SILENCE; 160]);
        assert_eq!(pull(&mut buffer), [SILENCE; 160]);
        assert_eq!(pull(&mut buffer), [level(2); 160]);
    }

    #[test]
    fn a_late_packet_makes_room_for_the_next_as_late() {
        let mut buffer = JitterBuffer::new(8000, 0);
        push(&mut buffer, 0);
        pull(&mut buffer);
        pull(&mut buffer);
        assert_eq!(push(&mut buffer, 1), Pushed::Late);
        pull(&mut buffer);
        assert_eq!(push(&mut buffer, 2), Pushed::Stored);
        assert!(pull(&mut buffer).contains(&level(2)));
    }

    #[test]
    fn the_delay_shrinks_when_it_is_not_needed() {
        let mut buffer = JitterBuffer::new(8000, 20);
        for number in 0..10 {
            push(&mut buffer, number);
        }
        let before = buffer.ready(buffer.playout.unwrap());
        for number in 10..255 {
            push(&mut buffer, number);
            pull(&mut buffer);
        }
        let after = buffer.ready(buffer.playout.unwrap());
        assert!(after < before, "{before} samples became {after}");
    }

    #[test]
    fn another_timeline_begins_anew() {
        let mut buffer = JitterBuffer::new(8000, 0);
        push(&mut buffer, 0);
        pull(&mut buffer);
        assert_eq!(buffer.push(9000, 77_000_000, Codec::Pcma, &[0xAA; 80]), Pushed::Restarted);
        let out = pull(&mut buffer);
        assert_eq!(out[..80], [32256; 80]);
    }
}
