//! A recording as an engine hears it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use opentact_media::file::Reader;
use opentact_media::resample::Resampler;
use opentact_store::Json;
use opentact_store::transcripts::Transcript as Row;
use opentact_store::types::{TranscriptState, now};
use tokio::sync::mpsc;

use super::{PIECES, RATE, Recognition, RecognitionError, Transcript, Wish};
use crate::decode::why;

/// Octets read at once.
const PIECE: usize = 64 << 10;

impl Recognition {
    /// What a file says of which `waiting` asks that, or why it is not known.
    pub(crate) async fn settle(&self, file: PathBuf, waiting: &Row) -> Row {
        let wish = Wish { lang: waiting.language.clone(), hints: Vec::new() };
        let heard = self.transcribe(file, &wish).await;
        let row = Row { modified_on: now(), engine: self.engine().map(str::to_owned), ..waiting.clone() };
        match heard {
            Ok(Transcript { text, language, words }) => Row {
                state: TranscriptState::Done,
                language: language.unwrap_or(wish.lang),
                text: Some(text),
                words: Json(words),
                ..row
            },
            Err(error) => Row { state: TranscriptState::Failed, error: Some(error.to_string()), ..row },
        }
    }

    /// Transcribes an audio file, as long as is transcribed of one.
    ///
    /// # Errors
    /// Those of [`Recognition::recognize`]; the file cannot be read.
    async fn transcribe(&self, file: PathBuf, wish: &Wish) -> Result<Transcript, RecognitionError> {
        let (pieces, audio) = mpsc::channel(PIECES);
        let most = (self.longest.as_millis() * u128::from(RATE) / 1000) as usize;
        let reading = tokio::task::spawn_blocking(move || read(&file, most, &pieces));
        let (recognized, read) = tokio::join!(self.recognize(audio, wish), reading);
        let read = read.map_err(|error| error.to_string()).and_then(|read| read);
        // What an engine makes of half a file, or of none, is no transcript of it.
        read.map_err(RecognitionError::Recording)?;
        recognized
    }
}

fn read(path: &Path, most: usize, pieces: &mpsc::Sender<Vec<i16>>) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut reader, mut buffer) = (Reader::new(), vec![0; PIECE]);
    let (mut resampler, mut left) = (None, most);
    let mut samples = Vec::new();
    let mut over = false;
    while !over && left > 0 {
        let length = file.read(&mut buffer).map_err(|error| error.to_string())?;
        over = length == 0;
        let take = |more: &[i16], rate: u32| -> Result<(), String> {
            if rate == RATE {
                samples.extend_from_slice(more);
                return Ok(());
            }
            if resampler.is_none() {
                resampler = Some(Resampler::new(rate, RATE).map_err(|error| error.to_string())?);
            }
            if let Some(resampler) = &mut resampler {
                resampler.process(more, &mut samples);
            }
            Ok(())
        };
        match over {
            false => reader.push(&buffer[..length], take),
            true => reader.finish(take),
        }
        .map_err(why)?;
        if over && let Some(resampler) = resampler.take() {
            resampler.finish(&mut samples);
        }
        samples.truncate(left);
        left -= samples.len();
        if pieces.blocking_send(std::mem::take(&mut samples)).is_err() {
            // Nobody listens any more: the engine says why.
            return Ok(());
        }
    }
    Ok(())
}
