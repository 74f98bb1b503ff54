//! Plays one source, a packet time at a time, in the octets of the leg's codec.

use std::sync::Arc;

use crate::codec::Codec;
use crate::control::Source;
use crate::prompt::Prompt;
use crate::tone::ToneGenerator;

/// Samples a tone makes at a time.
const CHUNK: usize = 160;

pub(super) struct Player {
    pub id: u64,
    audio: Audio,
    /// `None`: until stopped.
    loops_left: Option<u32>,
}

enum Audio {
    Prompt { prompt: Arc<Prompt>, at: usize },
    Tone(Box<ToneGenerator>),
    Silence { left: usize, total: usize },
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    Whole,
    /// The source ended; the rest of the packet is silence. Nothing of it was used when `octets` is 0.
    Ended {
        octets: usize,
    },
    /// The prompt is still being made.
    NotReady,
}

impl Player {
    pub fn new(id: u64, source: Source, loops: u32, codec: Codec) -> Player {
        let rate = codec.clock_rate();
        let audio = match source {
            Source::Pcm { samples, rate } => Audio::Prompt { prompt: Prompt::encode(codec, &samples, rate), at: 0 },
            Source::Prompt(prompt) => Audio::Prompt { prompt, at: 0 },
            Source::Tone(spec) => Audio::Tone(Box::new(ToneGenerator::new(spec, rate))),
            Source::Silence { ms } => {
                let total = (u64::from(ms) * u64::from(rate) / 1000) as usize;
                Audio::Silence { left: total, total }
            }
        };
        Player { id, audio, loops_left: (loops > 0).then_some(loops) }
    }

    /// Fills `out` with the next octets in `codec`, from loop to loop without a seam.
    pub fn fill(&mut self, codec: Codec, out: &mut [u8]) -> Filled {
        let mut filled = 0;
        if let Audio::Prompt { prompt, .. } = &self.audio
            && prompt.octets().is_none()
        {
            return Filled::NotReady;
        }
        while filled < out.len() {
            let count = self.audio.fill(codec, &mut out[filled..]);
            filled += count;
            if filled < out.len() && !self.next_loop() {
                out[filled..].fill(codec.silence());
                return Filled::Ended { octets: filled };
            }
        }
        // The end is told with its last packet, not one packet time later.
        if self.audio.is_over() && !self.next_loop() { Filled::Ended { octets: filled } } else { Filled::Whole }
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
    fn fill(&mut self, codec: Codec, out: &mut [u8]) -> usize {
        match self {
            Audio::Prompt { prompt, at } => {
                let rest = prompt.octets().unwrap_or_default().get(*at..).unwrap_or_default();
                let count = rest.len().min(out.len());
                out[..count].copy_from_slice(&rest[..count]);
                // After a re-INVITE changed the codec.
                prompt.codec().transcode(codec, &mut out[..count]);
                *at += count;
                count
            }
            Audio::Tone(tone) => {
                let mut samples = [0i16; CHUNK];
                let mut filled = 0;
                while filled < out.len() {
                    let wanted = (out.len() - filled).min(CHUNK);
                    let count = tone.fill(&mut samples[..wanted]);
                    codec.encode(&samples[..count], &mut out[filled..]);
                    filled += count;
                    if count < wanted {
                        break;
                    }
                }
                filled
            }
            Audio::Silence { left, .. } => {
                let count = (*left).min(out.len());
                out[..count].fill(codec.silence());
                *left -= count;
                count
            }
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Audio::Prompt { prompt, at } => *at >= prompt.octets().unwrap_or_default().len(),
            Audio::Tone(tone) => tone.is_over(),
            Audio::Silence { left, .. } => *left == 0,
        }
    }

    /// Back to the beginning. False when there is nothing to play, ever.
    fn rewind(&mut self) -> bool {
        match self {
            Audio::Prompt { prompt, at } => {
                *at = 0;
                prompt.octets().is_some_and(|octets| !octets.is_empty())
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
