//! Two-way audio for somebody who is not at the other end of a network: what the party says as samples, and samples that
//! it hears.

use std::collections::VecDeque;

use super::Leg;
use super::voice::{MAX_PAYLOAD, MAX_SAMPLES, Voice};
use crate::control::{Event, TAP_MARKS};
use crate::jitter::JitterBuffer;
use crate::resample::Resampler;

/// Packet times that are made up for at once after a stall.
const MAX_STALL: u32 = 50;

pub(super) struct Tap {
    /// Samples per second, both ways.
    rate: u32,
    pub heard: JitterBuffer,
    waiting: VecDeque<i16>,
    /// Samples that may wait; what is beyond is dropped.
    most: usize,
    /// By how many samples go before them.
    marks: VecDeque<(u64, u64)>,
    /// Samples that have come to be said, and of them sent.
    come: u64,
    sent: u64,
    /// To the rate of the leg's voice, and that.
    resampler: Option<(u32, Resampler)>,
    piece: Vec<i16>,
    samples: Vec<i16>,
}

impl Tap {
    /// Takes samples to be said; returns how many of them are dropped.
    fn take(&mut self, samples: &[i16]) -> usize {
        let room = self.most - self.waiting.len();
        let taken = &samples[..samples.len().min(room)];
        self.waiting.extend(taken);
        self.come += taken.len() as u64;
        samples.len() - taken.len()
    }

    /// The next packet of `ms` milliseconds, its end filled up with silence.
    fn say(&mut self, voice: &mut Voice, ms: u8, octets: &mut [u8]) -> usize {
        voice.expect(self.rate);
        let wanted = (self.rate as usize * usize::from(ms) / 1000).min(MAX_SAMPLES);
        let count = wanted.min(self.waiting.len());
        self.sent += count as u64;
        self.piece.clear();
        self.piece.extend(self.waiting.drain(..count));
        self.piece.resize(wanted, 0);
        let rate = voice.rate();
        if rate == self.rate {
            return voice.encode(&self.piece, octets);
        }
        if self.resampler.as_ref().is_none_or(|(known, _)| *known != rate) {
            self.resampler = Resampler::live(self.rate, rate).ok().map(|resampler| (rate, resampler));
        }
        self.samples.clear();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.process(&self.piece, &mut self.samples);
        }
        voice.encode(&self.samples, octets)
    }
}

impl Leg {
    pub(super) fn tap(&mut self, rate: u32) {
        self.untap();
        if ![8_000, 16_000, 24_000].contains(&rate) {
            return;
        }
        self.tap = Some(Box::new(Tap {
            rate,
            heard: JitterBuffer::new(rate, self.config.delay),
            waiting: VecDeque::new(),
            most: (self.config.tap_wait.as_millis() * u128::from(rate) / 1000) as usize,
            marks: VecDeque::new(),
            come: 0,
            sent: 0,
            resampler: None,
            piece: Vec::new(),
            samples: Vec::new(),
        }));
    }

    pub(super) fn untap(&mut self) {
        self.hush();
        self.tap = None;
    }

    pub(super) fn say(&mut self, samples: &[i16]) {
        let Some(tap) = &mut self.tap else { return };
        let dropped = tap.take(samples);
        if dropped > 0 {
            self.outbox.event(Event::SaidTooMuch { samples: dropped });
        }
    }

    pub(super) fn mark(&mut self, id: u64) {
        match &mut self.tap {
            Some(tap) if tap.marks.len() < TAP_MARKS => tap.marks.push_back((id, tap.come)),
            _ => self.outbox.event(Event::Marked { id, played: false }),
        }
    }

    /// Nothing more is said of what waits.
    pub(super) fn hush(&mut self) {
        self.tell_marks();
        let Some(tap) = &mut self.tap else { return };
        tap.waiting.clear();
        tap.come = tap.sent;
        for (id, _) in tap.marks.drain(..) {
            self.outbox.event(Event::Marked { id, played: false });
        }
    }

    /// Whether something waits to be said.
    pub(super) fn is_told_to_speak(&self) -> bool {
        self.tap.as_ref().is_some_and(|tap| !tap.waiting.is_empty())
    }

    /// The time of the last packet is over, and of `left_out` that were not sent: what the party said in it, and the marks
    /// behind what it heard.
    pub(super) fn tick_tap(&mut self, ms: u8, left_out: u32) {
        self.tell_marks();
        let Some(tap) = &mut self.tap else { return };
        for _ in 0..=left_out.min(MAX_STALL) {
            let mut samples = vec![0; tap.rate as usize * usize::from(ms) / 1000];
            if !tap.heard.is_idle() {
                tap.heard.pull(&mut samples);
            }
            self.outbox.heard(samples);
        }
    }

    fn tell_marks(&mut self) {
        let Some(tap) = &mut self.tap else { return };
        while let Some((id, _)) = tap.marks.pop_front_if(|(_, at)| *at <= tap.sent) {
            self.outbox.event(Event::Marked { id, played: true });
        }
    }

    /// Sends a packet time of what waits to be said. False when nothing does.
    pub(super) fn send_said(&mut self, due: std::time::Instant, ms: u8) -> bool {
        let Some(tap) = self.tap.as_mut().filter(|tap| !tap.waiting.is_empty()) else { return false };
        let mut octets = [0; MAX_PAYLOAD];
        let length = tap.say(&mut self.voice, ms, &mut octets);
        self.send_audio(due, ms, &octets[..length]);
        true
    }
}
