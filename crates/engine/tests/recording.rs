//! Recordings of calls: told when they can be read, and then only.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use opentact_media::wav::Writer;
use opentact_sip::ua::{Command, Event};
use opentact_store::events::Batch;
use opentact_store::transcripts::Transcript;
use opentact_store::types::{RecordState, TranscriptState};
use serde_json::json;
use world::{DOMAIN, PASSWORD, Peer, World, sdp};

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_recorded_from_its_answer_is_told_when_its_file_is_whole() {
    let mut world = World::new().await;
    world.domain_with(&["alice"]).await;
    world
        .number_with(&format!(
            "<Response><Answer/><Dial record=\"record-from-answer\"><To>alice@{DOMAIN}</To></Dial></Response>"
        ))
        .await;
    let (mut phone, mut caller) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    caller.call_number(world.sip, 40_000);
    let answers = async {
        let session = phone.invited().await;
        phone.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
        while !matches!(phone.event().await, Event::Acked { .. }) {}
        session
    };
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    let (session, ()) = tokio::join!(answers, answered);
    while world.event().await["type"] != "call_bridge" {}
    phone.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(phone.settle(), caller.settle());

    let (mut recorded, mut over) = (None, false);
    while !over {
        let event = world.event().await;
        match event["type"].as_str() {
            Some("call_record") => {
                let payload = &event["payload"];
                let file = world.recordings.join(world.account.to_string()).join(payload["uuid"].as_str().unwrap());
                let size = std::fs::metadata(file.with_extension("wav")).unwrap().len();
                assert_eq!((payload["size"].as_u64(), payload["channels"].as_u64()), (Some(size), Some(2)));
                assert_eq!(event["call"]["direction"], "in");
                assert!(recorded.replace(payload["uuid"].clone()).is_none(), "told twice");
            }
            _ => over = event["call"]["direction"] == "in" && event["payload"]["state"] == "destroyed",
        }
    }
    assert!(recorded.is_some(), "told before the call was destroyed");
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_cannot_be_written_fails_its_element_and_is_told_to_have_failed() {
    let mut world = World::with(|config| {
        // A file where the folder is to be.
        std::fs::write(&config.recordings.folder, "").unwrap();
    })
    .await;
    world.number_with("<Response><Answer/><Record timeout=\"1000\"/><Hangup/></Response>").await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    caller.call_number(world.sip, 40_000);
    let (_, story) = tokio::join!(caller.settle(), world.story());
    assert!(story.iter().any(|line| line.starts_with("Record: success false")), "{story:#?}");
    assert!(story.iter().any(|line| line == "Call record: untagged"), "{story:#?}");
    let search = opentact_store::Search::first(10);
    let records = world.store.records().search(world.account, Default::default(), search).await.unwrap().data;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].state, records[0].duration_ms), (RecordState::Failed, 0));
    assert!(records[0].reason.as_ref().unwrap().contains("Not a directory"), "{records:?}");
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_transcribed_when_the_node_stopped_is_after_the_next_start() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Record tag=\"note\" timeout=\"100\"/><Hangup/></Response>").await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    caller.call_number(world.sip, 40_000);
    caller.settle().await;
    world.idle().await;
    world.hub().flush().await;
    let search = opentact_store::Search::first(10);
    let record = world.store.records().search(world.account, Default::default(), search).await.unwrap().data.remove(0);
    // As if it had been asked for, long ago, and somebody had spoken.
    let modified_on = record.created_on - Duration::from_secs(60);
    let transcripts = vec![Transcript { modified_on, ..Transcript::waiting(&record, "en-US".to_owned()) }];
    world.store.events().commit(Batch { transcripts, ..Batch::default() }).await.unwrap();
    let file = world.recordings.join(world.account.to_string()).join(format!("{}.wav", record.uuid));
    let tone = |at: i32| (8000.0 * (f64::from(at) * 1000.0 * std::f64::consts::TAU / 16_000.0).sin()) as i16;
    let mut writer = Writer::new(std::fs::File::create(file).unwrap(), 1, 16_000).unwrap();
    writer.write(&(0..16_000).map(tone).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();

    let mut world = world.restart().await;
    let told = loop {
        let event = world.event().await;
        if event["type"] == "call_transcript" {
            break event;
        }
    };
    let payload = &told["payload"];
    assert_eq!(
        (&payload["text"], &payload["state"], &payload["tag"]),
        (&json!("1000"), &json!("done"), &json!("note"))
    );
    assert_eq!((&told["call"]["uuid"], &payload["call"]), (&json!(record.call), &json!(record.call)));
    assert_eq!(told["call"]["records"][0]["uuid"], json!(record.uuid));
    let kept = world.store.transcripts().of_record(world.account, record.uuid).await.unwrap();
    assert_eq!((kept.text.as_deref(), kept.engine.as_deref()), (Some("1000"), Some("tones")));
    assert_eq!(kept.state, TranscriptState::Done);
}
