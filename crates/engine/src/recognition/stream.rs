//! A server of a websocket, which hears while somebody speaks. docs/speech.md says what is sent.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

use super::{Audio, RATE, RecognitionError, Recognizer, Transcript, Wish, Word};

const NAME: &str = "stream";

#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// `ws://` or `wss://`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<String>,
}

pub(super) struct Stream {
    config: StreamConfig,
    timeout: Duration,
}

/// What it says.
#[derive(Debug, Deserialize)]
struct Told {
    r#type: String,
    text: Option<String>,
    language: Option<String>,
    #[serde(default)]
    words: Vec<ToldWord>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ToldWord {
    text: String,
    from_ms: u64,
    to_ms: u64,
    confidence: Option<f32>,
}

impl Stream {
    pub fn new(config: StreamConfig, timeout: Duration) -> Stream {
        Stream { config, timeout }
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, RecognitionError> {
        let late = |_| RecognitionError::Timeout { engine: NAME, after: self.timeout };
        tokio::time::timeout(self.timeout, work).await.map_err(late)
    }
}

#[async_trait]
impl Recognizer for Stream {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn recognize(&self, mut audio: Audio, wish: &Wish) -> Result<Transcript, RecognitionError> {
        let failed = |reason: &dyn std::fmt::Display| RecognitionError::failed(NAME, reason);
        let mut request = self.config.url.as_str().into_client_request().map_err(|error| failed(&error))?;
        if let Some(key) = &self.config.key {
            let value = format!("Bearer {key}").parse().map_err(|_| failed(&"the key is not fit for a header"))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let (socket, _) = self.within(connect_async(request)).await?.map_err(|error| failed(&error))?;
        let (mut out, mut told) = socket.split();
        let start = json!({
            "type": "start",
            "rate": RATE,
            "encoding": "pcm_s16le",
            "language": wish.lang,
            "hints": wish.hints,
        });
        let talk = async {
            out.send(Message::text(start.to_string())).await?;
            while let Some(samples) = audio.recv().await {
                let octets: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                out.send(Message::binary(octets)).await?;
            }
            out.send(Message::text(json!({"type": "stop"}).to_string())).await
        };
        let hear = async {
            while let Some(message) = told.next().await {
                let Message::Text(text) = message.map_err(|error| failed(&error))? else { continue };
                let told: Told = serde_json::from_str(text.as_str()).map_err(|error| failed(&error))?;
                match told.r#type.as_str() {
                    "final" => return Ok(transcript(told.text.unwrap_or_default(), told.language, told.words)),
                    "error" => return Err(failed(&told.message.unwrap_or_default())),
                    // What it understands so far.
                    _ => {}
                }
            }
            Err(failed(&"closed without a final text"))
        };
        tokio::pin!(hear);
        tokio::select! {
            // It may know by itself that all is said.
            heard = &mut hear => heard,
            sent = talk => {
                sent.map_err(|error| failed(&error))?;
                self.within(hear).await?
            }
        }
    }
}

fn transcript(text: String, language: Option<String>, words: Vec<ToldWord>) -> Transcript {
    let word = |ToldWord { text, from_ms, to_ms, confidence }| Word { text, from_ms, to_ms, confidence };
    Transcript { text: text.trim().to_owned(), language, words: words.into_iter().map(word).collect() }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio_tungstenite::accept_async;

    use super::*;

    async fn heard_by(
        answer: impl FnOnce(Vec<String>, usize) -> Vec<String> + Send + 'static,
    ) -> Result<Transcript, RecognitionError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/listen", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
            let (mut texts, mut octets) = (Vec::new(), 0);
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Binary(more) => octets += more.len(),
                    Message::Text(text) => texts.push(text.as_str().to_owned()),
                    _ => {}
                }
                if texts.len() == 2 {
                    break;
                }
            }
            for text in answer(texts, octets) {
                socket.send(Message::text(text)).await.unwrap();
            }
        });
        let (sender, audio) = mpsc::channel(4);
        for _ in 0..3 {
            sender.send(vec![1; 320]).await.unwrap();
        }
        drop(sender);
        let stream = Stream::new(StreamConfig { url, key: None }, Duration::from_secs(20));
        let wish = Wish { lang: "en-US".into(), hints: vec!["yes".into()] };
        let heard = stream.recognize(audio, &wish).await;
        server.await.unwrap();
        heard
    }

    #[tokio::test]
    async fn the_final_text_counts() {
        let heard = heard_by(|texts, octets| {
            let start = r#"{"type":"start","rate":16000,"encoding":"pcm_s16le","language":"en-US","hints":["yes"]}"#;
            assert_eq!((texts[0].as_str(), texts[1].as_str(), octets), (start, r#"{"type":"stop"}"#, 1920));
            let last =
                r#"{"type":"final","text":" yes ","words":[{"text":"yes","from_ms":20,"to_ms":60,"confidence":0.75}]}"#;
            vec![r#"{"type":"partial","text":"ye"}"#.into(), last.into()]
        });
        let heard = heard.await.unwrap();
        assert_eq!((heard.text.as_str(), heard.confidence()), ("yes", Some(0.75)));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told() {
        let heard = heard_by(|_, _| vec![r#"{"type":"error","message":"no such language"}"#.into()]).await;
        assert_eq!(heard.unwrap_err().to_string(), "stream: no such language");
        let heard = heard_by(|_, _| vec!["?".into()]).await;
        assert!(heard.unwrap_err().to_string().starts_with("stream: expected value"));
    }
}
