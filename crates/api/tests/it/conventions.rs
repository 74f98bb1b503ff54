//! What holds for every request, whatever it asks.

use std::time::Duration;

use http::Method;
use opentact_api::{RateLimit, Settings};
use serde_json::json;

use crate::world::{World, shown};

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let world = World::new().await;
    let unknown = world.get("/rest/nonsense").send().await;
    assert_eq!(unknown.status, 404);
    insta::assert_snapshot!(shown(&unknown.json));
    let wrong = world.call(Method::PUT, "/rest/sip/app").send().await;
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.json["message"], "Method not allowed");
    assert_eq!(wrong.headers["allow"], "GET,HEAD,POST");
}

#[tokio::test]
async fn what_is_not_json_is_400() {
    let world = World::new().await;
    let broken = world.call(Method::POST, "/rest/token").body("application/json", "{\"name\":").expect(400).await;
    assert!(broken["message"].as_str().unwrap().starts_with("Request body is not JSON"), "{broken}");
    let kind = world.call(Method::POST, "/rest/token").body("text/plain", "{}").expect(400).await;
    assert_eq!(kind["message"], "Content-Type must be application/json");
    world
        .call(Method::POST, "/rest/token")
        .body("application/json; charset=utf-8", r#"{"name":"x"}"#)
        .expect(201)
        .await;
    // Valid JSON that is no object is a matter of validation.
    let list = world.call(Method::POST, "/rest/token").body("application/json", "[]").expect(422).await;
    assert_eq!(list["fields"]["params"]["message"], "must be an object");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let world = World::with(Settings { max_body: 100, ..Settings::default() }).await;
    let big = json!({"name": "x".repeat(200)});
    let refused = world.post("/rest/token", big.clone()).expect(413).await;
    assert_eq!(refused["message"], "Request body is larger than 100 octets");
    world.post("/rest/token", big).header("content-length", "9999").expect(413).await;
    world.get("/rest/health/live").expect(200).await;
}

#[tokio::test]
async fn the_request_id_is_taken_over_or_made() {
    let world = World::new().await;
    let mine = world.get("/rest/nonsense").header("x-request-id", "trace-7").send().await;
    assert_eq!(mine.headers["x-request-id"], "trace-7");
    assert_eq!(mine.json["meta"], "trace-7");
    let made = world.get("/rest/health/live").header("x-request-id", "no spaces allowed").send().await;
    assert_eq!(made.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn too_many_requests_are_429_per_account() {
    let rate = RateLimit { account_per_minute: 45, ..Settings::default().rate };
    let world = World::with(Settings { rate, ..Settings::default() }).await;
    let first = world.get("/rest/user").send().await;
    assert_eq!(
        (&first.headers["ratelimit-limit"], &first.headers["ratelimit-remaining"]),
        (&"3".parse().unwrap(), &"2".parse().unwrap())
    );
    assert_eq!(first.headers["ratelimit-reset"], "2");
    world.get("/rest/user").expect(200).await;
    world.get("/rest/user").expect(200).await;
    let refused = world.get("/rest/user").send().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "2");
    assert_eq!(refused.headers["ratelimit-remaining"], "0");
    let stranger = world.stranger().await;
    world.get("/rest/user").by(&stranger).expect(200).await;
    // One comes every 4/3 s.
    world.pass(Duration::from_millis(1_300));
    world.get("/rest/user").expect(429).await;
    world.pass(Duration::from_millis(40));
    world.get("/rest/user").expect(200).await;
    world.get("/rest/user").expect(429).await;
}

#[tokio::test]
async fn strangers_are_limited_by_their_address() {
    let rate = RateLimit { address_per_minute: 30, ..Settings::default().rate };
    let world = World::with(Settings { rate, ..Settings::default() }).await;
    world.get("/rest/health/live").anonymous().expect(200).await;
    world.get("/rest/user").header("authorization", "Bearer nope").expect(401).await;
    assert_eq!(world.get("/rest/health/live").anonymous().send().await.status, 429);
    world.get("/rest/user").header("authorization", "Bearer nope").expect(429).await;
    world.get("/rest/user").expect(200).await;
    world.pass(Duration::from_secs(2));
    world.get("/rest/health/live").anonymous().expect(200).await;
    world.get("/rest/health/live").anonymous().expect(429).await;
}

#[tokio::test]
async fn a_bug_is_500_without_its_text() {
    let world = World::new().await;
    *world.calls.panic.lock() = true;
    let bug = world.get("/rest/call/online").send().await;
    assert_eq!(bug.status, 500);
    insta::assert_snapshot!(shown(&bug.json));
    assert!(bug.headers.contains_key("x-request-id"));
    world.get("/rest/user").expect(200).await;
}

#[tokio::test]
async fn a_handler_that_hangs_is_given_up() {
    let settings = Settings { request_timeout: Duration::from_millis(50), ..Settings::default() };
    let world = World::with(settings).await;
    *world.calls.hang.lock() = true;
    let given_up = world.get("/rest/call/online").send().await;
    assert_eq!(given_up.status, 503);
    assert_eq!(given_up.headers["retry-after"], "1");
}

#[tokio::test]
async fn health_tells_of_draining() {
    let world = World::new().await;
    world.get("/rest/health/ready").anonymous().expect(200).await;
    world.state.drain();
    let draining = world.get("/rest/health/ready").anonymous().send().await;
    assert_eq!((draining.status.as_u16(), &draining.headers["retry-after"]), (503, &"5".parse().unwrap()));
    world.get("/rest/health/live").anonymous().expect(200).await;
    world.post("/rest/call", json!({"to": 12125550001_u64})).expect(503).await;
    world.get("/rest/call/online").expect(200).await;
}

#[tokio::test]
async fn an_older_version_does_not_overwrite_a_newer() {
    let world = World::new().await;
    let app = world.post("/rest/sip/app", json!({"name": "one"})).expect(201).await;
    let path = format!("/rest/sip/app/{}", app["uuid"].as_str().unwrap());
    let read = world.get(&path).send().await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    let changed = world.patch(&path, json!({"name": "two"})).header("if-match", &tag).send().await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.headers["etag"], tag.as_str());
    world.patch(&path, json!({"name": "three"})).header("if-match", &tag).expect(412).await;
    world.patch(&path, json!({"name": "three"})).header("if-match", "*").expect(200).await;
}
