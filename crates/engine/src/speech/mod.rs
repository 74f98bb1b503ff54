//! Speech from text: flite, linked in, for US English; espeak-ng, as a child process, for other languages. What was
//! spoken is kept, bounded in bytes, and what several ask for at once is spoken once.
//!
//! flite's licence is BSD-like. espeak-ng is GPL: it is never linked, only run.

mod espeak;
mod flite;
mod text;
mod voices;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
pub use opentact_callflow::Gender;
use tokio::sync::Semaphore;
pub use voices::{Engine, VoiceInfo};

/// Characters of one text.
pub const MAX_TEXT: usize = 5_000;

/// What to say and with which voice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SayRequest {
    /// Plain text, at most [`MAX_TEXT`] characters. Empty: no samples.
    pub text: String,
    /// BCP 47, `en-US`.
    pub lang: String,
    pub gender: Gender,
    /// `Standard` or `WaveNet`, a wish only: the voices here are the same for both.
    pub kind: String,
    /// A voice by its code, which then decides language and gender.
    pub code: Option<String>,
}

impl From<&opentact_callflow::Voice> for SayRequest {
    fn from(voice: &opentact_callflow::Voice) -> SayRequest {
        SayRequest {
            text: voice.text.clone(),
            lang: voice.lang.clone(),
            gender: voice.gender,
            kind: voice.kind.to_owned(),
            code: voice.code.clone(),
        }
    }
}

/// Mono samples at `rate` per second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pcm {
    pub samples: Arc<[i16]>,
    pub rate: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    #[error("no voice with code {0}")]
    NoSuchVoice(String),
    #[error("no {gender} voice for language {lang}")]
    NoVoiceFor { lang: String, gender: &'static str },
    /// The voice is another program's, which is not there.
    #[error("{program} is not installed (Debian package {package})")]
    NotInstalled { program: String, package: &'static str },
    #[error("text of {0} characters, at most {MAX_TEXT} can be spoken")]
    TooLong(usize),
    /// Too many texts wait to be spoken.
    #[error("speech synthesis is overloaded")]
    Busy,
    #[error("speech synthesis took longer than {0:?}")]
    Timeout(Duration),
    #[error("speech synthesis failed: {0}")]
    Failed(String),
}

/// A way from text to sound.
#[async_trait]
pub trait Speech: Send + Sync + 'static {
    async fn synthesize(&self, request: SayRequest) -> Result<Pcm, SpeechError>;
    /// Every voice there is, for `/rest/dict/gtts`.
    async fn voices(&self) -> Vec<VoiceInfo>;
}

#[derive(Debug, Clone)]
pub struct SpeechConfig {
    /// The espeak-ng program, looked for in `PATH` when it is a bare name.
    pub espeak: PathBuf,
    /// Bytes of samples to keep.
    pub cache_bytes: u64,
    /// Texts being spoken at once; flite speaks one at a time.
    pub concurrency: usize,
    /// Texts that may wait; more are refused with [`SpeechError::Busy`].
    pub waiting: usize,
    /// For one text, once its turn has come.
    pub timeout: Duration,
}

impl Default for SpeechConfig {
    fn default() -> SpeechConfig {
        SpeechConfig {
            espeak: PathBuf::from("espeak-ng"),
            cache_bytes: 64 << 20,
            concurrency: 4,
            waiting: 256,
            timeout: Duration::from_secs(20),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Spoken {
    voice: String,
    text: String,
}

/// The voices of this machine.
pub struct LocalSpeech {
    config: SpeechConfig,
    espeak: espeak::Espeak,
    cache: Cache<Spoken, Pcm>,
    /// Waiting and speaking.
    admitted: Arc<Semaphore>,
    speaking: Arc<Semaphore>,
}

impl LocalSpeech {
    pub fn new(config: SpeechConfig) -> LocalSpeech {
        let cache = Cache::builder()
            .weigher(|spoken: &Spoken, pcm: &Pcm| {
                let bytes = pcm.samples.len() * 2 + spoken.text.len() + 128;
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .max_capacity(config.cache_bytes)
            .build();
        LocalSpeech {
            espeak: espeak::Espeak::new(config.espeak.clone(), config.timeout),
            cache,
            admitted: Arc::new(Semaphore::new(config.concurrency.max(1) + config.waiting)),
            speaking: Arc::new(Semaphore::new(config.concurrency.max(1))),
            config,
        }
    }

    async fn speak(&self, voice: &VoiceInfo, text: &str) -> Result<Pcm, SpeechError> {
        let _place = self.admitted.try_acquire().map_err(|_| SpeechError::Busy)?;
        let _turn = self.speaking.acquire().await.map_err(|_| SpeechError::Busy)?;
        match voice.engine {
            Engine::Flite(name) => flite::speak(name, text.to_owned(), self.config.timeout).await,
            Engine::Espeak => self.espeak.speak(voice, text).await,
        }
    }
}

#[async_trait]
impl Speech for LocalSpeech {
    async fn synthesize(&self, request: SayRequest) -> Result<Pcm, SpeechError> {
        let text = text::tidy(&request.text);
        let length = text.chars().count();
        if length > MAX_TEXT {
            return Err(SpeechError::TooLong(length));
        }
        let voice = voices::choose(&request, &self.espeak).await?;
        if text.is_empty() {
            return Ok(Pcm { samples: Arc::new([]), rate: voice.rate });
        }
        let spoken = Spoken { voice: voice.code.clone(), text: text.clone() };
        // One of those who ask at once speaks, the others wait for it. Errors are not kept.
        self.cache.try_get_with(spoken, self.speak(&voice, &text)).await.map_err(|error| (*error).clone())
    }

    async fn voices(&self) -> Vec<VoiceInfo> {
        voices::all(&self.espeak).await
    }
}
