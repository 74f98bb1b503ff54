use serde_json::{Value, json};

use crate::world::{World, shown};

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_taken_back() {
    let world = World::new().await;
    let made = world.post("/rest/token", json!({"name": "app", "ttl": 3600})).expect(201).await;
    let text = made["token"].as_str().unwrap().to_owned();
    assert_eq!(text.len(), 48);
    assert!(text.bytes().all(|c| c.is_ascii_alphanumeric()));
    insta::assert_snapshot!(shown(&made));
    let list = world.get("/rest/token/list").expect(200).await;
    let listed = list.as_array().unwrap().iter().find(|one| one["uuid"] == made["uuid"]).unwrap();
    assert_ne!(listed["token"], Value::from(text.as_str()));
    let bearer = format!("Bearer {text}");
    world.get("/rest/user").header("authorization", &bearer).expect(200).await;
    world.delete(&format!("/rest/token/{text}")).expect(200).await;
    world.get("/rest/user").header("authorization", &bearer).expect(401).await;
    world.delete(&format!("/rest/token/{text}")).expect(404).await;
}

#[tokio::test]
async fn a_token_can_be_renamed_and_expire_never() {
    let world = World::new().await;
    let made = world.post("/rest/token", json!({"name": "app", "ttl": 60})).expect(201).await;
    let path = format!("/rest/token/{}", made["uuid"].as_str().unwrap());
    let changed = world.patch(&path, json!({"name": "app 2", "ttl": null})).expect(200).await;
    assert_eq!((changed["name"].clone(), changed["expired_on"].clone()), (json!("app 2"), Value::Null));
    assert_eq!(world.patch(&path, json!({"name": "app 3"})).expect(200).await["expired_on"], Value::Null);
    world.delete(&path).expect(200).await;
    world.patch(&path, json!({})).expect(404).await;
}

#[tokio::test]
async fn every_fault_is_listed() {
    let world = World::new().await;
    let wrong = world.post("/rest/token", json!({"ttl": 5, "scopes": ["call:read", 7]})).expect(422).await;
    insta::assert_snapshot!(shown(&wrong));
    let wrong = world.post("/rest/token", json!({"name": "x", "scopes": ["call:read", "call:run"]})).expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
    let wrong = world.patch("/rest/token/nonsense", json!({"name": "x"})).expect(422).await;
    assert_eq!(wrong["fields"]["path.token"]["value"], "nonsense");
}

#[tokio::test]
async fn tokens_of_others_cannot_be_touched() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    let made = world.post("/rest/token", json!({"name": "app"})).expect(201).await;
    let path = format!("/rest/token/{}", made["uuid"].as_str().unwrap());
    let refused = world.delete(&path).by(&stranger).expect(401).await;
    assert_eq!(refused["message"], "Forbidden");
    world.patch(&path, json!({"name": "mine"})).by(&stranger).expect(401).await;
    let text = format!("/rest/token/{}", made["token"].as_str().unwrap());
    world.delete(&text).by(&stranger).expect(404).await;
}

#[tokio::test]
async fn all_tokens_go_at_once() {
    let world = World::new().await;
    world.post("/rest/token", json!({"name": "one"})).expect(201).await;
    assert_eq!(world.delete("/rest/token/all").expect(200).await, json!({"removed": 2}));
    world.get("/rest/token/list").expect(401).await;
}
