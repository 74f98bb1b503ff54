//! Long codes of the United States and Canada send there for a campaign only, where that is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ground;

use std::sync::Arc;

use async_trait::async_trait;
use ground::{Ground, OTHER, OURS, soon};
use opentact_carrier::messages::{Messages, MessagesConfig, NO_CAMPAIGN};
use opentact_engine::ports::{
    CarrierSubmit, ControlError, MessageCarrier, MessageControl as _, SendMessage, Sender, Submission,
};
use opentact_events::{EventType, Filter};
use opentact_store::messaging_profiles::NewMessagingProfile;
use opentact_store::numbers::TnLease;
use opentact_store::types::Vetting;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

const RECIPIENT: u64 = 12_065_550_199;
const CANADIAN: u64 = 14_165_550_199;
const BRITISH: u64 = 442_071_838_750;

/// Takes everything, once it is bound.
struct Carrier(watch::Receiver<bool>);

#[async_trait]
impl MessageCarrier for Carrier {
    fn name(&self) -> &str {
        "north"
    }

    async fn submit(&self, message: CarrierSubmit) -> Submission {
        Submission::Accepted { references: vec![message.id.to_string()] }
    }

    fn ready(&self) -> Option<watch::Receiver<bool>> {
        Some(self.0.clone())
    }
}

struct Running {
    messages: Arc<Messages>,
    bound: watch::Sender<bool>,
    _tell: mpsc::Sender<opentact_carrier::Incoming>,
}

async fn running(ground: &Ground) -> Running {
    let (bound, ready) = watch::channel(false);
    let (tell, incoming) = mpsc::channel(1);
    let config = MessagesConfig { ten_dlc: true, ..MessagesConfig::default() };
    let carriers: Vec<Arc<dyn MessageCarrier>> = vec![Arc::new(Carrier(ready))];
    let messages = Messages::start(ground.store.clone(), ground.hub.clone(), carriers, incoming, None, config);
    Running { messages: messages.await.unwrap(), bound, _tell: tell }
}

impl Running {
    async fn send(&self, request: SendMessage) -> Result<Value, ControlError> {
        self.messages.send(request).await?.remove(0)
    }
}

impl Ground {
    /// An active campaign, and our number given to it.
    async fn campaign(&self) -> Uuid {
        let brand = json!({
            "entityType": "NON_PROFIT", "displayName": "Us", "phone": "+12065550100", "email": "us@example.com",
            "country": "US", "vertical": "NGO",
        });
        let campaign = json!({"usecase": "2FA", "description": "", "messageFlow": "", "sample1": ""});
        let brand = serde_json::from_value(brand).unwrap();
        let brand = self.store.brands().create(self.account, None, brand).await.unwrap();
        let campaigns = self.store.campaigns();
        let campaign = serde_json::from_value(campaign).unwrap();
        let campaign = campaigns.create(self.account, None, brand.uuid, campaign).await.unwrap();
        self.assign(Some(campaign.uuid)).await;
        campaigns.settle(&campaign, |row| row.status = Vetting::Approved).await.unwrap().unwrap();
        campaign.uuid
    }

    async fn assign(&self, campaign: Option<Uuid>) {
        let numbers = self.store.numbers();
        let lease = numbers.get_lease_by_tn(self.account, OURS.try_into().unwrap()).await.unwrap();
        let assign = |lease: &mut TnLease| lease.sms_campaign = campaign;
        numbers.update_lease(self.account, lease.uuid, None, assign).await.unwrap();
    }
}

fn no_campaign() -> ControlError {
    ControlError::Forbidden { code: 408, message: "No Active Campaign".to_owned() }
}

#[tokio::test]
async fn a_long_code_sends_for_an_active_campaign_only() {
    let ground = Ground::new().await;
    let running = running(&ground).await;
    for to in [RECIPIENT, CANADIAN] {
        assert_eq!(running.send(ground.request(&[to], "x")).await.unwrap_err(), no_campaign());
    }
    running.send(ground.request(&[BRITISH], "Not of 10DLC")).await.unwrap();
    let campaign = ground.campaign().await;
    running.send(ground.request(&[RECIPIENT], "x")).await.unwrap();
    let row = ground.store.campaigns().get(ground.account, campaign).await.unwrap();
    ground.store.campaigns().settle(&row, |row| row.status = Vetting::Rejected).await.unwrap().unwrap();
    assert_eq!(running.send(ground.request(&[RECIPIENT], "x")).await.unwrap_err(), no_campaign());
}

#[tokio::test]
async fn a_pool_sends_from_the_numbers_that_may() {
    let ground = Ground::new().await;
    let profile = NewMessagingProfile { number_pool_enable: true, ..NewMessagingProfile::new("pool") };
    let profile = ground.profile(profile).await;
    let running = running(&ground).await;
    let request = |to: u64| SendMessage { from: Sender::Pool(profile), ..ground.request(&[to], "x") };
    assert_eq!(running.send(request(RECIPIENT)).await.unwrap_err(), no_campaign());
    ground.campaign().await;
    for _ in 0..3 {
        assert_eq!(running.send(request(RECIPIENT)).await.unwrap()["from"], OURS.to_string());
    }
    let mut abroad = vec![];
    for _ in 0..2 {
        abroad.push(running.send(request(BRITISH)).await.unwrap()["from"].clone());
    }
    abroad.sort_by_key(Value::to_string);
    assert_eq!(abroad, [json!(OURS.to_string()), json!(OTHER.to_string())]);
}

#[tokio::test]
async fn what_waits_fails_when_its_number_has_lost_its_campaign() {
    let ground = Ground::new().await;
    ground.campaign().await;
    let running = running(&ground).await;
    let mut events = ground.hub.subscribe(ground.account, None, Filter::types([EventType::Sms]));
    running.send(ground.request(&[RECIPIENT], "x")).await.unwrap();
    ground.assign(None).await;
    running.bound.send(true).unwrap();
    let mut states = vec![];
    for _ in 0..2 {
        let event = soon("event", events.recv()).await.unwrap();
        let event: Value = serde_json::from_str(&event.body).unwrap();
        states.push((event["payload"]["state"].clone(), event["payload"]["reason"].clone()));
    }
    assert_eq!(states, [(json!("created"), Value::Null), (json!("failed"), json!(NO_CAMPAIGN))]);
}
