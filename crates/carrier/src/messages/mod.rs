//! The way of a message between the API and a message carrier.
//!
//! Outbound: Received (checked) → Queued (on disk before it is acknowledged) → Delivered (the carrier has it; charged
//! in the transaction that says so) → DLR Received. Inbound: written and charged before the carrier's deliver_sm is
//! acknowledged.
//!
//! **Once, as far as SMPP allows.** The state is on disk before and after the hand-over: `sending` before the first
//! octet leaves, `success` or back to `created` after the answer. A restart sends what is queued, and what was
//! `sending` too: of that it is unknown whether the SMSC took it. So one window is left in which a message can go out
//! twice: from the SMSC's acceptance of a submit_sm to the commit that records it, when the process or the link dies
//! in between. It is charged once in any case.

mod inbound;
mod outbound;
mod view;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentact_engine::ports::{ControlError, MessageCarrier, MessageControl, SendMessage};
use opentact_events::Hub;
use opentact_messaging::Encoding;
use opentact_store::{Money, Store, StoreError, Tn};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, RwLock, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::dev::Smsc;
use crate::smpp::Incoming;

/// Why a message failed that nobody would take in time.
pub const QUEUING_TIMEOUT: &str = "Queuing Timeout";
/// Why a message failed whose account ran out of money while it waited: the API's code and text.
pub const INSUFFICIENT_BALANCE: &str = "405 Insufficient Balance";

#[derive(Debug, Clone)]
pub struct MessagesConfig {
    /// How long a message may wait for the carrier, unless it says otherwise.
    pub queue_timeout: Duration,
    /// Messages at the carrier at once, at least 1.
    pub concurrency: usize,
    /// Longest time one message is at the carrier; after it, it is put back.
    pub hand_over_timeout: Duration,
    /// Segments a message may have, 1..=255.
    pub max_segments: usize,
    /// Recipients of one request.
    pub max_recipients: usize,
}

impl Default for MessagesConfig {
    fn default() -> MessagesConfig {
        MessagesConfig {
            queue_timeout: Duration::from_secs(600),
            concurrency: 32,
            hand_over_timeout: Duration::from_secs(120),
            max_segments: 6,
            max_recipients: 1_000,
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
    carrier: Arc<dyn MessageCarrier>,
    dev: Option<Arc<Smsc>>,
    config: MessagesConfig,
    /// Something was queued.
    queued: Notify,
    /// A message left the worker: a receipt that came too early may now be matched.
    handed_over: Notify,
    /// Held for reading from the write of messages to their `created` events; the worker waits for it, so that no
    /// `success` comes before its `created`.
    announcing: RwLock<()>,
    /// Messages the worker has.
    under_way: Mutex<HashSet<Uuid>>,
    /// What those will cost, by account: no balance is promised twice.
    reserved: Mutex<HashMap<Uuid, Money>>,
    stop: CancellationToken,
    /// Nothing is at the carrier any more.
    worker_done: CancellationToken,
}

impl Messages {
    /// Takes up what an earlier run left queued. `incoming` is what the carrier tells; `dev` the simulated SMSC, where
    /// that is the carrier.
    pub async fn start(
        store: Store,
        hub: Hub,
        carrier: Arc<dyn MessageCarrier>,
        incoming: mpsc::Receiver<Incoming>,
        dev: Option<Arc<Smsc>>,
        config: MessagesConfig,
    ) -> Result<Arc<Messages>, StoreError> {
        store.sms().unclaim_all().await?;
        let shared = Arc::new(Shared {
            store,
            hub,
            carrier,
            dev,
            config,
            queued: Notify::new(),
            handed_over: Notify::new(),
            announcing: RwLock::new(()),
            under_way: Mutex::default(),
            reserved: Mutex::default(),
            stop: CancellationToken::new(),
            worker_done: CancellationToken::new(),
        });
        let tasks =
            vec![tokio::spawn(worker::run(shared.clone())), tokio::spawn(inbound::run(shared.clone(), incoming))];
        Ok(Arc::new(Messages { shared, tasks: Mutex::new(tasks) }))
    }

    /// Takes no more messages, lets those at the carrier end, and stops. What is queued stays queued. The carrier is
    /// shut down after this, the hub and the store last.
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
}

fn invalid(field: &'static str, message: &dyn std::fmt::Display, value: impl ToString) -> ControlError {
    ControlError::Invalid { field, message: message.to_string(), value: value.to_string() }
}

fn control_error(error: StoreError) -> ControlError {
    match error {
        StoreError::NotFound(entity) => ControlError::NotFound(entity),
        StoreError::Conflict(entity) => ControlError::Conflict(format!("{entity} already exists")),
        StoreError::InsufficientBalance => ControlError::InsufficientBalance,
        error => ControlError::Internal(error.to_string()),
    }
}
