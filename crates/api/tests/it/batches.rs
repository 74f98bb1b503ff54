use opentact_api::{BatchSettings, Settings};
use opentact_store::batches::Outcome;
use opentact_store::types::ItemState;
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, shown};

const FLOW: &str = "<Response><Say>Hello {{name}}.</Say><Hangup/></Response>";

#[tokio::test]
async fn a_batch_is_made_read_and_found() {
    let world = World::new().await;
    let form = json!({
        "name": "autumn",
        "phones": [12125550001_u64, "+1 (212) 555-0002", {"to": "alice@home.sip.localhost", "vars": {"name": "Alice", "age": 7}}],
        "xml": FLOW, "from": 12015550100_u64, "cps": 2.5, "ttl": 3600, "record": {"tag": "sale"}, "amd": {"mode": "sync", "beep": true}, "meta": {"by": "us"},
        "schedule": {"from": "09:00", "to": "17:30", "days": ["mon", "fri"], "time_zone": "America/New_York"},
        "retries": {"max": 2, "delay": 60},
    });
    let batch = world.post("/rest/batch", form).expect(201).await;
    insta::assert_snapshot!(shown(&batch));
    assert_eq!(*world.calls.batches_changed.lock(), 1);
    let uuid = batch["uuid"].as_str().unwrap();
    let at = format!("/rest/batch/{uuid}");
    insta::assert_snapshot!(shown(&world.get(&at).expect(200).await));

    // One is over.
    let batches = world.store.batches();
    batches.begin(uuid.parse().unwrap()).await.unwrap();
    let claimed = batches.claim(uuid.parse().unwrap(), 1).await.unwrap();
    let outcome = Outcome {
        state: ItemState::Failed,
        due_on: None,
        q850_cause: Some(17),
        reason: Some("Busy Here".to_owned()),
        amd: Some("machine".to_owned()),
        attempted: true,
    };
    batches.settle(&claimed.items[0], outcome).await.unwrap();
    let failed = world.get(&format!("{at}?state=failed&take=1")).expect(200).await;
    assert_eq!((&failed["items_found"], &failed["items"][0]["q850_cause"]), (&json!(1), &json!(17)));
    assert_eq!(failed["items"][0]["amd"], "machine");
    assert_eq!(failed["counts"], json!({"waiting": 2, "calling": 0, "done": 0, "failed": 1}));
    let second = world.get(&format!("{at}?skip=1&take=1")).expect(200).await;
    assert_eq!((&second["items"][0]["to"], &second["items_found"]), (&json!("+1 (212) 555-0002"), &json!(3)));
    world.get(&format!("{at}?take=1001")).expect(422).await;

    let found = world.post("/rest/batch/search", json!({"state": "running", "name": "aut*"})).expect(200).await;
    assert_eq!((&found["total"], &found["data"][0]["counts"]["failed"]), (&json!(1), &json!(1)));
    assert_eq!(world.post("/rest/batch/search", json!({"state": "paused"})).expect(200).await["total"], 0);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_number_it_is_wrong_with() {
    let batches = BatchSettings { max_phones: 4, ..BatchSettings::default() };
    let world = World::with(Settings { batches, ..Settings::default() }).await;
    let wrong = json!({"phones": [true, {"vars": {}}, 12125550001_u64], "timeout": 0, "amd": {}, "cps": 0, "xml": "<Response><Sya/></Response>", "call_flow_url": "https://example.com/"});
    insta::assert_snapshot!(shown(&world.post("/rest/batch", wrong).expect(422).await["fields"]));
    let wrong = json!({
        "phones": [12125550001_u64, "nobody", {"to": "group:6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1001"}, {"to": 1, "vars": {"from": "x", "a b": 1, "list": []}}, 1],
        "cps": 1000, "max_concurrent": 100000, "schedule": {"from": "25:00", "time_zone": "Utopia"},
    });
    insta::assert_snapshot!(shown(&world.post("/rest/batch", wrong).expect(422).await["fields"]));
    world.post("/rest/batch", json!({"phones": []})).expect(422).await;
    for property in ["sip_control_app", "outbound_voice_profile", "sip_connection", "tn_lease"] {
        world.post("/rest/batch", json!({"phones": [1], property: Uuid::new_v4()})).expect(404).await;
    }
    assert_eq!(world.post("/rest/batch/search", json!({})).expect(200).await["total"], 0);
    assert_eq!(*world.calls.batches_changed.lock(), 0);
}

#[tokio::test]
async fn a_batch_may_be_larger_than_other_requests() {
    let world = World::with(Settings { max_body: 10_000, ..Settings::default() }).await;
    let phones: Vec<u64> = (12_125_550_000..12_125_552_000).collect();
    let made = world.post("/rest/batch", json!({"phones": phones})).expect(201).await;
    assert_eq!((&made["total"], &made["counts"]["waiting"]), (&json!(2_000), &json!(2_000)));
    let wrong: Vec<String> = (0..2_000).map(|number| format!("nobody {number}")).collect();
    let refused = world.post("/rest/batch", json!({"phones": wrong})).expect(422).await;
    assert_eq!(refused["fields"].as_object().unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_batch_is_paused_resumed_and_canceled_by_its_account() {
    let world = World::new().await;
    let batch = world.post("/rest/batch", json!({"phones": [12125550001_u64], "xml": FLOW})).expect(201).await;
    let at = format!("/rest/batch/{}", batch["uuid"].as_str().unwrap());
    for state in ["paused", "paused", "running", "canceled"] {
        assert_eq!(world.patch(&at, json!({"state": state})).expect(200).await["state"], state);
    }
    let over = world.patch(&at, json!({"state": "running"})).expect(409).await;
    assert_eq!(over["message"], "Batch is canceled");
    world.patch(&at, json!({"state": "finished"})).expect(422).await;
    world.patch(&at, json!({})).expect(422).await;
    let item = world.get(&at).expect(200).await["items"][0].clone();
    assert_eq!((&item["state"], &item["reason"]), (&json!("failed"), &json!("Batch canceled")));
    let stranger = world.stranger().await;
    assert_eq!(world.get(&at).by(&stranger).expect(401).await["message"], "Forbidden");
    world.patch(&at, json!({"state": "paused"})).by(&stranger).expect(401).await;
    assert_eq!(world.get(&format!("/rest/batch/{}", Uuid::new_v4())).expect(404).await["message"], "Batch not found");
}
