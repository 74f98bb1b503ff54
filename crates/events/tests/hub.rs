//! Numbering, order, replay, slow listeners.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_events::{Booked, Charge, Ended, EventType, Filter, Hub, NewEvent, Refused, Settings, Write};
use opentact_store::accounts::NewAccount;
use opentact_store::calls::{CallFlowLog, CallRecord};
use opentact_store::search::Search;
use opentact_store::subscriptions::NewSubscription;
use opentact_store::transactions::{NewTransaction, TransactionFilter};
use opentact_store::transcripts::Transcript;
use opentact_store::types::{
    CallState, CallType, Channel, Direction, Filters, Json, RefType, Role, TranscriptState, now,
};
use opentact_store::users::NewUser;
use opentact_store::{Keyring, Money, Store, StoreError};
use serde_json::json;
use uuid::Uuid;

async fn on_disk() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("store.db").display());
    let store = Store::connect(&opentact_store::Settings::new(url), Keyring::ephemeral().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    (dir, store)
}

fn event(account: Uuid, kind: EventType, n: usize) -> NewEvent {
    NewEvent::new(account, kind, format!("event {n}"), &n, None)
}

fn call(account: Uuid) -> CallRecord {
    CallRecord {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account,
        direction: Direction::In,
        from: "+12025550199".into(),
        to: "12015550100".into(),
        state: CallState::Init,
        kind: CallType::Sca,
        thread: "0".repeat(32),
        parent: None,
        tn: None,
        sip_control_app: None,
        sip_connection: None,
        sip_user: None,
        batch_item: None,
        sip_call_id: None,
        init_on: Some(now()),
        ring_on: None,
        answer_on: None,
        hangup_on: None,
        destroy_on: None,
        finished_on: None,
        duration: 0,
        q850_cause: None,
        q850_cause_string: None,
        freeswitch_call_state: "DOWN".into(),
        freeswitch_channel_state: "CS_NEW".into(),
        stir_shaken_attest_level: None,
        outbound_voice_profile: None,
        minute_price: None,
        related: Json::default(),
        meta: Json::default(),
    }
}

fn log(call: &CallRecord, position: i64) -> CallFlowLog {
    CallFlowLog {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account: call.account,
        call: call.uuid,
        sip_control_app: None,
        position,
        name: "Say".into(),
        element: "Say".into(),
        path: format!("Say[{position}]"),
        success: true,
        reason: "Spoken".into(),
        tag: None,
        command: Json(json!({})),
        children: Json(vec![]),
        errors: Json(vec![]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_reach_every_listener_gapless_and_in_order() {
    const ACCOUNTS: usize = 20;
    const EACH: usize = 500;
    let (_dir, store) = on_disk().await;
    let mut accounts = Vec::new();
    for n in 0..ACCOUNTS {
        let new = NewAccount { name: format!("account {n}"), email: format!("{n}@example.com"), ..Default::default() };
        accounts.push(store.accounts().create(new).await.unwrap().uuid);
    }
    let hub = Hub::start(store.clone(), Settings { buffer: EACH, ..Settings::default() }).await.unwrap();

    // Three listeners an account, one that wants a single type, and one that reads nothing until the end.
    let mut listeners = Vec::new();
    for account in &accounts {
        for _ in 0..3 {
            let mut listener = hub.subscribe(*account, None, Filter::all());
            listeners.push(tokio::spawn(async move {
                for seq in 1..=EACH as i64 {
                    let event = listener.recv().await.unwrap();
                    assert_eq!(event.seq, seq);
                    let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
                    assert_eq!(body["payload"], json!(seq - 1), "in the order published");
                    assert_eq!(body["seq"], json!(seq));
                    assert_eq!(body["account"]["uuid"], json!(event.account));
                }
            }));
        }
    }
    let mut choosy = hub.subscribe(accounts[0], None, Filter::types([EventType::Sms]));

    let start = Instant::now();
    for n in 0..EACH {
        for account in &accounts {
            let kind = if n % 2 == 0 { EventType::Sms } else { EventType::CallState };
            hub.publish(event(*account, kind, n)).unwrap();
        }
    }
    hub.flush().await;
    let rate = (ACCOUNTS * EACH) as f64 / start.elapsed().as_secs_f64();
    let stats = hub.stats();
    println!("{rate:.0} events/s on disk, {} commits", stats.commits);
    assert_eq!(stats.events, 10_000);
    assert_eq!(stats.lagged, 0);
    for listener in listeners {
        listener.await.unwrap();
    }
    for seq in (1..=EACH as i64).step_by(2) {
        let event = choosy.recv().await.unwrap();
        assert_eq!((event.seq, event.kind), (seq, EventType::Sms));
    }
}

#[tokio::test]
async fn a_slow_listener_is_dropped_and_resumes_by_replay() {
    let store = Store::in_memory().await.unwrap();
    let hub = Hub::start(store, Settings { buffer: 10, ..Settings::default() }).await.unwrap();
    let account = Uuid::new_v4();
    let mut slow = hub.subscribe(account, None, Filter::all());
    let mut other = hub.subscribe(account, None, Filter::all());
    hub.publish(event(account, EventType::Sms, 0)).unwrap();
    assert_eq!(slow.recv().await.unwrap().seq, 1);
    for n in 1..=400 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
        hub.flush().await;
        assert_eq!(other.recv().await.unwrap().seq, if n == 1 { 1 } else { n as i64 });
    }
    let Err(Ended::Lagged { after }) = slow.recv().await else { panic!("the buffer was full") };
    assert_eq!(after, 1);
    assert_eq!(hub.stats().lagged, 1);

    // More comes while it catches up: the log and what is sent meet without gap or repetition.
    let mut resumed = hub.subscribe_after(account, None, Filter::all(), after);
    for n in 401..=405 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
    }
    for seq in 2..=406 {
        assert_eq!(resumed.recv().await.unwrap().seq, seq);
    }
    hub.publish(event(account, EventType::Sms, 406)).unwrap();
    assert_eq!(resumed.recv().await.unwrap().seq, 407);
    assert_eq!(resumed.seen(), 407);
}

#[tokio::test]
async fn replay_skips_what_the_filter_leaves_out() {
    let store = Store::in_memory().await.unwrap();
    let hub = Hub::start(store, Settings::default()).await.unwrap();
    let account = Uuid::new_v4();
    for n in 0..600 {
        let kind = if n == 599 { EventType::Balance } else { EventType::Sms };
        hub.publish(event(account, kind, n)).unwrap();
    }
    hub.flush().await;
    let mut listener = hub.subscribe_after(account, None, Filter::types([EventType::Balance]), 0);
    assert_eq!(listener.recv().await.unwrap().seq, 600);
    hub.publish(event(account, EventType::Balance, 600)).unwrap();
    assert_eq!(listener.recv().await.unwrap().seq, 601);
}

#[tokio::test]
async fn numbering_goes_on_after_a_restart() {
    let (_dir, store) = on_disk().await;
    let account = Uuid::new_v4();
    let hub = Hub::start(store.clone(), Settings::default()).await.unwrap();
    for n in 0..3 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
    }
    hub.close().await;
    assert_eq!(hub.publish(event(account, EventType::Sms, 3)), Err(Refused::Closed));
    let hub = Hub::start(store, Settings::default()).await.unwrap();
    hub.publish(event(account, EventType::Sms, 3)).unwrap();
    hub.flush().await;
    let seqs: Vec<i64> = hub.replay(account, 1, 100).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [2, 3, 4]);
}

#[tokio::test]
async fn closing_ends_subscriptions_after_their_last_event() {
    let hub = Hub::start(Store::in_memory().await.unwrap(), Settings::default()).await.unwrap();
    let account = Uuid::new_v4();
    let mut listener = hub.subscribe(account, None, Filter::all());
    hub.publish(event(account, EventType::Sms, 0)).unwrap();
    hub.close().await;
    assert_eq!(listener.recv().await.unwrap().seq, 1);
    assert!(matches!(listener.recv().await, Err(Ended::Closed)));
}

#[tokio::test]
async fn call_records_and_logs_are_written_with_their_events() {
    let store = Store::in_memory().await.unwrap();
    let hub = Hub::start(store.clone(), Settings::default()).await.unwrap();
    let account = Uuid::new_v4();
    let mut record = call(account);
    for state in CallState::ALL {
        record.state = *state;
        hub.record(Write::CallRecord(Arc::new(record.clone()))).unwrap();
        hub.publish(NewEvent::call_state(&record, &json!({}))).unwrap();
    }
    for position in 0..3 {
        hub.record(Write::FlowLog(Box::new(log(&record, position)))).unwrap();
    }
    hub.flush().await;
    assert_eq!(store.calls().get(account, record.uuid).await.unwrap().state, CallState::Destroyed);
    assert_eq!(store.calls().logs(account, record.uuid).await.unwrap().len(), 3);
    assert_eq!(hub.replay(account, 0, 100).await.unwrap().len(), 5);
}

/// What was told of each charge: the balance, and whether it was the last of its account.
#[derive(Debug, Clone, Default)]
struct Told(Arc<std::sync::Mutex<Vec<(Money, bool)>>>);

impl Booked for Told {
    fn booked(&self, balance: Money, last: bool) {
        self.0.lock().unwrap().push((balance, last));
    }
}

/// An account with a balance of 1.
async fn paying() -> (Store, Uuid, Hub) {
    let store = Store::in_memory().await.unwrap();
    let new = NewAccount {
        name: "a".into(),
        email: "a@example.com".into(),
        balance: Money::units(1),
        ..NewAccount::default()
    };
    let account = store.accounts().create(new).await.unwrap().uuid;
    let hub = Hub::start(store.clone(), Settings::default()).await.unwrap();
    (store, account, hub)
}

#[tokio::test]
async fn what_calls_have_cost_is_booked_with_their_last_records() {
    let (store, account, hub) = paying().await;
    let told = Told::default();
    let mut records: Vec<CallRecord> = (0..3).map(|_| call(account)).collect();
    for record in &mut records {
        hub.record(Write::CallRecord(Arc::new(record.clone()))).unwrap();
        record.state = CallState::Destroyed;
        let transaction = NewTransaction::charge(Money::micros(600_000), RefType::VoiceOutgoing, record.uuid, "Call");
        let charge = Charge { transaction, booked: Box::new(told.clone()) };
        hub.record(Write::Charged(Arc::new(record.clone()), Arc::new(charge))).unwrap();
    }
    hub.flush().await;
    // They were together in the queue: one commit. What was used is owed, beyond the balance too.
    let owed = Money::micros(-800_000);
    assert_eq!(*told.0.lock().unwrap(), [(owed, false), (owed, false), (owed, true)]);
    assert_eq!(store.accounts().get(account).await.unwrap().balance, owed);
    for record in records {
        assert_eq!(store.calls().get(account, record.uuid).await.unwrap().state, CallState::Destroyed);
        let filter = TransactionFilter { ref_uuid: Some(record.uuid), ..TransactionFilter::default() };
        let booked = store.transactions().search(account, filter, Search::default()).await.unwrap().data;
        assert_eq!(booked.iter().map(|booked| booked.amount).collect::<Vec<_>>(), [Money::micros(-600_000)]);
        assert_eq!(booked[0].account_balance_after, booked[0].account_balance_before + booked[0].amount);
    }
}

#[tokio::test]
async fn what_has_no_row_is_charged_with_what_is_written_beside_it() {
    let (store, account, hub) = paying().await;
    let told = Told::default();
    let what = Uuid::new_v4();
    let charge = |of| Charge {
        transaction: NewTransaction::charge(Money::micros(100_000), of, what, "Speech"),
        booked: Box::new(told.clone()),
    };
    hub.record(Write::Charge { account, charge: Arc::new(charge(RefType::Tts)) }).unwrap();
    let waiting = Transcript {
        uuid: Uuid::new_v4(),
        created_on: now(),
        modified_on: now(),
        account,
        record: what,
        state: TranscriptState::Waiting,
        language: "en-US".into(),
        engine: None,
        text: None,
        words: Json(Vec::new()),
        error: None,
    };
    hub.record(Write::Transcript(waiting.clone().into(), None)).unwrap();
    let done = Transcript { state: TranscriptState::Done, text: Some("yes".into()), ..waiting };
    hub.record(Write::Transcript(done.clone().into(), Some(Arc::new(charge(RefType::Asr))))).unwrap();
    hub.flush().await;
    let left = Money::micros(800_000);
    assert_eq!(*told.0.lock().unwrap(), [(left, false), (left, true)]);
    assert_eq!(store.transcripts().of_record(account, what).await.unwrap(), done);
    for kind in [RefType::Tts, RefType::Asr] {
        let filter = TransactionFilter { ref_type: Some(kind), ref_uuid: Some(what), ..TransactionFilter::default() };
        assert_eq!(store.transactions().search(account, filter, Search::default()).await.unwrap().total, Some(1));
    }
}

#[tokio::test]
async fn a_row_the_database_refuses_takes_nothing_with_it() {
    let store = Store::in_memory().await.unwrap();
    let hub = Hub::start(store.clone(), Settings::default()).await.unwrap();
    let account = Uuid::new_v4();
    let record = call(account);
    let first = log(&record, 0);
    hub.record(Write::FlowLog(Box::new(first.clone()))).unwrap();
    hub.flush().await;
    // The same log again: its key is taken.
    hub.record(Write::FlowLog(Box::new(first))).unwrap();
    hub.record(Write::CallRecord(Arc::new(record.clone()))).unwrap();
    hub.publish(NewEvent::call_state(&record, &json!({}))).unwrap();
    hub.publish(NewEvent::call_state(&record, &json!({}))).unwrap();
    hub.flush().await;
    assert_eq!(hub.stats().rejected, 1);
    assert_eq!(store.calls().get(account, record.uuid).await.unwrap().uuid, record.uuid);
    let seqs: Vec<i64> = hub.replay(account, 0, 100).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [1, 2]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_so_before() {
    let hub = Hub::start(Store::in_memory().await.unwrap(), Settings { queue: 4, ..Settings::default() }).await;
    let hub = hub.unwrap();
    let account = Uuid::new_v4();
    assert_eq!(hub.pressure(), 0.0);
    // Nothing runs between these: the writer has no chance to take any.
    for n in 0..4 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
    }
    assert_eq!(hub.pressure(), 1.0);
    assert_eq!(hub.publish(event(account, EventType::Sms, 4)), Err(Refused::Full));
    assert_eq!(hub.stats().refused, 1);
    hub.flush().await;
    assert_eq!(hub.replay(account, 0, 100).await.unwrap().len(), 4);
}

#[tokio::test]
async fn the_log_is_pruned_by_count_and_age_but_never_empty() {
    let store = Store::in_memory().await.unwrap();
    let settings = Settings { keep_count: 3, ..Settings::default() };
    let hub = Hub::start(store.clone(), settings).await.unwrap();
    let account = Uuid::new_v4();
    for n in 0..10 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
    }
    hub.flush().await;
    assert_eq!(store.events().oldest(account).await.unwrap(), Some(8), "the first seven go");
    let seqs: Vec<i64> = hub.replay(account, 0, 100).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [8, 9, 10]);
    // Everything is older than tomorrow.
    store.events().prune_older(now() + Duration::from_secs(86_400), 100).await.unwrap();
    assert_eq!(store.events().oldest(account).await.unwrap(), Some(10));
}

#[tokio::test]
async fn online_and_filters_follow_the_user() {
    let hub = Hub::start(Store::in_memory().await.unwrap(), Settings::default()).await.unwrap();
    let (account, user) = (Uuid::new_v4(), Uuid::new_v4());
    assert!(!hub.online(account, user));
    let mut plain = hub.subscribe(account, Some(user), Filter::all());
    let mut own = hub.subscribe(account, Some(user), Filter::types([EventType::Sms]));
    assert!(hub.online(account, user));
    hub.refilter(account, user, &Filter::of_subscriptions(&[], opentact_store::types::Channel::Wss));
    hub.publish(event(account, EventType::Balance, 0)).unwrap();
    hub.publish(event(account, EventType::Sms, 1)).unwrap();
    assert_eq!(plain.recv().await.unwrap().seq, 1);
    assert_eq!(own.recv().await.unwrap().seq, 2);
    drop((plain, own));
    assert!(!hub.online(account, user));
}

#[tokio::test]
async fn a_log_that_cannot_be_read_ends_the_subscription() {
    let store = Store::in_memory().await.unwrap();
    let hub = Hub::start(store.clone(), Settings::default()).await.unwrap();
    let mut listener = hub.subscribe_after(Uuid::new_v4(), None, Filter::all(), 0);
    store.close().await.unwrap();
    assert!(matches!(listener.recv().await, Err(Ended::Store(StoreError::Database(_)))));
}

#[tokio::test]
async fn what_comes_soon_after_a_commit_is_written_together() {
    let store = Store::in_memory().await.unwrap();
    let account = store.accounts().create(NewAccount::default()).await.unwrap().uuid;
    let settings = Settings { batch: 4, commit_every: Duration::from_secs(3600), ..Settings::default() };
    let hub = Hub::start(store, settings).await.unwrap();
    let mut listener = hub.subscribe(account, None, Filter::all());
    hub.publish(event(account, EventType::Sms, 0)).unwrap();
    assert_eq!(listener.recv().await.unwrap().seq, 1, "after a silence an event waits for nothing");
    for n in 1..4 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
    }
    hub.flush().await;
    assert_eq!(hub.stats().commits, 2, "a flush does not wait for the hour, and finds them together");
    for n in 4..8 {
        hub.publish(event(account, EventType::Sms, n)).unwrap();
    }
    for seq in 2..=8 {
        assert_eq!(listener.recv().await.unwrap().seq, seq, "nor does a full batch");
    }
}

#[tokio::test]
async fn who_is_to_be_told_by_http_is_written_with_the_event() {
    let store = Store::in_memory().await.unwrap();
    let new = NewAccount { name: "ada".into(), email: "ada@example.com".into(), ..NewAccount::default() };
    let user = NewUser::new("ada@example.com", "correct horse", Role::Admin);
    let (account, user) = store.users().sign_up(new, user).await.unwrap();
    let (account, user) = (account.uuid, user.uuid);
    let hub = Hub::start(store.clone(), Settings::default()).await.unwrap();
    let mut outbox = hub.outbox().unwrap();
    assert!(hub.outbox().is_none() && outbox.is_behind() && !outbox.is_behind());
    let new = NewSubscription {
        channel: Channel::Webhook,
        kind: EventType::Sms,
        is_active: true,
        expired_on: None,
        url: Some("https://example.com/told".into()),
        failover_url: None,
        secret: None,
        filters: Some(Filters([("payload".to_owned(), vec![json!(1), json!(2)])].into())),
    };
    let subscription = store.subscriptions().create(account, user, new).await.unwrap().uuid;
    let app = Uuid::new_v4();
    hub.publish(event(account, EventType::Sms, 1)).unwrap();
    hub.publish(event(account, EventType::Sms, 3)).unwrap();
    hub.publish(event(account, EventType::Balance, 1)).unwrap();
    hub.publish(event(Uuid::new_v4(), EventType::Sms, 1)).unwrap();
    hub.publish(event(account, EventType::Sms, 2).for_app(Some(app))).unwrap();
    hub.flush().await;
    let mut waiting = store.webhooks().waiting(subscription, 100).await.unwrap();
    waiting.extend(store.webhooks().waiting(app, 100).await.unwrap());
    let told: Vec<_> = waiting.iter().map(|d| (d.account, d.seq, d.subscription, d.sip_control_app)).collect();
    let expected = [(1, Some(subscription), None), (4, None, Some(app)), (4, Some(subscription), None)];
    assert_eq!(told.len(), 3);
    for (seq, subscription, app) in expected {
        assert!(told.contains(&(account, seq, subscription, app)), "{told:?}");
    }
    assert_eq!(&*waiting[0].body, &*hub.replay(account, 0, 1).await.unwrap()[0].body);
    let handed: Vec<_> = std::iter::from_fn(|| outbox.try_next()).map(|delivery| delivery.uuid).collect();
    assert!(handed.len() == 3 && waiting.iter().all(|delivery| handed.contains(&delivery.uuid)));

    store.subscriptions().delete(account, user, subscription).await.unwrap();
    hub.publish(event(account, EventType::Sms, 1)).unwrap();
    hub.close().await;
    assert!(outbox.next().await.is_none(), "a deletion counts at once, and a closed hub has nothing more");
}
