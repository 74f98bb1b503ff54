use opentact_store::types::now;
use serde_json::{Value, json};

use crate::world::{World, shown, tell};

#[tokio::test]
async fn a_subscription_is_made_changed_and_deleted() {
    let world = World::new().await;
    let made = world.post("/rest/event/subscription", json!({"type": "sms", "channel": "wss"})).expect(201).await;
    insta::assert_snapshot!(shown(&made));
    let path = format!("/rest/event/subscription/{}", made["uuid"].as_str().unwrap());
    assert_eq!(world.get(&path).expect(200).await, made);
    let until = "2030-01-01T00:00:00.000Z";
    let changed = world.patch(&path, json!({"is_active": false, "expired_on": until})).expect(200).await;
    assert_eq!((changed["is_active"].clone(), changed["expired_on"].clone()), (json!(false), json!(until)));
    assert_eq!(world.patch(&path, json!({"expired_on": null})).expect(200).await["expired_on"], Value::Null);
    let wrong = json!({"type": "weather", "channel": "pigeon", "expired_on": "tomorrow"});
    insta::assert_snapshot!(shown(&world.post("/rest/event/subscription", wrong).expect(422).await["fields"]));
    world.post("/rest/event/subscription", json!({"type": "sms", "channel": "webhook"})).expect(422).await;
    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    world.delete(&path).by(&stranger).expect(401).await;
    world.delete(&path).expect(200).await;
    assert_eq!(world.get("/rest/event/subscription").expect(200).await, json!([]));
}

#[tokio::test]
async fn the_log_is_read_from_any_number_on() {
    let world = World::new().await;
    for text in ["one", "two", "three"] {
        tell(&world.hub, &world.me, text);
    }
    tell(&world.hub, &world.stranger().await, "not mine");
    world.hub.flush().await;
    let page = world.get("/rest/event?take=2").expect(200).await;
    let messages = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(messages(&page), ["one", "two"]);
    assert_eq!(page["next"], 2);
    let rest = world.get("/rest/event?after=2&take=2").expect(200).await;
    assert_eq!((messages(&rest), rest["next"].clone()), (vec!["three".to_owned()], Value::Null));
    insta::assert_snapshot!(shown(&rest["data"][0]));
    world.get("/rest/event?after=x").expect(422).await;
    assert!(now() > world.me.account.created_on);
}
