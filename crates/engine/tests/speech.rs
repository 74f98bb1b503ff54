//! The voices of this machine, and those of a server. espeak-ng and festival are of the project's test prerequisites; a machine
//! without them must say so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod spoken;

use std::sync::Arc;

use opentact_engine::prompt::{PromptError, PromptLibrary};
use opentact_engine::speech::{
    Gender, RemoteConfig, RemoteVoice, SayRequest, Speech, SpeechConfig, SpeechEngines, SpeechError,
};
use spoken::{end, library_of, whole};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Voices {
    library: PromptLibrary,
    _folder: TempDir,
}

fn voices(config: SpeechConfig) -> Voices {
    let folder = TempDir::new().unwrap();
    Voices { library: library_of(folder.path(), config, |_| {}), _folder: folder }
}

impl Voices {
    async fn say(&self, request: SayRequest) -> (Vec<i16>, u32) {
        whole(&self.library, request).await.unwrap()
    }

    async fn refuse(&self, request: SayRequest) -> SpeechError {
        match self.library.say(request).await {
            Err(PromptError::Speech(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn say(text: &str) -> SayRequest {
    SayRequest::new(text)
}

fn marked(text: &str, ssml: &str) -> SayRequest {
    SayRequest { ssml: Some(ssml.into()), ..say(text) }
}

fn is_speech(samples: &[i16], rate: u32) -> bool {
    let loud = samples.iter().filter(|sample| sample.unsigned_abs() > 1000).count();
    // Some words take between a third of a second and ten seconds, and are loud for a good part of it.
    (rate as usize / 3..rate as usize * 10).contains(&samples.len()) && loud * 20 > samples.len()
}

#[tokio::test]
async fn both_english_voices_speak_and_differ() {
    let voices = voices(SpeechConfig::default());
    let her = voices.say(say("Welcome to the show.")).await;
    let him = SayRequest { gender: Gender::Male, lang: "en".into(), ..say("Welcome to the show.") };
    let him = voices.say(him).await;
    assert!(is_speech(&her.0, her.1) && is_speech(&him.0, him.1));
    assert_ne!(her.0, him.0);
    assert_eq!((her.1, him.1), (16_000, 16_000));
}

#[tokio::test]
async fn callers_of_one_text_share_one_synthesis() {
    let library = voices(SpeechConfig::default()).library;
    let (a, b) = tokio::join!(library.say(say("One  moment")), library.say(say("One moment ")));
    assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
}

#[tokio::test]
async fn texts_of_every_kind_are_survived() {
    let voices = voices(SpeechConfig::default());
    assert_eq!(voices.say(say(" \n ")).await.0.len(), 0);
    for text in ["---- !!! ???", "日本語", "<b>&amp;</b> %s %n", "1234567890123456789012345678901234567890.50 $5"] {
        voices.say(say(text)).await;
    }
    voices.say(say(&"a".repeat(300))).await;
    assert_eq!(voices.refuse(say(&"ab ".repeat(2000))).await, SpeechError::TooLong(5999));
}

#[tokio::test]
async fn unknown_voices_are_named() {
    let voices = voices(SpeechConfig::default());
    let error = voices.refuse(SayRequest { code: Some("en-US-Wavenet-Q".into()), ..say("x") }).await;
    assert_eq!(error.to_string(), "no voice with code en-US-Wavenet-Q");
    let error = voices.refuse(SayRequest { lang: "xx-XX".into(), ..say("x") }).await;
    let missing = matches!(error, SpeechError::NotInstalled { .. });
    assert!(missing || error.to_string() == "no female voice for language xx-XX", "{error}");
}

#[tokio::test]
async fn other_languages_are_spoken_by_espeak_where_it_is() {
    let speech = SpeechEngines::new(SpeechConfig::default()).unwrap();
    let voices = voices(SpeechConfig::default());
    match whole(&voices.library, SayRequest { lang: "de-DE".into(), ..say("Guten Tag, schöne Grüße") }).await {
        Ok((samples, rate)) => assert!(is_speech(&samples, rate)),
        Err(error) => {
            assert_eq!(error.to_string(), "espeak-ng is not installed (Debian package espeak-ng)");
            return;
        }
    }
    let all = speech.voices().await;
    assert!(all.iter().any(|voice| voice.code == "flite-slt"));
    let code = all.iter().find(|voice| voice.lang == "fr-fr" && voice.gender == Gender::Male).unwrap().code.clone();
    let (samples, rate) = voices.say(SayRequest { code: Some(code), ..say("Bonjour tout le monde") }).await;
    assert!(is_speech(&samples, rate));
}

#[tokio::test]
async fn the_better_english_voice_is_that_of_festival_where_it_is() {
    let voices = voices(SpeechConfig::default());
    let there = SpeechEngines::new(SpeechConfig::default()).unwrap().voices().await;
    let there = there.iter().any(|voice| voice.code == "festival-slt");
    let better = SayRequest { kind: "WaveNet".into(), ..say("Welcome to the show.") };
    let (samples, rate) = voices.say(better).await;
    assert!(is_speech(&samples, rate));
    assert_eq!(rate, if there { 32_000 } else { 16_000 });
    let missing = SpeechConfig { festival: "/nonexistent/text2wave".into(), ..SpeechConfig::default() };
    let error = self::voices(missing).refuse(SayRequest { code: Some("festival-slt".into()), ..say("x") }).await;
    let package = "/nonexistent/text2wave is not installed (Debian package festival, festvox-us-slt-hts)";
    assert_eq!(error.to_string(), package);
}

#[tokio::test]
async fn breaks_are_heard_and_rates_are_kept_by_every_engine() {
    let voices = voices(SpeechConfig::default());
    let installed = SpeechEngines::new(SpeechConfig::default()).unwrap().voices().await;
    for code in ["flite-slt", "flite-rms", "festival-slt", "espeak-en-us-f"] {
        if !installed.iter().any(|voice| voice.code == code) {
            continue;
        }
        let by = |request: SayRequest| SayRequest { code: Some(code.into()), ..request };
        let text = "Your parcel will be there in the afternoon.";
        let (plain, rate) = voices.say(by(say(text))).await;
        let slow = format!("<prosody rate=\"50%\">{text}</prosody>");
        let (slow, _) = voices.say(by(marked(text, &slow))).await;
        let stretch = slow.len() as f64 / plain.len() as f64;
        assert!((1.6..2.4).contains(&stretch), "{code}: {stretch}");
        let paused = format!("{text}<break time=\"2s\"/>{text}");
        let (paused, _) = voices.say(by(marked(text, &paused))).await;
        assert_eq!(paused.len(), 2 * plain.len() + 2 * rate as usize, "{code}");
        assert!(paused[plain.len()..][..2 * rate as usize].iter().all(|sample| *sample == 0), "{code}");
    }
}

fn server(url: String) -> SpeechConfig {
    let voice = RemoteVoice { name: "alloy".into(), lang: "en-US".into(), gender: Gender::Female };
    let remote = RemoteConfig {
        url,
        key: Some("sk-1".into()),
        model: "tts-1".into(),
        format: "wav".into(),
        voices: vec![voice],
    };
    SpeechConfig { remote: Some(remote), ..SpeechConfig::default() }
}

async fn request(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    // The body is JSON in one line.
    while !request.ends_with(b"}") {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        request.extend_from_slice(&buffer[..length]);
    }
    (stream, String::from_utf8(request).unwrap())
}

/// One second of a steady level.
fn wav(level: i16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = opentact_media::wav::Writer::new(std::io::Cursor::new(&mut file), 1, 24_000).unwrap();
    writer.write(&[level; 24_000]).unwrap();
    writer.finish().unwrap();
    file
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn the_first_octets_of_a_server_are_heard_before_its_last() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let voices = voices(server(format!("http://{}/", listener.local_addr().unwrap())));
    let text =
        marked("One. Two.", "<break time=\"1s\"/>One.<break time=\"500ms\"/><prosody rate=\"fast\">Two.</prosody>");
    let saying = tokio::spawn({
        let library = voices.library.clone();
        async move { library.say(SayRequest { kind: "WaveNet".into(), ..text }).await.unwrap() }
    });
    let (mut stream, asked) = request(&listener).await;
    assert!(asked.starts_with("POST /v1/audio/speech HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer sk-1\r\n"), "{asked}");
    let body: serde_json::Value = serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = serde_json::json!({"model": "tts-1", "voice": "alloy", "input": "One.", "response_format": "wav", "speed": 1.0});
    assert_eq!(body, expected);
    let file = wav(1000);
    stream.write_all(head(file.len()).as_bytes()).await.unwrap();
    stream.write_all(&file[..file.len() / 2]).await.unwrap();
    // It is there to be played, and the rest of it, and the second text, are still to come.
    let clip = saying.await.unwrap();
    assert!(clip.end().is_none() && !clip.samples().is_empty());
    stream.write_all(&file[file.len() / 2..]).await.unwrap();
    drop(stream);
    let (mut stream, asked) = request(&listener).await;
    assert!(asked.ends_with("\"speed\":1.25}"), "{asked}");
    let file = wav(2000);
    stream.write_all(head(file.len()).as_bytes()).await.unwrap();
    stream.write_all(&file).await.unwrap();
    assert_eq!(end(&clip).await, Ok(()));
    let expected = [vec![0; 24_000], vec![1000; 24_000], vec![0; 12_000], vec![2000; 24_000]].concat();
    assert_eq!(clip.samples(), expected);
}

#[tokio::test]
async fn what_a_server_says_is_wrong_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let voices = voices(server(format!("http://{address}")));
    let alloy = || SayRequest { code: Some("alloy".into()), ..say("Hello") };
    let refused = tokio::spawn({
        let library = voices.library.clone();
        async move { library.say(alloy()).await.unwrap_err().to_string() }
    });
    let (mut stream, _) = request(&listener).await;
    let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\nConnection: close\r\n\r\nno key.";
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(refused.await.unwrap(), format!("url: http://{address} answered 401 no key."));
    // What breaks off is told by whoever plays it, and the next who asks is answered anew.
    let broken = tokio::spawn({
        let library = voices.library.clone();
        async move { library.say(alloy()).await.unwrap() }
    });
    let (mut stream, _) = request(&listener).await;
    let file = wav(1000);
    stream.write_all(head(file.len()).as_bytes()).await.unwrap();
    stream.write_all(&file[..file.len() / 2]).await.unwrap();
    let clip = broken.await.unwrap();
    drop(stream);
    assert!(end(&clip).await.unwrap_err().starts_with("url: "));
    let again = tokio::spawn({
        let library = voices.library.clone();
        async move { whole(&library, alloy()).await.unwrap() }
    });
    let (mut stream, _) = request(&listener).await;
    stream.write_all(head(file.len()).as_bytes()).await.unwrap();
    stream.write_all(&file).await.unwrap();
    assert_eq!(again.await.unwrap(), (vec![1000; 24_000], 24_000));
}

#[tokio::test]
async fn a_server_is_asked_for_what_no_program_speaks() {
    let mut config = server("http://127.0.0.1:9".into());
    config.espeak = "/nonexistent/espeak-ng".into();
    config.remote.as_mut().unwrap().voices[0].lang = "de-DE".into();
    let error = voices(config).refuse(SayRequest { lang: "de".into(), ..say("Hallo") }).await;
    assert!(matches!(error, SpeechError::Failed { engine: "url", .. }), "{error}");
}
