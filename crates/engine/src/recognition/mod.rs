//! Text from speech: one engine a node, chosen by the configuration. A recording is transcribed once it is stored; what a
//! caller says to a `<Gather>` is recognised while it is said.

mod listen;
mod recording;
mod server;
mod sphinx;
mod stream;
mod tones;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};

use crate::http::HttpError;

pub(crate) use listen::{Heard, listen};
pub use opentact_media::utterance::{RATE, Settings as Utterance};
pub use opentact_store::transcripts::Word;
pub(crate) use recording::{HELD, held};
pub use server::ServerConfig;
pub use sphinx::SphinxConfig;
pub use stream::StreamConfig;

/// Pieces of audio on their way to an engine; who makes them waits.
const PIECES: usize = 16;

/// What is listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// BCP 47, `en-US`.
    pub lang: String,
    /// Words and phrases that may be said; none: anything.
    pub hints: Vec<String>,
}

/// What was said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    pub text: String,
    /// BCP 47 or ISO 639, as the engine tells it; `None`: as was wished.
    pub language: Option<String>,
    /// In order; none where the engine gives no times.
    pub words: Vec<Word>,
}

impl Transcript {
    /// The mean of its words', where the engine says so.
    pub fn confidence(&self) -> Option<f32> {
        let all: Vec<f32> = self.words.iter().filter_map(|word| word.confidence).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f32>() / all.len() as f32)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecognitionError {
    /// `asr.engine` is `off`.
    #[error("speech recognition is off (asr.engine)")]
    Off,
    #[error("{program} is not installed (Debian packages pocketsphinx, pocketsphinx-en-us)")]
    NotInstalled { program: String },
    /// Too many wait to be recognised.
    #[error("speech recognition is overloaded")]
    Busy,
    #[error("{engine}: took longer than {after:?}")]
    Timeout { engine: &'static str, after: Duration },
    #[error("{engine}: {reason}")]
    Failed { engine: &'static str, reason: String },
    /// A recording that cannot be read.
    #[error("{0}")]
    Recording(String),
}

impl RecognitionError {
    fn failed(engine: &'static str, reason: impl ToString) -> RecognitionError {
        RecognitionError::Failed { engine, reason: reason.to_string() }
    }
}

/// Mono samples, [`RATE`] a second, as they come; closed at the end.
pub type Audio = mpsc::Receiver<Vec<i16>>;

/// A way from sound to text.
#[async_trait]
pub trait Recognizer: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// What is said, once the audio has ended, or before where the engine knows that all is said.
    async fn recognize(&self, audio: Audio, wish: &Wish) -> Result<Transcript, RecognitionError>;
}

/// Which engine.
#[derive(Debug, Clone)]
pub enum EngineConfig {
    Off,
    Sphinx(SphinxConfig),
    Server(ServerConfig),
    Stream(StreamConfig),
    /// Tones for words: deterministic, for tests.
    Tones,
}

#[derive(Debug, Clone)]
pub struct RecognitionConfig {
    pub engine: EngineConfig,
    /// From the end of the audio to the text.
    pub timeout: Duration,
    /// What is recognised at once.
    pub concurrency: usize,
    /// What may wait; more is refused with [`RecognitionError::Busy`].
    pub waiting: usize,
    /// Of a recording no more is transcribed.
    pub longest: Duration,
    /// Where a caller's words end.
    pub utterance: Utterance,
}

impl Default for RecognitionConfig {
    fn default() -> RecognitionConfig {
        RecognitionConfig {
            engine: EngineConfig::Sphinx(SphinxConfig::default()),
            timeout: Duration::from_secs(60),
            concurrency: 4,
            waiting: 256,
            longest: Duration::from_secs(1800),
            utterance: Utterance { silence: 800, longest: 15_000 },
        }
    }
}

/// The engine of a node, and its limits. Cheap to clone.
#[derive(Clone)]
pub struct Recognition {
    engine: Option<Arc<dyn Recognizer>>,
    /// Waiting and being recognised.
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    longest: Duration,
    utterance: Utterance,
}

impl Recognition {
    /// # Errors
    /// No HTTP client can be had.
    pub fn new(config: RecognitionConfig) -> Result<Recognition, HttpError> {
        let timeout = config.timeout;
        let engine: Option<Arc<dyn Recognizer>> = match config.engine {
            EngineConfig::Off => None,
            EngineConfig::Sphinx(sphinx) => Some(Arc::new(sphinx::Sphinx::new(sphinx, timeout))),
            EngineConfig::Server(server) => Some(Arc::new(server::Server::new(server, timeout)?)),
            EngineConfig::Stream(stream) => Some(Arc::new(stream::Stream::new(stream, timeout))),
            EngineConfig::Tones => Some(Arc::new(tones::Tones)),
        };
        let running = config.concurrency.max(1);
        Ok(Recognition {
            engine,
            admitted: Arc::new(Semaphore::new(running + config.waiting)),
            running: Arc::new(Semaphore::new(running)),
            longest: config.longest,
            utterance: config.utterance,
        })
    }

    pub fn engine(&self) -> Option<&'static str> {
        self.engine.as_ref().map(|engine| engine.name())
    }

    /// The longest that a caller is listened to.
    pub(crate) fn longest_utterance(&self) -> Duration {
        Duration::from_millis(self.utterance.longest.into())
    }

    /// # Errors
    /// What the engine says; there is none, or too many wait for it.
    pub async fn recognize(&self, audio: Audio, wish: &Wish) -> Result<Transcript, RecognitionError> {
        let engine = self.engine.as_ref().ok_or(RecognitionError::Off)?;
        let _place = self.admitted.try_acquire().map_err(|_| RecognitionError::Busy)?;
        let _turn = self.running.acquire().await.map_err(|_| RecognitionError::Busy)?;
        let result = engine.recognize(audio, wish).await;
        let outcome = if result.is_ok() { "recognized" } else { "failed" };
        metrics::counter!("opentact_asr_total", "engine" => engine.name(), "outcome" => outcome).increment(1);
        if let Err(error) = &result {
            tracing::warn!(%error, "speech is not recognised");
        }
        result
    }
}

/// All of it.
async fn whole(mut audio: Audio) -> Vec<i16> {
    let mut samples = Vec::new();
    while let Some(mut more) = audio.recv().await {
        samples.append(&mut more);
    }
    samples
}

/// A WAV file of it.
fn wav(samples: &[i16]) -> Result<Vec<u8>, String> {
    let mut file = Vec::with_capacity(44 + size_of_val(samples));
    let written = (|| {
        let mut writer = opentact_media::wav::Writer::new(std::io::Cursor::new(&mut file), 1, RATE)?;
        writer.write(samples)?;
        writer.finish()
    })();
    written.map_err(|error| error.to_string())?;
    Ok(file)
}
