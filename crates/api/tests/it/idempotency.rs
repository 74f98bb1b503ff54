use std::time::Duration;

use opentact_engine::ports::ControlError;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_same_post_is_done_once_and_answered_again() {
    let world = World::new().await;
    let form = json!({"name": "once"});
    let first = world.post("/rest/sip/app", form.clone()).header("idempotency-key", "k1").send().await;
    assert_eq!(first.status, 201);
    let again = world.post("/rest/sip/app", form.clone()).header("idempotency-key", "k1").send().await;
    assert_eq!((again.status, &again.json), (first.status, &first.json));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(world.get("/rest/sip/app").expect(200).await.as_array().unwrap().len(), 1);
    let other = world.post("/rest/sip/app", json!({"name": "twice"})).header("idempotency-key", "k1").expect(409).await;
    assert_eq!(other["message"], "Idempotency-Key was used with another request");
    // Keys of another account are others.
    let stranger = world.stranger().await;
    world.post("/rest/sip/app", form).by(&stranger).header("idempotency-key", "k1").expect(201).await;
    assert_eq!(world.get("/rest/sip/app").by(&stranger).expect(200).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_repeated_and_a_failure_is_not() {
    let world = World::new().await;
    let wrong = world.post("/rest/sip/app", json!({})).header("idempotency-key", "k1").expect(422).await;
    assert_eq!(
        world.post("/rest/sip/app", json!({})).header("idempotency-key", "k1").expect(422).await["fields"],
        wrong["fields"]
    );

    let later = ControlError::Unavailable { reason: "full".to_owned(), retry_after: Duration::from_secs(1) };
    *world.calls.refuse.lock() = Some(later);
    let call = json!({"to": 12125550001_u64});
    world.post("/rest/call", call.clone()).header("idempotency-key", "k2").expect(503).await;
    *world.calls.refuse.lock() = None;
    // The key is freed by a task of its own: until it is, the answer is 409.
    loop {
        let answer = world.post("/rest/call", call.clone()).header("idempotency-key", "k2").send().await;
        match answer.status.as_u16() {
            409 => tokio::task::yield_now().await,
            status => break assert_eq!(status, 201),
        }
    }
    assert_eq!(world.calls.originated.lock().len(), 1);
}

#[tokio::test]
async fn a_secret_that_is_shown_once_is_not_kept() {
    let world = World::new().await;
    let first = world.post("/rest/token", json!({"name": "a"})).header("idempotency-key", "k1").expect(201).await;
    loop {
        let again = world.post("/rest/token", json!({"name": "a"})).header("idempotency-key", "k1").send().await;
        if again.status != 409 {
            assert_ne!(again.json["payload"]["token"], first["token"]);
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let world = World::new().await;
    world.post("/rest/sip/app", json!({"name": "x"})).header("idempotency-key", "").expect(400).await;
    world.post("/rest/sip/app", json!({"name": "x"})).header("idempotency-key", &"k".repeat(256)).expect(400).await;
}
