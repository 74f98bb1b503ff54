//! A whole API in one line, and requests to it in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use opentact_api::{ApiState, Parts, Settings};
use opentact_callflow::Document;
use opentact_carrier::dev::{DevNumbers, DevRegistry};
use opentact_engine::http::{EgressGuard, HttpClient};
use opentact_engine::mail::{Letter, MailError, Post};
use opentact_engine::ports::{
    CallControl, ControlError, DevCall, LegMessage, MessageControl, NumberData, Originate, PreviewMessage,
    Registration, SendMessage, Sender, TrunkHealth,
};
use opentact_engine::recordings::{Archive, RecordingsConfig};
use opentact_engine::speech::{Engine, Gender, SayRequest, Speech, SpeechError, Track, VoiceInfo};
use opentact_events::{EventType, Hub, NewEvent, view};
use opentact_stir::TestAuthority;
use opentact_store::accounts::{Account, NewAccount};
use opentact_store::calls::CallRecord;
use opentact_store::records::Record;
use opentact_store::sms::{NewSms, Sms};
use opentact_store::types::{
    CallState, CallType, Direction, Json, RecordFormat, RecordState, Role, SmsState, SmsType, now,
};
use opentact_store::users::{NewUser, User};
use opentact_store::{Money, Store};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse";

/// What the fakes were asked, and what they are to answer.
#[derive(Default)]
pub struct FakeCalls {
    pub originated: Mutex<Vec<Originate>>,
    pub bridged: Mutex<Vec<[Uuid; 2]>>,
    pub hung_up: Mutex<Vec<(Uuid, Option<u8>)>>,
    pub invalidated: Mutex<Vec<Uuid>>,
    pub batches_changed: Mutex<u32>,
    pub dev_calls: Mutex<Vec<DevCall>>,
    pub live: Mutex<Vec<CallRecord>>,
    pub registrations: Mutex<Vec<(Uuid, Registration)>>,
    pub traced: Mutex<Vec<LegMessage>>,
    pub refuse: Mutex<Option<ControlError>>,
    /// Make `online` panic.
    pub panic: Mutex<bool>,
    /// Make `online` never answer.
    pub hang: Mutex<bool>,
}

impl FakeCalls {
    fn find(&self, account: Uuid, call: Uuid) -> Option<CallRecord> {
        self.live.lock().iter().find(|record| record.uuid == call && record.account == account).cloned()
    }
}

fn show(record: &CallRecord) -> Value {
    view::call(record, view::CallContext::default())
}

#[async_trait]
impl CallControl for FakeCalls {
    async fn originate(&self, request: Originate) -> Result<Value, ControlError> {
        if let Some(error) = self.refuse.lock().clone() {
            return Err(error);
        }
        let record = call_record(request.account, CallState::Init, &request.to);
        self.originated.lock().push(request);
        self.live.lock().push(record.clone());
        Ok(show(&record))
    }

    async fn run_flow(&self, account: Uuid, call: Uuid, _: Document) -> Result<Value, ControlError> {
        let record = self.find(account, call).ok_or(ControlError::NotFound("Call"))?;
        if record.state != CallState::Live {
            return Err(ControlError::Conflict("Call is not live".to_owned()));
        }
        Ok(show(&record))
    }

    async fn bridge(&self, account: Uuid, calls: [Uuid; 2]) -> Result<Value, ControlError> {
        let found = calls.map(|call| self.find(account, call).ok_or(ControlError::NotFound("Call")));
        let [one, other] = found;
        let (one, other) = (one?, other?);
        if [&one, &other].iter().any(|record| record.state != CallState::Live) {
            return Err(ControlError::Conflict("Call is not live".to_owned()));
        }
        self.bridged.lock().push(calls);
        Ok(show(&one))
    }

    async fn hangup(&self, account: Uuid, call: Uuid, cause: Option<u8>) -> Result<Value, ControlError> {
        let record = self.find(account, call).ok_or(ControlError::NotFound("Call"))?;
        self.hung_up.lock().push((call, cause));
        Ok(show(&record))
    }

    async fn online(&self, account: Uuid) -> Result<Vec<Value>, ControlError> {
        assert!(!*self.panic.lock(), "a secret of the stack");
        if *self.hang.lock() {
            std::future::pending::<()>().await;
        }
        Ok(self.live.lock().iter().filter(|record| record.account == account).map(show).collect())
    }

    async fn get(&self, account: Uuid, call: Uuid) -> Result<Option<Value>, ControlError> {
        Ok(self.find(account, call).as_ref().map(show))
    }

    async fn trace(&self, _: Uuid, _: Uuid) -> Result<Vec<LegMessage>, ControlError> {
        Ok(self.traced.lock().clone())
    }

    async fn quality(&self, account: Uuid, call: Uuid) -> Result<Vec<(Uuid, Value)>, ControlError> {
        Ok(self.find(account, call).map(|record| (record.uuid, leg_media("opus"))).into_iter().collect())
    }

    async fn registrations(&self, sip_user: Uuid) -> Vec<Registration> {
        let all = self.registrations.lock();
        all.iter().filter(|(user, _)| *user == sip_user).map(|(_, one)| one.clone()).collect()
    }

    fn trunk_health(&self, _: Uuid) -> TrunkHealth {
        TrunkHealth { state: "up", calls: 2, asr: Some(0.5), ..TrunkHealth::default() }
    }

    fn invalidate(&self, account: Uuid) {
        self.invalidated.lock().push(account);
    }

    fn batches_changed(&self) {
        *self.batches_changed.lock() += 1;
    }

    async fn dev_call(&self, request: DevCall) -> Result<Value, ControlError> {
        self.dev_calls.lock().push(request);
        Ok(json!({"call_id": "abc@127.0.0.1"}))
    }
}

/// One voice, and nothing to say.
pub struct FakeSpeech;

#[async_trait]
impl Speech for FakeSpeech {
    async fn speak(&self, _: SayRequest, _: Track) -> Result<(), SpeechError> {
        Err(SpeechError::Busy)
    }

    async fn voices(&self) -> Vec<VoiceInfo> {
        vec![VoiceInfo {
            code: "espeak-de-m".to_owned(),
            name: "German, eSpeak".to_owned(),
            kind: "Standard",
            gender: Gender::Male,
            lang: "de".to_owned(),
            engine: Engine::Espeak,
            rate: 22_050,
        }]
    }
}

/// Keeps the letters that were posted, in their order.
pub struct FakePost {
    sent: mpsc::UnboundedSender<Letter>,
    letters: tokio::sync::Mutex<mpsc::UnboundedReceiver<Letter>>,
    failing: AtomicBool,
}

impl FakePost {
    fn new() -> FakePost {
        let (sent, letters) = mpsc::unbounded_channel();
        FakePost { sent, letters: letters.into(), failing: AtomicBool::new(false) }
    }

    pub async fn recv(&self) -> Letter {
        self.letters.lock().await.recv().await.unwrap()
    }

    /// From now on no letter is taken.
    pub fn fail(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Post for FakePost {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        self.sent.send(letter).unwrap();
        if self.failing.load(Ordering::Relaxed) { Err(MailError::Unsent("451 later".to_owned())) } else { Ok(()) }
    }
}

/// Writes messages to the store, as the real one does, and hands none over.
pub struct FakeMessages {
    store: Store,
    pub refuse: Mutex<Option<ControlError>>,
    pub dev_messages: Mutex<Vec<(u64, u64, String)>>,
}

#[async_trait]
impl MessageControl for FakeMessages {
    async fn send(&self, request: SendMessage) -> Result<Vec<Result<Value, ControlError>>, ControlError> {
        if let Some(error) = self.refuse.lock().clone() {
            return Err(error);
        }
        let Sender::Number(from) = request.from else {
            return Err(ControlError::Internal("only the real one knows pools".to_owned()));
        };
        let mut results = Vec::new();
        for to in request.to {
            let new = NewSms {
                kind: SmsType::Outbound,
                from: from.to_string(),
                to: to.to_string(),
                tn: from.try_into().unwrap(),
                tn_lease: None,
                messaging_profile: None,
                thread: "0".repeat(32),
                message: request.text.clone(),
                automated: false,
                reference_id: None,
                segments: 1,
                encoding: "gsm".to_owned(),
                custom_callback_url: request.custom_callback_url.clone(),
                created_by: request.created_by,
                carrier: None,
            };
            let sms = self.store.sms().create(request.account, new).await.unwrap();
            results.push(Ok(view::sms(&sms, view::SmsContext::default())));
        }
        Ok(results)
    }

    async fn preview(&self, request: PreviewMessage) -> Result<Value, ControlError> {
        Ok(json!({
            "message": request.text, "encoding": "gsm", "characters": 5, "units": 5, "segments": 1, "max_segments": 6,
            "recipients": request.to.len().max(1), "price_per_segment": 0.0075, "price": 0.0075, "total": 0.0075,
            "sufficient_balance": true,
        }))
    }

    async fn cancel(&self, account: Uuid, uuid: Uuid) -> Result<Value, ControlError> {
        let canceled = |sms: &mut Sms| (sms.state, sms.reason) = (SmsState::Failed, Some("Canceled".to_owned()));
        let sms = self.store.sms().change(account, uuid, canceled).await.unwrap();
        Ok(view::sms(&sms, view::SmsContext::default()))
    }

    async fn dev_message(&self, _: Uuid, from: u64, to: u64, text: String) -> Result<Value, ControlError> {
        self.dev_messages.lock().push((from, to, text));
        Ok(json!({}))
    }
}

/// A call record to the given destination.
pub fn call_record(account: Uuid, state: CallState, to: &str) -> CallRecord {
    let created_on = now();
    CallRecord {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        account,
        direction: Direction::Out,
        from: "12015550100".to_owned(),
        to: to.to_owned(),
        state,
        kind: CallType::Sca,
        thread: "1".repeat(32),
        parent: None,
        tn: None,
        sip_control_app: None,
        sip_connection: None,
        sip_user: None,
        batch_item: None,
        sip_call_id: None,
        init_on: Some(created_on),
        ring_on: None,
        answer_on: None,
        hangup_on: None,
        destroy_on: None,
        finished_on: None,
        duration: 0,
        q850_cause: None,
        q850_cause_string: None,
        freeswitch_call_state: "DOWN".to_owned(),
        freeswitch_channel_state: "CS_INIT".to_owned(),
        stir_shaken_attest_level: None,
        outbound_voice_profile: None,
        minute_price: None,
        related: Json::default(),
        meta: Json(Map::new()),
    }
}

/// What the clients of a SIP user show.
pub fn ha1b(login: &str, domain: &str, password: &str) -> String {
    opentact_store::Ha1::new(login, &format!("{domain}.sip.localhost"), password).md5_b
}

/// A recording that is there, as WAV of one second.
pub fn stored_record(account: Uuid, call: Uuid) -> Record {
    Record {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account,
        call,
        tag: Some("voicemail".into()),
        state: RecordState::Stored,
        format: RecordFormat::Wav,
        channels: 1,
        sample_rate: 8_000,
        duration_ms: 1_000,
        size: 16_044,
        reason: None,
        is_local: true,
        uploaded_on: None,
        upload_due: None,
        upload_attempts: 0,
        upload_error: None,
    }
}

/// A message that came in to a number.
pub fn inbound_sms(to: u64) -> NewSms {
    NewSms {
        kind: SmsType::Inbound,
        from: "12125550001".to_owned(),
        to: to.to_string(),
        tn: to.try_into().unwrap(),
        tn_lease: None,
        messaging_profile: None,
        thread: "2".repeat(32),
        message: "In".to_owned(),
        automated: false,
        reference_id: None,
        segments: 1,
        encoding: "gsm".to_owned(),
        custom_callback_url: None,
        created_by: None,
        carrier: None,
    }
}

/// An account with one user and a token of theirs.
#[derive(Clone)]
pub struct Tenant {
    pub account: Account,
    pub user: User,
    pub token: String,
}

/// In memory, or with `OPENTACT_TEST_API_POSTGRES` in a schema of its own there.
async fn store() -> Store {
    let Ok(url) = std::env::var("OPENTACT_TEST_API_POSTGRES") else { return Store::in_memory().await.unwrap() };
    let schema = format!("api_{}", Uuid::new_v4().simple());
    let admin = sea_orm::Database::connect(&url).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&admin, &format!("CREATE SCHEMA {schema}")).await.unwrap();
    admin.close().await.unwrap();
    let mut settings = opentact_store::Settings::new(url);
    settings.schema = Some(schema);
    let store = Store::connect(&settings, opentact_store::Keyring::ephemeral().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

pub struct World {
    pub state: ApiState,
    pub router: axum::Router,
    pub store: Store,
    pub hub: Hub,
    pub calls: Arc<FakeCalls>,
    pub messages: Arc<FakeMessages>,
    pub letters: Arc<FakePost>,
    pub me: Tenant,
    /// Of recordings.
    pub folder: TempDir,
    passed: Arc<Mutex<Duration>>,
}

impl World {
    pub async fn new() -> World {
        World::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> World {
        World::assembled(settings, opentact_events::Settings::default()).await
    }

    pub async fn assembled(settings: Settings, hub: opentact_events::Settings) -> World {
        World::asking(settings, hub, Arc::new(DevNumbers)).await
    }

    /// One that asks somebody for facts of numbers.
    pub async fn asking(settings: Settings, hub: opentact_events::Settings, data: Arc<dyn NumberData>) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = store().await;
        let hub = Hub::start(store.clone(), hub).await.unwrap();
        let folder = TempDir::new().unwrap();
        let calls = Arc::new(FakeCalls::default());
        let messages =
            Arc::new(FakeMessages { store: store.clone(), refuse: Mutex::default(), dev_messages: Mutex::default() });
        let letters = Arc::new(FakePost::new());
        let recordings = RecordingsConfig { folder: folder.path().to_owned(), upload: None };
        let (start, passed) = (Instant::now(), Arc::new(Mutex::default()));
        let elapsed: Arc<Mutex<Duration>> = Arc::clone(&passed);
        let state = ApiState::new(Parts {
            store: store.clone(),
            hub: hub.clone(),
            calls: calls.clone(),
            messages: messages.clone(),
            numbers: Arc::new(DevNumbers),
            number_data: data,
            registry: Arc::new(DevRegistry { vetting: Duration::ZERO }),
            archive: Arc::new(Archive::open(recordings).unwrap()),
            speech: Arc::new(FakeSpeech),
            post: letters.clone(),
            http: HttpClient::new(EgressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]), "test").unwrap(),
            authority: Some(Arc::new(TestAuthority::create(now().timestamp()).unwrap())),
            jwt_secret: vec![7; 32],
            settings,
            clock: Arc::new(move || start + *elapsed.lock()),
        });
        let me = tenant(&store, "me@example.com").await;
        let router = opentact_api::router(state.clone());
        World { router, state, store, hub, calls, messages, letters, me, folder, passed }
    }

    /// Moves the clock of the rate limit, which stands still.
    pub fn pass(&self, time: Duration) {
        *self.passed.lock() += time;
    }

    /// Another account on the same server.
    pub async fn stranger(&self) -> Tenant {
        tenant(&self.store, "stranger@example.com").await
    }

    /// Leases a number of the dev carrier to an account, without an order.
    pub async fn lease(&self, tenant: &Tenant, tn: u64) -> opentact_store::numbers::TnLease {
        use opentact_store::numbers::NewLease;
        use opentact_store::types::{Feature, TnKind};
        let profile = self.store.numbers().profiles().await.unwrap().remove(0);
        let new = NewLease {
            tn: tn.try_into().unwrap(),
            kind: TnKind::LongCode,
            country: "US".to_owned(),
            state: Some("NJ".to_owned()),
            city: None,
            rate_center: None,
            features: vec![Feature::Voice, Feature::Sms],
            carrier: "dev".to_owned(),
            profile: profile.uuid,
            order: None,
            subscriptions: vec![Feature::Voice, Feature::Sms],
            autorenew: false,
            expired_on: now() + Duration::from_secs(30 * 86_400),
            created_by: None,
        };
        self.store.numbers().lease(tenant.account.uuid, new, |_| Vec::new()).await.unwrap().0
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::POST, path).json(&body)
    }

    pub fn patch(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::PATCH, path).json(&body)
    }

    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// A request with the token of `me`.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {}", self.me.token).parse().unwrap());
        Call { world: self, method, path: path.to_owned(), headers, body: Vec::new() }
    }
}

async fn tenant(store: &Store, email: &str) -> Tenant {
    let account = NewAccount {
        name: "Test".to_owned(),
        email: email.to_owned(),
        balance: Money::units(100),
        ..NewAccount::default()
    };
    let (account, user) = store.users().sign_up(account, NewUser::new(email, PASSWORD, Role::Admin)).await.unwrap();
    let (_, token) = store.tokens().create(account.uuid, user.uuid, "test", None, Vec::new()).await.unwrap();
    Tenant { account, user, token }
}

/// Publishes an event of type `balance`.
pub fn tell(hub: &Hub, tenant: &Tenant, message: &str) {
    let event = NewEvent::new(tenant.account.uuid, EventType::Balance, message.to_owned(), &1, None);
    hub.publish(event).unwrap();
}

/// A request to be.
pub struct Call<'a> {
    world: &'a World,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call<'_> {
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Without credentials.
    pub fn anonymous(mut self) -> Self {
        self.headers.remove("authorization");
        self
    }

    pub fn basic(self, email: &str, password: &str) -> Self {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{email}:{password}"));
        self.header("authorization", &format!("Basic {encoded}"))
    }

    pub fn by(self, tenant: &Tenant) -> Self {
        self.header("authorization", &format!("Bearer {}", tenant.token))
    }

    /// With the hash of a SIP user in place of a token.
    pub fn phone(self, ha1b: &str) -> Self {
        self.anonymous().header("x-auth-ha1b-token", ha1b)
    }

    pub async fn send(self) -> Answer {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers;
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let octets = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let json = serde_json::from_slice(&octets).unwrap_or(Value::Null);
        let text = String::from_utf8_lossy(&octets).into_owned();
        let answer = Answer { status: parts.status, headers: parts.headers, json, text };
        crate::document::check(&self.method, &self.path, &answer);
        answer
    }

    /// The payload of an answer that must have this status.
    pub async fn expect(self, status: u16) -> Value {
        let what = format!("{} {}", self.method, self.path);
        let answer = self.send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.json);
        if answer.status.is_success() { answer.json["payload"].clone() } else { answer.json }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

/// For snapshots: pretty, without what differs from run to run.
pub fn shown(value: &Value) -> String {
    serde_json::to_string_pretty(&redacted(value)).unwrap()
}

fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) if Uuid::try_parse(text).is_ok() => json!("[uuid]"),
        Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => json!("[date]"),
        Value::Array(list) => list.iter().map(redacted).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| match key.as_str() {
                "tech_prefix" if value.is_number() => (key.clone(), json!("[prefix]")),
                "token" if value.is_string() => (key.clone(), json!("[token]")),
                "smpp" if value.is_object() => (key.clone(), json!("[login]")),
                "webhook_secret" if value.is_string() => (key.clone(), json!("[secret]")),
                _ => (key.clone(), redacted(value)),
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// What is counted of a leg, as the engine shows it.
pub fn leg_media(codec: &str) -> Value {
    json!({
        "codec": codec, "packets_sent": 100, "packets_received": 99, "packets_lost": 1, "packets_reordered": 0,
        "packets_duplicate": 0, "packets_discarded": 0, "jitter_ms": 0.5, "max_jitter_ms": 2.25, "round_trip_ms": 20.0,
        "mos": 4.2, "lowest_mos": 4.0, "transcoding": null,
        "remote": {"packets_lost": 0, "jitter_ms": 0.1, "mos": 4.4}, "dtmf_received": 0,
    })
}
