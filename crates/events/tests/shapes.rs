//! Every object and every event's envelope, as they are shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use chrono::{DateTime, TimeDelta, Utc};
use opentact_events::view::{self, CallContext, DomainContext, LeaseContext, SipUserContext, SmsContext};
use opentact_events::{Filter, Hub, NewEvent, Settings, auth};
use opentact_store::accounts::{Account, Notification};
use opentact_store::apps::SipControlApp;
use opentact_store::calls::{CallFlowLog, CallRecord, Related};
use opentact_store::connections::SipConnection;
use opentact_store::domains::SipDomain;
use opentact_store::messaging_profiles::{MessagingProfile, OptOutRules};
use opentact_store::numbers::{Number, OrderError, OrderItem, TnLease, TnOrder};
use opentact_store::records::Record;
use opentact_store::search::{Mode, Sort};
use opentact_store::sip_users::SipUser;
use opentact_store::sms::Sms;
use opentact_store::subscriptions::Subscription;
use opentact_store::tokens::Token;
use opentact_store::transactions::Transaction;
use opentact_store::types::*;
use opentact_store::users::User;
use opentact_store::voice_profiles::OutboundVoiceProfile;
use opentact_store::webhooks::{WebhookAttempt, WebhookDelivery};
use opentact_store::{Found, Store};
use serde_json::{Value, json};
use uuid::Uuid;

macro_rules! shape {
    ($name:expr, $value:expr) => {
        insta::assert_snapshot!($name, serde_json::to_string_pretty(&$value).unwrap());
    };
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x11111111_1111_4111_8111_000000000000 + n)
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_793_000_000_000).unwrap() + TimeDelta::milliseconds(seconds * 1000 + 42)
}

fn account() -> Account {
    Account {
        uuid: id(1),
        created_on: at(0),
        modified_on: at(1),
        name: "Analytical Engines".into(),
        email: "ada@example.com".into(),
        level: AccountLevel::Level0,
        balance: "99.9925".parse().unwrap(),
        phone: Some("+12015550100".into()),
        address1: Some("12 St James's Square".into()),
        address2: None,
        zip_code: Some("07030".into()),
        city: Some("Hoboken".into()),
        time_zone: Some("America/New_York".into()),
        notification: Json(Notification { balance: true }),
        disabled_on: None,
        deleted_on: None,
    }
}

fn user() -> User {
    User {
        uuid: id(2),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        email: "ada@example.com".into(),
        password_hash: "$argon2id$secret".into(),
        role: Role::Admin,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        phone_number: None,
        avatar: None,
        gender: Some(Gender::Female),
        dob: Some("1815-12-10".into()),
        deleted_on: None,
        signed_out_on: None,
    }
}

fn number() -> Number {
    Number {
        tn: Tn::new(12015550100).unwrap(),
        created_on: at(0),
        modified_on: at(1),
        kind: TnKind::LongCode,
        country: "US".into(),
        state: Some("NJ".into()),
        city: Some("Hoboken".into()),
        rate_center: Some("UNION CITY".into()),
        features: Json(vec![Feature::Voice, Feature::Sms]),
        carrier: "dev".into(),
        registered: true,
        profile: id(3),
        quarantined_until: None,
        deleted_on: None,
    }
}

fn app() -> SipControlApp {
    SipControlApp {
        uuid: id(4),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        name: "front desk".into(),
        is_active: true,
        tech_prefix: 123456,
        product: 1,
        auto_answer: false,
        max_call_length_min: Some(60),
        shaken_verify_policy: 0,
        shaken_minimum_accepted_attest_lvl: None,
        xml: Some("<Call/>".into()),
        call_flow_url: Some("https://example.com/flow".into()),
        call_flow_url2: None,
        call_flow_method: Method::Post,
        call_flow_request_timeout: Some(5000),
        webhook_url: None,
        webhook_method: Method::Get,
        webhook_request_timeout: None,
        codecs: Vec::new().into(),
        created_by: Some(id(2)),
        modified_by: None,
    }
}

fn connection() -> SipConnection {
    SipConnection {
        uuid: id(5),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        name: "branch office".into(),
        is_active: true,
        tech_prefix: 234567,
        product: 1,
        ip: Some("192.0.2.1".into()),
        hostname: None,
        port: 5060,
        transport: SipTransport::Udp,
        srtp: None,
        codecs: Json(vec!["PCMU".into(), "PCMA".into()]),
        username: Some("branch".into()),
        password: Some(b"sealed".to_vec()),
        register: false,
        channel_limit: Some(10),
        cps_limit: None,
        priority: 1,
        weight: 1,
        options_ping: true,
        shaken_verify_policy: 2,
        shaken_minimum_accepted_attest_lvl: Some(Attestation::B),
        sources: Json(vec!["198.51.100.0/24".into()]),
        authenticate: false,
        routing: Json(TrunkRouting { pass_headers: vec!["X-*".into()], ..TrunkRouting::default() }),
        created_by: Some(id(2)),
        modified_by: Some(id(2)),
    }
}

fn voice_profile() -> OutboundVoiceProfile {
    OutboundVoiceProfile {
        uuid: id(6),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        name: "everywhere".into(),
        is_active: true,
        tech_prefix: 345678,
        product: 1,
        tn_lease: Some(id(8)),
        shaken_sign_policy: 1,
        channel_limit: None,
        cps_limit: Some(5),
        max_rate: Some("0.05".parse().unwrap()),
        daily_spend_limit: Some(Money::units(20)),
        hourly_spend_limit: None,
        record_calls: 0,
        format: RecordFormat::Wav,
        allowed_countries: Json(vec!["US".into()]),
        sip_connections: Json(vec![id(5)]),
        emergency_connection: Some(id(5)),
        created_by: None,
        modified_by: None,
    }
}

fn domain() -> SipDomain {
    SipDomain {
        uuid: id(7),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        domain: "home.sip.localhost".into(),
        sip_connection: None,
        sip_control_app: Some(id(4)),
        outbound_voice_profile: Some(id(6)),
        created_by: None,
        modified_by: None,
    }
}

fn sip_user() -> SipUser {
    SipUser {
        uuid: id(9),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        sip_domain: id(7),
        login: "phone".into(),
        ha1: b"sealed".to_vec(),
        ha1_sha256: b"sealed".to_vec(),
        ha1b: b"sealed".to_vec(),
        ha1b_digest: None,
        is_active: true,
        same_domain_calls_only: false,
        tn_lease: Some(id(8)),
        first_name: None,
        last_name: None,
        email: None,
        phone_number: None,
        avatar: None,
        gender: None,
        dob: None,
        created_by: None,
        modified_by: None,
    }
}

fn messaging_profile() -> MessagingProfile {
    MessagingProfile {
        uuid: id(10),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        name: "reminders".into(),
        callback_url: Some("https://example.com/sms".into()),
        callback_url2: None,
        number_pool_enable: true,
        long_code_weight: 9,
        tollfree_weight: 1,
        skip_unhealthy_tns: false,
        sticky_sender: true,
        smart_encoding: true,
        geo_match: false,
        allowed_countries: Json(vec!["US".into()]),
        opt_out: Json(OptOutRules { out_message: Some("Bye".into()), ..OptOutRules::default() }),
        created_by: None,
        modified_by: None,
    }
}

fn lease() -> TnLease {
    TnLease {
        uuid: id(8),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        tn: Tn::new(12015550100).unwrap(),
        tn_order: Some(id(11)),
        expired_on: at(30 * 86400),
        autorenew: true,
        subscriptions: Json(vec![Feature::Voice, Feature::Sms]),
        sip_connection: None,
        sip_control_app: Some(id(4)),
        sip_user: None,
        messaging_profile: Some(id(10)),
        tn_profile: None,
        released_on: None,
        noticed_on: None,
        sms_campaign: None,
        created_by: Some(id(2)),
        modified_by: None,
    }
}

fn order() -> TnOrder {
    let item = |tn| OrderItem { tn: Tn::new(tn).unwrap(), features: vec![Feature::Voice], autorenew: true };
    TnOrder {
        uuid: id(11),
        created_on: at(0),
        modified_on: at(2),
        account: id(1),
        state: OrderState::Success,
        request: Json(json!({ "items": [{ "tn": 12015550100_u64 }, { "tn": 12015550101_u64 }] })),
        items: Json(vec![item(12015550100)]),
        errors: Json(vec![OrderError { item: item(12015550101), reason: "TN is taken".into(), description: None }]),
        total: 2,
        success: 1,
        processing: 0,
        failed: 1,
        created_by: Some(id(2)),
    }
}

fn call() -> CallRecord {
    CallRecord {
        uuid: id(20),
        created_on: at(10),
        modified_on: at(25),
        account: id(1),
        direction: Direction::In,
        from: "+12025550199".into(),
        to: "12015550100".into(),
        state: CallState::Destroyed,
        kind: CallType::Sca,
        thread: "0123456789abcdef0123456789abcdef".into(),
        parent: None,
        tn: Tn::new(12015550100).ok(),
        sip_control_app: Some(id(4)),
        sip_connection: None,
        sip_user: None,
        batch_item: None,
        sip_call_id: Some("a84b4c76e66710@192.0.2.1".into()),
        init_on: Some(at(10)),
        ring_on: Some(at(11)),
        answer_on: Some(at(12)),
        hangup_on: Some(at(24)),
        destroy_on: Some(at(25)),
        finished_on: Some(at(25)),
        duration: 12,
        q850_cause: Some(16),
        q850_cause_string: Some("NORMAL_CLEARING".into()),
        freeswitch_call_state: "HANGUP".into(),
        freeswitch_channel_state: "CS_DESTROY".into(),
        stir_shaken_attest_level: Some(Attestation::A),
        outbound_voice_profile: None,
        minute_price: None,
        related: Json(Related {
            tn: Some(view::tn_short(&number()).into()),
            sip_control_app: Some(view::sip_control_app_short(&app()).into()),
            ..Related::default()
        }),
        meta: Json(serde_json::Map::new()),
    }
}

/// The outbound leg that the call dialled, before anything came of it.
fn child() -> CallRecord {
    CallRecord {
        uuid: id(21),
        direction: Direction::Out,
        from: "12015550100".into(),
        to: "phone@home.sip.localhost".into(),
        state: CallState::Init,
        kind: CallType::User,
        parent: Some(id(20)),
        sip_user: Some(id(9)),
        ring_on: None,
        answer_on: None,
        hangup_on: None,
        destroy_on: None,
        finished_on: None,
        duration: 0,
        q850_cause: None,
        q850_cause_string: None,
        freeswitch_call_state: "DIALING".into(),
        freeswitch_channel_state: "CS_INIT".into(),
        stir_shaken_attest_level: None,
        outbound_voice_profile: None,
        minute_price: None,
        related: Json(Related {
            sip_user: Some(view::sip_user_short(&sip_user(), Some(&domain())).into()),
            ..Related::default()
        }),
        meta: Json(json!({ "ticket": 4711 }).as_object().unwrap().clone()),
        ..call()
    }
}

fn log() -> CallFlowLog {
    CallFlowLog {
        uuid: id(22),
        created_on: at(13),
        modified_on: at(14),
        account: id(1),
        call: id(20),
        sip_control_app: Some(id(4)),
        position: 1,
        name: "Gather".into(),
        element: "Gather".into(),
        path: "Gather[1]".into(),
        success: true,
        reason: "DTMF received".into(),
        tag: Some("menu".into()),
        command: Json(json!({ "numDigits": "1" })),
        children: Json(vec![json!({ "name": "DTMF", "success": true })]),
        errors: Json(vec![]),
    }
}

fn sms(kind: SmsType) -> Sms {
    Sms {
        uuid: id(30),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        kind,
        from: "12015550100".into(),
        to: "12025550199".into(),
        tn: Tn::new(12015550100).unwrap(),
        tn_lease: Some(id(8)),
        messaging_profile: Some(id(10)),
        thread: "0123456789abcdef0123456789abcdef".into(),
        message: "Hello".into(),
        state: SmsState::Success,
        delivered: true,
        automated: false,
        readed: false,
        reason: None,
        reference_id: Some("c0ffee".into()),
        segments: 1,
        encoding: "gsm".into(),
        custom_callback_url: None,
        created_by: Some(id(2)),
        send_at: None,
        priority: Priority::Normal,
        carrier: Some("dev".into()),
        attempts: 1,
        repeated: false,
    }
}

fn recording() -> Record {
    Record {
        uuid: id(40),
        created_on: at(24),
        modified_on: at(29),
        account: id(1),
        call: id(20),
        tag: Some("voicemail".into()),
        state: RecordState::Stored,
        format: RecordFormat::Wav,
        channels: 1,
        sample_rate: 8000,
        duration_ms: 4_900,
        size: 78_444,
        reason: None,
        is_local: true,
        uploaded_on: None,
        upload_due: None,
        upload_attempts: 0,
        upload_error: None,
    }
}

fn subscription(kind: EventType) -> Subscription {
    Subscription {
        uuid: id(50),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        user: id(2),
        channel: Channel::Wss,
        kind,
        is_active: true,
        expired_on: Some(at(60)),
        url: None,
        failover_url: None,
        secret: None,
        filters: None,
    }
}

fn delivery() -> WebhookDelivery {
    WebhookDelivery {
        uuid: id(60),
        created_on: at(0),
        modified_on: at(2),
        account: id(1),
        hook: id(50),
        subscription: Some(id(50)),
        sip_control_app: None,
        event: id(61),
        seq: 7,
        kind: EventType::Sms,
        ref_id: Some(id(62)),
        state: DeliveryState::Waiting,
        attempts: 2,
        since: at(0),
        next_on: Some(at(4)),
        reason: Some("answered 503".into()),
        body: "{}".to_owned().into(),
        callback: false,
    }
}

#[test]
fn account_objects() {
    shape!("account", view::account(&account()));
    shape!("account_full", view::account_full(&account()));
    shape!("user", view::user(&user(), false));
    let token = Token {
        uuid: id(51),
        created_on: at(0),
        modified_on: at(1),
        account: id(1),
        user: id(2),
        name: "ci".into(),
        hash: "secret".into(),
        masked: "abcd…wxyz".into(),
        scopes: Json(vec![]),
        expired_on: None,
        smpp_bound_on: None,
    };
    shape!("token", view::token(&token));
    assert_eq!(view::new_token(&token, "whole", ("me".into(), "secret".into()))["token"], "whole");
    shape!("subscription", view::subscription(&subscription(EventType::Sms), None));
    let webhook = Subscription {
        channel: Channel::Webhook,
        url: Some("https://example.com/told".into()),
        filters: Some(Json(Filters([("payload.state".to_owned(), vec![json!("live")])].into()))),
        ..subscription(EventType::CallState)
    };
    shape!("subscription_webhook", view::subscription(&webhook, Some("whsec_test")));
    let attempt = |number, status: Option<i64>, reason: Option<&str>| WebhookAttempt {
        delivery: id(60),
        number,
        created_on: at(number),
        url: "https://example.com/told".into(),
        status,
        reason: reason.map(str::to_owned),
        duration_ms: 12,
    };
    let attempts = [attempt(1, None, Some("connection refused")), attempt(2, Some(503), None)];
    shape!("webhook_delivery", view::webhook_delivery_log(&delivery(), &attempts));
    let transaction = Transaction {
        uuid: id(52),
        created_on: at(0),
        modified_on: at(0),
        account: id(1),
        amount: Money::micros(-7_500),
        account_balance_before: Money::units(100),
        account_balance_after: "99.9925".parse().unwrap(),
        ref_type: RefType::SmsOutgoing,
        ref_uuid: Some(id(30)),
        description: Some("SMS to 12025550199, 1 segment".into()),
    };
    shape!("transaction", view::transaction(&transaction));
}

#[test]
fn sip_objects() {
    shape!("sip_control_app", view::sip_control_app(&app(), "whsec_test"));
    shape!("sip_connection", view::sip_connection(&connection()));
    shape!("outbound_voice_profile", view::outbound_voice_profile(&voice_profile(), Some(&lease())));
    let (app, profile) = (app(), voice_profile());
    let context = DomainContext {
        sip_control_app: Some(&app),
        outbound_voice_profile: Some(&profile),
        ..DomainContext::default()
    };
    shape!("sip_domain", view::sip_domain(&domain(), context));
    let (domain, lease) = (domain(), lease());
    let context = SipUserContext {
        domain: Some(&domain),
        lease: Some(&lease),
        registrations: vec![json!({ "contact": "sip:phone@192.0.2.7:5060", "user_agent": "baresip" })],
    };
    let online = view::sip_user(&sip_user(), context);
    assert!(!online.to_string().contains("ha1"), "secrets stay inside");
    shape!("sip_user", online);
    assert_eq!(view::sip_user(&sip_user(), SipUserContext::default())["state"], "offline");
}

#[tokio::test]
async fn number_objects() {
    shape!("tn", view::tn(&number()));
    let (account, app, number, profile) = (account(), app(), number(), messaging_profile());
    let context = LeaseContext {
        number: Some(&number),
        account: Some(&account),
        sip_control_app: Some(&app),
        messaging_profile: Some(&profile),
        ..LeaseContext::default()
    };
    shape!("lease", view::lease(&lease(), context));
    shape!("lease_alone", view::lease(&lease(), LeaseContext::default()));
    shape!("order", view::order(&order(), vec![view::lease(&lease(), context)]));
    shape!("order_short", view::order_short(&order()));
    shape!("messaging_profile", view::messaging_profile(&profile, "whsec_1"));

    let store = Store::in_memory().await.unwrap();
    let mut price = store.numbers().profile_for(TnKind::LongCode, "US").await.unwrap();
    (price.created_on, price.modified_on) = (at(0), at(0));
    shape!("tn_profile", view::tn_profile(&price));
    let mut product = store.products().await.unwrap().remove(0);
    (product.created_on, product.modified_on) = (at(0), at(0));
    shape!("product", view::product(&product));
}

#[test]
fn call_objects() {
    let (account, parent, logs, child_of) = (account(), call(), [log()], child());
    let children = [&child_of];
    let records = [view::record(&recording())];
    let context =
        CallContext { account: Some(&account), parent: None, children: &children, logs: &logs, records: &records };
    shape!("call", view::call(&call(), context));
    let context = CallContext { account: Some(&account), parent: Some(&parent), ..CallContext::default() };
    shape!("call_child", view::call(&child(), context));
}

#[test]
fn sms_objects() {
    let (account, number, lease, profile) = (account(), number(), lease(), messaging_profile());
    let context =
        SmsContext { account: Some(&account), number: Some(&number), lease: Some(&lease), profile: Some(&profile) };
    shape!("sms_outbound", view::sms(&sms(SmsType::Outbound), context));
    shape!("sms_inbound", view::sms(&sms(SmsType::Inbound), SmsContext::default()));
}

#[test]
fn search_payload() {
    let found = Found {
        take: 10,
        skip: 0,
        mode: Mode::And,
        order: vec![("created_on".into(), Sort::Desc)],
        total: Some(1),
        next_cursor: None,
        data: vec![json!({ "uuid": id(1) })],
    };
    shape!("search", view::found(found));
}

/// What listeners get of each type, with what differs from run to run made the same.
#[tokio::test]
async fn envelopes() {
    let store = Store::in_memory().await.unwrap();
    let hub = Hub::start(store, Settings::default()).await.unwrap();
    let mut listener = hub.subscribe(id(1), Some(id(2)), Filter::all());
    let shown = view::call(&call(), CallContext::default());
    let owner = account();
    let events = [
        NewEvent::call_state(&call(), &shown),
        NewEvent::call_flow(&call(), &log(), &shown),
        NewEvent::call_bridge(id(1), [id(20), id(21)], true, &shown),
        NewEvent::call_record(&recording(), &shown),
        NewEvent::sms(&sms(SmsType::Outbound), &view::sms(&sms(SmsType::Outbound), SmsContext::default())),
        NewEvent::tn_order(&order(), &view::order(&order(), vec![])),
        NewEvent::balance(&owner, owner.balance, "sms_per_send").unwrap(),
    ];
    for event in events {
        let kind = event.kind;
        hub.publish(event).unwrap();
        let published = listener.recv().await.unwrap();
        let mut body: Value = serde_json::from_str(&published.body).unwrap();
        assert_eq!(body["uuid"], json!(published.uuid));
        assert_eq!(body["timestamp"], body["created_on"]);
        body["uuid"] = json!("[uuid]");
        for date in ["created_on", "modified_on", "timestamp"] {
            body[date] = json!("[date]");
        }
        shape!(format!("event_{kind}"), body);
    }
    let mut quiet = account();
    quiet.notification.balance = false;
    assert!(NewEvent::balance(&quiet, quiet.balance, "mrc").is_none());

    let mut answer = auth(id(60), "192.0.2.9".parse().unwrap(), &user(), &account(), at(0));
    answer["uuid"] = json!("[uuid]");
    shape!("event_auth", answer);
}

#[test]
fn a_call_event_tells_clients_of_2021_what_they_look_for() {
    let event = NewEvent::call_state(&call(), &Value::Null);
    assert_eq!(event.message, "CallSCA in +12025550199 > 12015550100 - destroyed");
    let keys = [
        "uuid",
        "direction",
        "from",
        "to",
        "type",
        "created_on",
        "init_on",
        "ring_on",
        "answer_on",
        "hangup_on",
        "destroy_on",
        "finished_on",
        "q850_cause",
        "q850_cause_string",
    ];
    for kind in [&event, &NewEvent::call_flow(&call(), &log(), &Value::Null)] {
        let payload: Value = serde_json::from_str(kind.payload()).unwrap();
        assert!(keys.iter().all(|key| payload.get(key).is_some()), "{payload}");
        assert_eq!(payload["q850_cause"], 16);
    }
}

#[test]
fn subscriptions_make_the_filter() {
    let rows = |change: fn(&mut Subscription)| {
        let mut row = subscription(EventType::Sms);
        change(&mut row);
        Filter::of_subscriptions(&[row], Channel::Wss)
    };
    let none = Filter::of_subscriptions(&[], Channel::Wss);
    assert!(none.passes(EventType::Balance, at(0)), "none created yet: all types");
    assert!(rows(|r| r.channel = Channel::Webhook).passes(EventType::Balance, at(0)), "none of this channel");
    let sms = rows(|_| ());
    assert!(sms.passes(EventType::Sms, at(59)));
    assert!(!sms.passes(EventType::Sms, at(60)), "expired");
    assert!(!sms.passes(EventType::Balance, at(0)));
    assert!(!rows(|r| r.is_active = false).passes(EventType::Sms, at(0)));
    assert!(rows(|r| r.expired_on = None).passes(EventType::Sms, at(1_000_000_000)));
}
