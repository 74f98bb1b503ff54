//! Voices of a server that speaks the speech API of OpenAI (`POST /v1/audio/speech`): heard while they still come.

use bytes::Bytes;
use serde_json::json;

use super::{Gender, SpeechError, Track, VoiceInfo};
use crate::decode::receive;
use crate::http::{Body, HttpClient, HttpError};
use crate::openai;

pub(super) const NAME: &str = "url";
/// What such servers speak at; what they really do is seen by what they send.
pub(super) const RATE: u32 = 24_000;
/// Octets of an answer: half an hour of WAV.
const LIMIT: usize = 96 << 20;

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
        Ok(Remote { http: openai::client()?, config, stall })
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
        let body = Body { content_type: "application/json".to_owned(), bytes: Bytes::from(request.to_string()) };
        let place = (config.url.as_str(), "/v1/audio/speech");
        let fetch = openai::post(place, config.key.as_ref(), "audio/*", body, self.stall, LIMIT);
        let mut opened = self.http.open(fetch).await.map_err(|error| SpeechError::failed(NAME, error))?;
        if opened.status != 200 {
            let status = opened.status;
            let mut said = Vec::new();
            while said.len() < openai::REASON
                && let Ok(Some(piece)) = opened.next().await
            {
                said.extend_from_slice(&piece);
            }
            return Err(SpeechError::failed(NAME, openai::refusal(&config.url, status, &said)));
        }
        receive(&mut opened, track).await.map_err(|reason| SpeechError::failed(NAME, reason))
    }
}
