//! Recordings by REST. Their files are heard in the tests from outside.

use opentact_store::records::Record;
use opentact_store::types::{CallState, RecordState};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, call_record, stored_record};

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

    let stranger = world.stranger().await;
    for path in [path.clone(), format!("{path}/file")] {
        world.get(&path).by(&stranger).expect(401).await;
    }
    world.delete(&path).by(&stranger).expect(401).await;
    assert!(file.exists());
    world.delete(&path).expect(200).await;
    assert!(!file.exists());
    world.get(&path).expect(404).await;
    world.get(&format!("{path}/file")).expect(404).await;
    world.delete(&path).expect(404).await;
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
