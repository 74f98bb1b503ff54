//! Plays one source, a packet time at a time, in the payloads of the leg's codec.

use std::sync::Arc;

use super::voice::{MAX_SAMPLES, Voice};
use crate::clip::Clip;
use crate::codec::{Codec, Decoder};
use crate::control::Source;
use crate::prompt::Prompt;
use crate::resample::Resampler;
use crate::tone::ToneGenerator;

/// Units per second of silence: every codec's rate divides it.
const SILENCE_RATE: u64 = 48_000;

pub(super) struct Player {
    pub id: u64,
    audio: Audio,
    /// `None`: until stopped.
    loops_left: Option<u32>,
}

enum Audio {
    Prompt {
        prompt: Arc<Prompt>,
        /// What is played counts as in memory.
        _clip: Arc<Clip>,
        /// Octets or frames played.
        at: usize,
        /// For a leg of another codec than the prompt's.
        recoding: Option<Box<Recoding>>,
    },
    Tone(Box<ToneGenerator>),
    Silence {
        left: u64,
        total: u64,
    },
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// Octets of the packet; 0 where the codec sends nothing for it.
    Whole(usize),
    /// The source ended; the rest of the packet is silence. `None`: nothing of it was used.
    Ended(Option<usize>),
    /// What follows is still to come.
    NotReady,
    /// Nothing follows although more should: [`Player::failure`].
    Failed,
}

impl Player {
    pub fn new(id: u64, source: Source, loops: u32, codec: Codec) -> Player {
        let audio = match source {
            Source::Clip(clip) => Audio::Prompt { prompt: clip.prompt(codec), _clip: clip, at: 0, recoding: None },
            Source::Tone(spec) => Audio::Tone(Box::new(ToneGenerator::new(spec, codec.sample_rate()))),
            Source::Silence { ms } => {
                let total = u64::from(ms) * SILENCE_RATE / 1000;
                Audio::Silence { left: total, total }
            }
        };
        Player { id, audio, loops_left: (loops > 0).then_some(loops) }
    }

    /// Fills `out` with the next `ms` milliseconds, from loop to loop without a seam.
    pub fn fill(&mut self, voice: &mut Voice, ms: u8, out: &mut [u8]) -> Filled {
        if let Audio::Prompt { prompt, at, .. } = &self.audio {
            if prompt.failure(*at).is_some() {
                return Filled::Failed;
            }
            if !prompt.holds(*at, ms) {
                return Filled::NotReady;
            }
            let (ours, theirs) = (prompt.codec(), voice.codec());
            if prompt.suits(theirs, voice.opus()) || ours != theirs && ours.passes_as(theirs) {
                return self.copy(theirs, ms, out);
            }
        }
        let rate = voice.rate();
        let mut samples = [0i16; MAX_SAMPLES];
        let samples = &mut samples[..(rate as usize * usize::from(ms) / 1000).min(MAX_SAMPLES)];
        let mut filled = 0;
        while filled < samples.len() {
            filled += self.audio.sound(rate, &mut samples[filled..]);
            if filled < samples.len() && self.failure().is_some() {
                break;
            }
            if filled < samples.len() && !self.next_loop() {
                return Filled::Ended((filled > 0).then(|| voice.encode(samples, out)));
            }
        }
        self.told(voice.encode(samples, out))
    }

    /// The prompt's own octets.
    fn copy(&mut self, codec: Codec, ms: u8, out: &mut [u8]) -> Filled {
        // A frame is a packet, whatever its length.
        let wanted = codec.octets_per_ms().map(|per_ms| (usize::from(ms) * per_ms).min(out.len()));
        let mut filled = 0;
        loop {
            if let Audio::Prompt { prompt, at, .. } = &mut self.audio {
                let mut take = |at: usize, filled: usize| {
                    let piece = prompt.after(at, wanted.unwrap_or(out.len()) - filled);
                    let octets = &mut out[filled..filled + piece.len()];
                    octets.copy_from_slice(piece);
                    prompt.codec().translate(codec, octets);
                    piece.len()
                };
                match wanted {
                    Some(wanted) => {
                        while filled < wanted && *at < prompt.ready() {
                            let length = take(*at, filled);
                            *at += length;
                            filled += length;
                        }
                        if filled == wanted {
                            break;
                        }
                    }
                    None if !prompt.is_over(*at) => {
                        filled = take(*at, 0);
                        *at += 1;
                        break;
                    }
                    None => {}
                }
            }
            let is_broken_off = self.failure().is_some();
            if is_broken_off || !self.next_loop() {
                let Some(wanted) = wanted.filter(|_| filled > 0) else { return Filled::Ended(None) };
                out[filled..wanted].fill(codec.silence().unwrap_or_default());
                return if is_broken_off { Filled::Whole(wanted) } else { Filled::Ended(Some(wanted)) };
            }
        }
        self.told(filled)
    }

    /// The end is told with its last packet, not one packet time later.
    fn told(&mut self, octets: usize) -> Filled {
        if self.audio.is_over() && !self.next_loop() { Filled::Ended(Some(octets)) } else { Filled::Whole(octets) }
    }

    /// Why nothing follows, where more should.
    pub fn failure(&self) -> Option<Arc<str>> {
        match &self.audio {
            Audio::Prompt { prompt, at, .. } => prompt.failure(*at).cloned(),
            Audio::Tone(_) | Audio::Silence { .. } => None,
        }
    }

    fn next_loop(&mut self) -> bool {
        if let Some(left) = &mut self.loops_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return false;
            }
        }
        self.audio.rewind()
    }
}

impl Audio {
    /// The next samples at `rate`; fewer when it ends.
    fn sound(&mut self, rate: u32, out: &mut [i16]) -> usize {
        match self {
            Audio::Prompt { prompt, at, recoding, .. } => {
                if recoding.as_ref().is_none_or(|recoding| recoding.rate != rate) {
                    *recoding = Recoding::new(prompt.codec(), rate).map(Box::new);
                }
                recoding.as_mut().map_or(0, |recoding| recoding.sound(prompt, at, out))
            }
            Audio::Tone(tone) => {
                tone.set_rate(rate);
                tone.fill(out)
            }
            Audio::Silence { left, .. } => {
                let unit = SILENCE_RATE / u64::from(rate);
                let count = left.div_ceil(unit).min(out.len() as u64) as usize;
                out[..count].fill(0);
                *left = left.saturating_sub(count as u64 * unit);
                count
            }
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Audio::Prompt { prompt, at, recoding, .. } => {
                prompt.is_over(*at) && recoding.as_ref().is_none_or(|recoding| recoding.ready.is_empty())
            }
            Audio::Tone(tone) => tone.is_over(),
            Audio::Silence { left, .. } => *left == 0,
        }
    }

    /// Back to the beginning. False when there is nothing to play, ever.
    fn rewind(&mut self) -> bool {
        match self {
            Audio::Prompt { prompt, at, .. } => {
                *at = 0;
                !prompt.is_empty()
            }
            Audio::Tone(tone) => {
                tone.rewind();
                !tone.is_empty()
            }
            Audio::Silence { left, total } => {
                *left = *total;
                *total > 0
            }
        }
    }
}

/// A prompt decoded again, for a leg whose codec has changed or that asks for less than others.
struct Recoding {
    rate: u32,
    decoder: Decoder,
    resampler: Option<Resampler>,
    decoded: Vec<i16>,
    ready: Vec<i16>,
}

impl Recoding {
    fn new(codec: Codec, rate: u32) -> Option<Recoding> {
        let decoder = Decoder::new(codec, rate)?;
        let from = decoder.rate();
        let resampler = (from != rate).then(|| Resampler::live(from, rate)).transpose().ok()?;
        Some(Recoding { rate, decoder, resampler, decoded: Vec::new(), ready: Vec::new() })
    }

    fn sound(&mut self, prompt: &Prompt, at: &mut usize, out: &mut [i16]) -> usize {
        while self.ready.len() < out.len() && *at < prompt.ready() {
            let per_ms = prompt.codec().octets_per_ms();
            let piece = prompt.after(*at, per_ms.unwrap_or(1) * 10);
            *at += per_ms.map_or(1, |_| piece.len());
            let Some(resampler) = &mut self.resampler else {
                self.decoder.decode(piece, &mut self.ready);
                continue;
            };
            self.decoded.clear();
            self.decoder.decode(piece, &mut self.decoded);
            resampler.process(&self.decoded, &mut self.ready);
        }
        let count = self.ready.len().min(out.len());
        out[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        count
    }
}
