//! A recording as an engine hears it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opentact_events::Charge;
use opentact_media::file::Reader;
use opentact_media::resample::Resampler;
use opentact_store::Json;
use opentact_store::accounts::Account;
use opentact_store::records::Record;
use opentact_store::transcripts::Transcript as Row;
use opentact_store::types::{TranscriptState, now};
use tokio::sync::mpsc;

use super::{PIECES, RATE, Recognition, RecognitionError, Transcript, Wish};
use crate::decode::why;
use crate::ledger::Ledger;

/// Octets read at once.
const PIECE: usize = 64 << 10;

impl Recognition {
    /// What a recording says of which `waiting` asks that, and what it costs the account to know; or why it is not known.
    pub(crate) async fn settle(
        &self,
        file: PathBuf,
        record: &Record,
        waiting: &Row,
        account: &Arc<Account>,
        ledger: &Ledger,
    ) -> (Row, Option<Charge>) {
        let wish = Wish { lang: waiting.language.clone(), hints: Vec::new() };
        let length = Duration::from_millis(u64::try_from(record.duration_ms).unwrap_or(0)).min(self.longest);
        let cost = ledger.speech().heard(length);
        let heard = async {
            let held = ledger.reserve(account, &cost).await.map_err(|unpaid| unpaid.to_string())?;
            let heard = self.transcribe(file, &wish).await.map_err(|error| error.to_string())?;
            Ok((heard, held))
        };
        let heard: Result<_, String> = heard.await;
        let row = Row { modified_on: now(), engine: self.engine().map(str::to_owned), ..waiting.clone() };
        match heard {
            Ok((Transcript { text, language, words }, held)) => {
                let language = language.unwrap_or(wish.lang);
                let (state, text, words) = (TranscriptState::Done, Some(text), Json(words));
                let charge = held.map(|held| held.spend(cost, record.uuid));
                (Row { state, language, text, words, ..row }, charge)
            }
            Err(error) => (Row { state: TranscriptState::Failed, error: Some(error), ..row }, None),
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
