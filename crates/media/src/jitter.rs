//! Puts packets back in order and in time: takes them as they come, gives samples at a steady pace.
//!
//! The delay adapts. A packet that comes too late is played nevertheless, and the sound made up until then is delay won
//! for those after it. What has lain ready for seconds without being needed is taken out again, a pitch period at a
//! time, which also keeps up with a sender whose clock is faster.

mod store;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::codec::{Codec, Decoder};
use crate::conceal::{self, ComfortNoise, Concealment};
use crate::resample::Resampler;
use crate::rtp;
use store::{Kind, Store};

/// Milliseconds made up at a time: what comes meanwhile is taken.
const CHUNK_MS: u32 = 10;
/// Milliseconds that stay ready beyond what was needed.
const MARGIN_MS: u32 = 10;
/// Over so many seconds nothing of the delay may have been needed before it shrinks.
const CALM: usize = 4;
/// Without a packet for so long there is nothing to hear.
const IDLE_MS: u32 = 1_000;

/// How long packets wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Milliseconds at the beginning.
    pub initial_ms: u32,
    /// Milliseconds at most; what came before is dropped to stay below.
    pub max_ms: u32,
}

impl Default for Delay {
    fn default() -> Self {
        Delay { initial_ms: 40, max_ms: 300 }
    }
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    Stored,
    Duplicate,
    /// A later one was played already.
    Late,
    /// Seconds away from what was played: a new timeline begins with it.
    Restarted,
    /// Of a codec that cannot be decoded.
    Refused,
}

/// What was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Playout {
    /// Microseconds given, and of them made up for what was lost or late.
    pub played_us: u64,
    pub concealed_us: u64,
    /// Packets that came after their time, and that were dropped to keep the delay below its limit.
    pub late: u64,
    pub dropped: u64,
}

impl Playout {
    /// Both together.
    pub fn and(self, other: Playout) -> Playout {
        Playout {
            played_us: self.played_us + other.played_us,
            concealed_us: self.concealed_us + other.concealed_us,
            late: self.late + other.late,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// A playout buffer with its decoder. No allocation once every slot has held a packet.
#[derive(Debug)]
pub struct JitterBuffer {
    /// Samples per second given.
    wanted: u32,
    delay: Delay,
    stream: Option<Stream>,
    /// From the decoder's rate to the wanted one.
    resampler: Option<Resampler>,
    native: Vec<i16>,
    resampled: Vec<i16>,
    store: Store,
    /// Sequence number and timestamp of what is to be decoded next.
    next: Option<(u16, u32)>,
    /// Decoded and not given yet.
    ready: VecDeque<i16>,
    /// Given or about to be, newest last.
    past: Vec<i16>,
    scratch: Vec<i16>,
    concealment: Concealment,
    /// Samples made up since the last packet.
    made_up: u32,
    /// What is made up comes from the wave, and goes over into the next packet.
    seam: bool,
    /// The speaker pauses, with this noise.
    noise: Option<ComfortNoise>,
    /// Least that lay ready in each of the last seconds, and in this one.
    least: [u32; CALM],
    least_now: u32,
    second: u32,
    /// Samples to be taken out.
    excess: u32,
    counts: Playout,
}

#[derive(Debug)]
struct Stream {
    codec: Codec,
    decoder: Decoder,
    rate: u32,
}

impl Stream {
    /// Timestamp units in samples.
    fn samples(&self, units: i32) -> i64 {
        i64::from(units) * i64::from(self.rate) / i64::from(self.codec.clock_rate())
    }
}

impl JitterBuffer {
    /// `rate`: samples per second to give; 8,000, 16,000 or 48,000.
    pub fn new(rate: u32, delay: Delay) -> JitterBuffer {
        JitterBuffer {
            wanted: rate,
            delay,
            stream: None,
            resampler: None,
            native: Vec::new(),
            resampled: Vec::new(),
            store: Store::default(),
            next: None,
            ready: VecDeque::new(),
            past: Vec::new(),
            scratch: Vec::new(),
            concealment: Concealment::default(),
            made_up: 0,
            seam: false,
            noise: None,
            least: [0; CALM],
            least_now: u32::MAX,
            second: 0,
            excess: 0,
            counts: Playout::default(),
        }
    }

    /// Samples per second given.
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    /// The delay at the beginning, in samples given.
    pub fn target(&self) -> u32 {
        self.wanted * self.delay.initial_ms / 1000
    }

    /// Forgets what is held: the next packet begins a new timeline.
    pub fn restart(&mut self) {
        self.store.clear();
        self.next = None;
        self.noise = None;
    }

    /// Nothing has come for a second.
    pub fn is_idle(&self) -> bool {
        self.next.is_none() || self.noise.is_none() && self.made_up >= self.rate() * IDLE_MS / 1000
    }

    pub fn counts(&self) -> Playout {
        self.counts
    }

    /// Milliseconds from the arrival of a packet to its being given, as it is now.
    pub fn delay_ms(&self) -> u32 {
        self.lies_ready() * 1000 / self.rate()
    }

    pub fn push(&mut self, sequence: u16, timestamp: u32, codec: Codec, payload: &[u8]) -> Pushed {
        if self.stream.as_ref().is_none_or(|stream| stream.codec != codec) && !self.change(codec) {
            return Pushed::Refused;
        }
        self.take(sequence, timestamp, Kind::Sound(codec.units(payload)), payload)
    }

    /// A comfort noise packet (RFC 3389): a pause begins, or its noise changes.
    pub fn push_comfort_noise(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) -> Pushed {
        match (payload.first(), self.next) {
            (Some(_), Some(_)) => self.take(sequence, timestamp, Kind::Noise, &payload[..1]),
            _ => Pushed::Refused,
        }
    }

    fn take(&mut self, sequence: u16, timestamp: u32, kind: Kind, payload: &[u8]) -> Pushed {
        let mut result = Pushed::Stored;
        if let (Some((next, at)), Some(stream)) = (self.next, &self.stream) {
            let ahead = rtp::sequence_distance(next, sequence);
            let early = stream.samples(rtp::timestamp_distance(at, timestamp)) - i64::from(self.made_up);
            let far = i64::from(2 * self.delay.max_ms * stream.rate / 1000);
            if !(-Store::LEN..Store::LEN).contains(&ahead) || early > far || (ahead >= 0 && early < -far) {
                self.restart();
                result = Pushed::Restarted;
            } else if ahead < 0 {
                self.counts.late += 1;
                return Pushed::Late;
            }
        }
        if self.next.is_none() {
            self.begin(sequence, timestamp);
        }
        if !self.store.put(sequence, timestamp, kind, payload) {
            return Pushed::Duplicate;
        }
        self.keep_below_limit();
        result
    }

    /// A timeline begins: its first packet waits for the initial delay.
    fn begin(&mut self, sequence: u16, timestamp: u32) {
        let target = (self.rate() * self.delay.initial_ms / 1000) as usize;
        while self.ready.len() < target {
            self.ready.push_back(0);
        }
        self.next = Some((sequence, timestamp));
        self.made_up = 0;
        self.seam = false;
        self.calm();
    }

    /// Takes up a codec. False for one that cannot be decoded.
    fn change(&mut self, codec: Codec) -> bool {
        let Some(decoder) = Decoder::new(codec, self.wanted) else { return false };
        let rate = decoder.rate();
        if self.rate() != rate || self.stream.is_none() {
            self.ready.clear();
            self.past.clear();
            let resampler = (rate != self.wanted).then(|| Resampler::live(rate, self.wanted));
            match resampler.transpose() {
                Ok(resampler) => self.resampler = resampler,
                Err(_) => return false,
            }
        }
        self.stream = Some(Stream { codec, decoder, rate });
        self.restart();
        true
    }

    /// Samples per second inside.
    fn rate(&self) -> u32 {
        self.stream.as_ref().map_or(self.wanted, |stream| stream.rate)
    }

    /// Gives the next samples. What is missing is made up from what was before, fading; a pause of the speaker, told
    /// by consecutive sequence numbers, is silent or has its comfort noise.
    pub fn pull(&mut self, out: &mut [i16]) {
        self.counts.played_us += out.len() as u64 * 1_000_000 / u64::from(self.wanted);
        let Some(mut resampler) = self.resampler.take() else { return self.pull_native(out) };
        let mut native = std::mem::take(&mut self.native);
        while self.resampled.len() < out.len() {
            let short = out.len() - self.resampled.len();
            native.resize((short * self.rate() as usize).div_ceil(self.wanted as usize), 0);
            self.pull_native(&mut native);
            resampler.process(&native, &mut self.resampled);
        }
        out.copy_from_slice(&self.resampled[..out.len()]);
        self.resampled.drain(..out.len());
        self.native = native;
        self.resampler = Some(resampler);
    }

    fn pull_native(&mut self, out: &mut [i16]) {
        while self.ready.len() < out.len() {
            self.advance();
        }
        let count = out.len();
        for (sample, given) in out.iter_mut().zip(self.ready.drain(..count)) {
            *sample = given;
        }
        self.adapt(count as u32);
    }

    /// Makes at least one more sample ready.
    fn advance(&mut self) {
        let chunk = i64::from(self.rate() * CHUNK_MS / 1000);
        let (Some((next, at)), Some(stream)) = (self.next, &mut self.stream) else { return self.make_up(chunk) };
        let Some(packet) = self.store.first(next) else { return self.make_up(chunk) };
        let missing = stream.samples(rtp::timestamp_distance(at, packet.timestamp)) - i64::from(self.made_up);
        if missing <= 0 {
            return self.play(packet.sequence);
        }
        if packet.sequence == next {
            return self.pause(missing.min(chunk));
        }
        if self.made_up == 0 && packet.sequence == next.wrapping_add(1) && missing <= 6 * chunk {
            self.scratch.clear();
            if stream.decoder.recover(packet.payload, missing as usize, &mut self.scratch) {
                self.made_up = self.scratch.len() as u32;
                return self.give();
            }
        }
        self.make_up(missing.min(chunk));
    }

    fn play(&mut self, sequence: u16) {
        let (Some(stream), Some(packet)) = (&mut self.stream, self.store.at(sequence)) else { return };
        let units = match packet.kind {
            Kind::Noise => {
                self.noise = packet.payload.first().map(|level| ComfortNoise::new(*level));
                0
            }
            Kind::Sound(units) => units,
        };
        self.next = Some((sequence.wrapping_add(1), packet.timestamp.wrapping_add(units)));
        self.scratch.clear();
        if units > 0 {
            self.noise = None;
            stream.decoder.decode(packet.payload, &mut self.scratch);
        }
        self.store.remove(sequence);
        if units == 0 {
            self.made_up = 0;
            return;
        }
        let rate = stream.rate;
        if self.seam {
            self.concealment.end(&mut self.scratch, rate);
        } else if self.made_up == 0 && self.excess > 0 {
            let left_out = conceal::shorten(&mut self.scratch, rate, self.excess as usize);
            self.excess -= left_out as u32;
        }
        self.made_up = 0;
        self.seam = false;
        self.give();
    }

    /// The speaker pauses for this long at least.
    fn pause(&mut self, count: i64) {
        if self.noise.is_some() || self.stream.as_ref().is_some_and(|stream| stream.codec == Codec::Opus) {
            return self.make_up(count);
        }
        self.scratch.clear();
        self.scratch.resize(count as usize, 0);
        self.made_up = self.made_up.saturating_add(count as u32);
        self.seam = false;
        self.give();
    }

    fn make_up(&mut self, count: i64) {
        let count = count as usize;
        self.scratch.clear();
        let rate = self.rate();
        let by_codec = self.noise.is_none()
            && self.next.is_some()
            && self.stream.as_mut().is_some_and(|stream| stream.decoder.conceal(whole(count, rate), &mut self.scratch));
        if let Some(noise) = &mut self.noise {
            self.scratch.extend((0..count).map(|_| noise.sample()));
        } else if !by_codec {
            if !self.seam {
                self.concealment.begin(&self.past, rate);
                self.seam = true;
            }
            self.scratch.extend((0..count).map(|_| self.concealment.sample()));
        }
        if self.next.is_some() && self.noise.is_none() && self.made_up < rate * IDLE_MS / 1000 {
            self.counts.concealed_us += self.scratch.len() as u64 * 1_000_000 / u64::from(rate);
        }
        self.made_up = self.made_up.saturating_add(self.scratch.len() as u32);
        self.give();
    }

    /// What is in `scratch` is ready.
    fn give(&mut self) {
        self.ready.extend(&self.scratch);
        self.past.extend_from_slice(&self.scratch);
        let memory = conceal::memory(self.rate());
        if self.past.len() > 2 * memory {
            self.past.drain(..self.past.len() - memory);
        }
    }

    /// Samples from what is given next to the end of the latest packet.
    fn lies_ready(&self) -> u32 {
        let held = self.next.zip(self.stream.as_ref()).map_or(0, |((_, at), stream)| {
            let end = self.store.end(at);
            (stream.samples(rtp::timestamp_distance(at, end)) - i64::from(self.made_up)).max(0)
        });
        self.ready.len() as u32 + held as u32
    }

    /// Once a second, looks whether something has lain ready for [`CALM`] seconds: that much need not wait.
    fn adapt(&mut self, given: u32) {
        self.least_now = self.least_now.min(self.lies_ready());
        self.second += given;
        let rate = self.rate();
        if self.second < rate {
            return;
        }
        self.least.rotate_right(1);
        self.least[0] = self.least_now;
        self.least_now = u32::MAX;
        self.second = 0;
        let never_needed = self.least.iter().min().copied().unwrap_or_default();
        self.excess = never_needed.saturating_sub(rate * MARGIN_MS / 1000);
    }

    /// The delay has just become another: it is judged anew.
    fn calm(&mut self) {
        self.least = [0; CALM];
        self.least_now = u32::MAX;
        self.second = 0;
        self.excess = 0;
    }

    fn keep_below_limit(&mut self) {
        let limit = self.rate() * self.delay.max_ms / 1000;
        while self.lies_ready() > limit {
            let Some((next, _)) = self.next else { return };
            let Some(sequence) = self.store.first(next).map(|packet| packet.sequence) else { return };
            self.store.remove(sequence);
            let Some(after) = self.store.first(next).map(|packet| (packet.sequence, packet.timestamp)) else { return };
            self.counts.dropped += 1;
            self.next = Some(after);
            self.made_up = 0;
            if !self.seam {
                self.concealment.begin(&self.past, self.rate());
                self.seam = true;
            }
        }
    }
}

/// A multiple of 2.5 ms, which is what decoders conceal.
fn whole(count: usize, rate: u32) -> usize {
    let step = rate as usize / 400;
    count.div_ceil(step) * step
}
