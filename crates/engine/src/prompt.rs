//! Prompts made playable: text is spoken, URLs are fetched and decoded, each once for all callers who want the same.
//!
//! Fetched audio is kept with its ETag and asked for again when it is older than a minute (`If-None-Match`), so a
//! changed file is heard soon, an unchanged one costs one short request a minute, and one whose server is down is heard
//! as it was.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use opentact_media::control::Source;
use opentact_media::wav;
use reqwest::Method;

use crate::http::{Fetch, HttpClient, HttpError};
use crate::speech::Pcm;

impl From<Pcm> for Source {
    fn from(pcm: Pcm) -> Self {
        Source::Pcm { samples: pcm.samples, rate: pcm.rate }
    }
}

/// Octets of one audio file, as fetched.
const MAX_AUDIO: usize = 64 << 20;
/// How long fetched audio is used without asking again.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, thiserror::Error)]
pub enum PromptError {
    #[error("{url}: {error}")]
    Fetch { url: String, error: HttpError },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{name} is not a playable WAV file: {reason}")]
    Format { name: String, reason: String },
    #[error("{name}: {reason}")]
    File { name: String, reason: String },
}

/// Decoded audio of URLs, bounded by the octets of its samples.
#[derive(Clone)]
pub struct AudioLibrary {
    http: HttpClient,
    cache: Cache<String, Arc<Audio>>,
}

struct Audio {
    pcm: Pcm,
    etag: Option<String>,
    fetched: Instant,
}

impl AudioLibrary {
    /// `cache_bytes`: octets of decoded samples kept at most; the least used go first.
    pub fn new(http: HttpClient, cache_bytes: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(cache_bytes)
            .weigher(|_, audio: &Arc<Audio>| u32::try_from(audio.pcm.samples.len() * 2).unwrap_or(u32::MAX))
            .build();
        Self { http, cache }
    }

    /// The audio of a URL. Callers who ask for one URL at the same time share one request.
    pub async fn url(&self, url: &str) -> Result<Pcm, PromptError> {
        let known = self.cache.get(url).await;
        if let Some(audio) = &known {
            if audio.fetched.elapsed() < FRESH {
                return Ok(audio.pcm.clone());
            }
            self.cache.invalidate(url).await;
        }
        let audio = self
            .cache
            .try_get_with(url.to_owned(), self.fetch(url, known))
            .await
            .map_err(|error: Arc<PromptError>| (*error).clone())?;
        Ok(audio.pcm.clone())
    }

    async fn fetch(&self, url: &str, known: Option<Arc<Audio>>) -> Result<Arc<Audio>, PromptError> {
        let request = Fetch {
            url: url.to_owned(),
            method: Method::GET,
            query: Vec::new(),
            headers: vec![("accept".to_owned(), "audio/wav, audio/x-wav, audio/*;q=0.5".to_owned())],
            body: None,
            timeout: None,
            limit: MAX_AUDIO,
            etag: known.as_ref().and_then(|audio| audio.etag.clone()),
        };
        let again = |audio: &Audio| Audio { pcm: audio.pcm.clone(), etag: audio.etag.clone(), fetched: Instant::now() };
        let answer = match (self.http.fetch(request).await, &known) {
            (Ok(answer), Some(audio)) if matches!(answer.status, 304 | 500..) => return Ok(Arc::new(again(audio))),
            (Ok(answer), _) => answer,
            // A prompt that was there a moment ago is not silenced by a server that is down (RFC 5861 4).
            (Err(error), Some(audio)) => {
                tracing::warn!(url, %error, "prompt not refreshed");
                return Ok(Arc::new(again(audio)));
            }
            (Err(error), None) => return Err(PromptError::Fetch { url: url.to_owned(), error }),
        };
        match answer.status {
            200 => {
                let name = url.to_owned();
                let body = answer.body;
                let pcm = decode(name, move || Ok(body)).await?;
                Ok(Arc::new(Audio { pcm, etag: answer.etag, fetched: Instant::now() }))
            }
            status => Err(PromptError::Status { url: url.to_owned(), status }),
        }
    }

    /// The audio of a recording made earlier in the call.
    pub async fn file(&self, path: &Path) -> Result<Pcm, PromptError> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let path = path.to_owned();
        let failed = name.clone();
        decode(name, move || {
            std::fs::read(&path)
                .map(bytes::Bytes::from)
                .map_err(|error| PromptError::File { name: failed, reason: error.to_string() })
        })
        .await
    }
}

/// Decoding a long file takes milliseconds of CPU: not on the async threads.
async fn decode(
    name: String,
    read: impl FnOnce() -> Result<bytes::Bytes, PromptError> + Send + 'static,
) -> Result<Pcm, PromptError> {
    let format = |reason: String| PromptError::Format { name: name.clone(), reason };
    let decoded = tokio::task::spawn_blocking(move || -> Result<Result<wav::Wav, wav::WavError>, PromptError> {
        Ok(wav::read(&read()?))
    })
    .await
    .map_err(|error| format(error.to_string()))??;
    let audio = decoded.map_err(|error| format(error.to_string()))?;
    Ok(Pcm { samples: audio.samples.into(), rate: audio.rate })
}
