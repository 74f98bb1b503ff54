//! What the engine offers to those above it (`CallControl`, `MessageControl`) and asks of a carrier
//! (`NumberCarrier`, `MessageCarrier`). Traits only: who implements them is decided where the product is wired.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_callflow::{Document, Record};
use opentact_store::tcr::{Brand, Campaign};
use opentact_store::types::Priority;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

/// What a refused call or message is refused for. The edge maps it to a status code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// 404: `<Entity> not found`.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// 409, for example `Call is not live`.
    #[error("{0}")]
    Conflict(String),
    /// 422 on one property of the body.
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String, value: String },
    /// 402.
    #[error("Not enough account balance")]
    InsufficientBalance,
    /// 403 with the product's own code (406 `Country Permission Violation`).
    #[error("{message}")]
    Forbidden { code: u16, message: String },
    /// 503: the node drains or is at a limit.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// 500.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Where the XML of a call made by REST comes from.
#[derive(Debug, Clone)]
pub enum FlowSource {
    /// The XML of the request, already checked.
    Document(Document),
    /// A SIP Control App: its static XML, else its `call_flow_url`, else parked.
    App(Uuid),
    /// A URL asked when the call is answered.
    Url(String),
    /// Somebody who is rung for so long once the call is answered, and joined with it.
    Dial { to: String, timeout: Duration },
    /// Nothing: the call is parked once it is answered.
    Park,
}

/// Answering-machine detection of one call. As JSON it is kept with a batch.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Amd {
    /// The flow waits for the verdict.
    pub sync: bool,
    #[serde(flatten)]
    pub settings: opentact_media::amd::Settings,
}

/// `POST /rest/call`.
#[derive(Debug, Clone)]
pub struct Originate {
    pub account: Uuid,
    /// A number, `sip:` URI or `user@domain`, as given.
    pub to: String,
    /// Caller number or URI; `None` takes the outbound voice profile's number.
    pub from: Option<String>,
    pub tn_lease: Option<Uuid>,
    pub outbound_voice_profile: Option<Uuid>,
    pub sip_connection: Option<Uuid>,
    pub flow: FlowSource,
    /// How long the callee may ring.
    pub timeout: Duration,
    pub max_length: Option<Duration>,
    /// Recorded from the answer to the end.
    pub record: Option<Record>,
    /// It is found out who has answered.
    pub amd: Option<Amd>,
    /// Variables of the flow (`{{meta.NAME}}`).
    pub meta: serde_json::Map<String, Value>,
}

impl Originate {
    /// As the API takes it where nothing else is said: rung for a minute, by the account's first outbound voice profile.
    pub fn new(account: Uuid, to: impl Into<String>, flow: FlowSource) -> Self {
        Self {
            account,
            to: to.into(),
            from: None,
            tn_lease: None,
            outbound_voice_profile: None,
            sip_connection: None,
            flow,
            timeout: Duration::from_secs(60),
            max_length: None,
            record: None,
            amd: None,
            meta: serde_json::Map::new(),
        }
    }
}

/// One contact a SIP user has registered.
#[derive(Debug, Clone)]
pub struct Registration {
    pub contact: String,
    pub user_agent: String,
    /// `udp`, `tcp`, ...
    pub transport: &'static str,
    pub expires_on: DateTime<Utc>,
}

/// One SIP message, in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipMessage {
    pub at: DateTime<Utc>,
    /// `in` or `out`.
    pub direction: &'static str,
    /// `UDP`, `TCP`, ...
    pub transport: &'static str,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub call_id: String,
    /// As on the wire, but for credentials, which are starred out.
    pub octets: Bytes,
}

/// A SIP message of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegMessage {
    /// The leg it belongs to.
    pub leg: Uuid,
    pub message: SipMessage,
}

/// How a trunk does.
#[derive(Debug, Clone, PartialEq)]
pub struct TrunkHealth {
    /// By its answers to OPTIONS: `up`, `down`, or `unknown` where it is not asked.
    pub state: &'static str,
    pub since: Option<DateTime<Utc>>,
    /// Where we register with it.
    pub registration: Option<TrunkRegistration>,
    /// The latest calls to it that ended, of which the figures are; at most 500.
    pub calls: usize,
    /// Answer-seizure ratio, 0..=1.
    pub asr: Option<f64>,
    /// Average call duration, seconds.
    pub acd: Option<f64>,
    /// Post-dial delay, seconds: from INVITE to ringing.
    pub pdd: Option<f64>,
}

impl Default for TrunkHealth {
    fn default() -> Self {
        Self { state: "unknown", since: None, registration: None, calls: 0, asr: None, acd: None, pdd: None }
    }
}

/// Our registration with a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkRegistration {
    /// `trying`, `registered`, `refused`, `unreachable`.
    pub state: &'static str,
    /// SIP code of the refusal.
    pub code: Option<u16>,
    pub expires_on: Option<DateTime<Utc>>,
}

/// The calls of this node, as the REST API drives them. Values are the call object of `events::view::call`.
#[async_trait]
pub trait CallControl: Send + Sync + 'static {
    /// Starts an outbound call; returns its call object in state `init`.
    async fn originate(&self, request: Originate) -> Result<Value, ControlError>;
    /// Replaces what runs on a live call.
    async fn run_flow(&self, account: Uuid, call: Uuid, document: Document) -> Result<Value, ControlError>;
    /// Joins two live calls of the account in place of what they do; when one ends, so does the other. Returns the first.
    async fn bridge(&self, account: Uuid, calls: [Uuid; 2]) -> Result<Value, ControlError>;
    /// Ends a call with a Q.850 cause (16 when `None`).
    async fn hangup(&self, account: Uuid, call: Uuid, cause: Option<u8>) -> Result<Value, ControlError>;
    /// The call objects of the account's calls that are not yet destroyed.
    async fn online(&self, account: Uuid) -> Result<Vec<Value>, ControlError>;
    /// A live call, `None` when it is not (or no longer) in memory.
    async fn get(&self, account: Uuid, call: Uuid) -> Result<Option<Value>, ControlError>;
    /// The SIP messages of a call and of the legs it dialled, as far as they are still kept, oldest first.
    async fn trace(&self, account: Uuid, call: Uuid) -> Result<Vec<LegMessage>, ControlError>;
    /// How the audio of a call and of the legs it dialled is now, by leg; of a dialled leg only its own. Empty when it is
    /// not (or no longer) in memory.
    async fn quality(&self, account: Uuid, call: Uuid) -> Result<Vec<(Uuid, Value)>, ControlError>;
    /// What a SIP user has registered; empty means offline.
    async fn registrations(&self, sip_user: Uuid) -> Vec<Registration>;
    /// How a trunk does.
    fn trunk_health(&self, trunk: Uuid) -> TrunkHealth;
    /// Forget cached routing data of an account after a change by REST.
    fn invalidate(&self, account: Uuid);
    /// Batches have been made, paused, resumed or canceled by REST.
    fn batches_changed(&self);
    /// `POST /rest/dev/call`: the simulated network calls a leased number. Returns the SIP Call-ID.
    /// `Unavailable` without the dev carrier.
    async fn dev_call(&self, request: DevCall) -> Result<Value, ControlError>;
}

/// `POST /rest/dev/call`.
#[derive(Debug, Clone)]
pub struct DevCall {
    pub account: Uuid,
    /// Caller, E.164.
    pub from: u64,
    /// A number leased by the account, E.164.
    pub to: u64,
    /// What the simulated caller does once answered.
    pub script: DevScript,
    /// The caller hangs up after this, 1 s..=600 s.
    pub duration: Duration,
}

/// The simulated network as a caller; the dev carrier implements it.
#[async_trait]
pub trait DevCaller: Send + Sync + 'static {
    /// Places the call; returns what is known of it (`sip_call_id`).
    async fn place_call(&self, request: DevCall) -> Result<Value, ControlError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DevScript {
    /// Plays back what it hears.
    Echo,
    /// Speaks a sentence.
    Say(String),
    /// Waits, then sends DTMF (RFC 4733).
    Dtmf { digits: String, after: Duration },
    /// Stays silent.
    Silent,
}

/// Whom a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// E.164 number of the account.
    Number(u64),
    /// One of the numbers of this messaging profile.
    Pool(Uuid),
}

/// `POST /rest/sms`, already validated for form.
#[derive(Debug, Clone)]
pub struct SendMessage {
    pub account: Uuid,
    pub created_by: Option<Uuid>,
    pub from: Sender,
    pub to: Vec<u64>,
    pub text: String,
    pub custom_callback_url: Option<String>,
    /// Not to be sent before.
    pub send_at: Option<DateTime<Utc>>,
    /// How long it may wait in the queue, from `send_at` where that is given.
    pub validity: Option<Duration>,
    /// `high`, `normal` or `low`.
    pub priority: Priority,
    /// What it was submitted as by SMPP; empty for REST.
    pub submits: Vec<Uuid>,
}

/// `POST /rest/sms/preview`.
#[derive(Debug, Clone)]
pub struct PreviewMessage {
    pub account: Uuid,
    pub from: Sender,
    pub to: Vec<u64>,
    pub text: String,
}

/// Values are the SMS object of `events::view::sms`.
#[async_trait]
pub trait MessageControl: Send + Sync + 'static {
    /// One result a recipient, in the order given.
    async fn send(&self, request: SendMessage) -> Result<Vec<Result<Value, ControlError>>, ControlError>;
    /// What a message would be cut into and cost; nothing is sent.
    async fn preview(&self, request: PreviewMessage) -> Result<Value, ControlError>;
    /// Takes a message back that has not left yet; `Conflict` when it has.
    async fn cancel(&self, account: Uuid, uuid: Uuid) -> Result<Value, ControlError>;
    /// `POST /rest/dev/sms`: the simulated network texts a leased number.
    async fn dev_message(&self, account: Uuid, from: u64, to: u64, text: String) -> Result<Value, ControlError>;
    /// A carrier that is reached by HTTP tells something; returns once that is on disk.
    async fn callback(&self, carrier: &str, callback: Callback) -> Result<(), CallbackError> {
        let _ = (carrier, callback);
        Err(CallbackError::NotFound)
    }
}

/// What a carrier that is reached by HTTP tells, as it came.
#[derive(Debug, Clone)]
pub struct Callback {
    pub kind: CallbackKind,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackKind {
    /// Of a message that it has.
    Receipt,
    /// A message to a number of ours.
    Message,
}

/// Why it was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    #[error("there is no such carrier")]
    NotFound,
    /// Whoever it is, it is not the carrier.
    #[error("not signed by the carrier")]
    Unauthorized,
    #[error("{0}")]
    Invalid(String),
    /// Not now; it may come again.
    #[error("not taken now")]
    Unavailable,
}

/// A number a carrier has for sale.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub tn: u64,
    /// `long_code` or `toll_free`.
    pub kind: &'static str,
    /// ISO 3166 alpha-2.
    pub country: &'static str,
    pub state: Option<&'static str>,
    pub city: Option<&'static str>,
    pub rate_center: Option<&'static str>,
    pub features: Vec<&'static str>,
}

/// `POST /rest/tn/search`. Every filter narrows; `None` matches all.
#[derive(Debug, Clone, Default)]
pub struct NumberQuery {
    pub kind: Option<String>,
    pub country: Option<String>,
    pub state: Option<String>,
    pub city: Option<String>,
    pub rate_center: Option<String>,
    pub npa: Option<String>,
    pub nxx: Option<String>,
    /// Four places, `x` = any digit.
    pub line: Option<String>,
    /// `*` any run of digits, `%` or `x` one digit; matched against the national number.
    pub pattern: Option<String>,
    pub features: Vec<String>,
}

#[async_trait]
pub trait NumberCarrier: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    /// All that match, ascending, without those `taken` says are leased or in quarantine.
    async fn search(
        &self,
        query: &NumberQuery,
        taken: &(dyn Fn(u64) -> bool + Send + Sync),
        skip: u64,
        take: u64,
    ) -> Result<(Vec<Offer>, u64), ControlError>;
    /// Countries (ISO 3166 alpha-2) that have numbers for sale, each once.
    async fn countries(&self) -> Result<Vec<&'static str>, ControlError> {
        let (offers, _) = self.search(&NumberQuery::default(), &|_| false, 0, u64::MAX).await?;
        let mut countries: Vec<_> = offers.into_iter().map(|offer| offer.country).collect();
        countries.sort_unstable();
        countries.dedup();
        Ok(countries)
    }
    /// The offer of one number, `None` when the carrier does not have it.
    async fn offer(&self, tn: u64) -> Result<Option<Offer>, ControlError>;
    async fn buy(&self, tn: u64) -> Result<(), ControlError>;
    async fn release(&self, tn: u64) -> Result<(), ControlError>;
}

/// What somebody who keeps data of numbers says of one; `None` where they do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct NumberFacts {
    /// Two letters of the state or province.
    pub state: Option<String>,
    pub rate_center: Option<String>,
    /// Three digits: local access and transport area.
    pub lata: Option<String>,
    /// Four characters: operating company number.
    pub ocn: Option<String>,
    /// Name of the company that serves the number.
    pub carrier: Option<String>,
    /// E.164: location routing number, of the switch that the number was ported to.
    #[serde(deserialize_with = "number_or_text")]
    pub lrn: Option<u64>,
    /// Calling name, up to 15 characters where it is American.
    pub cnam: Option<String>,
}

/// Providers write numbers as either.
fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    use serde::Deserialize as _;
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim_start_matches('+').parse().ok(),
        _ => None,
    })
}

/// Who keeps data of numbers.
#[async_trait]
pub trait NumberData: Send + Sync + 'static {
    /// Named as the source of what it says.
    fn name(&self) -> &str;
    /// `Unavailable` when there is no answer.
    async fn facts(&self, tn: u64) -> Result<NumberFacts, ControlError>;
}

/// How one message fared at the carrier. `taken` is, for each segment, the carrier's id of it where it took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// Taken as a whole; the carrier's ids of its segments, by which receipts name them.
    Accepted { references: Vec<String> },
    /// Not now (throttled, link down, a fault of its own); ask again after this. What is not in `taken` has not left, or was
    /// refused.
    Later { after: Duration, reason: String, taken: Vec<Option<String>> },
    /// Some of it left, and no answer came: whether the carrier has it is unknown.
    Unanswered { reason: String, taken: Vec<Option<String>> },
    /// Never; the SMPP command status or HTTP code as text.
    Refused { reason: String },
}

/// What a carrier tells of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarrierMessage {
    Receipt {
        reference: String,
        state: ReceiptState,
        error: Option<String>,
    },
    /// `reference` is the carrier's id of it: one that is known is not taken twice.
    Inbound {
        from: u64,
        to: u64,
        text: String,
        reference: Option<String>,
    },
    /// A part of a message.
    Segment(InboundSegment),
}

/// One of several segments of an inbound message. With the same numbers, alphabet, reference and total they are of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundSegment {
    pub from: u64,
    pub to: u64,
    /// SMPP 3.4 5.2.19.
    pub data_coding: u8,
    pub reference: u16,
    /// At least 2.
    pub total: u8,
    /// From 1.
    pub number: u8,
    /// User data without header.
    pub octets: Vec<u8>,
}

/// SMPP 3.4 5.2.28 message_state, as far as receipts carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    Enroute,
    Delivered,
    Expired,
    Deleted,
    Undeliverable,
    Accepted,
    Unknown,
    Rejected,
}

/// Text of one message to hand over; the carrier encodes and segments it.
#[derive(Debug, Clone)]
pub struct CarrierSubmit {
    /// The same each time it is submitted.
    pub id: Uuid,
    pub from: u64,
    pub to: u64,
    pub text: String,
    /// What an earlier submission said was taken; empty where there was none.
    pub taken: Vec<Option<String>>,
    /// It may have left before, and was not answered.
    pub repeated: bool,
}

#[async_trait]
pub trait MessageCarrier: Send + Sync + 'static {
    /// Unique among carriers, and the same after a restart: it stands in the messages that it has.
    fn name(&self) -> &str;
    async fn submit(&self, message: CarrierSubmit) -> Submission;
    /// Whether it takes messages now. `None`: always.
    fn ready(&self) -> Option<watch::Receiver<bool>> {
        None
    }
    /// What it tells by HTTP; most do not.
    async fn callback(&self, callback: Callback) -> Result<(), CallbackError> {
        let _ = callback;
        Err(CallbackError::NotFound)
    }
}

/// What a registry of 10DLC is told: who sends, or what for.
#[derive(Debug, Clone, Copy)]
pub enum Filing<'a> {
    Brand(&'a Brand),
    Campaign { campaign: &'a Campaign, brand: &'a Brand },
}

impl Filing<'_> {
    pub fn uuid(&self) -> Uuid {
        match self {
            Filing::Brand(brand) => brand.uuid,
            Filing::Campaign { campaign, .. } => campaign.uuid,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not known yet; ask again after this.
    Pending(Duration),
    Approved,
    Rejected {
        reason: String,
    },
}

/// A registry of who sends messages from long codes of the United States and Canada (10DLC), and what for.
#[async_trait]
pub trait CampaignRegistry: Send + Sync + 'static {
    /// Files it, or how it reads now, and says what it is called there. The same uuid is the same entry, however often it is
    /// filed.
    async fn file(&self, filing: Filing<'_>) -> Result<String, ControlError>;
    /// What has become of what was filed.
    async fn verdict(&self, filing: Filing<'_>) -> Result<Verdict, ControlError>;
    /// It is given up.
    async fn withdraw(&self, filing: Filing<'_>) -> Result<(), ControlError>;
}

/// A carrier's voice side as the router sees it: a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoiceCarrier {
    pub name: &'static str,
    /// Where INVITEs go and come from.
    pub address: SocketAddr,
}
