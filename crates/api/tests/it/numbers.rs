use std::time::Duration;

use chrono::Months;
use opentact_api::{LeaseSettings, Settings};
use opentact_events::{EventType, Filter};
use opentact_store::Money;
use opentact_store::numbers::{Prices, TnLease};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, now};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, shown};

/// Numbers for sale in New Jersey.
async fn offers(world: &World, take: u64) -> Vec<u64> {
    let found = world.post("/rest/tn/search", json!({"npa": 201, "take": take})).expect(200).await;
    found["data"].as_array().unwrap().iter().map(|offer| offer["tn"].as_u64().unwrap()).collect()
}

/// Waits for an order's end by its events, which are written behind it.
async fn finished(world: &World, order: &str) -> Value {
    let mut told = world.hub.subscribe_after(world.me.account.uuid, None, Filter::types([EventType::TnOrder]), 0);
    loop {
        let event: Value = serde_json::from_str(&told.recv().await.unwrap().body).unwrap();
        let state = event["payload"]["state"].as_str();
        if event["payload"]["uuid"] == order && matches!(state, Some("success" | "failed")) {
            return world.get(&format!("/rest/order/{order}")).expect(200).await;
        }
    }
}

#[tokio::test]
async fn numbers_for_sale_are_found_by_what_is_asked() {
    let world = World::new().await;
    let found = world.post("/rest/tn/search?take=2", json!({"country": "us", "npa": "201"})).expect(200).await;
    insta::assert_snapshot!(shown(&found));
    let toll_free = world.post("/rest/tn/search", json!({"type": "toll_free", "take": 1})).expect(200).await;
    assert_eq!(toll_free["data"][0]["type"], "toll_free");
    assert_eq!(toll_free["data"][0]["profile"], "toll_free");
    let line = world.post("/rest/tn/search", json!({"npa": 201, "line": "01x7"})).expect(200).await;
    assert!(line["data"].as_array().unwrap().iter().all(|one| one["tn"].as_u64().unwrap() % 10 == 7));
    // The 2021 form of the same.
    let page = world
        .post("/rest/tn/search?page=2&size=1", json!({"province": "nj", "profile": "long_code"}))
        .expect(200)
        .await;
    assert_eq!((page["take"].clone(), page["skip"].clone()), (json!(1), json!(1)));
    world.post("/rest/tn/search", json!({"profile": "gold"})).expect(404).await;
    let countries = world.get("/rest/tn/search/countries").expect(200).await;
    assert!(countries.as_array().unwrap().iter().any(|one| one["a2"] == "US" && one["total"].as_u64().unwrap() > 100));
    let wrong = json!({"npa": 20, "line": "xx", "pattern": "abc", "features": ["fly"], "take": 1000, "type": "gold"});
    let wrong = world.post("/rest/tn/search", wrong).expect(422).await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
}

#[tokio::test]
async fn an_order_leases_charges_and_tells() {
    let world = World::new().await;
    let tns = offers(&world, 2).await;
    let items = json!({"items": [{"tn": tns[0], "features": ["voice", "sms"], "autorenew": true}, {"tn": tns[1]}]});
    let price = world.post("/rest/order/price", items.clone()).expect(200).await;
    insta::assert_snapshot!(shown(&price));
    let order = world.post("/rest/order", items).expect(201).await;
    assert_eq!((order["state"].clone(), order["total"].clone()), (json!("created"), json!(2)));
    let order = finished(&world, order["uuid"].as_str().unwrap()).await;
    insta::assert_snapshot!(shown(&order));

    let events = world.get("/rest/event").expect(200).await;
    let told: Vec<(String, String)> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let what = event["payload"]["state"].as_str().or(event["source_action"].as_str()).unwrap();
            (event["type"].as_str().unwrap().to_owned(), what.to_owned())
        })
        .collect();
    let expected = [
        ("tn_order", "created"),
        ("tn_order", "verify"),
        ("tn_order", "processing"),
        ("balance", "nrc"),
        ("balance", "mrc"),
        ("balance", "nrc"),
        ("balance", "mrc"),
        ("tn_order", "success"),
    ];
    assert_eq!(told, expected.map(|(kind, what)| (kind.to_owned(), what.to_owned())));

    let balance = world.get("/rest/account").expect(200).await["balance"].to_string().parse::<Money>().unwrap();
    let total = [&price["nrc"], &price["mrc"]].map(|one| one.to_string().parse::<Money>().unwrap());
    assert_eq!(balance, Money::units(100) - total[0] - total[1]);
    assert_eq!(world.get("/rest/lease/tn").expect(200).await.as_array().unwrap().len(), 2);
    assert!(!offers(&world, 10).await.contains(&tns[0]), "a leased number is not for sale");
}

#[tokio::test]
async fn items_fail_one_by_one_with_a_reason() {
    let world = World::new().await;
    let tns = offers(&world, 2).await;
    let stranger = world.stranger().await;
    world.lease(&stranger, tns[0]).await;
    let items = json!({"items": [
        {"tn": tns[0]}, {"tn": tns[1]}, {"tn": 4930123456_u64},
    ]});
    let order = world.post("/rest/order", items).expect(201).await;
    let order = finished(&world, order["uuid"].as_str().unwrap()).await;
    assert_eq!(
        (order["state"].clone(), order["success"].clone(), order["failed"].clone()),
        (json!("success"), json!(1), json!(2))
    );
    insta::assert_snapshot!(shown(&order["errors"]));
    let order = world.post("/rest/order", json!({"items": [{"tn": tns[0]}]})).expect(201).await;
    assert_eq!(finished(&world, order["uuid"].as_str().unwrap()).await["state"], "failed");
}

#[tokio::test]
async fn an_order_beyond_the_balance_is_402() {
    let world = World::new().await;
    let tns = offers(&world, 1).await;
    let account = world.me.account.uuid;
    let spent = NewTransaction::charge(Money::units(99), RefType::Tts, Uuid::new_v4(), "spent");
    world.store.transactions().book(account, spent).await.unwrap();
    let refused = world.post("/rest/order", json!({"items": [{"tn": tns[0]}]})).expect(402).await;
    assert_eq!(refused["message"], "Not enough account balance");
    assert_eq!(world.get("/rest/order").expect(200).await, json!([]));
}

#[tokio::test]
async fn an_order_must_make_sense() {
    let world = World::new().await;
    let tn = offers(&world, 1).await[0];
    let wrong = world
        .post("/rest/order", json!({"items": [{"tn": "qwerty"}, {}, {"tn": tn, "features": ["fly"]}]}))
        .expect(422)
        .await;
    insta::assert_snapshot!(shown(&wrong["fields"]));
    world.post("/rest/order", json!({"items": []})).expect(422).await;
    world.post("/rest/order", json!({"items": [{"tn": tn}, {"tn": tn.to_string()}]})).expect(422).await;
    let stranger = world.stranger().await;
    let order = world.post("/rest/order", json!({"items": [{"tn": tn}]})).expect(201).await;
    let path = format!("/rest/order/{}", order["uuid"].as_str().unwrap());
    world.get(&path).by(&stranger).expect(401).await;
    world.get(&format!("/rest/order/{}", Uuid::new_v4())).expect(404).await;
    let found = world.post("/rest/order/search", json!({"take": 1, "order": {"created_on": "DESC"}})).expect(200).await;
    assert_eq!(found["total"], 1);
}

#[tokio::test]
async fn a_lease_is_read_and_changed_by_uuid_and_by_number() {
    let world = World::new().await;
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let app = world.post("/rest/sip/app", json!({"name": "greeting"})).expect(201).await;
    let trunk = world.post("/rest/sip/connection", json!({"name": "pbx", "ip": "192.0.2.1"})).expect(201).await;
    let (by_uuid, by_tn) = (format!("/rest/lease/tn/{}", lease.uuid), "/rest/lease/tn/12015550100");
    insta::assert_snapshot!(shown(&world.get(&by_uuid).expect(200).await));
    let changed = world.patch(by_tn, json!({"sip_control_app": app["uuid"], "autorenew": true})).expect(200).await;
    assert_eq!(changed["sip_control_app"]["name"], "greeting");
    assert_eq!(changed["autorenew"], true);
    // One voice target: the new one puts the old one out.
    let changed = world.patch(by_tn, json!({"sip_connection": trunk["uuid"]})).expect(200).await;
    assert_eq!(
        (changed["sip_connection"]["name"].clone(), changed["sip_control_app"].clone()),
        (json!("pbx"), Value::Null)
    );
    let changed = world.patch(&by_uuid, json!({"sip_connection": null, "sms": false})).expect(200).await;
    assert_eq!((changed["sip_connection"].clone(), changed["subscriptions"].clone()), (Value::Null, json!(["voice"])));
    world.patch(by_tn, json!({"sip_control_app": app["uuid"], "sip_connection": trunk["uuid"]})).expect(422).await;
    world.patch(by_tn, json!({"fax": true})).expect(422).await;
    world.patch(by_tn, json!({"sip_control_app": Uuid::new_v4()})).expect(404).await;
    world.get("/rest/lease/tn/nonsense").expect(422).await;
    assert_eq!(world.get("/rest/lease/tn/+12015550100/tn").expect(200).await["uuid"], json!(lease.uuid));
    let found = world.post("/rest/lease/tn/search", json!({"tn": "1201*", "features": ["voice"]})).expect(200).await;
    assert_eq!(found["total"], 1);
    assert!(world.calls.invalidated.lock().contains(&world.me.account.uuid));
}

#[tokio::test]
async fn features_of_a_number_are_switched_one_by_one() {
    let world = World::new().await;
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let profile = world.post("/rest/profile/messaging", json!({"name": "texts"})).expect(201).await;
    let path = |feature: &str| format!("/rest/lease/tn/{}/subscription/{feature}", lease.uuid);
    assert_eq!(world.delete(&path("sms")).expect(200).await["subscriptions"], json!(["voice"]));
    assert_eq!(world.delete(&path("sms")).expect(200).await["subscriptions"], json!(["voice"]));
    let on = world.post(&path("sms"), json!({"messaging_profile": profile["uuid"]})).expect(200).await;
    assert_eq!(on["subscriptions"], json!(["voice", "sms"]));
    assert_eq!(on["messaging_profile"]["uuid"], profile["uuid"]);
    world.post(&path("voice"), json!({"messaging_profile": profile["uuid"]})).expect(422).await;
    world.post(&path("sms"), json!({"messaging_profile": Uuid::new_v4()})).expect(404).await;
    let lacks = world.post(&path("fax"), json!({})).expect(409).await;
    assert_eq!(lacks["message"], "The number does not have this feature");
    assert!(world.post(&path("telex"), json!({})).expect(422).await["fields"]["path.feature"].is_object());
}

#[tokio::test]
async fn a_lease_of_another_account_is_not_to_be_seen() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    let lease = world.lease(&stranger, 12_015_550_100).await;
    for path in [format!("/rest/lease/tn/{}", lease.uuid), "/rest/lease/tn/12015550100".to_owned()] {
        assert_eq!(world.get(&path).expect(401).await["message"], "Forbidden");
        world.patch(&path, json!({"autorenew": true})).expect(401).await;
        world.delete(&path).expect(401).await;
    }
    assert_eq!(world.get("/rest/lease/tn").expect(200).await, json!([]));
    world.get("/rest/lease/tn/12015550199").expect(404).await;
}

#[tokio::test]
async fn released_numbers_are_for_sale_again() {
    let world = World::new().await;
    let tns = offers(&world, 3).await;
    let released = world.lease(&world.me, tns[0]).await;
    for tn in &tns[1..] {
        world.lease(&world.me, *tn).await;
    }
    world.delete(&format!("/rest/lease/tn/{}", tns[0])).expect(200).await;
    world.get(&format!("/rest/lease/tn/{}", tns[0])).expect(404).await;
    world.get(&format!("/rest/lease/tn/{}", released.uuid)).expect(404).await;
    let wrong =
        world.call(http::Method::DELETE, "/rest/lease/tn").json(&json!({"item": [tns[1], tns[0]]})).expect(422).await;
    assert_eq!(wrong["fields"]["params.item[1]"]["message"], "is not a number of the account");
    assert_eq!(world.get("/rest/lease/tn").expect(200).await.as_array().unwrap().len(), 2);
    world.call(http::Method::DELETE, "/rest/lease/tn").json(&json!({"item": [tns[1], tns[2]]})).expect(200).await;
    assert_eq!(offers(&world, 3).await, tns);
}

#[tokio::test]
async fn a_number_has_a_filter_of_who_may_call_it() {
    let world = World::new().await;
    let filters = "/rest/tn_profile";
    let filter = world.post(filters, json!({"name": "no spam"})).expect(201).await;
    insta::assert_snapshot!(shown(&filter));
    let path = format!("{filters}/{}", filter["uuid"].as_str().unwrap());
    let blacklist = format!("{path}/blacklist");
    let add = json!({"add": ["+12025550123", 12_025_550_123_u64, "1900*", "anonymous"]});
    let listed = world.post(&blacklist, add).expect(200).await;
    assert_eq!(listed, json!(["12025550123", "1900*", "anonymous"]));
    let listed = world.post(&blacklist, json!({"remove": ["+1900*"], "add": ["*99"]})).expect(200).await;
    assert_eq!(listed, json!(["*99", "12025550123", "anonymous"]));
    assert_eq!(world.get(&blacklist).expect(200).await, listed);
    assert_eq!(world.get(&format!("{path}/whitelist")).expect(200).await, json!([]));
    let wrong = world.post(&format!("{path}/whitelist"), json!({"add": ["bob", "", "**", 5.5]})).expect(422).await;
    let fields: Vec<&String> = wrong["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["params.add[0]", "params.add[1]", "params.add[2]", "params.add[3]"]);

    let needs = world.patch(&path, json!({"on_reject": "voicemail_app"})).expect(422).await;
    assert_eq!(needs["fields"]["params.sip_control_app"]["message"], "is required for voicemail_app");
    let app = world.post("/rest/sip/app", json!({"name": "voicemail"})).expect(201).await["uuid"].clone();
    let change = json!({"on_reject": "voicemail_app", "sip_control_app": app, "is_active": false, "name": "spam"});
    let changed = world.patch(&path, change).expect(200).await;
    assert_eq!((&changed["sip_control_app"]["uuid"], &changed["blacklist_entries"]), (&app, &json!(3)));
    let used = world.delete(&format!("/rest/sip/app/{}", app.as_str().unwrap())).expect(409).await;
    assert_eq!(used["message"], "SIP Control app is in use by TN profile");

    let stranger = world.stranger().await;
    for path in [&path, &blacklist] {
        world.get(path).by(&stranger).expect(401).await;
    }
    let lease = world.lease(&world.me, 12_015_550_100).await;
    let lease = format!("/rest/lease/tn/{}", lease.uuid);
    world.patch(&lease, json!({"tn_profile": Uuid::new_v4()})).expect(404).await;
    let changed = world.patch(&lease, json!({"tn_profile": filter["uuid"]})).expect(200).await;
    assert_eq!(changed["tn_profile"]["uuid"], filter["uuid"]);
    world.delete(&path).expect(409).await;
    world.patch(&lease, json!({"tn_profile": null})).expect(200).await;
    world.delete(&path).expect(200).await;
    assert_eq!(world.get(filters).expect(200).await, json!([]));
}

/// A world that looks for the ends of terms all the time, and a lease of mine.
async fn terms(grace: Duration) -> (World, TnLease) {
    let leases = LeaseSettings { sweep: Duration::from_millis(5), grace, ..LeaseSettings::default() };
    let world = World::with(Settings { leases, ..Settings::default() }).await;
    let lease = world.lease(&world.me, 12_015_550_100).await;
    (world, lease)
}

/// Lets the term of a lease end a second ago.
async fn end(world: &World, lease: &TnLease, autorenew: bool) -> TnLease {
    let numbers = world.store.numbers();
    let changed = numbers.update_lease(lease.account, lease.uuid, None, |lease| {
        lease.autorenew = autorenew;
        lease.expired_on = now() - Duration::from_secs(1);
    });
    changed.await.unwrap()
}

/// What is told of leases from then on: state, and whether it is of this lease.
async fn told(events: &mut opentact_events::Subscription, lease: &TnLease) -> Value {
    let event = events.recv().await.unwrap();
    let event: Value = serde_json::from_str(&event.body).unwrap();
    assert_eq!(event["ref_id"], json!(lease.uuid));
    assert_eq!(event["payload"]["tn_lease"]["uuid"], json!(lease.uuid));
    event
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_told_of_and_ends_with_its_term() {
    let (world, lease) = terms(Duration::ZERO).await;
    let mut events = world.hub.subscribe(lease.account, None, Filter::types([EventType::TnLease]));
    let path = format!("/rest/lease/tn/{}", lease.uuid);
    world.get(&path).expect(200).await;
    end(&world, &lease, false).await;
    let expiring = told(&mut events, &lease).await;
    assert_eq!(expiring["payload"]["state"], "expiring");
    assert_eq!(expiring["message"], "TN lease: +12015550100, expiring");
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "released");
    world.get(&path).expect(404).await;
    assert!(world.calls.invalidated.lock().contains(&lease.account));
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(100));
}

#[tokio::test]
async fn a_lease_is_renewed_for_a_month_and_paid() {
    let (world, lease) = terms(Duration::ZERO).await;
    let mut events = world.hub.subscribe(lease.account, None, Filter::types([EventType::TnLease]));
    let over = end(&world, &lease, true).await;
    let renewed = told(&mut events, &lease).await;
    assert_eq!(renewed["payload"]["state"], "renewed");
    let until = over.expired_on.checked_add_months(Months::new(1)).unwrap();
    assert_eq!(world.store.numbers().get_lease(lease.account, lease.uuid).await.unwrap().expired_on, until);
    let paid = world.post("/rest/transaction/search", json!({"ref_type": "tnlease_mrc"})).expect(200).await;
    assert_eq!((&paid["total"], &paid["data"][0]["amount"]), (&json!(1), &json!(-1)));
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(99));
}

#[tokio::test]
async fn a_lease_that_cannot_be_paid_ends_when_the_grace_is_over() {
    let (world, lease) = terms(Duration::ZERO).await;
    let mut events = world.hub.subscribe(lease.account, None, Filter::types([EventType::TnLease]));
    let all = NewTransaction::charge(Money::units(100), RefType::Tts, lease.uuid, "all there is");
    world.store.transactions().book(lease.account, all).await.unwrap();
    end(&world, &lease, true).await;
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "renewal_failed");
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "released");
    world.get(&format!("/rest/lease/tn/{}", lease.uuid)).expect(404).await;
}

#[tokio::test]
async fn within_the_grace_a_payment_renews_it_after_all() {
    let (world, lease) = terms(Duration::from_secs(86_400)).await;
    let mut events = world.hub.subscribe(lease.account, None, Filter::types([EventType::TnLease]));
    let all = NewTransaction::charge(Money::units(100), RefType::Tts, lease.uuid, "all there is");
    world.store.transactions().book(lease.account, all).await.unwrap();
    end(&world, &lease, true).await;
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "renewal_failed");
    let payment =
        NewTransaction { amount: Money::units(5), ref_type: RefType::Payment, ref_uuid: None, description: None };
    world.store.transactions().book(lease.account, payment).await.unwrap();
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "renewed");
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(4));
}

#[tokio::test]
async fn an_account_pays_its_special_prices_until_they_expire() {
    const PATH: &str = "/rest/profile/tn/special_prices";
    let (world, lease) = terms(Duration::from_secs(86_400)).await;
    let stranger = world.stranger().await;
    assert_eq!(world.get(PATH).expect(404).await["message"], "Special prices not found");
    let numbers = world.store.numbers();
    let profile = numbers.profiles().await.unwrap().remove(0);
    let prices = Prices { nrc: Money::units(7), mrc: Money::units(3), ..*profile.prices };
    let until = Some(now() + Duration::from_secs(3_600));
    numbers.set_special_price(lease.account, profile.uuid, prices, until).await.unwrap();
    insta::assert_snapshot!(shown(&world.get(PATH).expect(200).await));
    world.get(PATH).by(&stranger).expect(404).await;
    assert_eq!(world.get("/rest/profile/tn").expect(200).await[0]["mrc"], json!(1));

    let search = || world.post("/rest/tn/search", json!({"npa": 201, "take": 1}));
    let offer = search().expect(200).await["data"][0].clone();
    assert_eq!((&offer["nrc"], &offer["mrc"]), (&json!(7), &json!(3)));
    assert_eq!(search().by(&stranger).expect(200).await["data"][0]["mrc"], json!(1));
    let items = json!({"items": [{"tn": offer["tn"]}]});
    let price = world.post("/rest/order/price", items.clone()).expect(200).await;
    assert_eq!((&price["nrc"], &price["mrc"]), (&json!(7), &json!(3)));
    let order = world.post("/rest/order", items).expect(201).await;
    finished(&world, order["uuid"].as_str().unwrap()).await;
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(90));

    let mut events = world.hub.subscribe(lease.account, None, Filter::types([EventType::TnLease]));
    end(&world, &lease, true).await;
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "renewed");
    assert_eq!(world.get("/rest/account").expect(200).await["balance"], json!(87));

    numbers.set_special_price(lease.account, profile.uuid, prices, Some(now())).await.unwrap();
    world.get(PATH).expect(404).await;
    assert_eq!(search().expect(200).await["data"][0]["mrc"], json!(1));
}

#[tokio::test]
async fn expired_tokens_and_special_prices_are_deleted() {
    let (world, lease) = terms(Duration::ZERO).await;
    let (account, user) = (lease.account, world.me.user.uuid);
    let (tokens, numbers) = (world.store.tokens(), world.store.numbers());
    let (kept, _) = tokens.create(account, user, "kept", Some(Duration::from_secs(60)), Vec::new()).await.unwrap();
    let (expired, _) = tokens.create(account, user, "expired", Some(Duration::ZERO), Vec::new()).await.unwrap();
    let profile = numbers.profiles().await.unwrap().remove(0);
    numbers.set_special_price(account, profile.uuid, *profile.prices, Some(now())).await.unwrap();
    // What is told first was seen by a sweep that may have begun before; the next has begun after.
    let mut events = world.hub.subscribe(account, None, Filter::types([EventType::TnLease]));
    end(&world, &lease, false).await;
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "expiring");
    assert_eq!(told(&mut events, &lease).await["payload"]["state"], "released");
    tokens.get(account, user, kept.uuid).await.unwrap();
    assert!(tokens.get(account, user, expired.uuid).await.is_err());
    assert!(!numbers.remove_special_price(account, profile.uuid).await.unwrap());
}

#[tokio::test]
async fn prices_can_be_read() {
    let world = World::new().await;
    let profiles = world.get("/rest/profile/tn").expect(200).await;
    insta::assert_snapshot!(shown(&profiles[0]));
    let path = format!("/rest/profile/tn/{}", profiles[0]["uuid"].as_str().unwrap());
    assert_eq!(world.get(&path).expect(200).await, profiles[0]);
    assert_eq!(
        world.get(&format!("/rest/profile/tn/{}", Uuid::new_v4())).expect(404).await["message"],
        "TNProfile not found"
    );
}
