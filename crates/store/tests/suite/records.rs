use std::time::Duration;

use opentact_store::events::Batch;
use opentact_store::records::{Record, RecordFilter};
use opentact_store::transcripts::{Transcript, Word};
use opentact_store::types::{RecordFormat, RecordState, TranscriptState, now};
use opentact_store::{Json, Search, StoreError};
use uuid::Uuid;

use crate::world::{on_both, tenant};

fn record(account: Uuid, call: Uuid, state: RecordState) -> Record {
    Record {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account,
        call,
        tag: Some("voicemail".into()),
        state,
        format: RecordFormat::Wav,
        channels: 2,
        sample_rate: 16_000,
        duration_ms: 4_900,
        size: 313_644,
        reason: None,
        is_local: true,
        uploaded_on: None,
        upload_due: None,
        upload_attempts: 0,
        upload_error: None,
    }
}

on_both! {
async fn a_recording_is_found_by_its_call_and_by_what_it_is(world: &World) {
    let store = &world.store;
    let ((mine, _), (other, _)) = (tenant(store, "ada", 0).await, tenant(store, "bob", 0).await);
    let (account, call) = (mine.uuid, Uuid::new_v4());
    let mut first = record(account, call, RecordState::Recording);
    store.records().save(first.clone()).await.unwrap();
    assert_eq!(store.records().unfinished().await.unwrap(), std::slice::from_ref(&first));
    first.state = RecordState::Stored;
    let second = Record { duration_ms: 9_000, format: RecordFormat::Mp3, tag: None, ..record(account, call, RecordState::Stored) };
    let elsewhere = record(other.uuid, Uuid::new_v4(), RecordState::Stored);
    let batch = Batch { records: vec![first.clone(), second.clone(), elsewhere.clone()], ..Batch::default() };
    store.events().commit(batch).await.unwrap();
    assert_eq!(store.records().unfinished().await.unwrap(), []);
    assert_eq!(store.records().of_call(account, call).await.unwrap().len(), 2);
    let found = |filter| async { store.records().search(account, filter, Search::first(10)).await.unwrap().data };
    assert_eq!(found(RecordFilter::default()).await.len(), 2);
    for filter in [
        RecordFilter { tag: Some("voice*".into()), ..RecordFilter::default() },
        RecordFilter { format: Some(RecordFormat::Wav), ..RecordFilter::default() },
        RecordFilter { duration_max: Some(4), call: Some(call), ..RecordFilter::default() },
    ] {
        assert_eq!(found(filter).await, [first.clone()]);
    }
    assert_eq!(found(RecordFilter { duration_min: Some(5), ..RecordFilter::default() }).await, std::slice::from_ref(&second));
    assert!(matches!(store.records().get(account, elsewhere.uuid).await, Err(StoreError::NotFound("Record"))));
    store.records().delete(account, second.uuid).await.unwrap();
    assert!(store.records().delete(account, second.uuid).await.is_err());
}

async fn what_is_to_be_uploaded_waits_for_its_time(world: &World) {
    let store = &world.store;
    let (mine, _) = tenant(store, "ada", 0).await;
    let due = Record { upload_due: Some(now()), ..record(mine.uuid, Uuid::new_v4(), RecordState::Stored) };
    let never = record(mine.uuid, Uuid::new_v4(), RecordState::Stored);
    for record in [&due, &never] {
        store.records().save(record.clone()).await.unwrap();
    }
    let uuids = |records: Vec<Record>| records.into_iter().map(|record| record.uuid).collect::<Vec<_>>();
    assert_eq!(uuids(store.records().due(now(), 10).await.unwrap()), [due.uuid]);
    let later = now() + Duration::from_secs(60);
    assert!(store.records().upload_failed(&due, "away", Some(later)).await.unwrap());
    assert_eq!(store.records().due(now(), 10).await.unwrap(), []);
    let waiting = store.records().due(later, 10).await.unwrap().remove(0);
    assert_eq!((waiting.upload_attempts, waiting.upload_error.as_deref()), (1, Some("away")));
    assert!(store.records().uploaded(due.uuid).await.unwrap());
    assert!(store.records().not_local(due.uuid).await.unwrap());
    assert_eq!(store.records().due(later, 10).await.unwrap(), []);
    let done = store.records().get(mine.uuid, due.uuid).await.unwrap();
    assert!(done.uploaded_on.is_some() && !done.is_local && done.upload_error.is_none());
    assert!(!store.records().uploaded(Uuid::new_v4()).await.unwrap());
    store.records().upload_failed(&never, "gone", None).await.unwrap();
    assert_eq!(store.records().due(later, 10).await.unwrap(), []);
}
}

on_both! {
async fn a_transcript_waits_is_done_and_goes_with_its_recording(world: &World) {
    let store = &world.store;
    let ((mine, _), (other, _)) = (tenant(store, "ada", 0).await, tenant(store, "bob", 0).await);
    let record = record(mine.uuid, Uuid::new_v4(), RecordState::Stored);
    let waiting = Transcript::waiting(&record, "en-US".into());
    let write = async |transcripts| store.events().commit(Batch { transcripts, ..Batch::default() }).await;
    store.records().save(record.clone()).await.unwrap();
    write(vec![waiting.clone()]).await.unwrap();
    let left = async || store.transcripts().left(now() + Duration::from_secs(60), 10).await.unwrap();
    assert_eq!(left().await, std::slice::from_ref(&waiting));
    assert_eq!(store.transcripts().left(waiting.modified_on, 10).await.unwrap(), [], "somebody makes it");
    // Of two nodes one has it, for as long as it says so.
    let held = store.transcripts().hold(&waiting).await.unwrap().unwrap();
    assert_eq!(store.transcripts().hold(&waiting).await.unwrap(), None);
    assert_eq!(left().await, std::slice::from_ref(&held));
    assert!(store.transcripts().hold(&held).await.unwrap().is_some());
    let words = Json(vec![Word { text: "yes".into(), from_ms: 120, to_ms: 480, confidence: Some(0.93) }]);
    let done = Transcript { state: TranscriptState::Done, text: Some("yes".into()), words, ..waiting.clone() };
    write(vec![done.clone()]).await.unwrap();
    assert_eq!(left().await, []);
    assert_eq!(store.transcripts().hold(&done).await.unwrap(), None);
    assert_eq!(store.transcripts().of_record(mine.uuid, record.uuid).await.unwrap(), done);
    let theirs = store.transcripts().of_record(other.uuid, record.uuid).await;
    assert!(matches!(theirs, Err(StoreError::NotFound("Transcript"))));
    // Both in one commit, when the engine is quick.
    let second = Transcript::waiting(&record, "en-US".into());
    let failed = Transcript { state: TranscriptState::Failed, error: Some("off".into()), ..second.clone() };
    write(vec![second, failed.clone()]).await.unwrap();
    assert_eq!(store.transcripts().of_record(mine.uuid, record.uuid).await.unwrap(), failed);
    store.records().delete(mine.uuid, record.uuid).await.unwrap();
    write(vec![done]).await.unwrap();
    assert!(store.transcripts().of_record(mine.uuid, record.uuid).await.is_err());
}
}
