//! Calls and recordings of a run that was killed, and what it had not transcribed: nobody will tell of their end but the next
//! one, or another node.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use opentact_call::q850::Q850;
use opentact_events::view::{CallContext, CallView};
use opentact_events::{Hub, NewEvent, Write, view};
use opentact_media::RecordFormat;
use opentact_store::calls::CallRecord;
use opentact_store::records::Record;
use opentact_store::transcripts::Transcript;
use opentact_store::types::{self, CallState, RecordState};
use opentact_store::{Store, StoreError};

use crate::journal::Journal;
use crate::recognition::{HELD, Recognition, held};
use crate::recordings::Archive;
use crate::router::Router;
use crate::{media, recordings};

/// Transcripts that are looked for at a time.
const LEFT: u64 = 100;
/// Calls between two waits for the disk; the hub's queue takes many times that.
const BATCH: usize = 500;

/// Ends every call that is not destroyed, in the records and for those who listen. Returns how many there were.
///
/// For the start of the only node on this database, before it takes calls: a call of another node would be ended too.
///
/// # Errors
/// The database's.
pub(crate) async fn end_lost_calls(store: &Store, hub: &Hub, now: DateTime<Utc>) -> Result<usize, StoreError> {
    let lost = store.calls().unfinished().await?;
    let count = lost.len();
    for (number, record) in lost.into_iter().enumerate() {
        end(store, hub, record, now).await?;
        if number % BATCH == BATCH - 1 {
            hub.flush().await;
        }
    }
    Ok(count)
}

/// Makes the files of recordings whole that were being written, and tells of them. Returns how many there were. Before
/// [`end_lost_calls`], so that a call tells of its end last.
///
/// # Errors
/// The database's.
pub(crate) async fn end_lost_recordings(
    store: &Store,
    hub: &Hub,
    archive: &Archive,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let lost = store.records().unfinished().await?;
    let count = lost.len();
    for (number, mut record) in lost.into_iter().enumerate() {
        close(&mut record, archive, now);
        // It may have been told to the queue of the run before, and its call not.
        let Ok(call) = store.calls().get(record.account, record.call).await else {
            let _ = hub.record(Write::Record(record.into()));
            continue;
        };
        let mut records = store.records().of_call(record.account, record.call).await?;
        records.retain(|other| other.state != RecordState::Recording);
        records.push(record.clone());
        let _ = hub.record(Write::Record(record.clone().into()));
        show(store, &call, &records, |shown| {
            let _ = hub.publish(NewEvent::call_record(&record, shown));
        })
        .await?;
        if number % BATCH == BATCH - 1 {
            hub.flush().await;
        }
    }
    hub.flush().await;
    Ok(count)
}

/// Transcribes what nodes that are gone were asked for and have not done, one after another, for ever.
pub(crate) async fn transcribe_left(
    recognition: Recognition,
    router: Arc<Router>,
    journal: Journal,
    archive: Arc<Archive>,
) {
    loop {
        let left = match router.store().transcripts().left(Utc::now() - HELD, LEFT).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(%error, "what is left to transcribe cannot be read");
                Vec::new()
            }
        };
        for waiting in left {
            if let Err(error) = transcribe(&waiting, &recognition, &router, &journal, &archive).await {
                tracing::warn!(record = %waiting.record, %error, "a recording is not transcribed yet");
            }
        }
        tokio::time::sleep(HELD).await;
    }
}

async fn transcribe(
    waiting: &Transcript,
    recognition: &Recognition,
    router: &Router,
    journal: &Journal,
    archive: &Archive,
) -> Result<(), StoreError> {
    let store = router.store();
    let record = match store.records().get(waiting.account, waiting.record).await {
        Err(StoreError::NotFound(_)) => return store.transcripts().delete(waiting.account, waiting.uuid).await,
        record => record?,
    };
    if record.upload_due.is_some() && archive.find(&record).await.is_err() {
        // On another node, which will upload it.
        return Ok(());
    }
    let Some(waiting) = store.transcripts().hold(waiting).await? else { return Ok(()) };
    let call = store.calls().get(record.account, record.call).await?;
    let account = Arc::new(store.accounts().get(record.account).await?);
    let settling = recognition.settle(archive, &record, &waiting, &account, router.ledger());
    let Some(settled) = held(store, &waiting, settling).await else { return Ok(()) };
    let records = store.records().of_call(record.account, record.call).await?;
    show(store, &call, &records, |shown| journal.transcribed(&record, settled, shown)).await
}

/// What is on disk is what there is.
fn close(record: &mut Record, archive: &Archive, now: DateTime<Utc>) {
    let format = match record.format {
        types::RecordFormat::Wav => RecordFormat::Wav,
        types::RecordFormat::Mp3 => RecordFormat::Mp3,
    };
    record.modified_on = now;
    match media::repair(&recordings::path(archive.folder(), record), format) {
        Ok(stored) => {
            record.state = RecordState::Stored;
            record.sample_rate = stored.rate.into();
            record.duration_ms = i64::try_from(stored.duration_ms).unwrap_or(i64::MAX);
            record.size = i64::try_from(stored.bytes).unwrap_or(i64::MAX);
            record.reason = Some("the server stopped while it was recorded".to_owned());
            record.upload_due = archive.uploads().then_some(now);
        }
        Err(error) => {
            tracing::warn!(record = %record.uuid, %error, "nothing is left of a recording");
            record.state = RecordState::Failed;
            record.is_local = false;
            record.reason = Some(format!("the server stopped when it began: {error}"));
        }
    }
}

async fn end(store: &Store, hub: &Hub, mut record: CallRecord, now: DateTime<Utc>) -> Result<(), StoreError> {
    record.modified_on = now;
    if record.state < CallState::Hangup {
        record.state = CallState::Hangup;
        // When it really ended is not known; `duration` stays what was known.
        record.hangup_on = Some(now);
        record.q850_cause = Some(Q850::TEMPORARY_FAILURE.value().into());
        record.q850_cause_string = Some(Q850::TEMPORARY_FAILURE.text().to_owned());
        record.freeswitch_call_state = "HANGUP".to_owned();
        record.freeswitch_channel_state = "CS_HANGUP".to_owned();
        tell(store, hub, &record).await?;
    }
    record.state = CallState::Destroyed;
    record.destroy_on = Some(now);
    record.finished_on = Some(now);
    record.freeswitch_channel_state = "CS_DESTROY".to_owned();
    tell(store, hub, &record).await
}

async fn tell(store: &Store, hub: &Hub, record: &CallRecord) -> Result<(), StoreError> {
    let records = store.records().of_call(record.account, record.uuid).await?;
    show(store, record, &records, |shown| {
        let _ = hub.record(Write::CallRecord(record.clone().into()));
        let _ = hub.publish(NewEvent::call_state(record, shown));
    })
    .await
}

/// Gives `to` a call as it is shown.
async fn show(
    store: &Store,
    record: &CallRecord,
    records: &[Record],
    to: impl FnOnce(&CallView<'_>),
) -> Result<(), StoreError> {
    let account = store.accounts().get(record.account).await?;
    let logs = store.calls().logs(record.account, record.uuid).await?;
    let children = store.calls().children(record.account, record.uuid).await?;
    let parent = match record.parent {
        Some(parent) => store.calls().get(record.account, parent).await.ok(),
        None => None,
    };
    let children: Vec<&CallRecord> = children.iter().collect();
    let context = CallContext {
        account: Some(&account),
        parent: parent.as_ref(),
        children: &children,
        logs: &logs,
        records: &records.iter().map(view::record).collect::<Vec<_>>(),
    };
    to(&CallView { call: record, context });
    Ok(())
}
