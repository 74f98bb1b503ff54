//! What the sessions of the simulated SMSC share: who is bound, what waits, what is being joined.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_messaging::encoding;
use opentact_messaging::reassembly::Reassembler;
use opentact_messaging::segment::TooLong;
use opentact_messaging::smpp::{Assembled, Assembler, MessageState, ShortMessage, Status};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use uuid::Uuid;

use super::behaviour::Behaviour;
use super::{LeaseLookup, SmscConfig};
use crate::smpp::delivery;

/// deliver_sm that wait for somebody to bind; the oldest are dropped.
const WAITING: usize = 10_000;
/// Messages that are counted for throttling; all are forgotten when there are more.
const THROTTLED: usize = 10_000;
/// Tries to deliver one deliver_sm, and the time between them.
const ATTEMPTS: u8 = 5;
const RETRY: Duration = Duration::from_secs(1);
const REASSEMBLY_LIMIT: usize = 1_000;
const REASSEMBLY_PATIENCE: Duration = Duration::from_secs(300);

/// A deliver_sm on its way to an ESME.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub message: ShortMessage,
    /// Receipts go to the session that submitted, while it is bound.
    pub session: Option<u64>,
    pub attempts: u8,
}

/// Sessions that receive, and what waits while there is none.
#[derive(Default)]
struct Receivers {
    bound: Vec<(u64, mpsc::Sender<Delivery>)>,
    next: u64,
    waiting: VecDeque<Delivery>,
}

pub(super) struct Network {
    config: SmscConfig,
    leased: Option<LeaseLookup>,
    receivers: Mutex<Receivers>,
    throttled: Mutex<HashMap<u64, u32>>,
    assembler: Mutex<Assembler>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Network {
    pub(super) fn new(
        config: SmscConfig,
        leased: Option<LeaseLookup>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Network {
        Network {
            config,
            leased,
            receivers: Mutex::default(),
            throttled: Mutex::default(),
            assembler: Mutex::new(Assembler::new(Reassembler::new(REASSEMBLY_LIMIT, REASSEMBLY_PATIENCE))),
            tasks,
            stop,
        }
    }

    pub(super) fn config(&self) -> &SmscConfig {
        &self.config
    }

    /// A session that receives; what waited goes to it first.
    pub(super) fn join(&self, deliveries: mpsc::Sender<Delivery>) -> u64 {
        let mut receivers = self.receivers.lock();
        receivers.next += 1;
        let id = receivers.next;
        while let Some(delivery) = receivers.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(delivery) | mpsc::error::TrySendError::Closed(delivery)) =
                deliveries.try_send(delivery)
            {
                receivers.waiting.push_front(delivery);
                break;
            }
        }
        receivers.bound.push((id, deliveries));
        id
    }

    pub(super) fn leave(&self, id: u64) {
        self.receivers.lock().bound.retain(|(bound, _)| *bound != id);
    }

    /// Takes a submit_sm of a session: its id, or why not.
    pub(super) async fn take(self: &Arc<Self>, session: Option<u64>, message: ShortMessage) -> Result<String, Status> {
        let Some(source) = message.source.number() else { return Err(Status::INVALID_SOURCE) };
        let Some(destination) = message.destination.number() else { return Err(Status::INVALID_DESTINATION) };
        let leased = match &self.leased {
            Some(leased) => leased(destination).await,
            None => false,
        };
        let behaviour = if leased { Behaviour::Deliver } else { Behaviour::of(destination) };
        match behaviour {
            Behaviour::FailAtOnce => return Err(Status::SUBMIT_FAILED),
            Behaviour::ThrottleFirst if self.throttles(&message) => return Err(Status::THROTTLED),
            _ => {}
        }
        let assembled = self.assembler.lock().push(Instant::now(), &message);
        match assembled {
            Assembled::Unreadable => return Err(Status::SUBMIT_FAILED),
            Assembled::Text { text, segments } => {
                debug!(source, destination, segments, leased, "simulated SMSC has a message");
                if leased {
                    self.deliver_text_later(source, destination, text);
                }
            }
            Assembled::Incomplete => {}
        }
        let id = Uuid::new_v4().simple().to_string();
        let state = match behaviour {
            Behaviour::NoReceipt => None,
            Behaviour::Undeliverable => Some(MessageState::Undeliverable),
            _ => Some(MessageState::Delivered),
        };
        if let Some(state) = state.filter(|state| message.wants_receipt(*state == MessageState::Delivered)) {
            let delivery = Delivery { message: receipt(&id, state, &message), session, attempts: 0 };
            self.deliver_later(delivery, self.config.delivery);
        }
        Ok(id)
    }

    /// Whether this try of a message is one of those to be throttled.
    fn throttles(&self, message: &ShortMessage) -> bool {
        let mut hasher = DefaultHasher::new();
        (&message.source, &message.destination, &message.body).hash(&mut hasher);
        let key = hasher.finish();
        let mut throttled = self.throttled.lock();
        if throttled.len() >= THROTTLED {
            throttled.clear();
        }
        let tries = throttled.entry(key).or_default();
        if *tries < self.config.throttles {
            *tries += 1;
            return true;
        }
        throttled.remove(&key);
        false
    }

    fn deliver_text_later(self: &Arc<Self>, from: u64, to: u64, text: String) {
        let network = self.clone();
        self.later(self.config.delivery, async move {
            if let Err(error) = network.text(from, to, &text) {
                warn!(from, to, %error, "simulated SMSC cannot pass a message on");
            }
        });
    }

    /// Sends a text to the ESMEs.
    pub(super) fn text(&self, from: u64, to: u64, text: &str) -> Result<u8, TooLong> {
        let messages = delivery::text(from, to, text, rand::random())?;
        let total = u8::try_from(messages.len()).unwrap_or(u8::MAX);
        for message in messages {
            self.deliver(Delivery { message, session: None, attempts: 0 });
        }
        Ok(total)
    }

    /// Gives a deliver_sm to a session, or lets it wait.
    pub(super) fn deliver(&self, delivery: Delivery) {
        let mut receivers = self.receivers.lock();
        let mut delivery = delivery;
        let first = delivery.session;
        let (own, others): (Vec<_>, Vec<_>) = receivers.bound.iter().partition(|(id, _)| Some(*id) == first);
        for (_, bound) in own.into_iter().chain(others) {
            match bound.try_send(delivery) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back)) => delivery = back,
            }
        }
        if receivers.waiting.len() >= WAITING {
            warn!(limit = WAITING, "simulated SMSC drops the oldest undelivered message");
            receivers.waiting.pop_front();
        }
        receivers.waiting.push_back(delivery);
    }

    /// An ESME did not take it: tries again a little later, a few times.
    pub(super) fn retry(self: &Arc<Self>, mut delivery: Delivery) {
        delivery.attempts += 1;
        if delivery.attempts >= ATTEMPTS {
            warn!(to = %delivery.message.destination, "simulated SMSC gives a delivery up");
            return;
        }
        self.deliver_later(delivery, RETRY);
    }

    fn deliver_later(self: &Arc<Self>, delivery: Delivery, pause: Duration) {
        let network = self.clone();
        self.later(pause, async move { network.deliver(delivery) });
    }

    fn later(&self, pause: Duration, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(pause) => work.await,
                () = stop.cancelled() => {}
            }
        });
    }
}

/// The deliver_sm that tells how a message fared.
fn receipt(id: &str, state: MessageState, message: &ShortMessage) -> ShortMessage {
    let text = encoding::decode(message.data_coding, &message.body).filter(|_| !message.has_header());
    delivery::receipt(id, state, &message.source, &message.destination, &text.unwrap_or_default())
}
