//! The voices of this machine. espeak-ng is one of the project's test prerequisites; a machine without it must say so.

use std::sync::Arc;

use opentact_engine::speech::{Gender, LocalSpeech, SayRequest, Speech, SpeechConfig, SpeechError};

fn say(text: &str) -> SayRequest {
    SayRequest { text: text.into(), lang: "en-US".into(), gender: Gender::Female, kind: "Standard".into(), code: None }
}

fn speech() -> LocalSpeech {
    LocalSpeech::new(SpeechConfig::default())
}

fn is_speech(samples: &[i16], rate: u32) -> bool {
    let loud = samples.iter().filter(|sample| sample.unsigned_abs() > 1000).count();
    // Some words take between a third of a second and ten seconds, and are loud for a good part of it.
    (rate as usize / 3..rate as usize * 10).contains(&samples.len()) && loud * 20 > samples.len()
}

#[tokio::test]
async fn both_english_voices_speak_and_differ() {
    let speech = speech();
    let her = speech.synthesize(say("Welcome to the show.")).await.unwrap();
    let him = speech
        .synthesize(SayRequest { gender: Gender::Male, lang: "en".into(), ..say("Welcome to the show.") })
        .await
        .unwrap();
    assert!(is_speech(&her.samples, her.rate) && is_speech(&him.samples, him.rate));
    assert_ne!(her.samples, him.samples);
    assert_eq!((her.rate, him.rate), (16_000, 16_000));
}

#[tokio::test]
async fn callers_of_one_text_share_one_synthesis() {
    let speech = Arc::new(speech());
    let (a, b) = tokio::join!(speech.synthesize(say("One  moment")), speech.synthesize(say("One moment ")));
    assert!(Arc::ptr_eq(&a.unwrap().samples, &b.unwrap().samples));
}

#[tokio::test]
async fn texts_of_every_kind_are_survived() {
    let speech = speech();
    assert_eq!(speech.synthesize(say(" \n ")).await.unwrap().samples.len(), 0);
    for text in ["---- !!! ???", "日本語", "<b>&amp;</b> %s %n", "1234567890123456789012345678901234567890.50 $5"] {
        speech.synthesize(say(text)).await.unwrap();
    }
    speech.synthesize(say(&"a".repeat(300))).await.unwrap();
    assert_eq!(speech.synthesize(say(&"ab ".repeat(2000))).await, Err(SpeechError::TooLong(5999)));
}

#[tokio::test]
async fn unknown_voices_are_named() {
    let speech = speech();
    let error = speech.synthesize(SayRequest { code: Some("en-US-Wavenet-Q".into()), ..say("x") }).await.unwrap_err();
    assert_eq!(error.to_string(), "no voice with code en-US-Wavenet-Q");
    let error = speech.synthesize(SayRequest { lang: "xx-XX".into(), ..say("x") }).await.unwrap_err();
    let missing = matches!(error, SpeechError::NotInstalled { .. });
    assert!(missing || error.to_string() == "no female voice for language xx-XX", "{error}");
}

#[tokio::test]
async fn other_languages_are_spoken_by_espeak_where_it_is() {
    let speech = speech();
    match speech.synthesize(SayRequest { lang: "de-DE".into(), ..say("Guten Tag, schöne Grüße") }).await {
        Ok(pcm) => assert!(is_speech(&pcm.samples, pcm.rate)),
        Err(error) => {
            assert_eq!(error.to_string(), "espeak-ng is not installed (Debian package espeak-ng)");
            return;
        }
    }
    let voices = speech.voices().await;
    assert!(voices.iter().any(|voice| voice.code == "flite-slt"));
    let code = voices.iter().find(|voice| voice.lang == "fr-fr" && voice.gender == Gender::Male).unwrap().code.clone();
    let pcm = speech.synthesize(SayRequest { code: Some(code), ..say("Bonjour tout le monde") }).await.unwrap();
    assert!(is_speech(&pcm.samples, pcm.rate));
}
