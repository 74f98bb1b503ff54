//! Numbers of the operator's own trunks, and where calls and messages to numbers go.

use std::time::Duration;

use opentact_engine::ports::Registration;
use opentact_store::numbers::TnLease;
use opentact_store::types::AccountLevel;
use opentact_store::types::now;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{PASSWORD, Tenant, World, shown};

const PATH: &str = "/rest/admin/tnlease/create";
/// Of no carrier's inventory.
const TN: u64 = 12_024_567_041;

/// A world whose operator I am.
pub async fn operated() -> World {
    let world = World::new().await;
    let accounts = world.store.accounts();
    accounts.update(world.me.account.uuid, |account| account.level = AccountLevel::ServiceAccount).await.unwrap();
    world
}

#[tokio::test]
async fn the_operator_brings_numbers_and_gives_them_to_accounts() {
    let world = operated().await;
    let made = world.post(PATH, json!({"tns": [TN, "+493012345678"]})).expect(200).await;
    insta::assert_snapshot!(shown(&made["tnleases"][0]));
    assert_eq!(made["tnleases"][1]["tn"]["country"], "DE");
    let account = world.get("/rest/account").expect(200).await;
    assert_eq!(account["balance"], json!(100));
    world.get(&format!("/rest/lease/tn/{TN}")).expect(200).await;
    // Given back it is free again, and is asked of no carrier.
    world.delete(&format!("/rest/lease/tn/{TN}")).expect(200).await;

    let stranger = world.stranger().await;
    let texts = world.post("/rest/profile/messaging", json!({"name": "texts"})).by(&stranger).expect(201).await;
    let theirs = json!({
        "tns": [TN], "account": stranger.account.uuid, "messaging_profile": texts["uuid"], "tn_profile": "long_code",
        "features": ["sms"], "autorenew": false,
    });
    world.post(PATH, theirs.clone()).by(&stranger).expect(401).await;
    let given = world.post(PATH, theirs).expect(200).await["tnleases"][0].clone();
    assert_eq!(given["messaging_profile"]["uuid"], texts["uuid"]);
    assert_eq!((&given["autorenew"], &given["subscriptions"]), (&json!(false), &json!(["sms"])));
    world.get(&format!("/rest/lease/tn/{TN}")).expect(401).await;
    world.get(&format!("/rest/lease/tn/{TN}")).by(&stranger).expect(200).await;
}

#[tokio::test]
async fn nothing_is_done_when_one_number_cannot_be_had() {
    let world = operated().await;
    world.post(PATH, json!({"tns": [TN]})).expect(200).await;
    let tns = json!({"tns": [12_024_567_042_u64, TN, 12_015_550_123_u64, 12_024_567_042_u64, 9_999_999_999_u64]});
    let refused = world.post(PATH, tns).expect(422).await;
    insta::assert_snapshot!(shown(&refused["fields"]));
    assert_eq!(world.get("/rest/lease/tn").expect(200).await.as_array().unwrap().len(), 1);
    let other = |more: Value| {
        let mut form = json!({"tns": [12_024_567_042_u64]});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.post(PATH, form)
    };
    assert_eq!(other(json!({"tn_profile": "gold"})).expect(404).await["message"], "TNProfile not found");
    other(json!({"account": Uuid::new_v4()})).expect(404).await;
    other(json!({"messaging_profile": Uuid::new_v4()})).expect(404).await;
    world.post(PATH, json!({"tns": []})).expect(422).await;
}

#[tokio::test]
async fn of_two_who_are_given_the_same_numbers_one_gets_them_all() {
    let world = operated().await;
    let stranger = world.stranger().await;
    let tns: Vec<u64> = (0..10).map(|number| TN + number).collect();
    let give =
        |tenant: &Tenant| world.post(PATH, json!({"tns": tns, "account": tenant.account.uuid})).by(&world.me).send();
    let (mine, theirs) = tokio::join!(give(&world.me), give(&stranger));
    let mut statuses = [mine.status.as_u16(), theirs.status.as_u16()];
    statuses.sort_unstable();
    // 422 where the winner was through before the other had looked.
    assert!(statuses[0] == 200 && [409, 422].contains(&statuses[1]), "{statuses:?}: {} {}", mine.text, theirs.text);
    let has =
        async |tenant: &Tenant| world.get("/rest/lease/tn").by(tenant).expect(200).await.as_array().unwrap().len();
    let (won, lost) = if mine.status == 200 { (&world.me, &stranger) } else { (&stranger, &world.me) };
    assert_eq!((has(won).await, has(lost).await), (10, 0));
}

#[tokio::test]
async fn the_operator_has_done_at_once_what_waits_for_its_hour() {
    let world = operated().await;
    let (account, user) = (world.me.account.uuid, world.me.user.uuid);
    let act = |action: &str| world.get(&format!("/rest/admin/schedule/{action}"));
    let (expired, _) = world.store.tokens().create(account, user, "old", Some(Duration::ZERO), vec![]).await.unwrap();
    act("expired_tokens").expect(200).await;
    assert!(world.store.tokens().get(account, user, expired.uuid).await.is_err());

    let numbers = world.store.numbers();
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let end = |lease: &mut TnLease| {
        lease.autorenew = false;
        lease.expired_on = now() - Duration::from_secs(1);
    };
    numbers.update_lease(account, lease.uuid, None, end).await.unwrap();
    let kept = world.lease(&world.me, 12_015_550_101).await;
    act("tn_leases_release_notification").expect(200).await;
    assert!(numbers.get_lease(account, lease.uuid).await.unwrap().noticed_on.is_some());
    act("tn_leases_autorenew").expect(200).await;
    act("expired_special_prices").expect(200).await;
    numbers.get_lease(account, lease.uuid).await.unwrap();
    act("tn_autorelease").expect(200).await;
    assert!(numbers.get_lease(account, lease.uuid).await.is_err());
    numbers.get_lease(account, kept.uuid).await.unwrap();

    let wrong = act("invoice_send").expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
    act("expired_tokens").by(&world.stranger().await).expect(401).await;
}

/// Where what comes to the number goes.
async fn route(world: &World) -> Value {
    world.get("/rest/lease/tn/12015550100/route").expect(200).await
}

#[tokio::test]
async fn a_number_tells_where_its_calls_and_messages_go() {
    let world = World::new().await;
    let lease = format!("/rest/lease/tn/{}", world.lease(&world.me, 12_015_550_100).await.uuid);
    insta::assert_snapshot!("nowhere", shown(&route(&world).await));

    let filter = world.post("/rest/tn_profile", json!({"name": "no spam"})).expect(201).await;
    let lists = format!("/rest/tn_profile/{}", filter["uuid"].as_str().unwrap());
    world.post(&format!("{lists}/blacklist"), json!({"add": ["1900*", "anonymous"]})).expect(200).await;
    let app = json!({
        "name": "menu", "call_flow_url": "https://example.com/menu", "call_flow_url2": "https://example.org/menu",
        "shaken_verify_policy": 2, "shaken_minimum_accepted_attest_lvl": "B",
    });
    let app = world.post("/rest/sip/app", app).expect(201).await;
    let texts = json!({"name": "texts", "callback_url": "https://example.com/sms"});
    let texts = world.post("/rest/profile/messaging", texts).expect(201).await;
    let targets = json!({
        "tn_profile": filter["uuid"], "sip_control_app": app["uuid"], "messaging_profile": texts["uuid"],
    });
    world.patch(&lease, targets).expect(200).await;
    insta::assert_snapshot!("to_an_app", shown(&route(&world).await));

    world.post("/rest/sip/domain", json!({"domain": "home"})).expect(201).await;
    let user = json!({"login": "ada", "password": PASSWORD});
    let user = world.post("/rest/sip/domain/home/user", user).expect(201).await;
    world.patch(&lease, json!({"sip_user": user["uuid"], "tn_profile": null})).expect(200).await;
    assert_eq!(route(&world).await["voice"][1]["code"], 480);
    let registered = Registration {
        contact: "sip:ada@192.0.2.7:5060".to_owned(),
        user_agent: "desk phone".to_owned(),
        transport: "udp",
        expires_on: "2099-01-01T00:00:00Z".parse().unwrap(),
    };
    world.calls.registrations.lock().push((user["uuid"].as_str().unwrap().parse().unwrap(), registered));
    insta::assert_snapshot!("to_a_phone", shown(&route(&world).await["voice"]));

    let trunk = json!({"name": "pbx", "ip": "192.0.2.7"});
    let trunk = world.post("/rest/sip/connection", trunk).expect(201).await;
    world.patch(&lease, json!({"sip_connection": trunk["uuid"]})).expect(200).await;
    insta::assert_snapshot!("to_a_trunk", shown(&route(&world).await["voice"]));

    world.patch(&lease, json!({"voice": false})).expect(200).await;
    assert_eq!(route(&world).await["voice"][0]["detail"], "Number Has No Voice");
    let close = |account: &mut opentact_store::accounts::Account| account.disabled_on = Some(now());
    world.store.accounts().update(world.me.account.uuid, close).await.unwrap();
    assert_eq!(route(&world).await["voice"][0]["code"], 403);
}
