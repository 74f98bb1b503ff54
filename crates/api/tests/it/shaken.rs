use chrono::Utc;
use http::Method;
use opentact_stir::{Chain, SigningKey, TestAuthority, TnAuthList, TnEntry};
use opentact_store::types::AccountLevel;
use serde_json::{Value, json};

use crate::world::World;

const PATH: &str = "/rest/shaken/certificate";

/// A chain and its key, of an authority that the server knows nothing of.
fn issued() -> (String, String) {
    let now = Utc::now().timestamp();
    let numbers = TnAuthList::new(vec![TnEntry::Range { start: "12015550100".to_owned(), count: 100 }]).unwrap();
    TestAuthority::create(now).unwrap().issue("ours", &numbers, 30, now).unwrap()
}

fn fault<'a>(answer: &'a Value, property: &str) -> &'a str {
    answer["fields"][format!("params.{property}")]["message"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_certificate_is_uploaded_published_changed_and_deleted() {
    let world = World::new().await;
    let (chain, key) = issued();
    let form = json!({"name": "ours", "certificate": chain, "key": key});
    let certificate = world.post(PATH, form).expect(201).await;
    assert_eq!(certificate["subject"], "CN=ours, O=Opentact");
    assert_eq!(certificate["tn_auth_list"], json!([{"start": "12015550100", "count": 100}]));
    assert_eq!((certificate["is_active"].clone(), certificate["test"].clone()), (json!(true), json!(false)));
    assert!(!certificate.to_string().contains("PRIVATE KEY"), "{certificate}");
    let path = format!("{PATH}/{}", certificate["uuid"].as_str().unwrap());
    assert_eq!(world.get(&path).expect(200).await, certificate);
    assert_eq!(world.get(PATH).expect(200).await, json!([certificate]));

    // Anybody may read it where signatures say it is.
    let url = certificate["url"].as_str().unwrap();
    let public = url.strip_prefix(&world.state.settings.public_url).unwrap();
    let answer = world.get(public).anonymous().send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/pem-certificate-chain");
    assert_eq!(answer.headers["cache-control"], "public, max-age=3600");

    let changed = world.patch(&path, json!({"is_active": false})).expect(200).await;
    assert_eq!((changed["is_active"].clone(), changed["name"].clone()), (json!(false), json!("ours")));
    let row = world.store.shaken_certificates().list(world.me.account.uuid).await.unwrap().remove(0);
    assert!(!String::from_utf8_lossy(&row.key).contains("PRIVATE KEY"), "keys are sealed");
    assert_eq!(world.store.shaken_certificates().key(&row).unwrap(), key);

    let stranger = world.stranger().await;
    world.get(&path).by(&stranger).expect(401).await;
    world.delete(&path).by(&stranger).expect(401).await;
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
    assert_eq!(world.get(public).anonymous().send().await.status, 404);
}

#[tokio::test]
async fn the_test_authority_certifies_what_it_is_asked_to() {
    let world = World::new().await;
    let form = json!({"name": "test", "spc": "709J", "numbers": [12_015_550_150_u64], "days": 10});
    let certificate = world.post(PATH, form).expect(201).await;
    assert_eq!(certificate["tn_auth_list"], json!([{"spc": "709J"}, {"number": "12015550150"}]));
    assert_eq!(certificate["test"], true);
    let chain = Chain::parse(certificate["certificate"].as_str().unwrap().as_bytes()).unwrap();
    let row = world.store.shaken_certificates().list(world.me.account.uuid).await.unwrap().remove(0);
    let key = SigningKey::from_pem(&world.store.shaken_certificates().key(&row).unwrap()).unwrap();
    assert_eq!(key.public_key(), chain.public_key());
    assert_eq!(chain.not_after - chain.not_before, 10 * 86_400 + 3600);
}

#[tokio::test]
async fn what_would_not_sign_is_refused_and_the_property_named() {
    let world = World::new().await;
    let ((chain, key), (other, _)) = (issued(), issued());
    let post = async |form: Value| world.post(PATH, form).expect(422).await;
    let refused = post(json!({"name": "", "certificate": chain, "key": key})).await;
    fault(&refused, "name");
    let refused = post(json!({"name": "x", "certificate": "none", "key": "none", "spc": "709J"})).await;
    for property in ["certificate", "key", "spc"] {
        fault(&refused, property);
    }
    let refused = post(json!({"name": "x", "certificate": other, "key": key})).await;
    assert_eq!(fault(&refused, "key"), "is not the key of the certificate");
    assert!(!refused.to_string().contains("PRIVATE KEY"), "a key is not repeated: {refused}");
    fault(&post(json!({"name": "x", "certificate": chain})).await, "key");
    fault(&post(json!({"name": "x", "key": key})).await, "certificate");
    fault(&post(json!({"name": "x"})).await, "spc");
    fault(&post(json!({"name": "x", "spc": "7 09"})).await, "spc");
    fault(&post(json!({"name": "x", "spc": "709J", "days": 0})).await, "days");
}

#[tokio::test]
async fn only_a_service_account_signs_for_others() {
    let world = World::new().await;
    let form = json!({"name": "shared", "spc": "709J", "shared": true});
    world.post(PATH, form.clone()).expect(403).await;
    let level = |account: &mut opentact_store::accounts::Account| account.level = AccountLevel::ServiceAccount;
    world.store.accounts().update(world.me.account.uuid, level).await.unwrap();
    let certificate = world.post(PATH, form).expect(201).await;
    assert_eq!(certificate["shared"], true);
    // Who has none of their own signs with it.
    let stranger = world.stranger().await;
    let signs = world.store.shaken_certificates().signing(stranger.account.uuid, Utc::now()).await.unwrap().unwrap();
    assert_eq!(json!(signs.uuid), certificate["uuid"]);
    let own = json!({"name": "own", "spc": "808K"});
    let own = world.call(Method::POST, PATH).json(&own).by(&stranger).expect(201).await;
    let signs = world.store.shaken_certificates().signing(stranger.account.uuid, Utc::now()).await.unwrap().unwrap();
    assert_eq!(json!(signs.uuid), own["uuid"]);
}
