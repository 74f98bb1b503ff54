//! Where somebody begins to speak and where they have done, by energy.

use crate::voice::Activity;

/// Samples per second.
pub const RATE: u32 = 16_000;
/// Samples of a frame, and its milliseconds.
const FRAME: usize = 320;
const MS: u32 = 20;
/// So much voice is a word, less is a noise. Milliseconds.
const WORD: u32 = 100;
/// What was said this long before it was known to be a word belongs to it: a soft beginning. Milliseconds.
const BEFORE: u32 = 400;
/// What is not as loud is silence, decibels of full scale.
const THRESHOLD: f32 = -40.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Silence that ends it, milliseconds.
    pub silence: u32,
    /// It ends after so long, milliseconds.
    pub longest: u32,
}

/// Listens for one utterance.
#[derive(Debug)]
pub struct Utterance {
    settings: Settings,
    activity: Activity,
    /// Of a frame that is not whole, and before the first word what may belong to it.
    waiting: Vec<i16>,
    before: Vec<i16>,
    /// Voice of late, while there was no word; milliseconds.
    voice: u32,
    silence: u32,
    length: u32,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    Speaking,
    Over,
}

impl Utterance {
    pub fn new(settings: Settings) -> Utterance {
        Utterance {
            settings,
            activity: Activity::new(THRESHOLD),
            waiting: Vec::with_capacity(FRAME),
            before: Vec::new(),
            voice: 0,
            silence: 0,
            length: 0,
            stage: Stage::Silent,
        }
    }

    /// Takes what is heard next, at [`RATE`], and appends what of it belongs to the utterance.
    pub fn hear(&mut self, mut samples: &[i16], said: &mut Vec<i16>) {
        while !samples.is_empty() && self.stage != Stage::Over {
            let (taken, rest) = samples.split_at(samples.len().min(FRAME - self.waiting.len()));
            self.waiting.extend_from_slice(taken);
            samples = rest;
            if self.waiting.len() == FRAME {
                let frame = std::mem::take(&mut self.waiting);
                self.frame(&frame, said);
                self.waiting = frame;
                self.waiting.clear();
            }
        }
    }

    /// Somebody speaks, or has spoken.
    pub fn has_begun(&self) -> bool {
        self.stage > Stage::Silent
    }

    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    fn frame(&mut self, frame: &[i16], said: &mut Vec<i16>) {
        let is_voice = self.activity.is_voice(frame);
        match self.stage {
            Stage::Silent => {
                self.before.extend_from_slice(frame);
                let most = (BEFORE / MS) as usize * FRAME;
                self.before.drain(..self.before.len().saturating_sub(most));
                self.voice = if is_voice { self.voice + MS } else { self.voice.saturating_sub(MS) };
                if self.voice >= WORD {
                    self.stage = Stage::Speaking;
                    said.append(&mut self.before);
                }
            }
            Stage::Speaking => {
                said.extend_from_slice(frame);
                self.silence = if is_voice { 0 } else { self.silence + MS };
                self.length += MS;
                if self.silence >= self.settings.silence || self.length >= self.settings.longest {
                    self.stage = Stage::Over;
                }
            }
            Stage::Over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { silence: 600, longest: 5_000 };

    /// A tone of so many milliseconds, or silence.
    fn sound(ms: usize, level: f32) -> Vec<i16> {
        (0..ms * 16).map(|n| ((n as f32 * 0.2).sin() * level) as i16).collect()
    }

    /// The milliseconds of what was said when it was over.
    fn said(parts: &[(usize, f32)]) -> Option<usize> {
        let (mut utterance, mut said) = (Utterance::new(SETTINGS), Vec::new());
        for part in parts {
            // In packets of any length.
            sound(part.0, part.1).chunks(417).for_each(|packet| utterance.hear(packet, &mut said));
        }
        assert_eq!(utterance.has_begun(), !said.is_empty());
        utterance.is_over().then_some(said.len() / 16)
    }

    #[test]
    fn it_ends_with_silence_and_pauses_belong_to_it() {
        // 400 ms before it was a word, of which the first 100 are voice; then 900 and 500, a pause, and the end.
        assert_eq!(
            said(&[(1_000, 0.0), (1_000, 8_000.0), (500, 0.0), (500, 8_000.0), (2_000, 0.0)]),
            Some(400 + 900 + 500 + 500 + 600)
        );
    }

    #[test]
    fn it_ends_when_it_is_too_long() {
        assert_eq!(said(&[(500, 0.0), (10_000, 8_000.0)]), Some(400 + 5_000));
    }

    #[test]
    fn clicks_and_soft_noise_are_no_words() {
        assert_eq!(said(&[(500, 0.0), (40, 20_000.0), (500, 0.0), (40, 20_000.0), (3_000, 100.0)]), None);
    }

    #[test]
    fn who_speaks_at_once_is_heard_from_the_beginning() {
        assert_eq!(said(&[(300, 8_000.0), (1_000, 0.0)]), Some(300 + 600));
    }
}
