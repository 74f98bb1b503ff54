//! A server that speaks the transcription API of OpenAI: `POST /v1/audio/transcriptions`, `verbose_json` with words and
//! their times.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;

use super::{Audio, RecognitionError, Recognizer, Transcript, Wish, Word, wav, whole};
use crate::http::{Body, HttpClient, HttpError};
use crate::openai;

const NAME: &str = "url";
/// Octets of an answer.
const LIMIT: usize = 16 << 20;
/// Characters of hints; such servers read the last of them only.
const MAX_PROMPT: usize = 800;

#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Before `/v1/audio/transcriptions`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<String>,
    pub model: String,
}

pub(super) struct Server {
    http: HttpClient,
    config: ServerConfig,
    timeout: Duration,
}

/// What it answers; more is left unread.
#[derive(Debug, Deserialize)]
struct Answer {
    text: String,
    language: Option<String>,
    #[serde(default)]
    words: Vec<AnswerWord>,
}

/// Seconds.
#[derive(Debug, Deserialize)]
struct AnswerWord {
    word: String,
    start: f64,
    end: f64,
    /// Some servers have it.
    #[serde(alias = "confidence")]
    probability: Option<f32>,
}

impl Server {
    pub fn new(config: ServerConfig, timeout: Duration) -> Result<Server, HttpError> {
        Ok(Server { http: openai::client()?, config, timeout })
    }
}

#[async_trait]
impl Recognizer for Server {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn recognize(&self, audio: Audio, wish: &Wish) -> Result<Transcript, RecognitionError> {
        let failed = |reason: &dyn std::fmt::Display| RecognitionError::failed(NAME, reason);
        let file = wav(&whole(audio).await).map_err(|reason| failed(&reason))?;
        let place = (self.config.url.as_str(), "/v1/audio/transcriptions");
        let body = form(&self.config.model, wish, &file);
        let fetch = openai::post(place, self.config.key.as_ref(), "application/json", body, self.timeout, LIMIT);
        let answer = self.http.fetch(fetch).await.map_err(|error| failed(&error))?;
        if answer.status != 200 {
            return Err(failed(&openai::refusal(&self.config.url, answer.status, &answer.body)));
        }
        let answer: Answer = serde_json::from_slice(&answer.body)
            .map_err(|error| failed(&format!("its answer is no transcript: {error}")))?;
        Ok(transcript(answer))
    }
}

fn transcript(answer: Answer) -> Transcript {
    let ms = |seconds: f64| (seconds.max(0.0) * 1000.0).round() as u64;
    let word = |word: AnswerWord| Word {
        text: word.word.trim().to_owned(),
        from_ms: ms(word.start),
        to_ms: ms(word.end),
        confidence: word.probability,
    };
    Transcript {
        text: answer.text.trim().to_owned(),
        language: answer.language,
        words: answer.words.into_iter().map(word).collect(),
    }
}

/// `multipart/form-data` (RFC 7578).
fn form(model: &str, wish: &Wish, file: &[u8]) -> Body {
    let boundary = format!("opentact-{}", uuid::Uuid::new_v4().simple());
    // ISO 639-1.
    let language = wish.lang.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let hints: String = wish.hints.join(", ").chars().take(MAX_PROMPT).collect();
    let mut body = Vec::with_capacity(file.len() + 1024);
    for (name, value) in [
        ("model", model),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("language", &language),
        ("prompt", &hints),
    ] {
        if !value.is_empty() {
            let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
    }
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"audio.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Body { content_type: format!("multipart/form-data; boundary={boundary}"), bytes: Bytes::from(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_several_servers_are_read() {
        let read = |text: &str| transcript(serde_json::from_str(text).unwrap());
        let whisper = read(
            r#"{"task":"transcribe","language":"english","duration":1.2,"text":" Hello there.",
                "words":[{"word":" Hello","start":0.1,"end":0.42},{"word":"there.","start":0.42,"end":0.9,"probability":0.5}]}"#,
        );
        assert_eq!((whisper.text.as_str(), whisper.language.as_deref()), ("Hello there.", Some("english")));
        let word = |text: &str, from_ms, to_ms, confidence| Word { text: text.into(), from_ms, to_ms, confidence };
        assert_eq!(whisper.words, [word("Hello", 100, 420, None), word("there.", 420, 900, Some(0.5))]);
        assert_eq!(whisper.confidence(), Some(0.5));
        assert_eq!(read(r#"{"text":"plain"}"#), Transcript { text: "plain".into(), ..Transcript::default() });
    }

    #[test]
    fn the_form_has_what_was_wished() {
        let wish = Wish { lang: "de-DE".into(), hints: vec!["ja".into(), "nein".into()] };
        let body = form("whisper-1", &wish, b"RIFF");
        let text = String::from_utf8(body.bytes.to_vec()).unwrap();
        let boundary = body.content_type.split_once("boundary=").unwrap().1;
        assert_eq!(text.matches(boundary).count(), 7);
        for part in
            ["name=\"language\"\r\n\r\nde\r\n", "name=\"prompt\"\r\n\r\nja, nein\r\n", "audio/wav\r\n\r\nRIFF\r\n--"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
