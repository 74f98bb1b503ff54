//! Tones for words: each stretch of sound is a word that names its frequency. What is heard is exactly known, so that a test
//! can say what must come of it.

use async_trait::async_trait;

use super::{Audio, RATE, RecognitionError, Recognizer, Transcript, Wish, Word, whole};

/// Samples of a frame: 10 ms.
const FRAME: usize = RATE as usize / 100;
const FRAME_MS: u64 = 10;
/// Peaks below it are silence.
const LOUD: u16 = 500;
/// So long a silence parts words, and a word is no shorter; milliseconds.
const PAUSE: u64 = 50;
/// Hertz that words differ by.
const STEP: f64 = 50.0;

pub(super) struct Tones;

#[async_trait]
impl Recognizer for Tones {
    fn name(&self) -> &'static str {
        "tones"
    }

    async fn recognize(&self, audio: Audio, _: &Wish) -> Result<Transcript, RecognitionError> {
        Ok(read(&whole(audio).await))
    }
}

fn read(samples: &[i16]) -> Transcript {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for (index, frame) in samples.chunks(FRAME).enumerate() {
        let from = index as u64 * FRAME_MS;
        if frame.iter().all(|sample| sample.unsigned_abs() < LOUD) {
            continue;
        }
        match stretches.last_mut() {
            Some((_, to)) if from < *to + PAUSE => *to = from + FRAME_MS,
            _ => stretches.push((from, from + FRAME_MS)),
        }
    }
    let long = stretches.into_iter().filter(|(from, to)| to - from >= PAUSE);
    let words: Vec<Word> = long
        .map(|(from_ms, to_ms)| {
            let part = &samples[at(from_ms).min(samples.len())..at(to_ms).min(samples.len())];
            Word { text: name(part), from_ms, to_ms, confidence: Some(1.0) }
        })
        .collect();
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    Transcript { text, language: None, words }
}

fn at(ms: u64) -> usize {
    ms as usize * RATE as usize / 1000
}

/// Its frequency, by where the middle of it rises through zero: at its ends it rings.
fn name(part: &[i16]) -> String {
    let part = &part[part.len() / 4..part.len() - part.len() / 4];
    let rises: Vec<usize> = (1..part.len()).filter(|n| part[n - 1] < 0 && part[*n] >= 0).collect();
    let hz = match (rises.first(), rises.last()) {
        (Some(first), Some(last)) if last > first => (rises.len() - 1) as f64 * f64::from(RATE) / (last - first) as f64,
        _ => 0.0,
    };
    format!("{}", (hz / STEP).round() * STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_frequencies_with_their_times() {
        let tone = |hz: f64, ms: usize| {
            (0..ms * 16).map(move |n| ((n as f64 / 16_000.0 * hz * std::f64::consts::TAU).sin() * 8000.0) as i16)
        };
        let silence = |ms: usize| vec![0; ms * 16];
        let samples: Vec<i16> =
            silence(200).into_iter().chain(tone(1010.0, 300)).chain(silence(100)).chain(tone(440.0, 500)).collect();
        let heard = read(&samples);
        assert_eq!(heard.text, "1000 450");
        assert_eq!(
            heard.words.iter().map(|word| (word.from_ms, word.to_ms)).collect::<Vec<_>>(),
            [(200, 500), (600, 1100)]
        );
        assert_eq!(heard.confidence(), Some(1.0));
        assert_eq!(read(&silence(500)), Transcript::default());
    }
}
