use opentact_store::types::{DeliveryState, now};
use opentact_store::webhooks::WebhookAttempt;
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
    let to_nowhere = json!({"type": "sms", "channel": "webhook"});
    assert!(world.post("/rest/event/subscription", to_nowhere).expect(422).await["fields"]["params.url"].is_object());
    let over_websocket = json!({"type": "sms", "url": "https://example.com/told"});
    world.post("/rest/event/subscription", over_websocket).expect(422).await;
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

#[tokio::test]
async fn a_webhook_is_made_and_changed_and_shows_its_secret() {
    let world = World::new().await;
    let form = json!({
        "type": "call_state", "channel": "webhook", "url": "https://example.com/told",
        "filters": {"payload.state": ["live", "hangup"], "call.direction": "in"},
    });
    let made = world.post("/rest/event/subscription", form.clone()).expect(201).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["filters"], json!({"payload.state": ["live", "hangup"], "call.direction": ["in"]}));
    let path = format!("/rest/event/subscription/{}", made["uuid"].as_str().unwrap());
    assert_eq!(world.get(&path).expect(200).await, made);
    let change = json!({"secret": "0123456789abcdef", "failover_url": "https://example.org/told", "filters": null});
    let changed = world.patch(&path, change).expect(200).await;
    assert_eq!(changed["url"], made["url"]);
    assert_eq!(changed["secret"], "0123456789abcdef");
    assert_eq!(changed["failover_url"], "https://example.org/told");
    assert_eq!(changed["filters"], Value::Null);
    world.patch(&path, json!({"channel": "wss"})).expect(422).await;
    for wrong in [json!({"payload": {"state": "live"}}), json!([1]), json!({"payload.state": [["live"]]})] {
        let mut form = form.clone();
        form["filters"] = wrong;
        world.post("/rest/event/subscription", form).expect(422).await;
    }
}

#[tokio::test]
async fn deliveries_are_listed_searched_and_made_again() {
    let world = World::new().await;
    let form = json!({"type": "balance", "channel": "webhook", "url": "https://example.com/told"});
    let subscription = world.post("/rest/event/subscription", form).expect(201).await["uuid"].clone();
    tell(&world.hub, &world.me, "told");
    let stranger = world.stranger().await;
    tell(&world.hub, &stranger, "not mine");
    world.hub.flush().await;
    let page = world.get("/rest/webhook/delivery").expect(200).await;
    assert_eq!(page["total"], 1);
    let delivery = &page["data"][0];
    assert_eq!((&delivery["subscription"], &delivery["state"]), (&subscription, &json!("waiting")));
    let path = format!("/rest/webhook/delivery/{}", delivery["uuid"].as_str().unwrap());
    world.post(&format!("{path}/redeliver"), json!({})).expect(409).await;

    // As the dispatcher leaves one that it gives up.
    let uuid = delivery["uuid"].as_str().unwrap().parse().unwrap();
    let webhooks = world.store.webhooks();
    let mut dead = webhooks.get(world.me.account.uuid, uuid).await.unwrap();
    (dead.state, dead.attempts, dead.next_on) = (DeliveryState::Dead, 1, None);
    let attempt = WebhookAttempt {
        delivery: uuid,
        number: 1,
        created_on: dead.created_on,
        url: "https://example.com/told".into(),
        status: Some(404),
        reason: None,
        duration_ms: 3,
    };
    webhooks.settle(vec![dead], vec![attempt]).await.unwrap();
    let found =
        world.post("/rest/webhook/delivery", json!({"state": "dead", "subscription": subscription})).expect(200).await;
    assert_eq!(found["total"], 1);
    let shown = world.get(&path).expect(200).await;
    assert_eq!((&shown["attempts"], &shown["log"][0]["status"]), (&json!(1), &json!(404)));
    world.get(&path).by(&stranger).expect(401).await;
    world.post(&format!("{path}/redeliver"), json!({})).by(&stranger).expect(401).await;
    let again = world.post(&format!("{path}/redeliver"), json!({})).expect(200).await;
    assert_eq!(again["state"], "waiting");
}
