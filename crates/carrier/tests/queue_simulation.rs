//! The queue before carriers that lose answers, throttle, refuse and tell late, from a seed: states and charges are
//! consistent at the end. `OPENTACT_SEEDS` is how many seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ground;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use ground::{Ground, SEND_PRICE, soon};
use opentact_carrier::Incoming;
use opentact_carrier::messages::{INSUFFICIENT_BALANCE, Messages, MessagesConfig, NO_ANSWER, QUEUING_TIMEOUT};
use opentact_engine::ports::{
    CarrierMessage, CarrierSubmit, MessageCarrier, MessageControl, ReceiptState, SendMessage, Submission,
};
use opentact_store::Money;
use opentact_store::sms::Sms;
use opentact_store::types::{Priority, SmsState};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

const MESSAGES: u64 = 24;
/// Seeds that run at once.
const TOGETHER: usize = 8;
/// Of many seeds some have a message that is put off again and again, each time for twice as long.
const LONGEST: Duration = Duration::from_secs(1_200);
const REFUSED: &str = "ESME_RINVDSTADR";

/// What carriers know of a message.
#[derive(Debug, Default, Clone)]
struct Fate {
    submitted: u32,
    unanswered: u32,
    accepted: u32,
    refused: bool,
    delivered: bool,
    undelivered: bool,
}

type Fates = Arc<Mutex<HashMap<Uuid, Fate>>>;

struct Rough {
    name: &'static str,
    random: Mutex<StdRng>,
    fates: Fates,
    /// Receipts to be told, later.
    owed: Mutex<Vec<(String, Uuid)>>,
}

#[async_trait]
impl MessageCarrier for Rough {
    fn name(&self) -> &str {
        self.name
    }

    async fn submit(&self, message: CarrierSubmit) -> Submission {
        let (whim, pause, receipt) = {
            let mut random = self.random.lock();
            (random.random_range(0..100), random.random_range(0..3), random.random_bool(0.8))
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let mut fates = self.fates.lock();
        let fate = fates.entry(message.id).or_default();
        match whim {
            0..25 => {
                return Submission::Later { after: Duration::from_millis(1), reason: "busy".into(), taken: vec![] };
            }
            25..30 => fate.refused = true,
            30..50 => fate.unanswered += 1,
            _ => fate.accepted += 1,
        }
        fate.submitted += 1;
        match whim {
            25..30 => Submission::Refused { reason: REFUSED.into() },
            30..50 => Submission::Unanswered { reason: "lost".into(), taken: vec![] },
            _ => {
                let reference = format!("{}-{}", self.name, message.id);
                if receipt {
                    self.owed.lock().push((reference.clone(), message.id));
                }
                Submission::Accepted { references: vec![reference] }
            }
        }
    }
}

async fn told(carriers: &[Arc<Rough>], tell: &mpsc::Sender<Incoming>, fates: &Fates, random: &mut StdRng) {
    for carrier in carriers {
        let owed = std::mem::take(&mut *carrier.owed.lock());
        for (reference, id) in owed {
            let good = random.random_bool(0.7);
            let state = if good { ReceiptState::Delivered } else { ReceiptState::Undeliverable };
            // The first that is told counts.
            {
                let mut known = fates.lock();
                let fate = known.entry(id).or_default();
                if !fate.delivered && !fate.undelivered {
                    (fate.delivered, fate.undelivered) = (good, !good);
                }
            }
            for _ in 0..random.random_range(1..3) {
                let message = CarrierMessage::Receipt { reference: reference.clone(), state, error: None };
                let (taken, answer) = oneshot::channel();
                tell.send(Incoming { carrier: carrier.name.into(), message, taken }).await.unwrap();
                assert!(soon("acknowledgement", answer).await.unwrap());
            }
        }
    }
}

fn check(seed: u64, sms: &Sms, fate: &Fate) {
    let context = format!("seed {seed}: {sms:?} {fate:?}");
    assert!(fate.unanswered <= 2 && fate.submitted <= 2, "{context}");
    assert!(fate.accepted <= 1, "what was answered is not repeated: {context}");
    assert!(fate.unanswered == 0 || sms.repeated || sms.reason.as_deref() == Some(QUEUING_TIMEOUT), "{context}");
    assert!(fate.submitted < 2 || sms.repeated, "{context}");
    match (sms.state, sms.reason.as_deref()) {
        (SmsState::Success, None) => {
            assert_eq!((fate.accepted, sms.delivered), (1, fate.delivered), "{context}");
            assert!(!fate.undelivered, "{context}");
        }
        (SmsState::Failed, Some(REFUSED)) => assert!(fate.refused && fate.accepted == 0, "{context}"),
        (SmsState::Failed, Some("UNDELIV")) => assert!(fate.accepted == 1 && fate.undelivered, "{context}"),
        (SmsState::Failed, Some(reason)) if reason == NO_ANSWER => {
            assert!(fate.unanswered > 0 && fate.accepted == 0, "{context}");
        }
        (SmsState::Failed, Some(reason)) => {
            assert!([QUEUING_TIMEOUT, INSUFFICIENT_BALANCE].contains(&reason), "{context}");
            assert!(fate.accepted == 0, "{context}");
        }
        _ => panic!("no end: {context}"),
    }
}

async fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    // Now and then there is not enough money for all.
    let affordable = random.random_range(MESSAGES as i64 / 2..MESSAGES as i64 * 2);
    let initial = Money::micros(affordable * SEND_PRICE);
    let ground = Ground::with_balance(initial).await;
    let fates = Fates::default();
    let carriers: Vec<Arc<Rough>> = ["north", "south"]
        .iter()
        .zip(1..)
        .map(|(name, at)| {
            let random = Mutex::new(StdRng::seed_from_u64(seed * 7 + at));
            Arc::new(Rough { name, random, fates: fates.clone(), owed: Mutex::default() })
        })
        .collect();
    let mut sent = Vec::new();
    let mut left = MESSAGES;
    loop {
        let (tell, incoming) = mpsc::channel(100);
        let dynamic = carriers.iter().map(|carrier| carrier.clone() as Arc<dyn MessageCarrier>).collect();
        let config = MessagesConfig { concurrency: random.random_range(1..10), ..MessagesConfig::default() };
        let messages = Messages::start(ground.store.clone(), ground.hub.clone(), dynamic, incoming, None, config);
        let messages = messages.await.unwrap();
        let batch = random.random_range(1..=left.clamp(1, 10)).min(left);
        if batch > 0 {
            let to: Vec<u64> = (0..batch).map(|at| 13_035_550_100 + left + at).collect();
            let priority = [Priority::High, Priority::Normal, Priority::Low][random.random_range(0..3)];
            let request = SendMessage { priority, ..ground.request(&to, "x") };
            let results = messages.send(request).await.unwrap();
            sent.extend(
                results.into_iter().flatten().map(|sms| sms["uuid"].as_str().unwrap().parse::<Uuid>().unwrap()),
            );
            left -= batch;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..10))).await;
        told(&carriers, &tell, &fates, &mut random).await;
        if left == 0 {
            let settled = async {
                while ground.store.sms().queue_length().await.unwrap() > 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::time::timeout(LONGEST, settled).await.expect("the queue ends");
            told(&carriers, &tell, &fates, &mut random).await;
        }
        soon("drain", messages.drain()).await;
        if left == 0 {
            break;
        }
    }
    let fates = fates.lock().clone();
    let mut spent = Money::ZERO;
    for uuid in sent {
        let sms = ground.store.sms().get(ground.account, uuid).await.unwrap();
        let fate = fates.get(&uuid).cloned().unwrap_or_default();
        check(seed, &sms, &fate);
        spent = spent + Money::micros(SEND_PRICE).times(fate.accepted.into());
    }
    assert_eq!(ground.balance().await, initial - spent, "seed {seed}");
    soon("flush", ground.hub.flush()).await;
}

#[tokio::test]
async fn whatever_carriers_do_states_and_charges_are_consistent() {
    let seeds = std::env::var("OPENTACT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10);
    // Each waits most of its time: for pauses, and for events to be written.
    stream::iter(0..seeds).for_each_concurrent(TOGETHER, run).await;
}
