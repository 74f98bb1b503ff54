//! The queue with the simulated SMSC over real loopback TCP, and with carriers that misbehave on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ground;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use ground::{Ground, OTHER, OURS, SEND_PRICE, a_minute, new_sms, soon};
use opentact_carrier::Incoming;
use opentact_carrier::dev::smsc::leases_of;
use opentact_carrier::dev::{Smsc, SmscConfig};
use opentact_carrier::messages::{Messages, MessagesConfig};
use opentact_carrier::messaging::{CarrierConfig, Messaging};
use opentact_carrier::smpp::{SmppCarrier, SmppConfig};
use opentact_engine::ports::{
    CarrierMessage, CarrierSubmit, ControlError, InboundSegment, MessageCarrier, MessageControl, PreviewMessage,
    ReceiptState, SendMessage, Sender, Submission,
};
use opentact_events::{Filter, Subscription};
use opentact_store::messaging_profiles::{NewMessagingProfile, OptOutRules};
use opentact_store::sms::{Consequences, NewSms, SmsFilter, Waiting};
use opentact_store::types::{EventType, Priority, SmsState, SmsType};
use opentact_store::{Money, Search};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

/// A carrier made of a closure; counts how many messages it has at once.
struct Fake {
    name: &'static str,
    answer: Box<dyn Fn(CarrierSubmit) -> Answer + Send + Sync>,
    now: AtomicUsize,
    most: AtomicUsize,
    submitted: Mutex<Vec<CarrierSubmit>>,
}

enum Answer {
    Now(Submission),
    /// Once notified.
    Then(Arc<Notify>, Submission),
}

impl Fake {
    fn new(answer: impl Fn(CarrierSubmit) -> Answer + Send + Sync + 'static) -> Arc<Fake> {
        Fake::named("fake", answer)
    }

    fn named(name: &'static str, answer: impl Fn(CarrierSubmit) -> Answer + Send + Sync + 'static) -> Arc<Fake> {
        Arc::new(Fake {
            name,
            answer: Box::new(answer),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            submitted: Mutex::default(),
        })
    }

    fn accepting() -> Arc<Fake> {
        Fake::new(|message| Answer::Now(Submission::Accepted { references: vec![message.id.to_string()] }))
    }

    fn busy() -> Arc<Fake> {
        Fake::new(|_| Answer::Now(later("busy", 5)))
    }

    fn texts(&self) -> Vec<String> {
        self.submitted.lock().iter().map(|message| message.text.clone()).collect()
    }
}

fn later(reason: &str, millis: u64) -> Submission {
    Submission::Later { after: Duration::from_millis(millis), reason: reason.into(), taken: vec![] }
}

#[async_trait]
impl MessageCarrier for Fake {
    fn name(&self) -> &str {
        self.name
    }

    async fn submit(&self, message: CarrierSubmit) -> Submission {
        self.submitted.lock().push(message.clone());
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let submission = match (self.answer)(message) {
            Answer::Now(submission) => submission,
            Answer::Then(notify, submission) => {
                notify.notified().await;
                submission
            }
        };
        self.now.fetch_sub(1, Ordering::SeqCst);
        submission
    }
}

impl Ground {
    fn listen(&self) -> Ear {
        let filter = Filter::types([EventType::Sms, EventType::Balance]);
        Ear { subscription: self.hub.subscribe(self.account, None, filter), balances: vec![] }
    }

    async fn messages(&self, carrier: Arc<dyn MessageCarrier>, config: MessagesConfig) -> Running {
        self.with_carriers(vec![carrier], config).await
    }

    async fn with_carriers(&self, carriers: Vec<Arc<dyn MessageCarrier>>, config: MessagesConfig) -> Running {
        let (tell, incoming) = mpsc::channel(100);
        let messages = Messages::start(self.store.clone(), self.hub.clone(), carriers, incoming, None, config).await;
        Running { messages: messages.unwrap(), tell }
    }
}

struct Running {
    messages: Arc<Messages>,
    tell: mpsc::Sender<Incoming>,
}

impl Running {
    async fn send(&self, request: SendMessage) -> Vec<Value> {
        let results = self.messages.send(request).await.unwrap();
        results.into_iter().map(|result| result.unwrap()).collect()
    }

    /// What the carrier tells; whether it was taken.
    async fn tell(&self, message: CarrierMessage) -> bool {
        let (taken, answer) = oneshot::channel();
        self.tell.send(Incoming { carrier: "fake".into(), message, taken }).await.unwrap();
        soon("acknowledgement", answer).await.unwrap()
    }

    async fn text(&self, from: u64, text: &str) {
        assert!(self.tell(CarrierMessage::Inbound { from, to: OURS, text: text.into(), reference: None }).await);
    }

    async fn drain(&self) {
        soon("drain", self.messages.drain()).await;
    }
}

/// Hears the events of messages.
struct Ear {
    subscription: Subscription,
    balances: Vec<Value>,
}

impl Ear {
    async fn next(&mut self) -> Value {
        loop {
            let event = soon("event", self.subscription.recv()).await.unwrap();
            let event: Value = serde_json::from_str(&event.body).unwrap();
            if event["type"] == "sms" {
                return event;
            }
            self.balances.push(event);
        }
    }

    /// `type state delivered` of the next events.
    async fn states(&mut self, count: usize) -> Vec<String> {
        let mut states = vec![];
        for _ in 0..count {
            let event = self.next().await;
            let payload = &event["payload"];
            let word = |key: &str| payload[key].as_str().unwrap().to_owned();
            assert_eq!(event["message"], format!("SMS: type: {}, state: {}", word("type"), word("state")));
            let delivered = if payload["delivered"].as_bool().unwrap() { " delivered" } else { "" };
            states.push(format!("{} {}{delivered}", word("type"), word("state")));
        }
        states
    }

    /// The events up to the one that settles `uuid`, of that message.
    async fn until(&mut self, uuid: &Value, settled: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = vec![];
        loop {
            let event = self.next().await;
            if event["ref_id"] == *uuid {
                seen.push(event["payload"].clone());
                if settled(&event["payload"]) {
                    return seen;
                }
            }
        }
    }
}

/// The ground with the simulated network on it.
struct Network {
    ground: Ground,
    smsc: Arc<Smsc>,
    carrier: Arc<SmppCarrier>,
    messages: Arc<Messages>,
    ear: Ear,
}

impl Network {
    async fn new() -> Network {
        let ground = Ground::new().await;
        let config = SmscConfig { delivery: Duration::from_millis(20), ..SmscConfig::default() };
        let smsc = Arc::new(Smsc::start(config, Some(leases_of(ground.store.clone()))).await.unwrap());
        let (tell, incoming) = mpsc::channel(100);
        let mut config = SmppConfig::new("dev", smsc.address().to_string(), "opentact", "opentact");
        config.throttle_pause = Duration::from_millis(10);
        let carrier = SmppCarrier::start(config, tell);
        let ear = ground.listen();
        let messages = Messages::start(
            ground.store.clone(),
            ground.hub.clone(),
            vec![carrier.clone() as Arc<dyn MessageCarrier>],
            incoming,
            Some(smsc.clone()),
            MessagesConfig::default(),
        );
        let messages = messages.await.unwrap();
        Network { ground, smsc, carrier, messages, ear }
    }

    async fn send(&self, to: u64, text: &str) -> Value {
        let mut results = self.messages.send(self.ground.request(&[to], text)).await.unwrap();
        results.pop().unwrap().unwrap()
    }

    async fn shutdown(self) {
        soon("drain", self.messages.drain()).await;
        soon("shutdown", self.carrier.shutdown()).await;
        soon("shutdown", self.smsc.shutdown()).await;
    }
}

#[tokio::test]
async fn a_message_is_created_sent_charged_and_delivered() {
    let mut network = Network::new().await;
    let sms = network.send(12125550199, "hello").await;
    assert_eq!((&sms["type"], &sms["state"], &sms["to"]), (&"smso".into(), &"created".into(), &12125550199_u64.into()));
    assert_eq!((&sms["segments"], &sms["encoding"]), (&1.into(), &"gsm".into()));
    assert_eq!(sms["thread"].as_str().unwrap().len(), 32);
    assert_eq!(network.ear.states(3).await, ["smso created", "smso success", "smso success delivered"]);
    assert_eq!(network.ground.balance().await, Money::units(100) - Money::micros(SEND_PRICE));
    assert_eq!(network.ear.balances[0]["source_action"], "sms_per_send");
    let uuid = sms["uuid"].as_str().unwrap().parse().unwrap();
    let row = network.ground.store.sms().get(network.ground.account, uuid).await.unwrap();
    assert!(row.delivered && row.reference_id.is_some());
    assert_eq!(network.ground.store.sms().queue_length().await.unwrap(), 0);
    network.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0110_fails_and_costs_nothing() {
    let mut network = Network::new().await;
    let sms = network.send(12065550110, "hello").await;
    let seen = network.ear.until(&sms["uuid"], |sms| sms["state"] == "failed").await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1]["reason"], "ESME_RSUBMITFAIL");
    assert_eq!(network.ground.balance().await, Money::units(100));
    network.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0111_is_never_delivered() {
    let mut network = Network::new().await;
    let silent = network.send(12065550111, "hello").await;
    network.ear.until(&silent["uuid"], |sms| sms["state"] == "success").await;
    let later = network.send(12065550199, "hello").await;
    network.ear.until(&later["uuid"], |sms| sms["delivered"] == true).await;
    let uuid = silent["uuid"].as_str().unwrap().parse().unwrap();
    assert!(!network.ground.store.sms().get(network.ground.account, uuid).await.unwrap().delivered);
    network.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0112_fails_by_its_receipt() {
    let mut network = Network::new().await;
    let sms = network.send(12065550112, "hello").await;
    let seen = network.ear.until(&sms["uuid"], |sms| sms["state"] == "failed").await;
    let states: Vec<_> = seen.iter().map(|sms| sms["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["created", "success", "failed"]);
    assert_eq!((&seen[2]["reason"], &seen[2]["delivered"]), (&"UNDELIV, error 001".into(), &false.into()));
    network.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0113_is_throttled_and_then_delivered() {
    let mut network = Network::new().await;
    network.send(12065550113, "hello").await;
    assert_eq!(network.ear.states(3).await, ["smso created", "smso success", "smso success delivered"]);
    network.shutdown().await;
}

#[tokio::test]
async fn a_message_between_own_numbers_goes_out_and_comes_in() {
    let mut network = Network::new().await;
    let text = "to myself: ä € [ok] 🙂 ".repeat(10);
    let sms = network.send(OTHER, &text).await;
    let mut out = vec![];
    let mut inbound = vec![];
    for _ in 0..5 {
        let payload = network.ear.next().await["payload"].take();
        let list = if payload["type"] == "smso" { &mut out } else { &mut inbound };
        list.push(payload);
    }
    assert_eq!(out.last().unwrap()["delivered"], true);
    let [created, success] = &inbound[..] else { panic!("{inbound:?}") };
    assert_eq!((&created["state"], &success["state"]), (&"created".into(), &"success".into()));
    assert_eq!(success["message"], text);
    assert_eq!((&success["from"], &success["to"]), (&OURS.to_string().into(), &OTHER.to_string().into()));
    assert_eq!(success["thread"], sms["thread"]);
    assert_eq!(success["tn"]["tn"], OTHER);
    network.shutdown().await;
}

#[tokio::test]
async fn the_outside_world_texts_a_number() {
    let mut network = Network::new().await;
    let account = network.ground.account;
    let told = network.messages.dev_message(account, 12065550123, OURS, "hello from outside".into()).await.unwrap();
    assert_eq!((&told["segments"], &told["encoding"]), (&1.into(), &"gsm".into()));
    assert_eq!(network.ear.states(2).await, ["smsi created", "smsi success"]);
    assert_eq!(network.ground.balance().await, Money::units(100) - Money::micros(SEND_PRICE));
    let refused = network.messages.dev_message(account, 12065550123, 12065550124, "x".into()).await;
    assert_eq!(refused, Err(ControlError::NotFound("TNLease")));
    network.shutdown().await;
}

#[tokio::test]
async fn the_simulated_network_wires_itself() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let carriers = vec![CarrierConfig::Dev(SmscConfig::default())];
    let messaging =
        Messaging::start(&ground.store, &ground.hub, carriers, MessagesConfig::default(), None).await.unwrap();
    assert_ne!(messaging.smsc_address().unwrap().port(), 0);
    messaging.control().send(ground.request(&[12125550199], "x")).await.unwrap();
    assert_eq!(ear.states(3).await, ["smso created", "smso success", "smso success delivered"]);
    soon("drain", messaging.drain()).await;
}

#[tokio::test]
async fn typography_goes_out_plain_and_is_kept_as_written() {
    let ground = Ground::new().await;
    let carrier = Fake::accepting();
    let mut ear = ground.listen();
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    let sent = running.send(ground.request(&[12125550199], "“Don’t” – …")).await;
    assert_eq!((&sent[0]["message"], &sent[0]["encoding"]), (&"“Don’t” – …".into(), &"gsm".into()));
    ear.states(2).await;
    assert_eq!(carrier.texts(), ["\"Don't\" - ..."]);
    running.drain().await;
}

#[tokio::test]
async fn what_is_wrong_names_its_field() {
    let ground = Ground::new().await;
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    let send = async |request: SendMessage| running.messages.send(request).await;

    let too_long = send(ground.request(&[12125550199], &"x".repeat(919))).await.unwrap_err();
    let ControlError::Invalid { field: "message", message, .. } = too_long else { panic!("{too_long:?}") };
    assert_eq!(message, "takes 7 segments, at most 6 are allowed");
    assert!(send(ground.request(&[12125550199], &"x".repeat(918))).await.is_ok());

    let empty = send(ground.request(&[12125550199], "")).await;
    assert!(matches!(empty, Err(ControlError::Invalid { field: "message", .. })), "{empty:?}");
    let nobody = send(ground.request(&[], "x")).await;
    assert!(matches!(nobody, Err(ControlError::Invalid { field: "to", .. })), "{nobody:?}");
    let others = SendMessage { from: Sender::Number(12065550188), ..ground.request(&[12125550199], "x") };
    assert_eq!(send(others).await, Err(ControlError::NotFound("TNLease")));

    let results = send(ground.request(&[12125550199, 5], "x")).await.unwrap();
    assert!(results[0].is_ok());
    assert!(matches!(results[1], Err(ControlError::Invalid { field: "to", .. })), "{:?}", results[1]);
    running.drain().await;
    let drained = send(ground.request(&[12125550199], "x")).await;
    assert!(matches!(drained, Err(ControlError::Unavailable { .. })), "{drained:?}");
}

#[tokio::test]
async fn a_balance_pays_for_what_it_can() {
    let ground = Ground::with_balance(Money::micros(2 * SEND_PRICE)).await;
    let mut ear = ground.listen();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    let to = [12125550197, 12125550198, 12125550199];
    let results = running.messages.send(ground.request(&to, "x")).await.unwrap();
    assert_eq!(results[2], Err(ControlError::InsufficientBalance));
    assert!(results[0].is_ok() && results[1].is_ok());
    ear.states(4).await;
    assert_eq!(ground.balance().await, Money::ZERO);
    running.drain().await;
}

#[tokio::test]
async fn a_balance_that_is_gone_fails_what_waited() {
    let ground = Ground::with_balance(Money::micros(SEND_PRICE)).await;
    let mut ear = ground.listen();
    // Two messages that were queued while there was money.
    let queued = (0..2).map(|at| new_sms(12125550190 + at)).collect();
    ground.store.sms().enqueue(ground.account, queued, a_minute()).await.unwrap();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    ear.states(2).await;
    let mut ends = HashMap::new();
    for _ in 0..2 {
        let payload = ear.next().await["payload"].take();
        ends.insert(payload["state"].as_str().unwrap().to_owned(), payload["reason"].clone());
    }
    assert_eq!(ends["failed"], "405 Insufficient Balance");
    assert_eq!(ends["success"], Value::Null);
    assert_eq!(ground.balance().await, Money::ZERO);
    running.drain().await;
}

#[tokio::test]
async fn nobody_takes_it_in_time() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let carrier = Fake::busy();
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    let request = SendMessage { validity: Some(Duration::from_secs(1)), ..ground.request(&[12125550199], "x") };
    let sent = running.send(request).await;
    let seen = ear.until(&sent[0]["uuid"], |sms| sms["state"] == "failed").await;
    assert_eq!(seen.len(), 2, "nothing is told of the attempts");
    assert_eq!(seen[1]["reason"], "Queuing Timeout");
    assert!(carrier.texts().len() > 1);
    assert_eq!(ground.balance().await, Money::units(100));
    running.drain().await;
}

#[tokio::test]
async fn what_is_put_off_is_tried_again() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let tries = AtomicUsize::new(0);
    let carrier = Fake::new(move |message| {
        Answer::Now(match tries.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => later("throttled", 5),
            _ => Submission::Accepted { references: vec![message.id.to_string()] },
        })
    });
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    running.send(ground.request(&[12125550199], "x")).await;
    assert_eq!(ear.states(2).await, ["smso created", "smso success"]);
    assert_eq!(carrier.texts().len(), 3);
    running.drain().await;
}

#[tokio::test]
async fn a_restart_sends_what_was_queued_and_nothing_twice() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let stubborn = Fake::new(|message| {
        Answer::Now(if message.to % 2 == 0 {
            Submission::Accepted { references: vec![message.id.to_string()] }
        } else {
            later("busy", 1)
        })
    });
    let first = ground.messages(stubborn.clone(), MessagesConfig::default()).await;
    let to: Vec<u64> = (0..20).map(|at| 12125550170 + at).collect();
    let sent = first.send(ground.request(&to, "x")).await;
    ear.states(30).await;
    first.drain().await;
    assert_eq!(ground.store.sms().queue_length().await.unwrap(), 10);

    let willing = Fake::accepting();
    let second = ground.messages(willing.clone(), MessagesConfig::default()).await;
    ear.states(10).await;
    second.drain().await;
    let again: Vec<u64> = willing.submitted.lock().iter().map(|message| message.to).collect();
    assert_eq!(again.len(), 10);
    assert!(again.iter().all(|to| to % 2 == 1), "{again:?}");
    for sms in sent {
        let uuid = sms["uuid"].as_str().unwrap().parse().unwrap();
        assert_eq!(ground.store.sms().get(ground.account, uuid).await.unwrap().state, SmsState::Success);
    }
    assert_eq!(ground.balance().await, Money::units(100) - Money::micros(SEND_PRICE).times(20));
}

#[tokio::test]
async fn a_message_that_was_sending_at_a_crash_is_sent_once_more_and_says_so() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let queued = vec![new_sms(12125550198), new_sms(12125550199)];
    let queued = ground.store.sms().enqueue(ground.account, queued, a_minute()).await.unwrap();
    // A run that has died with both, and one before it with the second.
    for count in [1, 2] {
        let claimed = ground.store.sms().claim(count, Duration::ZERO).await.unwrap();
        assert_eq!(claimed.len() as u64, count);
    }
    let carrier = Fake::accepting();
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    assert_eq!(ear.states(2).await, ["smso created", "smso created"]);
    let mut ends = HashMap::new();
    for _ in 0..2 {
        let payload = ear.next().await["payload"].take();
        assert_eq!(payload["repeated"], true);
        ends.insert(payload["state"].as_str().unwrap().to_owned(), payload["reason"].clone());
    }
    assert_eq!(ends["failed"], "No answer from the carrier", "it left twice");
    assert_eq!(ends["success"], Value::Null);
    assert_eq!(carrier.texts().len(), 1);
    assert_eq!(queued.len(), 2);
    running.drain().await;
}

#[tokio::test]
async fn what_was_written_and_not_told_of_is_told_of_at_the_next_start_and_once() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    // As after a kill between the transaction and its events.
    ground.store.sms().enqueue(ground.account, vec![new_sms(12125550199)], a_minute()).await.unwrap();
    let inbound = NewSms { kind: SmsType::Inbound, ..new_sms(12125550198) };
    ground.store.sms().receive(ground.account, inbound, |_| Consequences::default()).await.unwrap();
    for _ in 0..2 {
        let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
        soon("the end of the queue", async { while ground.store.sms().queue_length().await.unwrap() > 0 {} }).await;
        running.drain().await;
    }
    let told = ["smso created", "smsi created", "smsi success", "smso success"];
    assert_eq!(ear.states(4).await, told);
    ground.hub.flush().await;
    assert!(ground.store.sms().untold(0, 10).await.unwrap().is_empty());
    let all = ground.hub.replay(ground.account, 0, 100).await.unwrap();
    let count = |kind| all.iter().filter(|event| event.kind == kind).count();
    assert_eq!(count(EventType::Sms), told.len());
    assert_eq!(count(EventType::Balance), 2, "as the kill left it, and when the message was charged");
}

#[tokio::test]
async fn what_was_not_answered_is_repeated_once_at_the_same_carrier() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let lost = || Answer::Now(Submission::Unanswered { reason: "lost".into(), taken: vec![] });
    let mute = Fake::named("mute", move |_| lost());
    let other =
        Fake::named("other", |message| Answer::Now(Submission::Accepted { references: vec![message.id.to_string()] }));
    let carriers: Vec<Arc<dyn MessageCarrier>> = vec![mute.clone(), other.clone()];
    let running = ground.with_carriers(carriers, MessagesConfig::default()).await;
    let sent = running.send(ground.request(&[12125550199], "x")).await;
    let seen = ear.until(&sent[0]["uuid"], |sms| sms["state"] == "failed").await;
    let end = seen.last().unwrap();
    assert_eq!((&end["reason"], &end["repeated"]), (&"No answer from the carrier".into(), &true.into()));
    assert_eq!((&end["carrier"], &end["attempts"]), (&"mute".into(), &2.into()));
    let ids: Vec<Uuid> = mute.submitted.lock().iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert!(other.texts().is_empty());
    assert_eq!(ground.balance().await, Money::units(100));
    running.drain().await;
}

#[tokio::test]
async fn the_second_carrier_has_what_the_first_does_not_take() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let busy = Fake::named("busy", |_| Answer::Now(later("busy", 5)));
    let other =
        Fake::named("other", |message| Answer::Now(Submission::Accepted { references: vec![message.id.to_string()] }));
    let carriers: Vec<Arc<dyn MessageCarrier>> = vec![busy.clone(), other.clone()];
    let running = ground.with_carriers(carriers, MessagesConfig::default()).await;
    let sent = running.send(ground.request(&[12125550199], "x")).await;
    let seen = ear.until(&sent[0]["uuid"], |sms| sms["state"] == "success").await;
    let end = seen.last().unwrap();
    assert_eq!((&end["carrier"], &end["attempts"], &end["repeated"]), (&"other".into(), &1.into(), &false.into()));
    assert_eq!((busy.texts().len(), other.texts().len()), (1, 1));
    running.drain().await;
}

#[tokio::test]
async fn what_a_carrier_has_of_a_message_is_not_sent_again() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let first = AtomicUsize::new(0);
    let carrier = Fake::new(move |message| {
        Answer::Now(match first.fetch_add(1, Ordering::SeqCst) {
            0 => Submission::Later {
                after: Duration::from_millis(1),
                reason: "throttled".into(),
                taken: vec![Some("one".into()), None],
            },
            _ => {
                assert_eq!(message.taken, [Some("one".to_owned()), None]);
                Submission::Accepted { references: vec!["one".into(), "two".into()] }
            }
        })
    });
    let running = ground.messages(carrier, MessagesConfig::default()).await;
    let sent = running.send(ground.request(&[12125550199], &"я".repeat(100))).await;
    ear.until(&sent[0]["uuid"], |sms| sms["state"] == "success").await;
    assert_eq!(ground.balance().await, Money::units(100) - Money::micros(SEND_PRICE).times(2), "each segment is paid");
    // It is delivered when all of it is.
    let receipt = |reference: &str| CarrierMessage::Receipt {
        reference: reference.into(),
        state: ReceiptState::Delivered,
        error: None,
    };
    assert!(running.tell(receipt("two")).await);
    assert!(running.tell(receipt("two")).await);
    let uuid = sent[0]["uuid"].as_str().unwrap().parse().unwrap();
    assert!(!ground.store.sms().get(ground.account, uuid).await.unwrap().delivered);
    assert!(running.tell(receipt("one")).await);
    assert_eq!(ear.states(1).await, ["smso success delivered"]);
    running.drain().await;
}

#[tokio::test]
async fn urgent_messages_go_first_and_scheduled_ones_wait() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let now = Utc::now();
    let wait = |priority, send_at| Waiting { priority, send_at, ..a_minute() };
    let queue =
        async |to, waiting| ground.store.sms().enqueue(ground.account, vec![new_sms(to)], waiting).await.unwrap();
    queue(12125550101, wait(Priority::Low, None)).await;
    queue(12125550102, wait(Priority::Normal, None)).await;
    queue(12125550103, wait(Priority::High, None)).await;
    queue(12125550104, wait(Priority::High, Some(now + Duration::from_secs(3_600)))).await;
    let carrier = Fake::accepting();
    let config = MessagesConfig { concurrency: 1, ..MessagesConfig::default() };
    let running = ground.messages(carrier.clone(), config).await;
    // Four were made, three are sent.
    ear.states(4 + 3).await;
    assert_eq!(carrier.texts(), ["12125550103", "12125550102", "12125550101"]);
    let state = ground.store.sms().queue_state(ground.account).await.unwrap();
    assert_eq!((state.scheduled, state.waiting, state.sending, state.oldest), (1, 0, 0, None));
    running.drain().await;
}

#[tokio::test]
async fn a_scheduled_message_is_sent_at_its_time_or_taken_back() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    let at = |millis| Some(Utc::now() + Duration::from_millis(millis));
    let far = SendMessage { send_at: at(100 * 86_400_000), ..ground.request(&[12125550199], "x") };
    let refused = running.messages.send(far).await;
    assert!(matches!(refused, Err(ControlError::Invalid { field: "send_at", .. })), "{refused:?}");
    let later = SendMessage { send_at: at(3_600_000), ..ground.request(&[12125550199], "later") };
    let sent = running.send(later).await;
    let uuid: Uuid = sent[0]["uuid"].as_str().unwrap().parse().unwrap();
    let canceled = running.messages.cancel(ground.account, uuid).await.unwrap();
    assert_eq!((&canceled["state"], &canceled["reason"]), (&"failed".into(), &"Canceled".into()));
    let again = running.messages.cancel(ground.account, uuid).await;
    assert!(matches!(again, Err(ControlError::Conflict(_))), "{again:?}");
    ear.states(2).await;

    let soon =
        SendMessage { send_at: at(50), validity: Some(Duration::from_secs(5)), ..ground.request(&[12125550199], "s") };
    let sent = running.send(soon).await;
    assert!(sent[0]["send_at"].is_string());
    assert_eq!(ear.states(2).await, ["smso created", "smso success"]);
    let uuid = sent[0]["uuid"].as_str().unwrap().parse().unwrap();
    let row = ground.store.sms().get(ground.account, uuid).await.unwrap();
    assert!(row.modified_on >= row.send_at.unwrap());
    running.drain().await;
}

#[tokio::test]
async fn who_opts_out_is_sent_nothing_until_they_opt_in() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let carrier = Fake::accepting();
    let rules = OptOutRules {
        out_keywords: vec!["arrêt".into()],
        in_message: Some("Welcome back".into()),
        help_message: Some(String::new()),
        ..OptOutRules::default()
    };
    let profile = ground.profile(NewMessagingProfile { opt_out: rules, ..NewMessagingProfile::new("p") }).await;
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    const THEM: u64 = 12125550199;

    running.text(THEM, "yes").await;
    ear.states(2).await;
    running.text(THEM, "ARRÊT").await;
    assert_eq!(ear.states(4).await, ["smsi created", "smsi success", "smso created", "smso success"]);
    running.text(THEM, "stop").await;
    ear.states(2).await;
    assert_eq!(carrier.texts().len(), 1, "one answer, none to the yes of who was in");
    assert!(carrier.texts()[0].contains("START"), "{:?}", carrier.texts());
    // As one that waited while they opted out.
    let waited = NewSms { messaging_profile: Some(profile), ..new_sms(THEM) };
    let waited = ground.store.sms().enqueue(ground.account, vec![waited], a_minute()).await.unwrap();
    let results = running.messages.send(ground.request(&[THEM, 12125550198], "x")).await.unwrap();
    let refused = ControlError::Forbidden { code: 407, message: "Recipient Opted Out".into() };
    assert_eq!(results[0], Err(refused));
    assert!(results[1].is_ok());
    let uuid = waited[0].uuid.to_string().into();
    let failed = ear.until(&uuid, |sms| sms["state"] == "failed").await;
    assert_eq!(failed.last().unwrap()["reason"], "407 Recipient Opted Out");

    running.text(THEM, "help").await;
    running.text(THEM, "Start").await;
    let reply = loop {
        let payload = ear.next().await["payload"].take();
        if payload["message"] == "Welcome back" && payload["state"] == "success" {
            break payload;
        }
    };
    assert_eq!(reply["automated"], true);
    assert!(running.messages.send(ground.request(&[THEM], "x")).await.unwrap()[0].is_ok());
    running.drain().await;
}

#[tokio::test]
async fn a_profile_says_where_messages_may_go() {
    let ground = Ground::new().await;
    let countries = vec!["US".to_owned()];
    ground.profile(NewMessagingProfile { allowed_countries: countries, ..NewMessagingProfile::new("p") }).await;
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    let results = running.messages.send(ground.request(&[442079460000, 12125550199], "x")).await.unwrap();
    let refused = ControlError::Forbidden { code: 406, message: "Country Permission Violation".into() };
    assert_eq!(results[0], Err(refused));
    assert!(results[1].is_ok());
    running.drain().await;
}

#[tokio::test]
async fn a_pool_takes_turns_and_sticks() {
    let ground = Ground::new().await;
    let carrier = Fake::accepting();
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    let pool = |profile, to: &[u64]| SendMessage { from: Sender::Pool(profile), ..ground.request(to, "x") };
    let off = ground.profile(NewMessagingProfile::new("off")).await;
    let refused = running.messages.send(pool(off, &[12125550199])).await;
    assert!(matches!(refused, Err(ControlError::Invalid { field: "messaging_profile", .. })), "{refused:?}");

    let new = NewMessagingProfile { number_pool_enable: true, sticky_sender: true, ..NewMessagingProfile::new("on") };
    let on = ground.profile(new).await;
    let first = running.send(pool(on, &[13035550101, 13035550102])).await;
    assert_eq!(first[0]["type"], "smsr");
    assert_ne!(first[0]["from"], first[1]["from"]);
    assert_eq!(first[0]["tn"]["tn"].to_string(), first[0]["from"].as_str().unwrap());
    let again = running.send(pool(on, &[13035550102, 13035550101])).await;
    assert_eq!((&again[0]["from"], &again[1]["from"]), (&first[1]["from"], &first[0]["from"]));
    running.drain().await;
}

#[tokio::test]
async fn a_preview_counts_and_sends_nothing() {
    let ground = Ground::new().await;
    let carrier = Fake::accepting();
    let running = ground.messages(carrier.clone(), MessagesConfig::default()).await;
    let preview = async |text: &str| {
        let to = vec![12125550198, 12125550199];
        let request = PreviewMessage { account: ground.account, from: Sender::Number(OURS), to, text: text.into() };
        running.messages.preview(request).await.unwrap()
    };
    let plain = preview("“Hi” €").await;
    assert_eq!(
        (&plain["message"], &plain["encoding"], &plain["units"]),
        (&"\"Hi\" €".into(), &"gsm".into(), &7.into())
    );
    let long = preview(&"я".repeat(71)).await;
    assert_eq!((&long["segments"], &long["encoding"]), (&2.into(), &"ucs2".into()));
    assert_eq!((&long["price"], &long["total"]), (&0.015.into(), &0.03.into()));
    assert_eq!(preview(&"x".repeat(10_000)).await["segments"], 66);
    assert!(carrier.texts().is_empty());
    running.drain().await;
}

#[tokio::test]
async fn what_never_becomes_whole_is_kept_as_failed() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    for (number, octets) in [(3, "three"), (1, "one ")] {
        assert!(running.tell(segment(number, octets.as_bytes())).await);
    }
    running.drain().await;
    let config = MessagesConfig { patience: Duration::ZERO, ..MessagesConfig::default() };
    let running = ground.messages(Fake::accepting(), config).await;
    ear.states(1).await;
    let payload = ear.next().await["payload"].take();
    assert_eq!((&payload["state"], &payload["segments"]), (&"failed".into(), &2.into()));
    assert_eq!(payload["reason"], "Incomplete: 1 of 3 segments never came");
    running.drain().await;
}

fn segment(number: u8, octets: &[u8]) -> CarrierMessage {
    CarrierMessage::Segment(InboundSegment {
        from: 12125550199,
        to: OURS,
        data_coding: 0,
        reference: 300,
        total: 3,
        number,
        octets: octets.to_vec(),
    })
}

#[tokio::test]
async fn segments_that_came_before_a_restart_are_joined_with_those_after() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    // The euro sign of the extension table is cut in two; one segment comes twice.
    for (number, octets) in [(3, &b"e three"[..]), (2, b"two \x1b"), (2, b"two \x1b")] {
        assert!(running.tell(segment(number, octets)).await);
    }
    running.drain().await;
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    assert!(running.tell(segment(1, b"one ")).await);
    ear.states(1).await;
    let payload = ear.next().await["payload"].take();
    assert_eq!((&payload["state"], &payload["message"]), (&"success".into(), &"one two € three".into()));
    assert!(ground.store.sms().unfinished(Duration::ZERO, 0).await.unwrap().is_empty());
    running.drain().await;
}

#[tokio::test]
async fn an_unfinished_message_makes_room_for_another() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let config = MessagesConfig { segments: 1, ..MessagesConfig::default() };
    let running = ground.messages(Fake::accepting(), config).await;
    assert!(running.tell(segment(1, b"one")).await);
    let CarrierMessage::Segment(other) = segment(2, b"two") else { unreachable!() };
    assert!(running.tell(CarrierMessage::Segment(InboundSegment { reference: 301, ..other })).await);
    ear.states(1).await;
    let payload = ear.next().await["payload"].take();
    assert_eq!(payload["state"], "failed");
    running.drain().await;
    assert_eq!(ground.store.sms().unfinished(Duration::ZERO, 0).await.unwrap().len(), 1, "the other waits on");
}

#[tokio::test]
async fn what_a_carrier_tells_twice_by_its_id_is_there_once() {
    let ground = Ground::new().await;
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    for (reference, text) in [("a", "one"), ("a", "one"), ("b", "two")] {
        let (from, text, reference) = (12125550199, text.to_owned(), Some(reference.to_owned()));
        assert!(running.tell(CarrierMessage::Inbound { from, to: OURS, text, reference }).await);
    }
    let found = ground.store.sms().search(ground.account, SmsFilter::default(), Search::default()).await.unwrap();
    let mut texts: Vec<&str> = found.data.iter().map(|sms| &*sms.message).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["one", "two"]);
    running.drain().await;
}

#[tokio::test]
async fn a_drain_waits_for_what_is_at_the_carrier() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let release = Arc::new(Notify::new());
    let wait = release.clone();
    let carrier = Fake::new(move |message| {
        Answer::Then(wait.clone(), Submission::Accepted { references: vec![message.id.to_string()] })
    });
    let config = MessagesConfig { concurrency: 1, ..MessagesConfig::default() };
    let running = ground.messages(carrier.clone(), config).await;
    running.send(ground.request(&[12125550197, 12125550198], "x")).await;
    ear.states(2).await;
    let draining = tokio::spawn(async move { running.drain().await });
    release.notify_one();
    soon("drain", draining).await.unwrap();
    assert_eq!(ear.states(1).await, ["smso success"]);
    assert_eq!(ground.store.sms().queue_length().await.unwrap(), 1, "the other one waits for the next start");
}

#[tokio::test]
async fn no_more_than_the_limit_are_at_the_carrier() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let carrier = Fake::accepting();
    let config = MessagesConfig { concurrency: 3, ..MessagesConfig::default() };
    let running = ground.messages(carrier.clone(), config).await;
    let to: Vec<u64> = (0..40).map(|at| 12125550120 + at).collect();
    running.send(ground.request(&to, "x")).await;
    ear.states(80).await;
    assert!(carrier.most.load(Ordering::SeqCst) <= 3);
    assert_eq!(carrier.texts().len(), 40);
    running.drain().await;
}

#[tokio::test]
async fn a_receipt_that_is_faster_than_the_answer_waits_for_it() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let release = Arc::new(Notify::new());
    let wait = release.clone();
    let carrier =
        Fake::new(move |_| Answer::Then(wait.clone(), Submission::Accepted { references: vec!["quick".into()] }));
    // Not even then it is taken for a receipt of nothing, as long as the message is at the carrier.
    let config = MessagesConfig { early: Duration::ZERO, ..MessagesConfig::default() };
    let running = ground.messages(carrier.clone(), config).await;
    running.send(ground.request(&[12125550199], "x")).await;
    soon("submission", async {
        while carrier.submitted.lock().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    let (taken, mut answer) = oneshot::channel();
    let message = CarrierMessage::Receipt { reference: "quick".into(), state: ReceiptState::Delivered, error: None };
    running.tell.send(Incoming { carrier: "fake".into(), message, taken }).await.unwrap();
    // To nobody: once this is taken, the receipt has been looked at.
    let next = CarrierMessage::Inbound { from: 12125550199, to: 12125550177, text: "x".into(), reference: None };
    assert!(running.tell(next).await);
    assert!(answer.try_recv().is_err());
    release.notify_one();
    assert_eq!(ear.states(3).await, ["smso created", "smso success", "smso success delivered"]);
    assert!(soon("acknowledgement", answer).await.unwrap());
    running.drain().await;
}

#[tokio::test]
async fn receipts_of_nothing_and_repeated_ones_change_nothing() {
    let ground = Ground::new().await;
    let mut ear = ground.listen();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    let sent = running.send(ground.request(&[12125550199], "x")).await;
    ear.states(2).await;
    let reference = sent[0]["uuid"].as_str().unwrap().to_owned();
    for state in [ReceiptState::Enroute, ReceiptState::Delivered, ReceiptState::Delivered, ReceiptState::Expired] {
        assert!(running.tell(CarrierMessage::Receipt { reference: reference.clone(), state, error: None }).await);
    }
    assert_eq!(ear.states(1).await, ["smso success delivered"]);
    running.drain().await;
    ground.hub.flush().await;
    let (events, delivered) = (ground.hub.replay(ground.account, 0, 100).await.unwrap(), "\"delivered\":true");
    assert_eq!(events.iter().filter(|event| event.body.contains(delivered)).count(), 1);
}

#[tokio::test]
async fn an_inbound_message_that_cannot_be_paid_is_kept_as_failed() {
    let ground = Ground::with_balance(Money::ZERO).await;
    let mut ear = ground.listen();
    let running = ground.messages(Fake::accepting(), MessagesConfig::default()).await;
    running.text(12065550123, "hi").await;
    assert_eq!(ear.states(2).await, ["smsi created", "smsi failed"]);
    running.drain().await;
}
