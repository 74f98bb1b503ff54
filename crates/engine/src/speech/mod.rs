//! Speech from text: flite, linked in, for US English; festival and espeak-ng, as child processes, for a better English
//! voice and for other languages; a server that speaks the speech API of OpenAI for whatever it has. What was spoken is
//! kept by [`crate::prompt`], and what several ask for at once is spoken once.
//!
//! flite's licence is BSD-like. espeak-ng is GPL: it is never linked, only run.

mod espeak;
mod festival;
mod flite;
mod remote;
mod text;
mod track;
mod voices;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
pub use opentact_callflow::Gender;
use opentact_callflow::{Span, spans};
use opentact_media::clip::NoRoom;
pub use remote::{RemoteConfig, RemoteVoice};
use tokio::sync::Semaphore;
pub use track::Track;
pub use voices::{Engine, VoiceInfo};

use crate::http::HttpError;
use crate::program::{Program, ProgramError};

/// Characters of one text.
pub const MAX_TEXT: usize = 5_000;

/// What to say and with which voice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SayRequest {
    /// Plain text, at most [`MAX_TEXT`] characters. Empty: no samples.
    pub text: String,
    /// The same with SSML marks, for [`spans`].
    pub ssml: Option<String>,
    /// BCP 47, `en-US`.
    pub lang: String,
    pub gender: Gender,
    /// `Standard` or `WaveNet`, a wish only: a voice of the other kind is taken where there is none of it.
    pub kind: String,
    /// A voice by its code, which then decides language and gender.
    pub code: Option<String>,
}

impl From<&opentact_callflow::Voice> for SayRequest {
    fn from(voice: &opentact_callflow::Voice) -> SayRequest {
        SayRequest {
            text: voice.text.clone(),
            ssml: voice.ssml.clone(),
            lang: voice.lang.clone(),
            gender: voice.gender,
            kind: voice.kind.to_owned(),
            code: voice.code.clone(),
        }
    }
}

impl SayRequest {
    /// As `<Say>` takes it where nothing else is said.
    pub fn new(text: impl Into<String>) -> SayRequest {
        SayRequest {
            text: text.into(),
            ssml: None,
            lang: "en-US".to_owned(),
            gender: Gender::Female,
            kind: "Standard".to_owned(),
            code: None,
        }
    }

    /// The same with one space between words, so that texts that sound alike are alike.
    pub(crate) fn tidied(self) -> SayRequest {
        SayRequest { text: text::tidy(&self.text), ssml: self.ssml.as_deref().map(text::tidy), ..self }
    }
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
    #[error("{engine}: took longer than {after:?} to speak")]
    Timeout { engine: &'static str, after: Duration },
    #[error("{engine}: {reason}")]
    Failed { engine: &'static str, reason: String },
    /// Of one text, which is played at one rate.
    #[error("{rate} samples per second after {before}")]
    Rate { before: u32, rate: u32 },
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl SpeechError {
    fn failed(engine: &'static str, reason: impl ToString) -> SpeechError {
        SpeechError::Failed { engine, reason: reason.to_string() }
    }

    fn program(engine: &'static str, program: &Program, error: ProgramError, package: &'static str) -> SpeechError {
        match error {
            ProgramError::NotFound => {
                SpeechError::NotInstalled { program: program.path.display().to_string(), package }
            }
            ProgramError::Timeout => SpeechError::Timeout { engine, after: program.timeout },
            ProgramError::Failed(reason) => SpeechError::Failed { engine, reason },
        }
    }
}

/// A way from text to sound.
#[async_trait]
pub trait Speech: Send + Sync + 'static {
    /// Speaks, piece by piece; returns when all is spoken.
    async fn speak(&self, request: SayRequest, track: Track) -> Result<(), SpeechError>;
    /// Every voice there is, for `/rest/dict/gtts`.
    async fn voices(&self) -> Vec<VoiceInfo>;
}

#[derive(Debug, Clone)]
pub struct SpeechConfig {
    /// The espeak-ng program, looked for in `PATH` when it is a bare name.
    pub espeak: PathBuf,
    /// festival's text2wave, the same.
    pub festival: PathBuf,
    pub remote: Option<RemoteConfig>,
    /// Texts being spoken at once; flite speaks one at a time.
    pub concurrency: usize,
    /// Texts that may wait; more are refused with [`SpeechError::Busy`].
    pub waiting: usize,
    /// For one text between two marks, once its turn has come; for one of a server from one octet to the next.
    pub timeout: Duration,
}

impl Default for SpeechConfig {
    fn default() -> SpeechConfig {
        SpeechConfig {
            espeak: PathBuf::from("espeak-ng"),
            festival: PathBuf::from("text2wave"),
            remote: None,
            concurrency: 4,
            waiting: 256,
            timeout: Duration::from_secs(20),
        }
    }
}

/// All engines of a node.
pub struct SpeechEngines {
    timeout: Duration,
    espeak: espeak::Espeak,
    festival: festival::Festival,
    remote: Option<remote::Remote>,
    /// Waiting and speaking.
    admitted: Arc<Semaphore>,
    speaking: Arc<Semaphore>,
}

impl SpeechEngines {
    /// # Errors
    /// No HTTP client can be had.
    pub fn new(config: SpeechConfig) -> Result<SpeechEngines, HttpError> {
        let speaking = config.concurrency.max(1);
        let remote = config.remote.map(|remote| remote::Remote::new(remote, config.timeout)).transpose()?;
        Ok(SpeechEngines {
            timeout: config.timeout,
            espeak: espeak::Espeak::new(Program::new(&config.espeak, config.timeout)),
            festival: festival::Festival::new(Program::new(&config.festival, config.timeout)),
            remote,
            admitted: Arc::new(Semaphore::new(speaking + config.waiting)),
            speaking: Arc::new(Semaphore::new(speaking)),
        })
    }

    async fn speak_spans(&self, voice: &VoiceInfo, spans: Vec<Span>, mut track: Track) -> Result<(), SpeechError> {
        let _place = self.admitted.try_acquire().map_err(|_| SpeechError::Busy)?;
        let _turn = self.speaking.acquire().await.map_err(|_| SpeechError::Busy)?;
        for span in spans {
            let (text, rate) = match span {
                Span::Silence(length) => {
                    track.silence(length);
                    continue;
                }
                Span::Text { text, rate } => (text, rate),
            };
            match (voice.engine, &self.remote) {
                (Engine::Flite(name), _) => track = flite::speak(name, text, rate, self.timeout, track).await?,
                (Engine::Remote, Some(remote)) => track = remote.speak(voice, &text, rate, track).await?,
                (Engine::Festival, _) => self.festival.speak(&text, rate, &mut track).await?,
                (Engine::Espeak | Engine::Remote, _) => self.espeak.speak(voice, &text, rate, &mut track).await?,
            }
        }
        track.end(voice.rate)
    }
}

#[async_trait]
impl Speech for SpeechEngines {
    async fn speak(&self, request: SayRequest, track: Track) -> Result<(), SpeechError> {
        let length = request.text.chars().count();
        if length > MAX_TEXT {
            return Err(SpeechError::TooLong(length));
        }
        let voice = self.choose(&request).await?;
        let plain = || match request.text.is_empty() {
            true => Vec::new(),
            false => vec![Span::Text { text: request.text.clone(), rate: 100 }],
        };
        let spans = request.ssml.as_deref().map_or_else(plain, |markup| spans(markup, &voice.lang));
        let spoken = self.speak_spans(&voice, spans, track).await;
        if let Err(error) = &spoken {
            tracing::warn!(voice = voice.code, %error, "a text is not spoken");
        }
        spoken
    }

    async fn voices(&self) -> Vec<VoiceInfo> {
        self.all().await
    }
}
