//! The ESME against the simulated SMSC, over real loopback TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentact_carrier::Incoming;
use opentact_carrier::dev::{LeaseLookup, Smsc, SmscConfig};
use opentact_carrier::smpp::{SmppCarrier, SmppConfig};
use opentact_engine::ports::{CarrierMessage, CarrierSubmit, InboundSegment, MessageCarrier, ReceiptState, Submission};
use opentact_messaging::encoding;
use opentact_messaging::smpp::pdu::{Frame, Pdu};
use opentact_messaging::smpp::{Bind, BindKind, VERSION_3_4, VERSION_5_0};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

const OURS: u64 = 12025550150;

/// Nothing here takes longer unless it is broken.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("{what} never happened"))
}

struct World {
    smsc: Smsc,
    carrier: Arc<SmppCarrier>,
    incoming: mpsc::Receiver<Incoming>,
}

impl World {
    /// An SMSC at which `leased` are leased, and an ESME that is bound to it.
    async fn new(leased: &'static [u64]) -> World {
        let lookup = Arc::new(move |number: u64| {
            Box::pin(std::future::ready(leased.contains(&number)))
                as std::pin::Pin<Box<dyn Future<Output = bool> + Send>>
        });
        World::bound(Some(lookup), |esme| esme).await
    }

    /// The same with a lookup or none, and an ESME that is configured somehow.
    async fn bound(lookup: Option<LeaseLookup>, how: impl FnOnce(SmppConfig) -> SmppConfig) -> World {
        let config = SmscConfig { delivery: Duration::from_millis(20), ..SmscConfig::default() };
        let smsc = Smsc::start(config, lookup).await.unwrap();
        let (tell, incoming) = mpsc::channel(100);
        let carrier = SmppCarrier::start(how(esme(&smsc.address().to_string())), tell);
        let world = World { smsc, carrier, incoming };
        soon("bind", world.carrier.bound().wait_for(|bound| *bound)).await.unwrap();
        world
    }

    async fn submit(&self, to: u64, text: &str) -> Submission {
        let message =
            CarrierSubmit { id: Uuid::new_v4(), from: OURS, to, text: text.to_owned(), taken: vec![], repeated: false };
        soon("answer", self.carrier.submit(message)).await
    }

    /// The references of its segments.
    async fn taken(&self, to: u64, text: &str) -> Vec<String> {
        match soon("answer", self.submit(to, text)).await {
            Submission::Accepted { references } => references,
            other => panic!("{other:?}"),
        }
    }

    /// The reference of a message of one segment.
    async fn accepted(&self, to: u64, text: &str) -> String {
        let [reference] = &self.taken(to, text).await[..] else { panic!("several segments") };
        reference.clone()
    }

    async fn next(&mut self) -> CarrierMessage {
        let incoming = soon("message", self.incoming.recv()).await.unwrap();
        incoming.taken.send(true).unwrap();
        incoming.message
    }

    async fn shutdown(self) {
        soon("shutdown", self.carrier.shutdown()).await;
        soon("shutdown", self.smsc.shutdown()).await;
    }
}

fn esme(address: &str) -> SmppConfig {
    let mut config = SmppConfig::new("dev", address, "opentact", "opentact");
    config.reconnect_pause = Duration::from_millis(10);
    config.throttle_pause = Duration::from_millis(10);
    config
}

fn receipt(reference: String, state: ReceiptState) -> CarrierMessage {
    let error = (state != ReceiptState::Delivered).then(|| "001".to_owned());
    CarrierMessage::Receipt { reference, state, error }
}

#[tokio::test]
async fn a_message_is_taken_and_its_receipt_comes() {
    let mut world = World::new(&[]).await;
    let reference = world.accepted(12125550199, "hello").await;
    assert_eq!(world.next().await, receipt(reference, ReceiptState::Delivered));
    world.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0110_fails_at_once() {
    let world = World::new(&[]).await;
    let refused = Submission::Refused { reason: "ESME_RSUBMITFAIL".into() };
    assert_eq!(world.submit(12125550110, "hello").await, refused);
    world.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0111_never_sends_a_receipt_and_one_in_0112_sends_a_bad_one() {
    let mut world = World::new(&[]).await;
    world.accepted(12125550111, "hello").await;
    let reference = world.accepted(12125550112, "hello").await;
    // Had the first a receipt, it would come first.
    assert_eq!(world.next().await, receipt(reference, ReceiptState::Undeliverable));
    world.shutdown().await;
}

#[tokio::test]
async fn a_number_in_0113_throttles_and_then_takes() {
    let mut world = World::new(&[]).await;
    let reference = world.accepted(12125550113, "hello").await;
    assert_eq!(world.next().await, receipt(reference, ReceiptState::Delivered));
    world.shutdown().await;
}

#[tokio::test]
async fn each_segment_has_its_receipt() {
    let mut world = World::new(&[]).await;
    let long = "a long message with an extension character [] ".repeat(10);
    let references = world.taken(12125550199, &long).await;
    assert_eq!(references.len(), 4);
    for _ in &references {
        let CarrierMessage::Receipt { reference, state, .. } = world.next().await else { panic!("no receipt") };
        assert!(references.contains(&reference));
        assert_eq!(state, ReceiptState::Delivered);
    }
    world.shutdown().await;
}

#[tokio::test]
async fn segments_that_were_taken_are_not_sent_again() {
    let world = World::new(&[]).await;
    let text = "я".repeat(100);
    let message = CarrierSubmit {
        id: Uuid::new_v4(),
        from: OURS,
        to: 12125550111,
        text,
        taken: vec![Some("before".into()), None],
        repeated: true,
    };
    let Submission::Accepted { references } = soon("answer", world.carrier.submit(message)).await else { panic!() };
    assert_eq!((references.len(), &*references[0]), (2, "before"));
    world.shutdown().await;
}

#[tokio::test]
async fn a_transmitter_and_a_receiver_do_what_a_transceiver_does() {
    let mut world = World::bound(None, |esme| SmppConfig { split: true, ..esme }).await;
    let reference = world.accepted(12125550199, "hello").await;
    assert_eq!(world.next().await, receipt(reference, ReceiptState::Delivered));
    world.shutdown().await;
}

#[tokio::test]
async fn data_sm_and_version_5_do_what_submit_sm_and_3_4_do() {
    let mut world = World::bound(None, |esme| SmppConfig { version: VERSION_5_0, data_sm: true, ..esme }).await;
    let reference = world.accepted(12125550199, "hello").await;
    assert_eq!(world.next().await, receipt(reference, ReceiptState::Delivered));
    world.shutdown().await;
}

#[tokio::test]
async fn a_message_to_a_leased_number_comes_back_in_segments() {
    let mut world = World::new(&[12125550110]).await;
    let text = "Grüße aus Ω, € [ok] 🙂 ".repeat(20);
    let references = world.taken(12125550110, &text).await;
    let (mut receipts, mut inbound) = (0, vec![]);
    while receipts < references.len() || inbound.len() < references.len() {
        match world.next().await {
            CarrierMessage::Segment(segment) => inbound.push(segment),
            _ => receipts += 1,
        }
    }
    inbound.sort_by_key(|segment| segment.number);
    let first: &InboundSegment = &inbound[0];
    assert_eq!((first.from, first.to, usize::from(first.total)), (OURS, 12125550110, references.len()));
    let octets: Vec<u8> = inbound.iter().flat_map(|segment| segment.octets.clone()).collect();
    assert_eq!(encoding::decode(first.data_coding, &octets), Some(text));
    world.shutdown().await;
}

#[tokio::test]
async fn the_network_texts_a_number() {
    let mut world = World::new(&[]).await;
    assert_eq!(world.smsc.text(12125550199, OURS, "hi"), Ok(1));
    assert_eq!(
        world.next().await,
        CarrierMessage::Inbound { from: 12125550199, to: OURS, text: "hi".into(), reference: None }
    );
    world.shutdown().await;
}

#[tokio::test]
async fn what_was_not_taken_comes_again() {
    let mut world = World::new(&[]).await;
    world.smsc.text(12125550199, OURS, "hi").unwrap();
    let first = soon("message", world.incoming.recv()).await.unwrap();
    first.taken.send(false).unwrap();
    assert_eq!(
        world.next().await,
        CarrierMessage::Inbound { from: 12125550199, to: OURS, text: "hi".into(), reference: None }
    );
    world.shutdown().await;
}

#[tokio::test]
async fn two_hundred_messages_at_once_are_all_taken() {
    let world = World::new(&[]).await;
    let submissions = (0..200).map(|_| world.accepted(12125550111, "hello"));
    let references = futures_util::future::join_all(submissions).await;
    let distinct: std::collections::HashSet<_> = references.iter().collect();
    assert_eq!(distinct.len(), 200);
    world.shutdown().await;
}

#[tokio::test]
async fn a_wrong_password_puts_messages_off() {
    let smsc = Smsc::start(SmscConfig::default(), None).await.unwrap();
    let (tell, _incoming) = mpsc::channel(1);
    let mut config = esme(&smsc.address().to_string());
    config.password = "wrong".into();
    let carrier = SmppCarrier::start(config, tell);
    let message = CarrierSubmit {
        id: Uuid::new_v4(),
        from: OURS,
        to: 12125550199,
        text: "hello".into(),
        taken: vec![],
        repeated: false,
    };
    let submission = soon("answer", carrier.submit(message)).await;
    assert!(matches!(submission, Submission::Later { .. }), "{submission:?}");
    assert!(!*carrier.bound().borrow());
    soon("shutdown", carrier.shutdown()).await;
    soon("shutdown", smsc.shutdown()).await;
}

#[tokio::test]
async fn the_session_comes_back_after_a_loss() {
    // A port that is nobody's at first.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, mut incoming) = mpsc::channel(100);
    let carrier = SmppCarrier::start(esme(&address.to_string()), tell);
    let (stream, _) = soon("connect", listener.accept()).await.unwrap();
    drop((stream, listener));

    let config = SmscConfig { listen: address, delivery: Duration::from_millis(20), ..SmscConfig::default() };
    let smsc = Smsc::start(config, None).await.unwrap();
    let mut bound = carrier.bound();
    soon("bind", bound.wait_for(|bound| *bound)).await.unwrap();
    smsc.text(12125550199, OURS, "back").unwrap();
    let message = soon("message", incoming.recv()).await.unwrap();
    message.taken.send(true).unwrap();
    assert!(matches!(message.message, CarrierMessage::Inbound { .. }));
    soon("shutdown", smsc.shutdown()).await;
    soon("loss", bound.wait_for(|bound| !*bound)).await.unwrap();
    soon("shutdown", carrier.shutdown()).await;
}

#[tokio::test]
async fn an_esme_that_says_nothing_does_not_hold_up_the_end() {
    let smsc = Smsc::start(SmscConfig::default(), None).await.unwrap();
    let mut mute = tokio::net::TcpStream::connect(smsc.address()).await.unwrap();
    let bind = Bind {
        kind: BindKind::Transceiver,
        system_id: "opentact".into(),
        password: "opentact".into(),
        system_type: String::new(),
        version: VERSION_3_4,
    };
    mute.write_all(&Frame::request(1, Pdu::Bind(bind)).encode().unwrap()).await.unwrap();
    let mut answer = [0; 64];
    assert!(soon("bind", mute.read(&mut answer)).await.unwrap() > 16);
    // It has unbind in its buffer and never answers.
    tokio::time::timeout(Duration::from_secs(5), smsc.shutdown()).await.expect("waits for the mute one");
}
