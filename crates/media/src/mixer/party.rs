//! One of a mix: what it says, and how loud.

use super::ring::Ring;
use super::{Hearing, Rate};
use crate::control::{Audience, LegKey};
use crate::jitter::{Delay, JitterBuffer};
use crate::relay::{Frame, FrameKind};
use crate::resample::Resampler;

/// Decibels.
const VOLUME: std::ops::RangeInclusive<f32> = -60.0..=20.0;

#[derive(Debug)]
pub(super) struct Party {
    pub key: LegKey,
    pub hearing: Hearing,
    pub rate: Rate,
    pub audience: Audience,
    pub muted: bool,
    /// How many times as loud it is to be, and was at the end of the last block.
    volume: f32,
    gain: f32,
    /// Where its packets come from.
    ssrc: Option<u32>,
    heard: JitterBuffer,
    /// The block it says, and to which other rates that is turned.
    said: Vec<i16>,
    turned: [Option<Turned>; 4],
    /// What of what all hear is its own.
    pub own: Ring,
    /// What it alone hears.
    pub aside: Ring,
    /// The block from which on it hears at this rate: what it said before is not its own any more.
    pub since: u64,
}

#[derive(Debug)]
struct Turned {
    resampler: Resampler,
    samples: Vec<i16>,
}

impl Party {
    pub fn new(key: LegKey, hearing: Hearing, audience: Audience, delay: Delay, since: u64) -> Party {
        let rate = Rate::of(hearing.rate);
        Party {
            key,
            hearing,
            rate,
            audience,
            muted: false,
            volume: 1.0,
            gain: 1.0,
            ssrc: None,
            heard: JitterBuffer::new(rate.hz(), delay),
            said: Vec::new(),
            turned: [const { None }; 4],
            own: Ring::new(rate),
            aside: Ring::new(rate),
            since,
        }
    }

    /// Speaks and hears at another rate from now on.
    pub fn change(&mut self, rate: Rate, delay: Delay, since: u64) {
        if self.rate != rate {
            let Party { key, hearing, audience, muted, volume, gain, ssrc, .. } = *self;
            let fresh = Party::new(key, hearing, audience, delay, since);
            *self = Party {
                rate,
                muted,
                volume,
                gain,
                ssrc,
                heard: JitterBuffer::new(rate.hz(), delay),
                own: Ring::new(rate),
                aside: Ring::new(rate),
                ..fresh
            };
        }
    }

    pub fn turn(&mut self, db: f32) {
        // Not a number is no volume.
        if !db.is_nan() {
            self.volume = 10f32.powf(db.clamp(*VOLUME.start(), *VOLUME.end()) / 20.0);
        }
    }

    /// Whether anybody hears what it says, or has in the block before.
    fn is_audible(&self) -> bool {
        self.audience != Audience::Nobody && !(self.muted && self.gain == 0.0)
    }

    pub fn hear(&mut self, frame: &Frame<'_>) {
        if !self.is_audible() {
            return;
        }
        if self.ssrc.replace(frame.ssrc) != Some(frame.ssrc) {
            self.heard.restart();
        }
        match frame.kind {
            FrameKind::Audio(codec) => {
                self.heard.push(frame.sequence, frame.timestamp, codec, frame.payload);
            }
            FrameKind::ComfortNoise => {
                self.heard.push_comfort_noise(frame.sequence, frame.timestamp, frame.payload);
            }
            FrameKind::TelephoneEvent { .. }
            | FrameKind::Video { .. }
            | FrameKind::VideoReport
            | FrameKind::Key(_)
            | FrameKind::Tones { .. } => {}
        }
    }

    /// Takes the next block of what it says. How many times as loud that is at its beginning and at its end; `None`: it
    /// says nothing.
    pub fn pull(&mut self) -> Option<(f32, f32)> {
        if !self.is_audible() {
            // What waits would be old when it is heard again.
            if self.ssrc.take().is_some() {
                self.heard.restart();
            }
            self.gain = if self.muted { 0.0 } else { self.volume };
            return None;
        }
        let (from, to) = (self.gain, if self.muted { 0.0 } else { self.volume });
        self.gain = to;
        if self.heard.is_idle() {
            return None;
        }
        self.said.resize(self.rate.block(), 0);
        self.heard.pull(&mut self.said);
        Some((from, to))
    }

    /// The block at a rate.
    pub fn said(&mut self, rate: Rate) -> &[i16] {
        if rate == self.rate {
            return &self.said;
        }
        let turned = &mut self.turned[rate as usize];
        if turned.is_none() {
            // Between these rates there always is one.
            let resampler = Resampler::live(self.rate.hz(), rate.hz()).ok();
            *turned = resampler.map(|resampler| Turned { resampler, samples: Vec::new() });
        }
        let Some(turned) = turned else { return &[] };
        turned.samples.clear();
        turned.resampler.process(&self.said, &mut turned.samples);
        &turned.samples
    }

    /// Remembers what of what all hear it has said itself.
    pub fn keep(&mut self, block: u64, from: f32, to: f32) {
        self.own.put(block, &self.said, from, to);
    }
}
