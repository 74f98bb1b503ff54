//! A recording as an engine hears it.

use std::io::Read;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentact_events::Charge;
use opentact_media::file::Reader;
use opentact_media::resample::Resampler;
use opentact_store::accounts::Account;
use opentact_store::records::Record;
use opentact_store::transcripts::Transcript as Row;
use opentact_store::types::{TranscriptState, now};
use opentact_store::{Json, Store};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{PIECES, RATE, Recognition, RecognitionError, Transcript, Wish};
use crate::decode::why;
use crate::ledger::Ledger;
use crate::recordings::Archive;

/// How long a transcript that is made somewhere is left to that node after it has last said so.
pub(crate) const HELD: Duration = Duration::from_secs(30);
/// How often it says so.
const AGAIN: Duration = Duration::from_secs(10);
/// Octets read at once.
const PIECE: usize = 64 << 10;

impl Recognition {
    /// What a recording says of which `waiting` asks that, and what it costs the account to know; or why it is not known.
    pub(crate) async fn settle(
        &self,
        archive: &Archive,
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
            let heard = self.transcribe(archive, record, &wish).await.map_err(|error| error.to_string())?;
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

    /// Transcribes a recording, as long as is transcribed of one.
    ///
    /// # Errors
    /// Those of [`Recognition::recognize`]; the recording cannot be read.
    async fn transcribe(
        &self,
        archive: &Archive,
        record: &Record,
        wish: &Wish,
    ) -> Result<Transcript, RecognitionError> {
        let file = archive.audio(record).await.map_err(|error| RecognitionError::Recording(error.to_string()))?;
        let (pieces, audio) = mpsc::channel(PIECES);
        let most = (self.longest.as_millis() * u128::from(RATE) / 1000) as usize;
        let reading = tokio::task::spawn_blocking(move || read(file, most, &pieces));
        let (recognized, read) = tokio::join!(self.recognize(audio, wish), reading);
        let read = read.map_err(|error| error.to_string()).and_then(|read| read);
        // What an engine makes of half a file, or of none, is no transcript of it.
        read.map_err(RecognitionError::Recording)?;
        recognized
    }
}

/// Does `work` for a transcript that waits, and says all the while that it is done here. `None`: another node has taken it,
/// because this one was silent for too long, or nobody wants it any more; what came of the work is then of no use.
pub(crate) async fn held<T>(store: &Store, waiting: &Row, work: impl Future<Output = T>) -> Option<T> {
    held_every(AGAIN, store, waiting, work).await
}

async fn held_every<T>(again: Duration, store: &Store, waiting: &Row, work: impl Future<Output = T>) -> Option<T> {
    let (mut waiting, mut work) = (waiting.clone(), pin!(work));
    let mut said = Instant::now();
    let mut ticks = interval_at(said + again, again);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            biased;
            done = &mut work => Some(done),
            _ = ticks.tick() => None,
        };
        if done.is_some() && said.elapsed() < HELD {
            return done;
        }
        match store.transcripts().hold(&waiting).await {
            Ok(Some(held)) => (waiting, said) = (held, Instant::now()),
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!(record = %waiting.record, %error, "a transcript is not held");
                if done.is_some() {
                    return None;
                }
                continue;
            }
        }
        if done.is_some() {
            return done;
        }
    }
}

fn read(mut file: impl Read, most: usize, pieces: &mpsc::Sender<Vec<i16>>) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use opentact_store::events::Batch;
    use opentact_store::types::ordered_uuid;

    use super::*;

    #[tokio::test]
    async fn what_another_node_has_taken_is_let_go() {
        let store = Store::in_memory().await.unwrap();
        let waiting = Row {
            uuid: ordered_uuid(now()),
            created_on: now(),
            modified_on: now(),
            account: uuid::Uuid::new_v4(),
            record: uuid::Uuid::new_v4(),
            state: TranscriptState::Waiting,
            language: "en-US".to_owned(),
            engine: None,
            text: None,
            words: Json(Vec::new()),
            error: None,
        };
        store.events().commit(Batch { transcripts: vec![waiting.clone()], ..Batch::default() }).await.unwrap();
        assert_eq!(held(&store, &waiting, async { "heard" }).await, Some("heard"));
        let taken = store.transcripts().hold(&waiting).await.unwrap();
        assert!(taken.is_some());
        let forever = std::future::pending::<()>();
        assert_eq!(held_every(Duration::from_millis(1), &store, &waiting, forever).await, None);
    }
}
