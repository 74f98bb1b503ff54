use opentact_api::{Settings, SignUp};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, shown};

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
