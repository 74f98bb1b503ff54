//! Webhooks: tells events by HTTP to those who have asked for that, until each is told or given up.
//!
//! What is to be told is written with the event itself, and stays in the database until it is told: a node that dies tells
//! it after its next start. What one webhook is told of one object comes in order, each only after the one before is over.
//! Somebody who dies after the answer and before it is written is told again, with the same ids.

mod attempt;
mod line;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use chrono::Utc;
use opentact_events::Outbox;
use opentact_store::Store;
use opentact_store::types::DeliveryState;
use opentact_store::webhooks::WebhookDelivery;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use uuid::Uuid;

use self::attempt::{Attempting, Tried};
use self::line::{Lines, Place};
use crate::http::HttpClient;

/// How webhooks are told.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// From the first octet of a request to the last of its answer, where the webhook says nothing else.
    pub timeout: Duration,
    /// Requests at once.
    pub concurrent: usize,
    /// Requests at once to one webhook: one that is slow holds up no other.
    pub concurrent_per_hook: usize,
    /// Deliveries in memory, of all webhooks and of one; the others wait in the database.
    pub in_memory: usize,
    pub in_memory_per_hook: usize,
    /// How long a delivery is tried.
    pub retry_for: Duration,
    /// How long what is over is kept to be looked at.
    pub keep: Duration,
}

impl Default for WebhookConfig {
    fn default() -> WebhookConfig {
        WebhookConfig {
            timeout: Duration::from_secs(10),
            concurrent: 256,
            concurrent_per_hook: 16,
            in_memory: 50_000,
            in_memory_per_hook: 1_000,
            retry_for: Duration::from_secs(5 * 24 * 3600),
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Attempts whose outcome is written together.
const TOGETHER: usize = 256;
/// Deliveries that were over last, which may come through the outbox once more.
const REMEMBERED: usize = 1024;
/// How often what is over is pruned, and how much of it at most.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
const PRUNED: u64 = 4096;
/// Pause before a database that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a node that ends goes on telling.
const FAREWELL: Duration = Duration::from_secs(2);

/// The task that tells.
pub(crate) struct Dispatcher {
    config: WebhookConfig,
    attempting: Attempting,
    outbox: Outbox,
    lines: Lines<WebhookDelivery>,
    /// What `lines` holds and tries, and how much of it is of each webhook.
    held: HashSet<Uuid>,
    held_of: HashMap<Uuid, usize>,
    /// What was over last, the latest at the back.
    over: VecDeque<Uuid>,
    /// Webhooks for which more waits in the database than is held here.
    behind: HashSet<Uuid>,
    attempts: JoinSet<Tried>,
}

impl Dispatcher {
    pub(crate) fn start(config: WebhookConfig, store: Store, http: HttpClient, outbox: Outbox) -> JoinHandle<()> {
        let dispatcher = Dispatcher {
            lines: Lines::new(config.concurrent, config.concurrent_per_hook),
            attempting: Attempting { store, http, timeout: config.timeout, retry_for: config.retry_for },
            config,
            outbox,
            held: HashSet::new(),
            held_of: HashMap::new(),
            over: VecDeque::new(),
            behind: HashSet::new(),
            attempts: JoinSet::new(),
        };
        tokio::spawn(dispatcher.run())
    }

    async fn run(mut self) {
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        loop {
            if self.outbox.is_behind() {
                self.take_stock().await;
            }
            if let Some(hook) = self.ready_to_catch_up() {
                self.catch_up(hook).await;
            }
            self.begin();
            let more = self.ready_to_catch_up().is_some();
            let wake = self.lines.due().unwrap_or_else(|| Instant::now() + PRUNE_EVERY);
            tokio::select! {
                Some(tried) = self.attempts.join_next() => {
                    let mut all = vec![tried];
                    while all.len() < TOGETHER
                        && let Some(tried) = self.attempts.try_join_next()
                    {
                        all.push(tried);
                    }
                    let tried = all.into_iter().filter_map(|tried| {
                        tried.inspect_err(|error| tracing::error!(%error, "an attempt of a webhook has died")).ok()
                    });
                    self.settle(tried.collect()).await;
                }
                delivery = self.outbox.next() => match delivery {
                    Some(delivery) => self.add(delivery),
                    None => return self.take_leave().await,
                },
                _ = prune.tick() => self.prune().await,
                () = sleep_until(wake.into()), if !more => {}
                () = std::future::ready(()), if more => {}
            }
        }
    }

    /// Tries what is due.
    fn begin(&mut self) {
        while let Some((place, delivery)) = self.lines.begin(Instant::now()) {
            self.attempts.spawn(self.attempting.clone().attempt(place, delivery));
        }
    }

    /// The node ends. What is due is told as far as that goes fast, the rest by the next one.
    async fn take_leave(mut self) {
        let _ = timeout(FAREWELL, async {
            loop {
                self.begin();
                let Some(tried) = self.attempts.join_next().await else { break };
                self.settle(tried.into_iter().collect()).await;
            }
        })
        .await;
    }

    /// Finds out who waits for more than has come through the outbox.
    async fn take_stock(&mut self) {
        loop {
            match self.attempting.store.webhooks().hooks_waiting().await {
                Ok(hooks) => return self.behind.extend(hooks),
                Err(error) => tracing::warn!(%error, "webhooks that wait are not read"),
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }

    /// A webhook for which there is room again.
    fn ready_to_catch_up(&self) -> Option<Uuid> {
        let room = |hook: &&Uuid| self.held_of.get(hook).copied().unwrap_or(0) <= self.config.in_memory_per_hook / 2;
        if self.held.len() >= self.config.in_memory {
            return None;
        }
        self.behind.iter().find(room).copied()
    }

    /// Takes from the database what one waits to be told, the oldest first.
    async fn catch_up(&mut self, hook: Uuid) {
        let limit = self.config.in_memory_per_hook as u64;
        let waiting = match self.attempting.store.webhooks().waiting(hook, limit).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::warn!(%error, "webhooks that wait are not read");
                return tokio::time::sleep(PATIENCE).await;
            }
        };
        // With fewer than there may be, none is left out, and what comes from now on comes through the outbox.
        if (waiting.len() as u64) < limit {
            self.behind.remove(&hook);
        }
        waiting.into_iter().for_each(|delivery| self.hold(delivery));
        // Read before anything of it is over: what was written meanwhile is in both.
        while let Some(delivery) = self.outbox.try_next() {
            self.add(delivery);
        }
    }

    fn add(&mut self, delivery: WebhookDelivery) {
        let hook = delivery.hook;
        // One more in memory could overtake what is still to be read.
        if self.behind.contains(&hook) {
            return;
        }
        let of_hook = self.held_of.get(&hook).copied().unwrap_or(0);
        if self.held.len() >= self.config.in_memory || of_hook >= self.config.in_memory_per_hook {
            self.behind.insert(hook);
            return;
        }
        self.hold(delivery);
    }

    fn hold(&mut self, delivery: WebhookDelivery) {
        let again = delivery.since > delivery.created_on;
        if !again && self.over.contains(&delivery.uuid) || !self.held.insert(delivery.uuid) {
            return;
        }
        *self.held_of.entry(delivery.hook).or_default() += 1;
        let wait = delivery.next_on.and_then(|at| (at - Utc::now()).to_std().ok()).unwrap_or_default();
        let object = delivery.ref_id.unwrap_or(delivery.uuid);
        self.lines.add(Place { hook: delivery.hook, object }, Instant::now() + wait, delivery);
    }

    fn let_go(&mut self, delivery: &WebhookDelivery) {
        self.held.remove(&delivery.uuid);
        if let Some(of_hook) = self.held_of.get_mut(&delivery.hook) {
            *of_hook -= 1;
            if *of_hook == 0 {
                self.held_of.remove(&delivery.hook);
            }
        }
        self.over.push_back(delivery.uuid);
        if self.over.len() > REMEMBERED {
            self.over.pop_front();
        }
    }

    /// Writes what came of attempts; only then the next of a line has its turn.
    async fn settle(&mut self, tried: Vec<Tried>) {
        let rows: Vec<_> = tried.iter().map(|tried| tried.delivery.clone()).collect();
        let attempts: Vec<_> = tried.iter().filter_map(|tried| tried.attempt.clone()).collect();
        while let Err(error) = self.attempting.store.webhooks().settle(rows.clone(), attempts.clone()).await {
            tracing::warn!(%error, "what came of webhooks is not written yet");
            tokio::time::sleep(PATIENCE).await;
        }
        for Tried { place, mut delivery, again_in, .. } in tried {
            let result = match delivery.state {
                DeliveryState::Waiting => "failed",
                DeliveryState::Delivered => "delivered",
                DeliveryState::Dead => "given_up",
            };
            metrics::counter!("opentact_webhook_attempts_total", "result" => result).increment(1);
            match again_in {
                Some(pause) => {
                    // It may wait for long: what it says is in the database.
                    delivery.body = String::new().into();
                    self.lines.again(place, Instant::now() + pause, delivery);
                }
                None => {
                    self.let_go(&delivery);
                    self.lines.end(place);
                }
            }
        }
        metrics::gauge!("opentact_webhook_deliveries_held").set(self.held.len() as f64);
    }

    async fn prune(&self) {
        let old = Utc::now() - self.config.keep;
        if let Err(error) = self.attempting.store.webhooks().prune(old, PRUNED).await {
            tracing::warn!(%error, "webhooks that are over are not pruned");
        }
    }
}
