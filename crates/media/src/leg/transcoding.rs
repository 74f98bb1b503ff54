//! What the bridged leg hears in a codec that this leg does not speak: decoded, and encoded again at this leg's pace.

use std::time::{Duration, Instant};

use super::voice::{MAX_PAYLOAD, MAX_SAMPLES};
use super::{Leg, Route};
use crate::codec::Codec;
use crate::jitter::{JitterBuffer, Playout};
use crate::relay::Frame;
use crate::rtp;
use crate::telephone_event::Payload;

/// Without a packet for so long a key is over whose ends were lost.
const LOST_END: Duration = Duration::from_millis(200);

pub(super) struct Transcoding {
    /// Of what comes, and where from.
    ssrc: u32,
    heard: JitterBuffer,
}

/// A key of the bridged leg's party on its way to ours, in other numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct RelayedKey {
    /// Its timestamp there and here.
    theirs: u32,
    ours: u32,
    ended: bool,
    last: Instant,
}

impl Leg {
    /// Takes a packet that cannot be passed on as it is.
    pub(super) fn transcode(&mut self, from: Codec, frame: &Frame<'_>) {
        if from == Codec::G729 || self.voice.codec() == Codec::G729 {
            self.discarded += 1;
            return;
        }
        if self.transcoding.is_none() {
            self.voice.expect(from.sample_rate());
            let heard = JitterBuffer::new(self.voice.rate(), self.config.delay);
            self.transcoding = Some(Box::new(Transcoding { ssrc: frame.ssrc, heard }));
            self.stream.forget_source();
        }
        if let Some(transcoding) = &mut self.transcoding {
            transcoding.follow(frame.ssrc);
            transcoding.heard.push(frame.sequence, frame.timestamp, from, frame.payload);
        }
    }

    /// The bridged leg is another, or speaks the same now.
    pub(super) fn end_transcoding(&mut self) {
        self.played = self.playout();
        self.transcoding = None;
    }

    /// What became of all that was transcoded for this leg.
    pub(super) fn playout(&self) -> Option<Playout> {
        let now = self.transcoding.as_ref().map(|transcoding| transcoding.heard.counts());
        match (self.played, now) {
            (Some(before), Some(now)) => Some(before.and(now)),
            (before, now) => before.or(now),
        }
    }

    /// What is sent now comes from elsewhere: what waits would be old when its turn comes.
    pub(super) fn drop_transcoded(&mut self) {
        if let Some(transcoding) = &mut self.transcoding {
            transcoding.heard.restart();
        }
    }

    /// Sends a packet time of what is decoded, when something is.
    pub(super) fn send_transcoded(&mut self, due: Instant, ms: u8) {
        let Some(transcoding) = self.transcoding.as_mut().filter(|_| self.route != Route::Nowhere) else { return };
        if transcoding.heard.is_idle() {
            return;
        }
        // Something of another rate may have been said meanwhile.
        self.voice.expect(transcoding.heard.wanted());
        let mut samples = [0i16; MAX_SAMPLES];
        let samples = &mut samples[..(self.voice.rate() as usize * usize::from(ms) / 1000).min(MAX_SAMPLES)];
        transcoding.heard.pull(samples);
        let mut octets = [0; MAX_PAYLOAD];
        let sounds = self.key_relayed.is_some_and(|key| key.is_pressed(due));
        let length = if sounds { 0 } else { self.voice.encode(samples, &mut octets) };
        self.send_encoded(due, ms, &octets[..length], true);
    }

    /// A packet of a key on a clock or with numbers that are not ours.
    pub(super) fn translate_event(&mut self, now: Instant, frame: &Frame<'_>, clock_rate: u32) {
        let Some(format) = self.params.as_ref().and_then(|params| params.dtmf) else { return };
        let (Some(mut payload), Some(to)) = (Payload::parse(frame.payload), self.rtp_remote()) else { return };
        let begins = match &self.key_relayed {
            Some(key) => match rtp::timestamp_distance(key.theirs, frame.timestamp) {
                0 => false,
                1.. => true,
                // A late packet of a key before this.
                _ => return,
            },
            None => true,
        };
        if begins {
            let ours = self.stream.begin_event(now, 0);
            self.key_relayed = Some(RelayedKey { theirs: frame.timestamp, ours, ended: false, last: now });
        }
        let Some(key) = &mut self.key_relayed else { return };
        key.ended |= payload.end;
        key.last = now;
        let duration = u64::from(payload.duration) * u64::from(format.clock_rate) / u64::from(clock_rate.max(1));
        payload.duration = u16::try_from(duration).unwrap_or(u16::MAX);
        let numbers = self.stream.event(key.ours, begins);
        let header = self.header(numbers, format.payload_type);
        let octets = payload.octets();
        self.outbox.rtp(to, header, octets.len()).copy_from_slice(&octets);
        self.stream.count(octets.len());
    }

    /// Comfort noise that the bridged leg hears.
    pub(super) fn relay_comfort_noise(&mut self, frame: &Frame<'_>) {
        match &mut self.transcoding {
            Some(transcoding) => {
                transcoding.follow(frame.ssrc);
                transcoding.heard.push_comfort_noise(frame.sequence, frame.timestamp, frame.payload);
            }
            None => self.stream.leave_out(frame),
        }
    }
}

impl Transcoding {
    /// Milliseconds that wait.
    pub fn delay_ms(&self) -> u32 {
        self.heard.delay_ms()
    }

    fn follow(&mut self, ssrc: u32) {
        if self.ssrc != ssrc {
            self.ssrc = ssrc;
            self.heard.restart();
        }
    }
}

impl RelayedKey {
    fn is_pressed(&self, now: Instant) -> bool {
        !self.ended && now.saturating_duration_since(self.last) < LOST_END
    }
}
