//! Speech holds no keys: minutes of it in every voice that is here, at two levels, and none is heard.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod spoken;

use opentact_engine::prompt::PromptError;
use opentact_engine::speech::{Gender, SayRequest, SpeechError};
use opentact_media::dtmf::{Detector, Heard, RATE};
use opentact_media::resample;
use opentact_media::tone::{ToneGenerator, ToneSpec};

/// A text of many words.
const TEXT: &str = include_str!("../../../docs/sip.md");
/// Octets said at once, a little below what may be.
const PIECE: usize = 2_000;

fn keys(samples: &[i16]) -> String {
    let (mut detector, mut keys) = (Detector::default(), String::new());
    detector.listen(samples, |heard| {
        if let Heard::Pressed(key) = heard {
            keys.push(key);
        }
    });
    keys
}

/// The text in a voice at 8,000 samples per second; `None` where that voice is not on this machine.
async fn spoken(lang: &str, gender: Gender) -> Option<Vec<i16>> {
    let folder = tempfile::TempDir::new().unwrap();
    let library = spoken::library(folder.path(), |_| {});
    let mut all = Vec::new();
    let letters: String =
        TEXT.chars().filter(|letter| letter.is_ascii_alphanumeric() || " .,".contains(*letter)).collect();
    for piece in letters.as_bytes().chunks(PIECE).take(5) {
        let request = SayRequest { lang: lang.into(), gender, ..SayRequest::new(String::from_utf8_lossy(piece)) };
        match spoken::whole(&library, request).await {
            Ok((samples, rate)) => all.extend(resample::convert(&samples, rate, RATE).unwrap()),
            Err(PromptError::Speech(SpeechError::NotInstalled { .. })) => return None,
            Err(error) => panic!("{lang}: {error}"),
        }
    }
    Some(all)
}

#[tokio::test]
async fn nobody_speaks_keys() {
    let mut seconds = 0;
    for (lang, gender) in [
        ("en-US", Gender::Female),
        ("en-US", Gender::Male),
        ("de-DE", Gender::Female),
        ("fr-FR", Gender::Male),
        ("es-ES", Gender::Female),
    ] {
        let Some(speech) = spoken(lang, gender).await else { continue };
        for quieter in [1, 4] {
            let samples: Vec<i16> = speech.iter().map(|sample| sample / quieter).collect();
            assert_eq!(keys(&samples), "", "{lang} {gender:?}");
        }
        seconds += speech.len() / RATE as usize;
    }
    assert!(seconds > 600, "{seconds} s of speech");
}

#[tokio::test]
async fn keys_over_speech_are_heard() {
    let Some(mut samples) = spoken("en-US", Gender::Female).await else { return };
    // A prompt that comes back from the phone, 14 dB below the keys.
    samples.iter_mut().for_each(|sample| *sample /= 4);
    let pressed = "1234567890*#";
    for (number, key) in pressed.chars().enumerate() {
        let mut tone = [0; 800];
        ToneGenerator::new(ToneSpec::dtmf(key, 100, 0).unwrap(), RATE).fill(&mut tone);
        let start = (number + 1) * RATE as usize;
        samples[start..start + 800]
            .iter_mut()
            .zip(tone)
            .for_each(|(sample, tone)| *sample = sample.saturating_add(tone));
    }
    samples.truncate(14 * RATE as usize);
    let heard = keys(&samples);
    let found = heard.chars().filter(|key| pressed.contains(*key)).count();
    assert!(found >= 11 && heard.len() <= 12, "{heard}");
}
