use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentact_api::{ApiState, Parts, Settings};
use opentact_carrier::dev::{DevNumbers, DevRegistry};
use opentact_engine::http::{EgressGuard, HttpClient};
use opentact_engine::ports::{CampaignRegistry, ControlError, Filing, Verdict};
use opentact_engine::recordings::{Archive, RecordingsConfig};
use opentact_events::{EventType, Filter, Subscription};
use opentact_store::types::{Vetting, now};
use serde_json::{Value, json};

use crate::world::{FakeSpeech, World, shown};

const MINE: u64 = 12_015_550_100;

fn brand() -> Value {
    json!({
        "entityType": "PRIVATE_PROFIT", "displayName": "Engines", "companyName": "Analytical Engines Inc",
        "ein": "123456789", "phone": "+12065550100", "email": "ada@example.com", "country": "us",
        "vertical": "TECHNOLOGY", "website": "https://engines.example",
    })
}

fn campaign(brand: &Value) -> Value {
    json!({
        "brandId": brand["brandId"], "usecase": "2FA",
        "description": "One-time codes for customers who sign in to their account",
        "messageFlow": "Customers enter their number and tick a box when they sign up on our site",
        "sample1": "Your code for Engines is 123456", "optinKeywords": "START,JOIN", "embeddedLink": true,
    })
}

/// Statuses that the registry's events tell of, each once.
struct Ear(Subscription);

impl Ear {
    fn new(world: &World) -> Ear {
        let filter = Filter::types([EventType::TcrBrand, EventType::TcrCampaign]);
        Ear(world.hub.subscribe(world.me.account.uuid, None, filter))
    }

    async fn next(&mut self) -> Value {
        let event = tokio::time::timeout(Duration::from_secs(20), self.0.recv()).await.expect("no event").unwrap();
        serde_json::from_str(&event.body).unwrap()
    }

    async fn hears(&mut self, message: &str) -> Value {
        let event = self.next().await;
        assert_eq!(event["message"], message);
        event["payload"].clone()
    }
}

async fn verified(world: &World, ear: &mut Ear) -> Value {
    let made = world.post("/rest/tcr/brand", brand()).expect(201).await;
    ear.hears("Brand: Engines, identityStatus: SELF_DECLARED").await;
    ear.hears("Brand: Engines, identityStatus: VERIFIED").await;
    made
}

#[tokio::test]
async fn a_brand_is_vetted_changed_and_deleted() {
    let world = World::new().await;
    let mut ear = Ear::new(&world);
    let made = world.post("/rest/tcr/brand", brand()).expect(201).await;
    let told = ear.hears("Brand: Engines, identityStatus: SELF_DECLARED").await;
    assert_eq!((&told["uuid"], &told["brandId"]), (&made["uuid"], &Value::Null), "told of before it was filed");
    assert!(made["brandId"].as_str().unwrap().starts_with('B'));
    let told = ear.hears("Brand: Engines, identityStatus: VERIFIED").await;
    let path = format!("/rest/tcr/brand/{}", made["uuid"].as_str().unwrap());
    let read = world.get(&path).expect(200).await;
    assert_eq!(read, told);
    insta::assert_snapshot!(shown(&without_id(read.clone(), "brandId")));
    assert_eq!(world.get("/rest/tcr/brand").expect(200).await, json!([read]));
    let change = json!({"companyName": "Unverified Engines Inc", "website": null});
    let changed = world.patch(&path, change).expect(200).await;
    assert_eq!((&changed["identityStatus"], &changed["website"]), (&json!("VERIFIED"), &Value::Null));
    let told = ear.hears("Brand: Engines, identityStatus: UNVERIFIED").await;
    assert_eq!(told["reason"], "Company name and tax number do not match");
    world.patch(&path, json!({"companyName": "Analytical Engines Inc"})).expect(200).await;
    ear.hears("Brand: Engines, identityStatus: SELF_DECLARED").await;
    assert_eq!(ear.hears("Brand: Engines, identityStatus: VERIFIED").await["reason"], Value::Null);
    let stranger = world.stranger().await;
    for call in [world.get(&path), world.patch(&path, json!({"website": "x"})), world.delete(&path)] {
        call.by(&stranger).expect(401).await;
    }
    assert_eq!(world.get("/rest/tcr/brand").by(&stranger).expect(200).await, json!([]));
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
}

/// Of the registry's id only the letter is the same each time.
fn without_id(mut object: Value, name: &str) -> Value {
    object[name] = json!(format!("{}…", object[name].as_str().unwrap().chars().next().unwrap()));
    object
}

#[tokio::test]
async fn a_brand_must_make_sense() {
    let world = World::new().await;
    let wrong = json!({
        "entityType": "PUBLIC_PROFIT", "displayName": "", "email": "nobody", "country": "USA", "vertical": "FUN",
    });
    insta::assert_snapshot!(shown(&world.post("/rest/tcr/brand", wrong).expect(422).await["fields"]));
    let mut sole = brand();
    sole["entityType"] = json!("SOLE_PROPRIETOR");
    let faults = world.post("/rest/tcr/brand", sole).expect(422).await["fields"].clone();
    assert_eq!(faults.as_object().unwrap().keys().collect::<Vec<_>>(), ["params.firstName", "params.lastName"]);
    let made = world.post("/rest/tcr/brand", brand()).expect(201).await;
    let path = format!("/rest/tcr/brand/{}", made["uuid"].as_str().unwrap());
    for (change, wrong) in [(json!({"email": "nobody"}), "params.email"), (json!({"ein": null}), "params.ein")] {
        let faults = world.patch(&path, change).expect(422).await["fields"].clone();
        assert_eq!(faults.as_object().unwrap().keys().collect::<Vec<_>>(), [wrong]);
    }
}

#[tokio::test]
async fn a_campaign_is_vetted_given_numbers_and_kept_while_in_use() {
    let world = World::new().await;
    let mut ear = Ear::new(&world);
    let brand = verified(&world, &mut ear).await;
    let made = world.post("/rest/tcr/campaign", campaign(&brand)).expect(201).await;
    ear.hears("Campaign: 2FA, status: PENDING").await;
    let told = ear.hears("Campaign: 2FA, status: ACTIVE").await;
    let path = format!("/rest/tcr/campaign/{}", made["uuid"].as_str().unwrap());
    assert_eq!(world.get(&path).expect(200).await, told);
    assert_eq!(world.get("/rest/tcr/campaign").expect(200).await, json!([told]));
    insta::assert_snapshot!(shown(&without_id(without_id(told, "brandId"), "campaignId")));
    // By our uuid of the brand as well as by the registry's.
    let mut by_uuid = campaign(&brand);
    by_uuid["brandId"] = brand["uuid"].clone();
    world.post("/rest/tcr/campaign", by_uuid).expect(201).await;

    world.lease(&world.me, MINE).await;
    let of_lease = format!("/rest/lease/tn/{MINE}");
    let lease = world.patch(&of_lease, json!({"sms_campaign": made["uuid"]})).expect(200).await;
    assert_eq!(lease["sms_campaign"]["uuid"], made["uuid"]);
    assert_eq!(world.get(&format!("{path}/tnleases")).expect(200).await.as_array().unwrap().len(), 1);
    let refused = world.delete(&path).expect(409).await;
    assert_eq!(refused["message"], "Campaign is in use by TNLease");
    let of_brand = format!("/rest/tcr/brand/{}", brand["uuid"].as_str().unwrap());
    assert_eq!(world.delete(&of_brand).expect(409).await["message"], "Brand is in use by Campaign");
    world.patch(&of_brand, json!({"ein": "987654321"})).expect(409).await;

    let stranger = world.stranger().await;
    for call in [world.get(&path), world.patch(&path, json!({})), world.delete(&path)] {
        call.by(&stranger).expect(401).await;
    }
    world.get(&format!("{path}/tnleases")).by(&stranger).expect(401).await;
    world.post("/rest/tcr/campaign", campaign(&brand)).by(&stranger).expect(404).await;
    world.patch(&of_lease, json!({"sms_campaign": null})).expect(200).await;
    world.delete(&path).expect(200).await;
    world.get(&path).expect(404).await;
}

#[tokio::test]
async fn a_campaign_that_is_turned_down_is_mended() {
    let world = World::new().await;
    let mut ear = Ear::new(&world);
    let brand = verified(&world, &mut ear).await;
    let mut form = campaign(&brand);
    form["description"] = json!("This is to be rejected, as it says nothing at all");
    let made = world.post("/rest/tcr/campaign", form).expect(201).await;
    ear.hears("Campaign: 2FA, status: PENDING").await;
    let told = ear.hears("Campaign: 2FA, status: REJECTED").await;
    assert_eq!(told["reason"], "The description does not say what is sent to whom");
    let path = format!("/rest/tcr/campaign/{}", made["uuid"].as_str().unwrap());
    let fixed = world.patch(&path, json!({"usecase": "MARKETING", "brandId": "B0"})).expect(422).await;
    assert_eq!(fixed["fields"]["params.usecase"]["message"], "cannot be changed");
    // A client may send all of it back.
    world.patch(&path, campaign(&brand)).expect(200).await;
    ear.hears("Campaign: 2FA, status: PENDING").await;
    ear.hears("Campaign: 2FA, status: ACTIVE").await;
    // What is active stays so while it is vetted anew.
    let changed = world.patch(&path, json!({"sample2": "Your other code is 654321"})).expect(200).await;
    assert_eq!(changed["status"], "ACTIVE");
}

#[tokio::test]
async fn a_campaign_must_make_sense_and_its_brand_be_verified() {
    let world = World::new().await;
    let mut unknown = brand();
    unknown["companyName"] = json!("Unverified Inc");
    let mut ear = Ear::new(&world);
    let made = world.post("/rest/tcr/brand", unknown).expect(201).await;
    ear.hears("Brand: Engines, identityStatus: SELF_DECLARED").await;
    ear.hears("Brand: Engines, identityStatus: UNVERIFIED").await;
    let refused = world.post("/rest/tcr/campaign", campaign(&made)).expect(409).await;
    assert_eq!(refused["message"], "The brand is not verified");
    let wrong = json!({
        "usecase": "MIXED", "subUsecases": ["2FA"], "description": "short", "messageFlow": "", "sample2": 7,
        "embeddedLink": "yes",
    });
    insta::assert_snapshot!(shown(&world.post("/rest/tcr/campaign", wrong).expect(422).await["fields"]));
    let mut form = campaign(&made);
    form["subUsecases"] = json!(["MARKETING"]);
    let faults = world.post("/rest/tcr/campaign", form).expect(422).await["fields"].clone();
    assert_eq!(faults["params.subUsecases"]["message"], "is of MIXED and LOW_VOLUME only");
    let mut form = campaign(&made);
    form["brandId"] = json!("BUNKNOWN");
    assert_eq!(world.post("/rest/tcr/campaign", form).expect(404).await["message"], "Brand not found");
}

/// Cannot be reached.
struct Gone;

#[async_trait]
impl CampaignRegistry for Gone {
    async fn file(&self, _: Filing<'_>) -> Result<String, ControlError> {
        Err(ControlError::Internal("unreachable".to_owned()))
    }

    async fn verdict(&self, _: Filing<'_>) -> Result<Verdict, ControlError> {
        Err(ControlError::Internal("unreachable".to_owned()))
    }

    async fn withdraw(&self, _: Filing<'_>) -> Result<(), ControlError> {
        Err(ControlError::Internal("unreachable".to_owned()))
    }
}

/// Another node on the same database.
fn another_node(world: &World, registry: Arc<dyn CampaignRegistry>) -> ApiState {
    let recordings = RecordingsConfig { folder: world.folder.path().to_owned(), upload: None };
    ApiState::new(Parts {
        store: world.store.clone(),
        hub: world.hub.clone(),
        calls: world.calls.clone(),
        messages: world.messages.clone(),
        numbers: Arc::new(DevNumbers),
        number_data: Arc::new(DevNumbers),
        registry,
        archive: Arc::new(Archive::open(recordings).unwrap()),
        speech: Arc::new(FakeSpeech),
        post: world.letters.clone(),
        http: HttpClient::new(EgressGuard::new(Vec::new()), "test").unwrap(),
        authority: None,
        jwt_secret: vec![7; 32],
        settings: Settings::default(),
        clock: Arc::new(std::time::Instant::now),
    })
}

#[tokio::test]
async fn a_vetting_goes_on_after_a_restart_and_is_told_of_once() {
    let world = World::new().await;
    let mut ear = Ear::new(&world);
    let account = world.me.account.uuid;
    // Filed by a node that is no more.
    let details = serde_json::from_value(brand()).unwrap();
    let brands = world.store.brands();
    let made = brands.create(account, None, details).await.unwrap();
    let filed = |row: &mut opentact_store::tcr::Brand| {
        (row.registry_id, row.filed_on, row.look_on) = (Some("B1".to_owned()), Some(now()), Some(now()));
    };
    brands.settle(&made, filed).await.unwrap().unwrap();
    let first = another_node(&world, Arc::new(DevRegistry { vetting: Duration::ZERO }));
    let second = another_node(&world, Arc::new(DevRegistry { vetting: Duration::ZERO }));
    ear.hears("Brand: Engines, identityStatus: VERIFIED").await;
    drop((first, second));
    let read = brands.get(account, made.uuid).await.unwrap();
    assert_eq!((read.status, read.look_on), (Vetting::Approved, None));
    // The next event is that of another brand.
    world.post("/rest/tcr/brand", json!({"displayName": "Others", "companyName": "Others Inc", "entityType": "NON_PROFIT", "ein": "1", "phone": "+12065550100", "email": "o@example.com", "country": "US", "vertical": "NGO"})).expect(201).await;
    ear.hears("Brand: Others, identityStatus: SELF_DECLARED").await;
}

#[tokio::test]
async fn what_a_registry_did_not_take_is_filed_later() {
    let mut world = World::new().await;
    world.router = opentact_api::router(another_node(&world, Arc::new(Gone)));
    let made = world.post("/rest/tcr/brand", brand()).expect(201).await;
    assert_eq!((&made["brandId"], &made["identityStatus"]), (&Value::Null, &json!("SELF_DECLARED")));
    let row = world.store.brands().list(world.me.account.uuid).await.unwrap().remove(0);
    assert!(row.look_on.is_some_and(|look_on| look_on > row.created_on), "asked again later");
    world.delete(&format!("/rest/tcr/brand/{}", row.uuid)).expect(200).await;
}
