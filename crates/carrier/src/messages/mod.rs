//! The way of a message between the API and message carriers.
//!
//! Outbound: Received (checked) → Queued (on disk before it is acknowledged) → Delivered (the carrier has it; charged
//! in the transaction that says so) → DLR Received. Inbound: written and charged before the carrier's deliver_sm is
//! acknowledged.
//!
//! **Once, as far as SMPP allows.** That a message may have left is on disk before its first octet leaves, what was answered
//! after. What was answered is never sent again. What left and was not answered, because link or process died, is sent once
//! more, to the same carrier with the same references, and says so (`repeated`); then it fails. It is charged once, when the
//! carrier says that it has it.
//!
//! Many messages are claimed, and settled, in one transaction. Carriers are tried in their order: the next one where one is
//! not bound, throttles or has a fault of its own.

mod inbound;
mod intake;
mod opt_out;
mod outbound;
mod pool;
mod preview;
mod segments;
mod settle;
mod view;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentact_engine::ports::{
    Callback, CallbackError, ControlError, MessageCarrier, MessageControl, PreviewMessage, SendMessage,
};
use opentact_events::Hub;
use opentact_messaging::pool::Turn;
use opentact_messaging::{Encoding, segment};
use opentact_store::{Money, Store, StoreError, Tn};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, RwLock, broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dev::Smsc;
use crate::incoming::Incoming;
use crate::smpp::News;

/// Why a message failed that nobody would take in time.
pub const QUEUING_TIMEOUT: &str = "Queuing Timeout";
/// Why a message failed that left twice and was never answered: the recipient may have it.
pub const NO_ANSWER: &str = "No answer from the carrier";
/// Why a message failed whose account ran out of money while it waited: the API's code and text.
pub const INSUFFICIENT_BALANCE: &str = "405 Insufficient Balance";
/// Why a message failed whose recipient opted out while it waited: the API's code and text.
pub const OPTED_OUT: &str = "407 Recipient Opted Out";
/// Why a message failed whose number lost its 10DLC campaign while it waited: the API's code and text.
pub const NO_CAMPAIGN: &str = "408 No Active Campaign";
/// Why a message failed that was taken back.
pub const CANCELED: &str = "Canceled";

/// What an SMPP server that does not listen misses; then it looks by itself.
const NEWS: usize = 1_024;

#[derive(Debug, Clone)]
pub struct MessagesConfig {
    /// How long a message may wait for the carrier, unless it says otherwise.
    pub queue_timeout: Duration,
    /// Messages at carriers at once, at least 1.
    pub concurrency: usize,
    /// Longest time one message is at the carrier; after it, it counts as not answered.
    pub hand_over_timeout: Duration,
    /// Segments a message may have, 1..=255.
    pub max_segments: usize,
    /// Recipients of one request.
    pub max_recipients: usize,
    /// How far ahead a message may be scheduled.
    pub schedule: Duration,
    /// How long segments of an inbound message wait for the others.
    pub patience: Duration,
    /// Segments of unfinished inbound messages that are kept; with more, the oldest message is given up.
    pub segments: u64,
    /// Long codes of the United States and Canada send there for an active 10DLC campaign only.
    pub ten_dlc: bool,
    /// How long a receipt waits for its message, besides for what was at carriers when it came: an SMSC may take a session in
    /// which it is not answered for dead.
    pub early: Duration,
    /// A number is unhealthy when less than this share of its newest messages has not failed, 0..=1.
    pub healthy: f64,
}

impl Default for MessagesConfig {
    fn default() -> MessagesConfig {
        MessagesConfig {
            queue_timeout: Duration::from_secs(600),
            concurrency: 64,
            hand_over_timeout: Duration::from_secs(120),
            max_segments: 6,
            max_recipients: 1_000,
            schedule: Duration::from_secs(90 * 86_400),
            ten_dlc: false,
            healthy: 0.5,
            early: Duration::from_secs(5),
            patience: Duration::from_secs(600),
            segments: 10_000,
        }
    }
}

/// The queue and what drives it. Ends with [`Messages::drain`].
pub struct Messages {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What API, worker and inbound side share.
struct Shared {
    store: Store,
    hub: Hub,
    /// In the order they are tried.
    carriers: Vec<Arc<dyn MessageCarrier>>,
    dev: Option<Arc<Smsc>>,
    config: MessagesConfig,
    /// Messages that are to be queued.
    intake: mpsc::Sender<intake::Request>,
    /// Something was queued, or a carrier takes messages again.
    queued: Notify,
    /// A message was settled: a receipt that came too early may now be matched.
    handed_over: Notify,
    /// Held for reading from the write of messages to their `created` events; the worker waits for it, so that no
    /// `success` comes before its `created`.
    announcing: RwLock<()>,
    /// Messages from their claim to the events of what came of it.
    under_way: Arc<Mutex<HashMap<Uuid, Instant>>>,
    /// What those will cost, by account: no balance is promised twice.
    reserved: Mutex<HashMap<Uuid, Money>>,
    /// Whose turn it is in each profile's pool.
    turns: Mutex<HashMap<Uuid, Turn>>,
    health: Mutex<pool::Health>,
    /// Accounts whose ESMEs have something to be told.
    news: News,
    stop: CancellationToken,
    /// Nothing is at a carrier any more.
    worker_done: CancellationToken,
}

impl Messages {
    /// Takes up what an earlier run left queued. `incoming` is what the carriers tell; `dev` the simulated SMSC, where
    /// that is a carrier.
    pub async fn start(
        store: Store,
        hub: Hub,
        carriers: Vec<Arc<dyn MessageCarrier>>,
        incoming: mpsc::Receiver<Incoming>,
        dev: Option<Arc<Smsc>>,
        config: MessagesConfig,
    ) -> Result<Arc<Messages>, StoreError> {
        store.sms().unclaim_all().await?;
        let (intake, requests) = mpsc::channel(intake::WAITING);
        let shared = Arc::new(Shared {
            intake,
            store,
            hub,
            carriers,
            dev,
            config,
            queued: Notify::new(),
            handed_over: Notify::new(),
            announcing: RwLock::new(()),
            under_way: Arc::default(),
            reserved: Mutex::default(),
            turns: Mutex::default(),
            health: Mutex::default(),
            news: broadcast::channel(NEWS).0,
            stop: CancellationToken::new(),
            worker_done: CancellationToken::new(),
        });
        tell_untold(&shared).await?;
        let mut tasks = vec![
            tokio::spawn(worker::run(shared.clone())),
            tokio::spawn(inbound::run(shared.clone(), incoming)),
            tokio::spawn(intake::run(shared.clone(), requests)),
        ];
        for carrier in &shared.carriers {
            if let Some(mut ready) = carrier.ready() {
                let shared = shared.clone();
                tasks.push(tokio::spawn(async move {
                    loop {
                        tokio::select! {
                            changed = ready.changed() => match changed {
                                Ok(()) => shared.queued.notify_one(),
                                Err(_) => return,
                            },
                            () = shared.stop.cancelled() => return,
                        }
                    }
                }));
            }
        }
        Ok(Arc::new(Messages { shared, tasks: Mutex::new(tasks) }))
    }

    /// Accounts whose ESMEs have something to be told.
    pub fn news(&self) -> News {
        self.shared.news.clone()
    }

    /// Takes no more messages, lets those at carriers end, and stops. What is queued stays queued. Carriers are shut down
    /// after this, the hub and the store last.
    pub async fn drain(&self) {
        self.shared.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "message task died");
            }
        }
    }
}

#[async_trait]
impl MessageControl for Messages {
    async fn send(&self, request: SendMessage) -> Result<Vec<Result<Value, ControlError>>, ControlError> {
        outbound::send(&self.shared, request).await
    }

    async fn preview(&self, request: PreviewMessage) -> Result<Value, ControlError> {
        preview::preview(&self.shared, request).await
    }

    async fn cancel(&self, account: Uuid, uuid: Uuid) -> Result<Value, ControlError> {
        outbound::cancel(&self.shared, account, uuid).await
    }

    async fn dev_message(&self, account: Uuid, from: u64, to: u64, text: String) -> Result<Value, ControlError> {
        let Some(smsc) = &self.shared.dev else {
            let reason = "there is no simulated network".to_owned();
            return Err(ControlError::Unavailable { reason, retry_after: Duration::from_secs(3_600) });
        };
        let tn = Tn::new(to).map_err(|error| invalid("to", &error, to))?;
        Tn::new(from).map_err(|error| invalid("from", &error, from))?;
        self.shared.store.numbers().get_lease_by_tn(account, tn).await.map_err(control_error)?;
        if text.is_empty() {
            return Err(invalid("message", &"must not be empty", ""));
        }
        let segments = smsc.text(from, to, &text).map_err(|error| invalid("message", &error, &text))?;
        let encoding = Encoding::of(&text).name();
        Ok(json!({ "from": from, "to": to, "message": text, "segments": segments, "encoding": encoding }))
    }

    async fn callback(&self, carrier: &str, callback: Callback) -> Result<(), CallbackError> {
        let named = self.shared.carriers.iter().find(|known| known.name() == carrier);
        named.ok_or(CallbackError::NotFound)?.callback(callback).await
    }
}

impl Shared {
    /// Nobody need listen.
    fn news(&self, account: Uuid) {
        let _ = self.news.send(account);
    }
}

/// What a request that comes while the node drains may wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Changes that are told of together.
const UNTOLD: u64 = 1_000;

/// Tells of what an earlier run has written and not told of any more.
async fn tell_untold(shared: &Shared) -> Result<(), StoreError> {
    let mut place = 0;
    let mut accounts: HashMap<Uuid, view::Context> = HashMap::new();
    loop {
        // What is on its way is none of them; and the queue of events has its limit.
        shared.hub.flush().await;
        let untold = shared.store.sms().untold(place, UNTOLD).await?;
        let Some(last) = untold.last() else { break };
        place = last.place;
        for change in untold {
            let sms = match shared.store.sms().get(change.account, change.sms).await {
                Ok(sms) => change.of(sms),
                Err(StoreError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            let context = worker::context(shared, &sms).await?;
            context.publish(shared, &sms);
            accounts.insert(sms.account, context);
        }
    }
    // What was charged for them may be as little known.
    for context in accounts.values() {
        context.publish_balance(shared, Some(context.account.balance), "sms_per_send");
    }
    Ok(())
}

/// The alphabet a text is sent in, and in how many segments; as the profile wants it.
fn measure(shared: &Shared, text: &str, smart: bool) -> Result<segment::Measure, ControlError> {
    if text.is_empty() {
        return Err(invalid("message", &"must not be empty", text));
    }
    let measured = segment::measure(text, smart);
    let limit = shared.config.max_segments.min(segment::MAX_SEGMENTS);
    if measured.segments > limit {
        let message = format!("takes {} segments, at most {limit} are allowed", measured.segments);
        return Err(invalid("message", &message, text));
    }
    Ok(measured)
}

fn invalid(field: &'static str, message: &dyn std::fmt::Display, value: impl ToString) -> ControlError {
    ControlError::Invalid { field, message: message.to_string(), value: value.to_string() }
}

fn draining() -> ControlError {
    ControlError::Unavailable { reason: "draining".to_owned(), retry_after: RETRY_AFTER }
}

fn control_error(error: StoreError) -> ControlError {
    match error {
        StoreError::NotFound(entity) => ControlError::NotFound(entity),
        StoreError::Conflict(entity) => ControlError::Conflict(format!("{entity} already exists")),
        StoreError::InsufficientBalance => ControlError::InsufficientBalance,
        error => ControlError::Internal(error.to_string()),
    }
}
