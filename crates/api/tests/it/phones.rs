//! What SIP users do by themselves.

use http::Method;
use opentact_api::Settings;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, ha1b, shown};

/// A domain of mine with a SIP user, and what their phone shows.
async fn phone(world: &World, login: &str) -> (Value, String) {
    if world.get("/rest/sip/domain/home").send().await.status != 200 {
        world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    }
    let email = format!("{login}@example.com");
    let form = json!({"login": login, "password": PASSWORD, "email": email});
    (world.post("/rest/sip/domain/home/user", form).expect(201).await, ha1b(login, "home", PASSWORD))
}

#[tokio::test]
async fn a_sip_user_is_known_by_the_hash_of_their_phone() {
    let world = World::new().await;
    let (user, hash) = phone(&world, "ada").await;
    let me = world.get("/rest/app").phone(&hash).expect(200).await;
    assert_eq!(me["uuid"], user["uuid"]);
    let anonymous = |path: &str| world.get(path).anonymous();
    assert_eq!(anonymous(&format!("/rest/app?ha1b={}", hash.to_uppercase())).expect(200).await, me);
    // Of no use for what is the account's, and the account's for what is the phone's.
    world.get("/rest/sip/domain").phone(&hash).expect(401).await;
    world.get("/rest/app").expect(401).await;
    anonymous("/rest/app").expect(401).await;
    let once =
        |name: &str| world.post("/rest/app/group", json!({"name": name})).phone(&hash).header("idempotency-key", "k");
    assert_eq!(once("friends").expect(201).await, once("friends").expect(201).await);
    once("enemies").expect(409).await;

    let path = format!("/rest/sip/domain/home/user/{}", user["uuid"].as_str().unwrap());
    world.patch(&path, json!({"is_active": false})).expect(200).await;
    world.get("/rest/app").phone(&hash).expect(401).await;
    world.patch(&path, json!({"is_active": true, "password": "battery staple"})).expect(200).await;
    world.get("/rest/app").phone(&hash).expect(401).await;
    world.get("/rest/app").phone(&ha1b("ada", "home", "battery staple")).expect(200).await;
}

#[tokio::test]
async fn hashes_are_not_guessed_for_long() {
    let world = World::with(Settings { guard_per_address: 2, ..Settings::default() }).await;
    let (_, hash) = phone(&world, "ada").await;
    for guess in ["1", "2"] {
        world.get("/rest/app").phone(&ha1b("ada", "home", guess)).expect(401).await;
    }
    world.get("/rest/app").phone(&hash).expect(429).await;
}

#[tokio::test]
async fn a_sip_user_changes_what_is_said_of_them_and_their_password() {
    let world = World::new().await;
    let (_, hash) = phone(&world, "ada").await;
    let form =
        json!({"first_name": "Ada", "password": "battery staple", "login": "root", "same_domain_calls_only": true});
    let changed = world.patch("/rest/app", form).phone(&hash).expect(200).await;
    assert_eq!((&changed["first_name"], &changed["login"]), (&json!("Ada"), &json!("ada")));
    assert_eq!(changed["same_domain_calls_only"], false);
    world.get("/rest/app").phone(&hash).expect(401).await;
    world.get("/rest/app").phone(&ha1b("ada", "home", "battery staple")).expect(200).await;
    assert!(world.calls.invalidated.lock().contains(&world.me.account.uuid));
}

#[tokio::test]
async fn who_is_invited_becomes_a_sip_user() {
    let world = World::new().await;
    world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    let invites = "/rest/sip/domain/home/invite";
    let form = json!({
        "name": "newcomers", "expired_on": "2099-01-01T00:00:00Z", "email": "Ada@example.com",
        "callback": "https://127.0.0.1:8443/join/{token}",
    });
    let invite = world.post(invites, form).expect(201).await;
    insta::assert_snapshot!(shown(&invite));
    let token = invite["token"].as_str().unwrap();
    let letter = world.letters.recv().await;
    assert_eq!(letter.to, "ada@example.com");
    insta::assert_snapshot!(format!("{}\n\n{}", letter.subject, letter.text.replace(token, "[token]")));
    assert_eq!(world.get(invites).expect(200).await, json!([invite]));

    let at = format!("/rest/app/invite/{token}");
    assert_eq!(world.get(&at).anonymous().expect(200).await["domain"], "home.sip.localhost");
    let form = json!({"login": "ada", "password": PASSWORD, "first_name": "Ada"});
    let made = world.post(&at, form.clone()).anonymous().expect(201).await;
    assert_eq!((&made["login"], &made["same_domain_calls_only"]), (&json!("ada"), &json!(false)));
    world.get("/rest/app").phone(&ha1b("ada", "home", PASSWORD)).expect(200).await;
    world.post(&at, form.clone()).anonymous().expect(409).await;

    for other in ["x", &"0".repeat(64), &token.replace(&token[40..], &"0".repeat(24))] {
        world.get(&format!("/rest/app/invite/{other}")).anonymous().expect(404).await;
    }
    let path = format!("{invites}/{}", invite["uuid"].as_str().unwrap());
    let past = json!({"expired_on": "2020-01-01T00:00:00Z", "name": "old"});
    assert_eq!(world.patch(&path, past).expect(200).await["name"], "old");
    let gone = world.post(&at, form).anonymous().expect(404).await;
    assert_eq!(gone["message"], "SIP User Invite not found");
    world.delete(&path).expect(200).await;
    world.delete(&path).expect(404).await;
    let evil =
        json!({"name": "evil", "expired_on": "2099-01-01T00:00:00Z", "callback": "https://evil.example/{token}"});
    world.post(invites, evil).expect(422).await;
}

#[tokio::test]
async fn a_sip_user_who_forgot_the_password_sets_it_by_mail() {
    let world = World::new().await;
    phone(&world, "ada").await;
    let path = "/rest/app/password_reset";
    let ask = |email: &str| {
        world.get(&format!("{path}?email={email}&callback=https://127.0.0.1:8443/%7Btoken%7D")).anonymous()
    };
    ask("nobody@example.com").expect(200).await;
    ask("ADA@example.com").expect(200).await;
    let letter = world.letters.recv().await;
    let at = letter.text.find("8443/").unwrap() + 5;
    let token = letter.text.get(at..at + 48).unwrap();
    insta::assert_snapshot!(letter.text.replace(token, "[token]"));
    let form = json!({"token": token, "password": "battery staple"});
    // It is no user's of the account.
    world.post("/rest/user/password_reset", form.clone()).anonymous().expect(404).await;
    world.post(path, form.clone()).anonymous().expect(200).await;
    world.post(path, form).anonymous().expect(404).await;
    world.get("/rest/app").phone(&ha1b("ada", "home", "battery staple")).expect(200).await;
}

#[tokio::test]
async fn sip_users_make_groups_of_each_other() {
    let world = World::new().await;
    let (ada, hash) = phone(&world, "ada").await;
    let (bob, bobs) = phone(&world, "bob").await;
    let (ada, bob) = (ada["uuid"].as_str().unwrap(), bob["uuid"].as_str().unwrap());
    let people = world.get("/rest/app/users").phone(&hash).expect(200).await;
    assert_eq!(people.as_array().unwrap().len(), 2);
    assert!(people[0]["registrations"].is_null(), "where others are is not told");

    let group = world.post("/rest/app/group", json!({"name": "sales", "users": [ada]})).phone(&hash).expect(201).await;
    insta::assert_snapshot!(shown(&group));
    let path = format!("/rest/app/group/{}", group["uuid"].as_str().unwrap());
    let one = format!("{path}/users/{bob}");
    // All see it, its owner changes it.
    assert_eq!(world.get("/rest/app/group").phone(&bobs).expect(200).await, json!([group]));
    world.get(&format!("{path}/users")).phone(&bobs).expect(200).await;
    world.call(Method::PATCH, &one).phone(&bobs).expect(401).await;
    world.delete(&path).phone(&bobs).expect(401).await;
    let added = world.call(Method::PATCH, &one).phone(&hash).expect(200).await;
    assert_eq!(added["users"].as_array().unwrap().len(), 2);
    world.delete(&one).phone(&hash).expect(200).await;
    world.delete(&one).phone(&hash).expect(404).await;
    let users = world.post(&format!("{path}/users"), json!({"users": [ada, bob]})).phone(&hash).expect(200).await;
    assert_eq!(users.as_array().unwrap().len(), 2);
    let renamed = world.patch(&path, json!({"name": "support", "users": [bob]})).phone(&hash).expect(200).await;
    assert_eq!((&renamed["name"], &renamed["users"][0]["uuid"]), (&json!("support"), &json!(bob)));
    assert_eq!(renamed["owner"]["uuid"], ada);
    world.delete(&path).phone(&hash).expect(200).await;
}
