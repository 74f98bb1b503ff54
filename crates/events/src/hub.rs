//! The way of an event: one bounded queue, one writer that commits in groups, fan-out after the commit.

mod accounts;
mod by_account;
mod hooks;
mod listeners;
mod outbox;
mod subscription;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentact_store::calls::{CallFlowLog, CallRecord};
use opentact_store::records::Record;
use opentact_store::transactions::NewTransaction;
use opentact_store::transcripts::Transcript;
use opentact_store::types::{EventType, now};
use opentact_store::webhooks::WebhookDelivery;
use opentact_store::{Money, Result, Store, events::Event};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

use crate::NewEvent;
pub use listeners::Filter;
use listeners::Listeners;
use outbox::Desk;
pub use outbox::Outbox;
pub use subscription::{Ended, Subscription};

/// Sizes and times of the hub.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Events and writes that may wait for the writer. Beyond it [`Hub::publish`] refuses; long before,
    /// [`Hub::pressure`] tells those who could start new work not to.
    pub queue: usize,
    /// Events and writes in one commit, at most.
    pub batch: usize,
    /// From the begin of one commit to that of the next at least, unless `batch` is full: what comes meanwhile goes
    /// together. An event after a silence waits for nothing.
    pub commit_every: Duration,
    /// Events that a listener may be behind before it is dropped.
    pub buffer: usize,
    /// Events of each account that the log keeps.
    pub keep_count: u64,
    /// How long the log keeps an event.
    pub keep_for: Duration,
    /// How often the log is pruned.
    pub prune_every: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            queue: 65_536,
            batch: 1_024,
            commit_every: Duration::from_millis(50),
            buffer: 1_024,
            keep_count: 100_000,
            keep_for: Duration::from_secs(30 * 24 * 3600),
            prune_every: Duration::from_secs(60),
        }
    }
}

/// What a call, or something on it, has cost.
#[derive(Debug)]
pub struct Charge {
    pub transaction: NewTransaction,
    /// Told once it is booked.
    pub booked: Box<dyn Booked>,
}

/// Who holds money back for what is not booked yet.
pub trait Booked: Send + Sync + std::fmt::Debug {
    /// It is on disk, and so is `balance`. `last`: of the charges of the account that were written together.
    fn booked(&self, balance: Money, last: bool);
}

/// A row that goes to disk with the events, in the order it was given.
#[derive(Debug, Clone)]
pub enum Write {
    /// The state of a call now; an older one that waits in the same batch is left out.
    CallRecord(Arc<CallRecord>),
    /// The last state of a call, and what it has cost: both are written or neither.
    Charged(Arc<CallRecord>, Arc<Charge>),
    FlowLog(Box<CallFlowLog>),
    /// The state of a recording now; an older one that waits in the same batch is left out.
    Record(Box<Record>),
    /// A recording is to be transcribed, or was, and what that has cost: both are written or neither.
    Transcript(Box<Transcript>, Option<Arc<Charge>>),
    /// What something has cost that leaves no row of its own.
    Charge {
        account: Uuid,
        charge: Arc<Charge>,
    },
    /// A filter has rejected one more call.
    Rejected {
        account: Uuid,
        filter: Uuid,
    },
}

/// An event that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub account: Uuid,
    /// From 1, gapless within the account.
    pub seq: i64,
    pub uuid: Uuid,
    pub kind: EventType,
    pub created_on: DateTime<Utc>,
    /// The envelope, JSON text.
    pub body: Arc<str>,
}

impl From<Event> for Published {
    fn from(row: Event) -> Published {
        Published {
            account: row.account,
            seq: row.seq,
            uuid: row.uuid,
            kind: row.kind,
            created_on: row.created_on,
            body: row.body.into(),
        }
    }
}

/// The event or write was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full: the database has not kept up although new work was refused long before.
    #[error("the event queue is full")]
    Full,
    /// The hub was closed.
    #[error("the event hub is closed")]
    Closed,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events committed.
    pub events: u64,
    /// Commits.
    pub commits: u64,
    /// Events and writes refused because the queue was full.
    pub refused: u64,
    /// Events and writes that the database would not take, one by one neither.
    pub rejected: u64,
    /// Listeners dropped because they were too slow.
    pub lagged: u64,
}

/// Cheap to clone; the writer ends with [`Hub::close`] or with the last clone and subscription.
#[derive(Debug, Clone)]
pub struct Hub {
    queue: mpsc::Sender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    settings: Settings,
    listeners: Listeners,
    desk: Desk,
    counters: Counters,
    /// The writer is not to wait for more.
    hurry: Notify,
}

#[derive(Debug, Default)]
struct Counters {
    events: AtomicU64,
    commits: AtomicU64,
    refused: AtomicU64,
    rejected: AtomicU64,
    lagged: AtomicU64,
}

/// What waits in the queue.
#[derive(Debug)]
enum Item {
    Event(Box<Pending>),
    Write(Write),
    Flush(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

#[derive(Debug, Clone)]
struct Pending {
    uuid: Uuid,
    created_on: DateTime<Utc>,
    event: NewEvent,
}

impl Hub {
    /// Reads where each account's numbering stands and starts the writer.
    pub async fn start(store: Store, settings: Settings) -> Result<Hub> {
        let heads = store.events().heads().await?;
        let (queue, items) = mpsc::channel(settings.queue.max(1));
        let (listeners, counters, hurry) = Default::default();
        let shared = Arc::new(Shared { store, settings, listeners, desk: Desk::new(), counters, hurry });
        tokio::spawn(writer::run(shared.clone(), heads, items));
        Ok(Hub { queue, shared })
    }

    /// Gives an event to the writer; returns its uuid. Never waits.
    pub fn publish(&self, event: NewEvent) -> Result<Uuid, Refused> {
        let uuid = Uuid::new_v4();
        self.give(Item::Event(Box::new(Pending { uuid, created_on: now(), event })))?;
        Ok(uuid)
    }

    /// Gives a row to the writer. Never waits.
    pub fn record(&self, write: Write) -> Result<(), Refused> {
        self.give(Item::Write(write))
    }

    fn give(&self, item: Item) -> Result<(), Refused> {
        self.queue.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                // Every refusal is counted; the log gets one of a thousand.
                if self.shared.counters.refused.fetch_add(1, Ordering::Relaxed).is_multiple_of(1000) {
                    tracing::error!("event queue is full, an event is lost");
                }
                Refused::Full
            }
            mpsc::error::TrySendError::Closed(_) => Refused::Closed,
        })?;
        // One more is in the writer's hands.
        if self.queue.max_capacity() - self.queue.capacity() + 1 >= self.shared.settings.batch {
            self.shared.hurry.notify_one();
        }
        Ok(())
    }

    /// What is to be told by HTTP. There is one: `None` for who comes second.
    pub fn outbox(&self) -> Option<Outbox> {
        self.shared.desk.take()
    }

    /// Somebody has asked for a delivery again that was over: it waits in the database now.
    pub fn deliver_again(&self, delivery: WebhookDelivery) {
        self.shared.desk.leave(delivery);
    }

    /// How full the queue is, 0.0..=1.0. New calls are to be refused well below 1, so that those that run can
    /// tell of their end.
    pub fn pressure(&self) -> f32 {
        let free = self.queue.capacity() as f32;
        1.0 - free / self.queue.max_capacity() as f32
    }

    /// Returns once everything given before is on disk and with the listeners.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            self.shared.hurry.notify_one();
            let _ = wait.await;
        }
    }

    /// Writes what was given before, then ends the writer and every subscription. Later events are
    /// [`Refused::Closed`].
    pub async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Item::Close(done)).await.is_ok() {
            self.shared.hurry.notify_one();
            let _ = wait.await;
        }
    }

    /// Events of an account from now on. `user` is whose listener it is, see [`Hub::online`].
    pub fn subscribe(&self, account: Uuid, user: Option<Uuid>, filter: Filter) -> Subscription {
        Subscription::new(self.shared.clone(), account, user, filter, None)
    }

    /// Events of an account after a sequence number: first from the log, then as they come, without gap or
    /// repetition. What the log no longer keeps is left out.
    pub fn subscribe_after(&self, account: Uuid, user: Option<Uuid>, filter: Filter, after: i64) -> Subscription {
        Subscription::new(self.shared.clone(), account, user, filter, Some(after))
    }

    /// Replaces the filter of all of a user's listeners, after a change of their subscriptions. Listeners that
    /// chose their types themselves keep them.
    pub fn refilter(&self, account: Uuid, user: Uuid, filter: &Filter) {
        self.shared.listeners.refilter(account, user, filter);
    }

    /// Whether a user has a listener open.
    pub fn online(&self, account: Uuid, user: Uuid) -> bool {
        self.shared.listeners.online(account, user)
    }

    /// Ends all listeners of a user who is to hear no more.
    pub fn part(&self, account: Uuid, user: Uuid) {
        self.shared.listeners.part(account, user);
    }

    /// The account's events after a sequence number, in order, up to `limit`.
    pub async fn replay(&self, account: Uuid, after: i64, limit: u64) -> Result<Vec<Published>> {
        self.shared.replay(account, after, limit).await
    }

    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            events: read(&counters.events),
            commits: read(&counters.commits),
            refused: read(&counters.refused),
            rejected: read(&counters.rejected),
            lagged: read(&counters.lagged),
        }
    }
}

impl Shared {
    async fn replay(&self, account: Uuid, after: i64, limit: u64) -> Result<Vec<Published>> {
        let rows = self.store.events().after(account, after, limit).await?;
        Ok(rows.into_iter().map(Published::from).collect())
    }
}
