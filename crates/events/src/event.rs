//! What happened, before it is numbered and written: one constructor for each type of event.

use chrono::{DateTime, Utc};
use opentact_store::accounts::Account;
use opentact_store::calls::{CallFlowLog, CallRecord};
use opentact_store::numbers::TnOrder;
use opentact_store::records::Record;
use opentact_store::sip_messages::SipMessage;
use opentact_store::sms::Sms;
use opentact_store::sms_untold::untold_id;
use opentact_store::tcr::{Brand, Campaign};
use opentact_store::transcripts::Transcript;
use opentact_store::types::EventType;
use opentact_store::users::User;
use serde::ser::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::view::{self, Date, First, FlowStep, Shape2021};

/// Who is told of an event by HTTP without having subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// The SIP Control App whose call it is.
    App(Uuid),
    /// Whose callback URL it is: a messaging profile, or the message itself.
    Callback(Uuid),
}

/// An event to be published. What it carries is JSON text already: it is written and sent as it is.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub account: Uuid,
    pub kind: EventType,
    pub message: String,
    /// Uuid of the object it tells of.
    pub ref_id: Option<Uuid>,
    /// Who besides subscriptions is told of it by HTTP.
    hook: Option<Hook>,
    /// What was written with the change, to be told of: [`opentact_store::sms_untold`].
    told: Option<Uuid>,
    /// JSON.
    payload: Vec<u8>,
    /// Members of the envelope besides those that every event has, each behind a comma: `,"call":{},"call_flow":{}`.
    members: Vec<u8>,
}

/// Octets that the payload of a call's event has, and its `call` and what else there is, as a rule: no event is copied while
/// it is written.
const PAYLOAD: usize = 512;
const MEMBERS: usize = 3 << 10;

impl NewEvent {
    pub fn new(
        account: Uuid,
        kind: EventType,
        message: String,
        payload: &impl Serialize,
        ref_id: impl Into<Option<Uuid>>,
    ) -> NewEvent {
        let mut text = Vec::with_capacity(PAYLOAD);
        write(&mut text, payload);
        let ref_id = ref_id.into();
        NewEvent { account, kind, message, ref_id, hook: None, told: None, payload: text, members: Vec::new() }
    }

    fn with(mut self, name: &str, member: &impl Serialize) -> NewEvent {
        if self.members.is_empty() {
            self.members.reserve(MEMBERS);
        }
        self.members.push(b',');
        self::member(&mut self.members, name, member);
        self
    }

    /// An app is to be told of it by its webhook.
    pub fn for_app(self, app: Option<Uuid>) -> NewEvent {
        NewEvent { hook: app.map(Hook::App), ..self }
    }

    /// A message's callback URL is to be told of it: its own, or that of its messaging profile, whose id is given.
    pub fn for_callback(self, of: Uuid) -> NewEvent {
        NewEvent { hook: Some(Hook::Callback(of)), ..self }
    }

    pub(crate) fn hook(&self) -> Option<Hook> {
        self.hook
    }

    pub(crate) fn told(&self) -> Option<Uuid> {
        self.told
    }

    /// JSON text.
    pub fn payload(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap_or_default()
    }

    /// A leg reached a state. `call` is the [`view::CallView`] of it.
    pub fn call_state(record: &CallRecord, call: &impl Serialize) -> NewEvent {
        let message =
            format!("{} {} {} > {} - {}", record.kind, record.direction, record.from, record.to, record.state);
        let payload = Shape2021 { call: record, first: First::State };
        NewEvent::new(record.account, EventType::CallState, message, &payload, record.uuid).with("call", call)
    }

    /// An element of a call flow ended. `call` holds the logs so far.
    pub fn call_flow(record: &CallRecord, log: &CallFlowLog, call: &impl Serialize) -> NewEvent {
        let message = format!("{}: success {}, reason: {}", log.name, log.success, log.reason);
        let payload = Shape2021 { call: record, first: First::Command(log) };
        NewEvent::new(record.account, EventType::CallFlow, message, &payload, record.uuid)
            .with("success", &log.success)
            .with("command", &log.name)
            .with("call", call)
            .with("call_flow", &FlowStep(log))
    }

    /// Two legs were joined (`true`) or parted. `call` is the object of the first.
    pub fn call_bridge(account: Uuid, calls: [Uuid; 2], bridged: bool, call: &impl Serialize) -> NewEvent {
        let state = if bridged { "bridged" } else { "unbridged" };
        let message = format!("Calls {state}: {}, {}", calls[0], calls[1]);
        let payload = json!({ "state": state, "calls": calls });
        NewEvent::new(account, EventType::CallBridge, message, &payload, calls[0]).with("call", call)
    }

    /// It is known who has answered a call: `amd` says who, and by what that was judged.
    pub fn call_amd(record: &CallRecord, amd: &Value, call: &impl Serialize) -> NewEvent {
        let message = format!("Call answered by: {}", amd["result"].as_str().unwrap_or_default());
        NewEvent::new(record.account, EventType::CallAmd, message, amd, record.uuid).with("call", call)
    }

    /// A recording is readable, or has failed.
    pub fn call_record(record: &Record, call: &impl Serialize) -> NewEvent {
        let message = format!("Call record: {}", record.tag.as_deref().unwrap_or("untagged"));
        NewEvent::new(record.account, EventType::CallRecord, message, &view::record(record), record.uuid)
            .with("call", call)
    }

    /// A recording was transcribed, or could not be.
    pub fn call_transcript(record: &Record, transcript: &Transcript, call: &impl Serialize) -> NewEvent {
        let payload = view::transcript(transcript, record);
        let message = format!("Call transcript: {}", record.tag.as_deref().unwrap_or("untagged"));
        NewEvent::new(record.account, EventType::CallTranscript, message, &payload, record.uuid).with("call", call)
    }

    /// A message was made, changed state or was delivered. `view` is [`view::sms`]'s object of it.
    pub fn sms(sms: &Sms, view: &Value) -> NewEvent {
        let message = format!("SMS: type: {}, state: {}", sms.kind, sms.state);
        let event = NewEvent::new(sms.account, EventType::Sms, message, view, sms.uuid);
        NewEvent { told: Some(untold_id(sms)), ..event }
    }

    /// A message between SIP users was taken, delivered or given up: an event of type `sms`, told apart by the payload's
    /// `type`, which is `sip`.
    pub fn sip_message(row: &SipMessage) -> NewEvent {
        let message = format!("SMS: type: sip, state: {}", row.state);
        NewEvent::new(row.account, EventType::Sms, message, &view::sip_message(row, None), row.uuid)
    }

    /// A trunk is up or down, or our registration with it is another: `state` says which.
    pub fn sip_connection(account: Uuid, trunk: Uuid, name: &str, state: &str, payload: &Value) -> NewEvent {
        let message = format!("SIP connection {name} - {state}");
        NewEvent::new(account, EventType::SipConnection, message, payload, trunk)
    }

    /// The calls of an outbound voice profile have cost as much as they may: no more go out until some time has passed.
    pub fn spend_limit(account: Uuid, profile: Uuid, name: &str, payload: &Value) -> NewEvent {
        let message = format!("Outbound voice profile {name} - spend limit reached");
        NewEvent::new(account, EventType::SpendLimit, message, payload, profile)
    }

    /// An outbound voice profile stops calls by its `limit`: `country`, `rate`, `channel` or `cps`.
    pub fn call_limit(account: Uuid, profile: Uuid, name: &str, limit: &str, payload: &Value) -> NewEvent {
        let message = format!("Outbound voice profile {name} - stops calls: {limit}");
        NewEvent::new(account, EventType::CallLimit, message, payload, profile)
    }

    /// Somebody calls for help: `state` is `routed` or `no_route`.
    pub fn emergency_call(account: Uuid, number: &str, from: &str, state: &str, payload: &Value) -> NewEvent {
        let message = format!("Emergency call {from} > {number} - {state}");
        NewEvent::new(account, EventType::EmergencyCall, message, payload, None)
    }

    /// An order changed state. `view` is [`view::order`]'s object of it.
    pub fn tn_order(order: &TnOrder, view: &Value) -> NewEvent {
        let message = format!("TN order: state: {}", order.state);
        NewEvent::new(order.account, EventType::TnOrder, message, view, order.uuid)
    }

    /// A brand of 10DLC was made, or the registry has decided.
    pub fn tcr_brand(brand: &Brand) -> NewEvent {
        let status = view::identity_status(brand.status);
        let message = format!("Brand: {}, identityStatus: {status}", brand.details.display_name);
        NewEvent::new(brand.account, EventType::TcrBrand, message, &view::tcr_brand(brand), brand.uuid)
    }

    /// A campaign of 10DLC was made, or the registry has decided.
    pub fn tcr_campaign(campaign: &Campaign, brand: &Brand) -> NewEvent {
        let status = view::campaign_status(campaign.status);
        let message = format!("Campaign: {}, status: {status}", campaign.details.usecase);
        let view = view::tcr_campaign(campaign, brand);
        NewEvent::new(campaign.account, EventType::TcrCampaign, message, &view, campaign.uuid)
    }

    /// The balance changed by `source_action`; `None` when the account does not want to hear of it.
    pub fn balance(account: &Account, balance: opentact_store::Money, source_action: &str) -> Option<NewEvent> {
        account.notification.balance.then(|| {
            let message = format!("New balance is {balance}");
            NewEvent::new(account.uuid, EventType::Balance, message, &balance, account.uuid)
                .with("source_action", &source_action)
        })
    }
}

/// Appends a member of an object; its name holds nothing that JSON would escape.
fn member(text: &mut Vec<u8>, name: &str, shape: &impl Serialize) {
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
    write(text, shape);
}

/// Appends JSON. No shape of ours can fail to become text; one that did would be null.
pub(crate) fn write(text: &mut Vec<u8>, shape: &impl Serialize) {
    let length = text.len();
    if serde_json::to_writer(&mut *text, shape).is_err() {
        text.truncate(length);
        text.extend_from_slice(b"null");
    }
}

/// An event as it is stored and sent.
pub(crate) struct Envelope<'a> {
    pub(crate) uuid: Uuid,
    pub(crate) created_on: DateTime<Utc>,
    pub(crate) seq: i64,
    /// JSON.
    pub(crate) account: &'a [u8],
    pub(crate) event: &'a NewEvent,
}

/// Octets of an envelope besides what it carries, at most: one allocation for each event.
const FRAME: usize = 512;

impl Envelope<'_> {
    /// JSON.
    pub(crate) fn text(&self) -> String {
        let Self { uuid, created_on, seq, account, event } = *self;
        let carried = event.message.len() + event.payload.len() + account.len() + event.members.len();
        let mut text = Vec::with_capacity(FRAME + carried);
        let date = Date(created_on);
        text.push(b'{');
        member(&mut text, "uuid", &uuid);
        for name in ["created_on", "modified_on", "timestamp"] {
            text.push(b',');
            member(&mut text, name, &date);
        }
        text.push(b',');
        member(&mut text, "seq", &seq);
        text.push(b',');
        member(&mut text, "type", &event.kind);
        text.push(b',');
        member(&mut text, "message", &event.message);
        text.extend_from_slice(b",\"payload\":");
        text.extend_from_slice(&event.payload);
        text.push(b',');
        member(&mut text, "ref_id", &event.ref_id);
        text.extend_from_slice(b",\"account\":");
        text.extend_from_slice(account);
        text.extend_from_slice(b",\"delivery_report\":[]");
        text.extend_from_slice(&event.members);
        text.push(b'}');
        // JSON is UTF-8.
        String::from_utf8(text).unwrap_or_default()
    }
}

/// The answer to a websocket's `auth` frame. It has no place in the log and no number.
pub fn auth(connection: Uuid, ip: std::net::IpAddr, user: &User, account: &Account, now: DateTime<Utc>) -> Value {
    let shown = view::account(account);
    json!({
        "uuid": Uuid::new_v4(),
        "created_on": view::date(now),
        "modified_on": view::date(now),
        "timestamp": view::date(now),
        "type": EventType::Auth,
        "message": format!("WSS connection {connection}@{ip} - success auth {}", user.email),
        "payload": {
            "uuid": connection,
            "ip": ip.to_string(),
            "user": view::user(user, true),
            "account": shown.clone(),
        },
        "account": shown,
    })
}
