use http::Method;
use opentact_api::Settings;
use opentact_store::types::Role;
use opentact_store::users::NewUser;
use serde_json::json;

use crate::world::{PASSWORD, World, shown};

#[tokio::test]
async fn basic_gives_the_user_with_a_jwt() {
    let world = World::new().await;
    let user = world.get("/rest/auth").basic("me@example.com", PASSWORD).expect(200).await;
    let token = user["token"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(shown(&user));
    let again = world.get("/rest/auth").anonymous().header("x-auth-token", &token).expect(200).await;
    assert_eq!(again["uuid"], user["uuid"]);
    assert!(again.get("token").is_none());
    world.get(&format!("/rest/auth?jwt={token}")).anonymous().expect(200).await;
    world.get(&format!("/rest/auth?bearer={token}")).anonymous().expect(200).await;
    world.get("/rest/auth").header("authorization", &format!("Bearer {token}")).expect(200).await;
    world.get("/rest/auth").header("authorization", &token).expect(200).await;
}

#[tokio::test]
async fn what_is_wrong_is_401_and_says_no_more() {
    let world = World::new().await;
    let wrong = world.get("/rest/auth").basic("me@example.com", "wrong").send().await;
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.headers["www-authenticate"], "Bearer");
    insta::assert_snapshot!(shown(&wrong.json), @r#"
    {
      "success": false,
      "message": "Wrong credentials",
      "status": 401,
      "meta": "[uuid]"
    }
    "#);
    let unknown = world.get("/rest/auth").basic("nobody@example.com", PASSWORD).expect(401).await;
    assert_eq!(unknown["message"], wrong.json["message"]);
    for bad in ["Bearer nope", "Basic ???", "Bearer a.b.c", "Negotiate abc"] {
        world.get("/rest/auth").header("authorization", bad).expect(401).await;
    }
    // The first credential present decides: a right one behind a wrong one does not help.
    let query = format!("/rest/auth?bearer={}", world.me.token);
    world.get(&query).header("authorization", "Bearer nope").expect(401).await;
    assert_eq!(world.get("/rest/auth").anonymous().expect(401).await["message"], "Credentials are required");
}

#[tokio::test]
async fn a_changed_password_is_noticed_at_once() {
    let world = World::new().await;
    let me = world.me.clone();
    world.get("/rest/user").basic("me@example.com", PASSWORD).expect(200).await;
    world.store.users().set_password(me.account.uuid, me.user.uuid, "another one").await.unwrap();
    world.get("/rest/user").basic("me@example.com", PASSWORD).expect(401).await;
    world.get("/rest/user").basic("me@example.com", "another one").expect(200).await;
}

#[tokio::test]
async fn a_deactivated_user_is_shut_out_by_every_way() {
    let world = World::new().await;
    let me = world.me.clone();
    let jwt = world.get("/rest/auth").basic("me@example.com", PASSWORD).expect(200).await["token"].clone();
    let another = NewUser::new("another@example.com", PASSWORD, Role::Admin);
    world.store.users().create(me.account.uuid, another).await.unwrap();
    world.store.users().set_deleted(me.account.uuid, me.user.uuid, true).await.unwrap();
    world.get("/rest/user").expect(401).await;
    world.get("/rest/user").basic("me@example.com", PASSWORD).expect(401).await;
    world.get("/rest/user").anonymous().header("x-auth-token", jwt.as_str().unwrap()).expect(401).await;
}

#[tokio::test]
async fn guessing_passwords_is_stopped_and_who_is_in_stays_in() {
    let world = World::with(Settings { guard_per_address: 3, ..Settings::default() }).await;
    world.get("/rest/user").basic("me@example.com", PASSWORD).expect(200).await;
    for guess in ["one", "two", "three"] {
        world.get("/rest/user").basic("me@example.com", guess).expect(401).await;
    }
    let refused = world.get("/rest/user").basic("me@example.com", "four").send().await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 60);
    // The right password was seen before the guesses: its owner is not locked out by them.
    world.get("/rest/user").basic("me@example.com", PASSWORD).expect(200).await;
    world.get("/rest/user").expect(200).await;
}

#[tokio::test]
async fn a_tokens_scopes_bound_it() {
    let world = World::new().await;
    let made =
        world.post("/rest/token", json!({"name": "reader", "scopes": ["sms:read", "token:write"]})).expect(201).await;
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    world.post("/rest/sms/search", json!({})).header("authorization", &bearer).expect(200).await;
    let refused = world.get("/rest/call/online").header("authorization", &bearer).expect(403).await;
    assert_eq!(refused["message"], "The token's scopes do not allow this");
    world.post("/rest/sms", json!({})).header("authorization", &bearer).expect(403).await;
    // Nor can it make a stronger one.
    world.post("/rest/token", json!({"name": "x"})).header("authorization", &bearer).expect(422).await;
    let wanted = json!({"name": "x", "scopes": ["call:read"]});
    world.post("/rest/token", wanted).header("authorization", &bearer).expect(422).await;
}

/// A form with a call flow in its file, and other fields before it.
fn form(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--x--\r\n"
}

#[tokio::test]
async fn a_form_carries_the_credential_in_a_field_before_its_file() {
    const FLOW: &str = "<Response><Answer/><Hangup/></Response>";
    let world = World::new().await;
    let app = world.post("/rest/sip/app", json!({"name": "menu"})).expect(201).await;
    let path = format!("/rest/sip/app/call/flow/{}", app["uuid"].as_str().unwrap());
    let me = world.get("/rest/auth").basic("me@example.com", PASSWORD).expect(200).await;
    let jwt = me["token"].as_str().unwrap();
    let send = |fields: &[(&str, &str)]| {
        world.call(Method::POST, &path).anonymous().body("multipart/form-data; boundary=x", form(fields))
    };
    send(&[("jwt", jwt), ("file", FLOW)]).expect(200).await;
    send(&[("file", FLOW)]).expect(401).await;
    send(&[("jwt", "nope"), ("file", FLOW)]).expect(401).await;
    send(&[("google_token", "nope"), ("jwt", jwt), ("file", FLOW)]).expect(200).await;
    // Credentials of the header come first, good or bad.
    send(&[("jwt", jwt), ("file", FLOW)]).header("authorization", "Bearer nope").expect(401).await;
    // Beyond what is looked at.
    let long = format!("<Response><!--{}--><Hangup/></Response>", "x".repeat(100_000));
    send(&[("file", &long), ("jwt", jwt)]).expect(401).await;
    send(&[("jwt", jwt), ("file", &long)]).expect(200).await;

    let plain = world.delete(&path).anonymous().body("application/x-www-form-urlencoded", format!("a=b&jwt={jwt}"));
    plain.expect(200).await;
}
