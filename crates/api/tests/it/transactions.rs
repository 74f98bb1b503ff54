use opentact_store::transactions::NewTransaction;
use opentact_store::types::RefType;
use opentact_store::{Money, types};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, shown};

#[tokio::test]
async fn changes_of_the_balance_are_found_and_read_by_their_account_only() {
    let world = World::new().await;
    let call = Uuid::new_v4();
    let charge = NewTransaction::charge(Money::micros(7_000), RefType::VoiceOutgoing, call, "Call to 12025550177, 5 s");
    let booked = world.store.transactions().book(world.me.account.uuid, charge).await.unwrap();
    let found = world.post("/rest/transaction/search", json!({"ref_uuid": call})).expect(200).await;
    assert_eq!((&found["total"], found["data"].as_array().unwrap().len()), (&json!(1), 1));
    let path = format!("/rest/transaction/{}", booked.uuid);
    let read = world.get(&path).expect(200).await;
    assert_eq!(found["data"][0], read);
    insta::assert_snapshot!(shown(&read));
    let form = json!({"ref_type": "voice_outgoing", "amount": -0.007, "description": "Call to*"});
    assert_eq!(world.post("/rest/transaction/search", form).expect(200).await["total"], 1);
    assert_eq!(
        world.post("/rest/transaction/search", json!({"ref_type": "sms_outgoing"})).expect(200).await["total"],
        0
    );
    for wrong in [json!({"ref_type": "beer"}), json!({"amount": "much"}), json!({"order": {"colour": "ASC"}})] {
        world.post("/rest/transaction/search", wrong).expect(422).await;
    }
    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    let form = json!({"ref_type": types::RefType::VoiceOutgoing.as_str()});
    assert_eq!(world.post("/rest/transaction/search", form).by(&stranger).expect(200).await["total"], 0);
    world.get(&format!("/rest/transaction/{}", Uuid::new_v4())).expect(404).await;
}

#[tokio::test]
async fn what_was_booked_is_told_by_kind_and_by_day() {
    let world = World::new().await;
    let sms = |what: &str| NewTransaction::charge(Money::micros(7_500), RefType::SmsOutgoing, Uuid::nil(), what);
    for what in ["one", "two"] {
        world.store.transactions().book(world.me.account.uuid, sms(what)).await.unwrap();
    }
    let (now, day) = (types::now(), chrono::TimeDelta::days(1));
    let wide = format!("from={}&to={}", (now - day).format("%FT%TZ"), (now + day).format("%FT%TZ"));
    let invoice = world.get(&format!("/rest/transaction/report/invoice?{wide}")).expect(200).await;
    assert_eq!(
        invoice["report"],
        json!([
            {"ref_type": "payment", "count": 1, "amount": 100},
            {"ref_type": "sms_outgoing", "count": 2, "amount": -0.015},
        ])
    );
    let daily = world.get("/rest/transaction/report/dashboard/sms_outgoing").expect(200).await;
    let days = daily["report"].as_array().unwrap();
    assert_eq!(days.iter().map(|day| day["count"].as_u64().unwrap()).sum::<u64>(), 2);
    assert_eq!(days[0]["date"].as_str().unwrap().len(), 10);
    // The last month, where nothing was.
    assert_eq!(world.get("/rest/transaction/report/invoice").expect(200).await["report"], json!([]));
    let backwards = "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z";
    for (path, field) in [
        (format!("/rest/transaction/report/invoice?{backwards}"), "params.from"),
        ("/rest/transaction/report/invoice?from=2020-01-01T00:00:00Z".to_owned(), "params.from"),
        ("/rest/transaction/report/invoice?from=yesterday".to_owned(), "params.from"),
        ("/rest/transaction/report/dashboard/gifts".to_owned(), "path.ref_type"),
    ] {
        let wrong = world.get(&path).expect(422).await;
        assert!(wrong["fields"][field].is_object(), "{path}: {wrong}");
    }
}
