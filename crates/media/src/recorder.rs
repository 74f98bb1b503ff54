//! Records what a leg hears and says, both on one timeline, as the ticks of the leg pass. Writes no file: says what is
//! to be written.

use std::path::PathBuf;

use crate::codec::Codec;
use crate::control::{RecordEnd, RecordFormat, RecordOrder};
use crate::jitter::{Delay, JitterBuffer};

/// What the writer of files is to do, in this order for each recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// `rate` in samples per second.
    Begin { id: u64, path: PathBuf, format: RecordFormat, channels: u16, rate: u32 },
    /// Channels interleaved.
    Samples { id: u64, samples: Vec<i16> },
    /// Finish the file and tell [`crate::Event::RecordDone`].
    End { id: u64, reason: RecordEnd },
}

/// What a file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    pub channels: u16,
    /// Samples per second.
    pub rate: u32,
    pub duration_ms: u64,
    /// Octets of the file.
    pub bytes: u64,
}

/// How late packets may be.
const DELAY: Delay = Delay { initial_ms: 60, max_ms: 560 };
/// Milliseconds handed to the writer at once. With [`DELAY`] less than a second of what was said is not on disk.
const CHUNK_MS: usize = 500;
/// Mean of the absolute samples of a tick from which on it is speech: -44 dB below full scale.
const SPEECH: u64 = 200;
/// Samples worked on at a time: 20 ms at 16,000 samples per second.
const STEP: usize = 320;

#[derive(Debug)]
pub(crate) struct Recorder {
    pub id: u64,
    channels: usize,
    rate: u32,
    heard: JitterBuffer,
    said: JitterBuffer,
    /// Where `said` comes from: the stream of this source, `None` for the leg's own.
    said_by: Option<u32>,
    chunk: Vec<i16>,
    /// Samples still to be left out: the delay of the buffers.
    skip: u64,
    /// Samples of time recorded.
    recorded: u64,
    max: Option<u64>,
    silence: Option<u64>,
    silent_for: u64,
}

impl Recorder {
    /// `rate`: 8,000 or 16,000 samples per second.
    pub fn new(order: &RecordOrder, rate: u32) -> Recorder {
        let samples = |ms: u32| u64::from(ms) * u64::from(rate) / 1000;
        let channels = usize::from(order.channels.clamp(1, 2));
        let heard = JitterBuffer::new(rate, DELAY);
        Recorder {
            id: order.id,
            channels,
            rate,
            skip: u64::from(heard.target()),
            said: JitterBuffer::new(rate, DELAY),
            said_by: None,
            heard,
            chunk: Vec::with_capacity(chunk_len(rate, channels)),
            recorded: 0,
            max: order.max_ms.map(samples),
            silence: order.silence_ms.map(samples),
            silent_for: 0,
        }
    }

    pub fn channels(&self) -> u16 {
        self.channels as u16
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// A packet from the party; `restart`: of another stream than the one before.
    pub fn hear(&mut self, restart: bool, sequence: u16, timestamp: u32, codec: Codec, octets: &[u8]) {
        if restart {
            self.heard.restart();
        }
        self.heard.push(sequence, timestamp, codec, octets);
    }

    /// Comfort noise from the party.
    pub fn hear_comfort_noise(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) {
        self.heard.push_comfort_noise(sequence, timestamp, payload);
    }

    /// A packet to the party, with the leg's own numbers, or with those of the source `by`.
    pub fn say(&mut self, by: Option<u32>, sequence: u16, timestamp: u32, codec: Codec, octets: &[u8]) {
        if self.said_by != by {
            self.said_by = by;
            self.said.restart();
        }
        self.said.push(sequence, timestamp, codec, octets);
    }

    /// `ms` of time passed. Full chunks go to `out`; the reason when a limit ends it.
    pub fn tick(&mut self, ms: u64, out: &mut impl FnMut(Vec<i16>)) -> Option<RecordEnd> {
        self.pass(ms * u64::from(self.rate) / 1000, out)
    }

    fn pass(&mut self, samples: u64, out: &mut impl FnMut(Vec<i16>)) -> Option<RecordEnd> {
        let mut left = samples;
        while left > 0 {
            let step = left.min(STEP as u64) as usize;
            left -= step as u64;
            if let Some(end) = self.step(step, out) {
                return Some(end);
            }
        }
        None
    }

    /// The rest: what is still in the buffers, so that the last word is not cut.
    pub fn finish(&mut self, out: &mut impl FnMut(Vec<i16>)) {
        let at_limit = self.max.is_some_and(|max| self.recorded >= max);
        let late = u64::from(self.heard.target()) - self.skip;
        if !at_limit {
            self.silence = None;
            self.pass(late, out);
        }
        if !self.chunk.is_empty() {
            out(std::mem::take(&mut self.chunk));
        }
    }

    fn step(&mut self, count: usize, out: &mut impl FnMut(Vec<i16>)) -> Option<RecordEnd> {
        let (mut heard, mut said) = ([0i16; STEP], [0i16; STEP]);
        self.heard.pull(&mut heard[..count]);
        self.said.pull(&mut said[..count]);
        let skipped = self.skip.min(count as u64) as usize;
        self.skip -= skipped as u64;
        let (heard, said) = (&heard[skipped..count], &said[skipped..count]);
        let room = self.max.map_or(heard.len(), |max| ((max - self.recorded) as usize).min(heard.len()));
        let (heard, said) = (&heard[..room], &said[..room]);
        if self.channels == 2 {
            self.chunk.extend(heard.iter().zip(said).flat_map(|(h, s)| [*h, *s]));
        } else {
            self.chunk.extend(heard.iter().zip(said).map(|(h, s)| h.saturating_add(*s)));
        }
        self.recorded += room as u64;
        if self.chunk.len() >= chunk_len(self.rate, self.channels) {
            let next = Vec::with_capacity(self.chunk.capacity());
            out(std::mem::replace(&mut self.chunk, next));
        }
        if self.max.is_some_and(|max| self.recorded >= max) {
            return Some(RecordEnd::MaxLength);
        }
        let limit = self.silence?;
        let loudness: u64 = heard.iter().map(|sample| u64::from(sample.unsigned_abs())).sum();
        if loudness > SPEECH * heard.len() as u64 {
            self.silent_for = 0;
        } else {
            self.silent_for += heard.len() as u64;
        }
        (self.silent_for >= limit).then_some(RecordEnd::Silence)
    }
}

fn chunk_len(rate: u32, channels: usize) -> usize {
    rate as usize * CHUNK_MS / 1000 * channels
}
