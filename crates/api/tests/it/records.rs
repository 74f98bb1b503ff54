//! Recordings by REST. Their files are heard in the tests from outside.

use opentact_store::Json;
use opentact_store::events::Batch;
use opentact_store::records::Record;
use opentact_store::transcripts::{Transcript, Word};
use opentact_store::types::{CallState, RecordState, TranscriptState};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, call_record, stored_record};

async fn keep(world: &World, transcript: &Transcript) {
    let batch = Batch { transcripts: vec![transcript.clone()], ..Batch::default() };
    world.store.events().commit(batch).await.unwrap();
}

#[tokio::test]
async fn recordings_are_searched_read_and_deleted() {
    let world = World::new().await;
    let account = world.me.account.uuid;
    let call = call_record(account, CallState::Destroyed, "12125550001");
    world.store.calls().save(call.clone()).await.unwrap();
    let stored = stored_record(account, call.uuid);
    let other = Record { tag: None, duration_ms: 61_000, ..stored_record(account, Uuid::new_v4()) };
    for record in [&stored, &other] {
        world.store.records().save(record.clone()).await.unwrap();
    }
    let file = world.folder.path().join(account.to_string()).join(format!("{}.wav", stored.uuid));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "RIFF").unwrap();

    let found = world.post("/rest/record/search", json!({"tag": "voice*"})).expect(200).await;
    assert_eq!((found["total"].clone(), found["data"][0]["uuid"].clone()), (json!(1), json!(stored.uuid)));
    let found = world.post("/rest/record/search", json!({"duration_min": 60, "state": "stored"})).expect(200).await;
    assert_eq!(found["data"][0]["uuid"], json!(other.uuid));
    world.post("/rest/record/search", json!({"state": "gone"})).expect(422).await;

    let path = format!("/rest/record/{}", stored.uuid);
    let read = world.get(&path).expect(200).await;
    assert_eq!((read["duration"].clone(), read["complete"].clone()), (json!(1), json!(true)));
    assert_eq!(read["url"], json!(format!("{path}/file")));
    let shown = world.get(&format!("/rest/call/{}", call.uuid)).expect(200).await;
    assert_eq!(shown["records"], json!([read]));

    world.get(&format!("{path}/transcript")).expect(404).await;
    let waiting = Transcript::waiting(&stored, "en-GB".to_owned());
    keep(&world, &waiting).await;
    let told = world.get(&format!("{path}/transcript")).expect(200).await;
    assert_eq!((told["state"].clone(), told["language"].clone()), (json!("waiting"), json!("en-GB")));
    assert_eq!(
        (told["text"].clone(), told["words"].clone(), told["engine"].clone()),
        (json!(null), json!([]), json!(null))
    );
    let word = Word { text: "Hello".to_owned(), from_ms: 100, to_ms: 480, confidence: Some(0.93) };
    let (state, text, engine) = (TranscriptState::Done, Some("Hello.".to_owned()), Some("url".to_owned()));
    let done = Transcript { state, text, engine, words: Json(vec![word]), ..waiting.clone() };
    keep(&world, &done).await;
    let told = world.get(&format!("{path}/transcript")).expect(200).await;
    assert_eq!((told["record"].clone(), told["call"].clone()), (json!(stored.uuid), json!(call.uuid)));
    assert_eq!(
        (told["state"].clone(), told["text"].clone(), told["tag"].clone()),
        (json!("done"), json!("Hello."), json!("voicemail"))
    );
    assert_eq!(told["words"], json!([{"text": "Hello", "from_ms": 100, "to_ms": 480, "confidence": 0.93}]));

    let stranger = world.stranger().await;
    for path in [path.clone(), format!("{path}/file"), format!("{path}/transcript")] {
        world.get(&path).by(&stranger).expect(401).await;
    }
    world.delete(&path).by(&stranger).expect(401).await;
    assert!(file.exists());
    world.delete(&path).expect(200).await;
    assert!(!file.exists());
    world.get(&path).expect(404).await;
    world.get(&format!("{path}/file")).expect(404).await;
    world.delete(&path).expect(404).await;
    // Nothing of what it said stays, and what is heard of it later is not kept.
    keep(&world, &done).await;
    assert!(world.store.transcripts().of_record(account, stored.uuid).await.is_err());
}

#[tokio::test]
async fn a_recording_that_has_no_file_says_so() {
    let world = World::new().await;
    let account = world.me.account.uuid;
    let running = Record { state: RecordState::Recording, ..stored_record(account, Uuid::new_v4()) };
    let failed = Record {
        state: RecordState::Failed,
        reason: Some("No space left on device (os error 28)".into()),
        ..stored_record(account, Uuid::new_v4())
    };
    let gone = stored_record(account, Uuid::new_v4());
    for record in [&running, &failed, &gone] {
        world.store.records().save(record.clone()).await.unwrap();
    }
    world.delete(&format!("/rest/record/{}", running.uuid)).expect(409).await;
    let read = world.get(&format!("/rest/record/{}", failed.uuid)).expect(200).await;
    assert_eq!((read["url"].clone(), read["complete"].clone()), (json!(null), json!(false)));
    assert_eq!(read["reason"], "No space left on device (os error 28)");
    for record in [&running, &failed, &gone] {
        let answer = world.get(&format!("/rest/record/{}/file", record.uuid)).expect(404).await;
        assert_eq!(answer["message"], "Record not found");
    }
    world.delete(&format!("/rest/record/{}", failed.uuid)).expect(200).await;
}
