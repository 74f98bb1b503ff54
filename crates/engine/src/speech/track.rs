//! What is spoken, as it comes.

use std::sync::Arc;
use std::time::Duration;

use opentact_media::clip::Clip;
use opentact_media::wav;
use tokio::sync::oneshot;

use super::SpeechError;
use crate::decode::Sink;

/// Speech that is being made, of one rate. Silence is put where sound follows, or at the end.
pub struct Track {
    clip: Arc<Clip>,
    /// Told with the first samples.
    begun: Option<oneshot::Sender<()>>,
    silence: Duration,
}

impl Track {
    /// Fills the clip, which it does not finish; what is given back tells of its first samples.
    pub fn new(clip: Arc<Clip>) -> (Track, oneshot::Receiver<()>) {
        let (begun, first) = oneshot::channel();
        (Track { clip, begun: Some(begun), silence: Duration::ZERO }, first)
    }

    /// Mono samples.
    ///
    /// # Errors
    /// There is no room in memory, or the rate is another than that of those before.
    pub fn push(&mut self, samples: &[i16], rate: u32) -> Result<(), SpeechError> {
        if let Some(before) = self.clip.rate().filter(|before| *before != rate) {
            return Err(SpeechError::Rate { before, rate });
        }
        let silence = (std::mem::take(&mut self.silence).as_millis() * u128::from(rate) / 1000) as usize;
        if silence > 0 {
            self.clip.push(vec![0; silence].into(), rate)?;
        }
        self.clip.push(samples.into(), rate)?;
        if let Some(begun) = self.begun.take() {
            // Nobody may wait for it any more.
            let _ = begun.send(());
        }
        Ok(())
    }

    pub(super) fn wav(&mut self, engine: &'static str, file: &[u8]) -> Result<(), SpeechError> {
        let wave = wav::read(file).map_err(|error| SpeechError::failed(engine, error))?;
        self.push(&wave.samples, wave.rate)
    }

    pub(super) fn silence(&mut self, length: Duration) {
        self.silence += length;
    }

    /// Nothing more is spoken. `rate`: that of the voice, where nothing was.
    pub(super) fn end(&mut self, rate: u32) -> Result<(), SpeechError> {
        let rate = self.clip.rate().unwrap_or(rate);
        self.push(&[], rate)
    }
}

impl Sink for Track {
    type Error = SpeechError;

    fn take(&mut self, samples: &[i16], rate: u32) -> Result<(), SpeechError> {
        self.push(samples, rate)
    }
}
