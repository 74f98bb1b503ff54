use opentact_api::{Settings, SignUp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Call, PASSWORD, World, shown};

#[tokio::test]
async fn a_user_and_its_account() {
    let world = World::new().await;
    let user = world.get("/rest/user").expect(200).await;
    assert_eq!(user["email"], "me@example.com");
    let account = world.get("/rest/account").expect(200).await;
    assert_eq!(account["balance"], json!(100));
    assert_eq!(account, user["account"]);
    let by_uuid = format!("/rest/account/{}", world.me.account.uuid);
    assert_eq!(world.get(&by_uuid).expect(200).await, account);
    let stranger = world.stranger().await;
    world.get(&by_uuid).by(&stranger).expect(401).await;
    world.get(&format!("/rest/account/{}", Uuid::new_v4())).expect(404).await;
    let wrong = world.get("/rest/account/7").expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
}

#[tokio::test]
async fn sign_up_makes_an_account_where_it_is_open() {
    let closed = World::new().await;
    let form = json!({"email": "New@Example.com", "password": "long enough", "first_name": "Ada"});
    let refused = closed.post("/rest/user", form.clone()).anonymous().expect(403).await;
    assert_eq!(refused["message"], "Sign-up is closed");

    let open = World::with(Settings { sign_up: SignUp::Open, ..Settings::default() }).await;
    let made = open.post("/rest/user", form.clone()).anonymous().expect(201).await;
    insta::assert_snapshot!(shown(&made));
    open.get("/rest/user").basic("new@example.com", "long enough").expect(200).await;
    let again = open.post("/rest/user", form).anonymous().expect(409).await;
    assert_eq!(again["message"], "User already exists");
    let wrong = json!({"email": "nobody", "password": "short", "first_name": "x".repeat(25), "phone_number": "1"});
    let wrong = open.post("/rest/user", wrong).anonymous().expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
}

/// A request by that user.
fn by_grace(call: Call<'_>) -> Call<'_> {
    call.basic("grace@example.com", PASSWORD)
}

/// Another user of my account who is no Admin, by e-mail and password.
async fn colleague(world: &World, email: &str) -> Value {
    let form = json!({"email": email, "password": PASSWORD, "first_name": "Grace"});
    world.post("/rest/account/user", form).expect(201).await
}

#[tokio::test]
async fn admins_keep_the_people_of_an_account() {
    let world = World::new().await;
    let made = colleague(&world, "Grace@example.com").await;
    insta::assert_snapshot!(shown(&made));
    let users = world.get("/rest/account/user").expect(200).await;
    assert_eq!(users.as_array().unwrap().len(), 2);
    let path = format!("/rest/account/user/{}", made["uuid"].as_str().unwrap());
    let me = format!("/rest/account/user/{}", world.me.user.uuid);

    // Who is no Admin keeps nobody.
    by_grace(world.get("/rest/account/user")).expect(200).await;
    let form = json!({"email": "eve@example.com", "password": PASSWORD});
    assert_eq!(by_grace(world.post("/rest/account/user", form)).expect(401).await["message"], "Forbidden");
    by_grace(world.delete(&me)).expect(401).await;
    by_grace(world.call(http::Method::PUT, &path)).expect(401).await;

    let after = world.delete(&path).expect(200).await;
    assert!(after[1]["deleted_on"].is_string());
    by_grace(world.get("/rest/user")).expect(401).await;
    let after = world.call(http::Method::PUT, &path).expect(200).await;
    assert!(after[1]["deleted_on"].is_null());
    by_grace(world.get("/rest/user")).expect(200).await;

    let last = world.delete(&me).expect(409).await;
    assert_eq!(last["message"], "The account needs another Admin first");
    let again = world.post("/rest/account/user", json!({"email": "grace@example.com", "password": PASSWORD}));
    assert_eq!(again.expect(409).await["message"], "User already exists");
    let wrong = json!({"email": "x@example.com", "password": PASSWORD, "role": "Boss"});
    insta::assert_snapshot!(shown(&world.post("/rest/account/user", wrong).expect(422).await["fields"]));
    let stranger = world.stranger().await;
    world.delete(&path).by(&stranger).expect(401).await;
    world.get(&format!("/rest/user/{}", made["uuid"].as_str().unwrap())).by(&stranger).expect(401).await;
}

#[tokio::test]
async fn users_change_themselves_and_admins_change_others() {
    let world = World::new().await;
    let made = colleague(&world, "grace@example.com").await;
    let (grace, me) =
        (format!("/rest/user/{}", made["uuid"].as_str().unwrap()), format!("/rest/user/{}", world.me.user.uuid));
    fn as_grace<'a>(call: Call<'a>, password: &str) -> Call<'a> {
        call.basic("grace@example.com", password)
    }

    let change = json!({"last_name": "Hopper", "first_name": null, "gender": "Female", "dob": "1906-12-09"});
    let changed = as_grace(world.patch(&grace, change), PASSWORD).expect(200).await;
    insta::assert_snapshot!(shown(&changed));
    assert_eq!(as_grace(world.get(&me), PASSWORD).expect(200).await["email"], "me@example.com");
    as_grace(world.patch(&me, json!({"last_name": "X"})), PASSWORD).expect(401).await;
    as_grace(world.patch(&grace, json!({"role": "Admin"})), PASSWORD).expect(401).await;
    let taken = as_grace(world.patch(&grace, json!({"email": "ME@example.com"})), PASSWORD).expect(409).await;
    assert_eq!(taken["message"], "User already exists");
    world.patch(&me, json!({"role": "User"})).expect(409).await;

    // A new password ends what was signed in with the old one.
    let jwt = as_grace(world.get("/rest/auth"), PASSWORD).expect(200).await["token"].as_str().unwrap().to_owned();
    world.get("/rest/user").header("authorization", &format!("Bearer {jwt}")).expect(200).await;
    as_grace(world.patch(&grace, json!({"password": "battery staple"})), PASSWORD).expect(200).await;
    as_grace(world.get("/rest/user"), PASSWORD).expect(401).await;
    world.get("/rest/user").header("authorization", &format!("Bearer {jwt}")).expect(401).await;
    let jwt =
        as_grace(world.get("/rest/auth"), "battery staple").expect(200).await["token"].as_str().unwrap().to_owned();
    world.get("/rest/user").header("authorization", &format!("Bearer {jwt}")).expect(200).await;

    assert_eq!(world.patch(&grace, json!({"role": "Admin"})).expect(200).await["role"], "Admin");
    assert!(as_grace(world.delete(&grace), "battery staple").expect(200).await["deleted_on"].is_string());
    as_grace(world.get("/rest/user"), "battery staple").expect(401).await;
    world.get(&format!("/rest/user/{}", Uuid::new_v4())).expect(404).await;
}

#[tokio::test]
async fn an_account_is_changed_by_its_admins() {
    let world = World::new().await;
    let change = json!({"name": "Acme", "time_zone": "Europe/Berlin", "city": "Köln", "zip_code": "50667"});
    let changed = world.patch("/rest/account", change).expect(200).await;
    insta::assert_snapshot!(shown(&changed));
    assert_eq!(*world.calls.invalidated.lock(), [world.me.account.uuid]);
    let quiet = world.patch("/rest/account/notification", json!({"balance": false})).expect(200).await;
    assert_eq!(quiet["notification"], json!({"balance": false}));
    assert_eq!(world.get("/rest/account").expect(200).await, quiet);
    let wrong = json!({"time_zone": "Mars/Base", "email": "x", "zip_code": "1234567890123"});
    insta::assert_snapshot!(shown(&world.patch("/rest/account", wrong).expect(422).await["fields"]));
    colleague(&world, "grace@example.com").await;
    world.patch("/rest/account", json!({"name": "Mine"})).basic("grace@example.com", PASSWORD).expect(401).await;
    world.patch("/rest/account/notification", json!({})).basic("grace@example.com", PASSWORD).expect(401).await;
}

#[tokio::test]
async fn addresses_are_of_an_account_and_of_a_user() {
    let world = World::new().await;
    let form = json!({
        "name": "Head office", "is_physical": true, "is_billing": true, "is_shipping": false,
        "address1": "Domkloster 4", "zip_code": "50667", "city": "Köln", "country": "de",
    });
    let made = world.post("/rest/address", form.clone()).expect(201).await;
    insta::assert_snapshot!(shown(&made));
    let path = format!("/rest/address/{}", made["uuid"].as_str().unwrap());
    assert_eq!(world.get(&path).expect(200).await, made);
    colleague(&world, "grace@example.com").await;
    let of = async |list: &str| world.get(list).basic("grace@example.com", PASSWORD).expect(200).await;
    assert_eq!(of("/rest/address/account").await, json!([made]));
    assert_eq!(of("/rest/address/user").await, json!([]));
    assert_eq!(world.get("/rest/address/user").expect(200).await, json!([made]));

    let changed =
        world.patch(&path, json!({"country": "AT", "is_billing": false, "address2": "c/o Q"})).expect(200).await;
    assert_eq!(changed["country"]["name"], "Austria");
    assert_eq!((&changed["is_billing"], &changed["address2"]), (&json!(false), &json!("c/o Q")));
    let nowhere = world.patch(&path, json!({"country": "ZZ"})).expect(404).await;
    assert_eq!(nowhere["message"], "Country not found");
    insta::assert_snapshot!(shown(
        &world.post("/rest/address", json!({"name": "x".repeat(25)})).expect(422).await["fields"]
    ));
    let stranger = world.stranger().await;
    for call in [world.get(&path), world.delete(&path), world.patch(&path, json!({"name": "x"}))] {
        call.by(&stranger).expect(401).await;
    }
    world.patch(&path, json!({})).header("if-match", "\"x\"").expect(412).await;
    world.delete(&path).expect(200).await;
    assert_eq!(world.get(&path).expect(404).await["message"], "Address not found");
}

#[tokio::test]
async fn office_hours_say_when_the_office_is_closed() {
    let world = World::new().await;
    let lunch = json!({"name": "Lunch", "type": "lunchtime", "dow": "mon", "time_from": 43_200, "time_to": 46_799});
    let made = world.post("/rest/account/office_hours", lunch).expect(201).await;
    insta::assert_snapshot!(shown(&made));
    let sunday = json!({"type": "weekends", "dow": "sun", "time_from": 0, "time_to": 86_399});
    world.post("/rest/account/office_hours", sunday).expect(201).await;
    assert_eq!(world.get("/rest/account/office_hours").expect(200).await.as_array().unwrap().len(), 2);
    assert_eq!(world.get("/rest/account/office_hours?dow=mon").expect(200).await, json!([made]));
    let path = format!("/rest/account/office_hours/{}", made["uuid"].as_str().unwrap());
    assert_eq!(world.patch(&path, json!({"dow": "tue", "name": null})).expect(200).await["dow"], "tue");
    let wrong = world.patch(&path, json!({"time_to": 43_199})).expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
    let wrong = json!({"type": "siesta", "dow": "noday", "time_from": -1, "time_to": 86_400});
    insta::assert_snapshot!(shown(&world.post("/rest/account/office_hours", wrong).expect(422).await["fields"]));
    let stranger = world.stranger().await;
    for call in [world.get(&path), world.delete(&path), world.patch(&path, json!({}))] {
        call.by(&stranger).expect(401).await;
    }
    world.delete(&path).expect(200).await;
    assert_eq!(world.get(&path).expect(404).await["message"], "Account office hours not found");
    assert_eq!(world.calls.invalidated.lock().len(), 4, "flows read them anew");
}

#[tokio::test]
async fn a_cart_is_its_users_own() {
    let world = World::new().await;
    let made =
        world.post("/rest/user/cart", json!({"payload": {"tn": 12_015_550_100_u64}, "ttl": 3600})).expect(201).await;
    insta::assert_snapshot!(shown(&made));
    assert_eq!(world.get("/rest/user/cart").expect(200).await, json!([made]));
    let path = format!("/rest/user/cart/{}", made["uuid"].as_str().unwrap());
    let changed = world.patch(&path, json!({"payload": {"tn": 1}, "ttl": null})).expect(200).await;
    assert_eq!((&changed["payload"], &changed["expired_on"]), (&json!({"tn": 1}), &Value::Null));
    colleague(&world, "grace@example.com").await;
    assert_eq!(by_grace(world.get("/rest/user/cart")).expect(200).await, json!([]));
    assert_eq!(by_grace(world.delete(&path)).expect(404).await["message"], "Entry not found");
    world.delete(&path).by(&world.stranger().await).expect(401).await;
    let wrong = json!({"payload": "x", "ttl": 59});
    insta::assert_snapshot!(shown(&world.post("/rest/user/cart", wrong).expect(422).await["fields"]));
    assert_eq!(world.delete(&path).expect(200).await, changed);
    world.post("/rest/user/cart", json!({"payload": {}})).expect(201).await;
    world.delete("/rest/user/cart").expect(200).await;
    assert_eq!(world.get("/rest/user/cart").expect(200).await, json!([]));
}

#[tokio::test]
async fn dictionaries_can_be_read() {
    let world = World::new().await;
    let countries = world.get("/rest/dict/country").expect(200).await;
    assert!(countries.as_array().unwrap().iter().any(|country| country["a2"] == "NZ" && country["country_code"] == 64));
    let zones = world.get("/rest/dict/tz").expect(200).await;
    assert!(zones.as_array().unwrap().iter().any(|zone| zone["name"] == "Asia/Tokyo" && zone["utc_offset"] == 9));
    insta::assert_snapshot!(shown(&world.get("/rest/dict/gtts").expect(200).await));
}
