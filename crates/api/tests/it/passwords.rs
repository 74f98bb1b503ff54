//! Forgotten passwords, as their owners and as strangers ask for them.

use opentact_api::{MailSettings, Settings};
use opentact_engine::mail::Letter;
use serde_json::{Value, json};

use crate::world::{Call, PASSWORD, World};

const PATH: &str = "/rest/user/password_reset";
const CALLBACK: &str = "https://127.0.0.1:8443/%23/reset/%7Btoken%7D";

fn asked<'a>(world: &'a World, email: &str, callback: &str) -> Call<'a> {
    world.get(&format!("{PATH}?email={email}&callback={callback}")).anonymous()
}

async fn set(world: &World, token: &str, password: &str, status: u16) -> Value {
    world.post(PATH, json!({"token": token, "password": password})).anonymous().expect(status).await
}

fn token(letter: &Letter) -> &str {
    let after = letter.text.split_once("/#/reset/").unwrap().1;
    &after[..48]
}

#[tokio::test]
async fn who_reads_the_mail_sets_the_password_once() {
    let world = World::new().await;
    let jwt = world.get("/rest/auth").basic("me@example.com", PASSWORD).expect(200).await["token"].clone();
    let jwt = format!("Bearer {}", jwt.as_str().unwrap());
    asked(&world, "ME@example.com", CALLBACK).expect(200).await;
    let letter = world.letters.recv().await;
    assert_eq!((letter.to.as_str(), letter.subject.as_str()), ("me@example.com", "A new password"));
    insta::assert_snapshot!(letter.text.replace(token(&letter), "[token]"));

    set(&world, "x", "battery staple", 404).await;
    set(&world, token(&letter), "short", 422).await;
    set(&world, token(&letter), "battery staple", 200).await;
    let again = set(&world, token(&letter), "another one", 404).await;
    assert_eq!(again["message"], "Reset token not found");
    world.get("/rest/user").basic("me@example.com", "battery staple").expect(200).await;
    world.get("/rest/user").basic("me@example.com", PASSWORD).expect(401).await;
    world.get("/rest/user").header("authorization", &jwt).expect(401).await;
}

#[tokio::test]
async fn only_the_newest_token_is_good_and_none_after_the_password_changed() {
    let world = World::new().await;
    asked(&world, "me@example.com", CALLBACK).expect(200).await;
    let first = world.letters.recv().await;
    asked(&world, "me@example.com", CALLBACK).expect(200).await;
    let second = world.letters.recv().await;
    set(&world, token(&first), "battery staple", 404).await;
    let me = format!("/rest/user/{}", world.me.user.uuid);
    world.patch(&me, json!({"password": "battery staple"})).expect(200).await;
    set(&world, token(&second), "another one", 404).await;
}

#[tokio::test]
async fn a_token_is_good_for_a_while() {
    let mail = MailSettings { reset_ttl: std::time::Duration::ZERO, ..MailSettings::default() };
    let world = World::with(Settings { mail, ..Settings::default() }).await;
    asked(&world, "me@example.com", CALLBACK).expect(200).await;
    set(&world, token(&world.letters.recv().await), "battery staple", 404).await;
}

#[tokio::test]
async fn strangers_learn_nothing_and_get_no_mail() {
    let world = World::new().await;
    let known = asked(&world, "me@example.com", CALLBACK).send().await;
    let unknown = asked(&world, "nobody@example.com", CALLBACK).send().await;
    assert_eq!((known.status, &known.json), (unknown.status, &unknown.json));
    // Whose account is gone is unknown too.
    let grace = json!({"email": "grace@example.com", "password": PASSWORD});
    let grace = world.post("/rest/account/user", grace).expect(201).await;
    world.delete(&format!("/rest/user/{}", grace["uuid"].as_str().unwrap())).expect(200).await;
    asked(&world, "grace@example.com", CALLBACK).expect(200).await;
    asked(&world, "me@example.com", CALLBACK).expect(200).await;
    for _ in 0..2 {
        assert_eq!(world.letters.recv().await.to, "me@example.com");
    }
}

#[tokio::test]
async fn a_mailbox_is_not_filled_by_who_asks_too_often() {
    let mail = MailSettings { per_address: 5, ..MailSettings::default() };
    let world = World::with(Settings { mail, ..Settings::default() }).await;
    for _ in 0..3 {
        asked(&world, "me@example.com", CALLBACK).expect(200).await;
    }
    let refused = asked(&world, "Me@example.com", CALLBACK).send().await;
    assert_eq!((refused.status.as_u16(), &refused.headers["retry-after"]), (429, &"3600".parse().unwrap()));
    assert_eq!(refused.json["message"], "Too many mails");
    for _ in 0..2 {
        asked(&world, "nobody@example.com", CALLBACK).expect(200).await;
    }
    asked(&world, "other@example.com", CALLBACK).expect(429).await;
}

#[tokio::test]
async fn the_link_leads_nowhere_else() {
    let allowed_origins = ["https://console.example.com".to_owned()].into();
    let world = World::with(Settings { allowed_origins, ..Settings::default() }).await;
    for (callback, fault) in [
        ("https://evil.example/%7Btoken%7D", "must be of this server or of an allowed origin"),
        ("https://127.0.0.1:8443@evil.example/%7Btoken%7D", "must be of this server or of an allowed origin"),
        ("https://127.0.0.1:8443/reset", "must contain {token}"),
    ] {
        let wrong = asked(&world, "me@example.com", callback).expect(422).await;
        assert_eq!(wrong["fields"]["params.callback"]["message"], fault, "{callback}");
    }
    asked(&world, "me@example.com", "https://console.example.com/%7Btoken%7D").expect(200).await;
    assert!(world.letters.recv().await.text.contains("\nhttps://console.example.com/"));
    world.get(&format!("{PATH}?email=me@example.com")).anonymous().expect(200).await;
    insta::assert_snapshot!(
        world.letters.recv().await.text.lines().filter(|line| line.len() != 48).collect::<Vec<_>>().join("\n")
    );
}

#[tokio::test]
async fn mail_that_cannot_be_sent_waits_and_too_much_is_refused() {
    let mail = MailSettings { queue: 1, ..MailSettings::default() };
    let world = World::with(Settings { mail, ..Settings::default() }).await;
    world.letters.fail();
    asked(&world, "me@example.com", CALLBACK).expect(200).await;
    world.letters.recv().await;
    let full = asked(&world, "me@example.com", CALLBACK).send().await;
    assert_eq!((full.status.as_u16(), &full.headers["retry-after"]), (503, &"60".parse().unwrap()));
    let waiting = world.store.mails().next().await.unwrap();
    assert!(waiting.is_some_and(|next| next > opentact_store::types::now()));
}
