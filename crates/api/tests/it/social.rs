//! Users whom Google and Facebook vouch for, by a stand-in that signs real tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::get;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use opentact_api::{FacebookSettings, GoogleSettings, Settings, SignUp};
use opentact_store::types::now;
use serde_json::{Value, json};

use crate::world::{Answer, World, shown};

const GOOGLE: &[u8] = include_bytes!("keys/google.der");
const OTHER: &[u8] = include_bytes!("keys/other.der");

/// A world whose Google and Facebook are this process, and how often Google was asked for its keys.
async fn world(sign_up: SignUp) -> (World, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let keys = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(include_str!("keys/google.json"))
    };
    let stand_in = Router::new()
        .route("/certs", get(keys))
        .route("/debug_token", get(async |Query(query): Query<Value>| debugged(&query)))
        .route("/{user}", get(async |Path(user): Path<String>, Query(query): Query<Value>| profile(&user, &query)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, stand_in).await });
    let google = GoogleSettings { client_id: "client".to_owned(), keys_url: format!("{url}/certs") };
    let facebook = FacebookSettings { app_id: "7".to_owned(), app_secret: "secret".to_owned(), url };
    let settings = Settings { google: Some(google), facebook: Some(facebook), sign_up, ..Settings::default() };
    (World::with(settings).await, asked)
}

fn debugged(query: &Value) -> String {
    let app = if query["input_token"] == "of-another-app" { "8" } else { "7" };
    let valid = query["access_token"] == "7|secret" && query["input_token"] != "expired";
    json!({"data": {"app_id": app, "is_valid": valid, "user_id": "42"}}).to_string()
}

fn profile(user: &str, query: &Value) -> String {
    assert_eq!((user, query["fields"].as_str()), ("42", Some("email,first_name,last_name")));
    json!({"id": "42", "email": "me@example.com", "first_name": "Ada"}).to_string()
}

/// An ID token with these claims in place of good ones.
fn token(key: &[u8], kid: &str, claims: &Value) -> String {
    let soon = now().timestamp() + 600;
    let mut good = json!({
        "iss": "https://accounts.google.com", "aud": "client", "exp": soon, "email": "Me@example.com",
        "email_verified": true, "given_name": "Ada", "family_name": "Lovelace",
    });
    good.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
    jsonwebtoken::encode(&header, &good, &EncodingKey::from_rsa_der(key)).unwrap()
}

async fn by_google(world: &World, token: &str) -> Answer {
    world.get("/rest/auth").anonymous().header("x-auth-google-token", token).send().await
}

#[tokio::test]
async fn google_vouches_for_a_user() {
    let (world, asked) = world(SignUp::Closed).await;
    let answer = by_google(&world, &token(GOOGLE, "one", &json!({}))).await;
    assert_eq!((answer.status.as_u16(), &answer.json["payload"]["email"]), (200, &json!("me@example.com")));
    let jwt = answer.json["payload"]["token"].as_str().unwrap();
    world.get("/rest/user").anonymous().header("x-auth-token", jwt).expect(200).await;
    let in_query = format!("/rest/user?google_token={}", token(GOOGLE, "one", &json!({"iss": "accounts.google.com"})));
    world.get(&in_query).anonymous().expect(200).await;

    let past = now().timestamp() - 3_600;
    for (what, bad) in [
        ("signature", token(OTHER, "one", &json!({}))),
        ("key", token(OTHER, "two", &json!({}))),
        ("audience", token(GOOGLE, "one", &json!({"aud": "another"}))),
        ("issuer", token(GOOGLE, "one", &json!({"iss": "https://evil.example"}))),
        ("expiry", token(GOOGLE, "one", &json!({"exp": past}))),
        ("e-mail", token(GOOGLE, "one", &json!({"email_verified": false}))),
        ("form", "x".to_owned()),
    ] {
        assert_eq!(by_google(&world, &bad).await.status, 401, "{what}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "an unknown key is not asked for all the time");
    // Whom nobody knows gets an account only where everybody does.
    let unknown = by_google(&world, &token(GOOGLE, "one", &json!({"email": "new@example.com"}))).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json["message"]), (403, &json!("Sign-up is closed")));
}

#[tokio::test]
async fn who_is_new_gets_an_account_and_a_mail() {
    let (world, _) = world(SignUp::Open).await;
    let answer = by_google(&world, &token(GOOGLE, "one", &json!({"email": "new@example.com"}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let user = &answer.json["payload"];
    assert_eq!((&user["first_name"], &user["role"]), (&json!("Ada"), &json!("Admin")));
    assert_ne!(user["account"]["uuid"], json!(world.me.account.uuid));
    assert_eq!(world.letters.recv().await.to, "new@example.com");
    let again = by_google(&world, &token(GOOGLE, "one", &json!({"email": "new@example.com"}))).await;
    assert_eq!(again.json["payload"]["uuid"], user["uuid"]);
}

#[tokio::test]
async fn facebook_vouches_for_a_user() {
    let (world, _) = world(SignUp::Closed).await;
    let ask = |token: &str| world.get("/rest/auth").anonymous().header("x-auth-facebook-token", token);
    let user = ask("good").expect(200).await;
    assert_eq!(user["email"], "me@example.com");
    assert!(user["token"].is_string());
    assert_eq!(ask("good").expect(200).await["uuid"], user["uuid"]);
    ask("expired").expect(401).await;
    ask("of-another-app").expect(401).await;
    world.get("/rest/user?facebook_token=good").anonymous().expect(200).await;
}

#[tokio::test]
async fn pages_are_told_who_vouches() {
    let (vouched, _) = world(SignUp::Closed).await;
    insta::assert_snapshot!(shown(&vouched.get("/rest/settings").anonymous().expect(200).await));
    let world = World::new().await;
    let nobody = world.get("/rest/settings").anonymous().expect(200).await;
    assert_eq!(nobody["auth"], json!({"google": null, "facebook": null}));
    world.get("/rest/auth").anonymous().header("x-auth-facebook-token", "good").expect(401).await;
    assert_eq!(by_google(&world, "x.y.z").await.status, 401);
}

#[tokio::test]
async fn who_vouches_and_does_not_answer_is_told() {
    let google = GoogleSettings { client_id: "client".to_owned(), keys_url: "http://127.0.0.1:1/certs".to_owned() };
    let world = World::with(Settings { google: Some(google), ..Settings::default() }).await;
    let answer = by_google(&world, &token(GOOGLE, "one", &json!({}))).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &"5".parse().unwrap()));
}
