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
