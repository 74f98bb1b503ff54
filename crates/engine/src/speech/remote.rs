//! Voices of a server that speaks the speech API of OpenAI (`POST /v1/audio/speech`): heard while they still come.

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;

use super::{Gender, SpeechError, Track, VoiceInfo};
use crate::decode::receive;
use crate::http::{Body, EgressGuard, Fetch, HttpClient, HttpError};

pub(super) const NAME: &str = "url";
/// What such servers speak at; what they really do is seen by what they send.
pub(super) const RATE: u32 = 24_000;
/// Octets of an answer: half an hour of WAV.
const LIMIT: usize = 96 << 20;
/// Octets of a refusal that are told.
const REASON: usize = 300;

/// A server of voices.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Before `/v1/audio/speech`.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<String>,
    pub model: String,
    /// `response_format`: `wav`, `mp3` or `opus`.
    pub format: String,
    pub voices: Vec<RemoteVoice>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteVoice {
    /// As the server knows it.
    pub name: String,
    /// BCP 47.
    pub lang: String,
    pub gender: Gender,
}

pub(super) struct Remote {
    http: HttpClient,
    config: RemoteConfig,
    /// From one octet to the next.
    stall: std::time::Duration,
}

impl Remote {
    pub fn new(config: RemoteConfig, stall: std::time::Duration) -> Result<Remote, HttpError> {
        let http = HttpClient::new(EgressGuard::everywhere(), concat!("opentact/", env!("CARGO_PKG_VERSION")))?;
        Ok(Remote { http, config, stall })
    }

    pub fn voices(&self) -> &[RemoteVoice] {
        &self.config.voices
    }

    /// `rate`: per cent of its own.
    pub async fn speak(&self, voice: &VoiceInfo, text: &str, rate: u16, track: Track) -> Result<Track, SpeechError> {
        let config = &self.config;
        let request = json!({
            "model": config.model,
            "voice": voice.code,
            "input": text,
            "response_format": config.format,
            "speed": f64::from(rate) / 100.0,
        });
        let mut headers = vec![("accept".to_owned(), "audio/*".to_owned())];
        headers.extend(config.key.iter().map(|key| ("authorization".to_owned(), format!("Bearer {key}"))));
        let fetch = Fetch {
            url: format!("{}/v1/audio/speech", config.url.trim_end_matches('/')),
            method: Method::POST,
            query: Vec::new(),
            headers,
            body: Some(Body { content_type: "application/json".to_owned(), bytes: Bytes::from(request.to_string()) }),
            timeout: Some(self.stall),
            limit: LIMIT,
            etag: None,
        };
        let mut opened = self.http.open(fetch).await.map_err(|error| SpeechError::failed(NAME, error))?;
        if opened.status != 200 {
            let status = opened.status;
            let mut said = Vec::new();
            while said.len() < REASON
                && let Ok(Some(piece)) = opened.next().await
            {
                said.extend_from_slice(&piece);
            }
            said.truncate(REASON);
            let said = String::from_utf8_lossy(&said);
            return Err(SpeechError::failed(NAME, format!("{} answered {status} {said}", config.url).trim_end()));
        }
        receive(&mut opened, track).await.map_err(|reason| SpeechError::failed(NAME, reason))
    }
}
