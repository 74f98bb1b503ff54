//! The SMSC that customers' own SMPP software binds to.
//!
//! What is submitted is on disk before it is answered, and goes the way of `POST /rest/sms` once it is whole. Receipts and
//! inbound messages wait in the database until a bind has acknowledged them.

mod session;
mod submit;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_engine::ports::MessageControl;
use opentact_store::Store;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use uuid::Uuid;

/// How long segments may wait for each other.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often what waits too long is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Addresses whose failed binds are counted; when there are more, all are forgotten.
const ADDRESSES: usize = 10_000;
const FAILURES_WITHIN: Duration = Duration::from_secs(60);

/// What is served over TLS, asked for every connection: a renewed certificate is used at once.
pub type ServerTls = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

#[derive(Clone)]
pub struct ServerConfig {
    pub listen: Vec<SocketAddr>,
    /// Over TLS.
    pub listen_tls: Vec<SocketAddr>,
    pub tls: Option<ServerTls>,
    /// Connections at once; one more is closed.
    pub connections: usize,
    /// Binds of one account at once; one more is refused with ESME_RBINDFAIL.
    pub binds_per_account: usize,
    /// submit_sm of a bind that wait for their answers, and deliver_sm to it; one submit_sm more is answered
    /// ESME_RTHROTTLED.
    pub window: usize,
    /// submit_sm of a bind a second; more are answered ESME_RTHROTTLED. 0: any number.
    pub rate: u32,
    /// Failed binds of one address within a minute; then it is not let in. 0: any number.
    pub failures: u32,
    /// How long receipts and inbound messages wait for a bind.
    pub keep: Duration,
}

/// Where there is something to tell: accounts.
pub type News = broadcast::Sender<Uuid>;

/// Ends with [`Server::shutdown`].
pub struct Server {
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What all sessions share.
struct Shared {
    config: ServerConfig,
    store: Store,
    messages: Arc<dyn MessageControl>,
    news: News,
    /// Binds, by account.
    binds: Mutex<HashMap<Uuid, usize>>,
    /// What a session is telling, or waits to tell again: no two tell the same.
    under_way: Mutex<HashSet<Uuid>>,
    /// submit_sm that are not answered, and whether there was a receipt to tell of them meanwhile.
    unanswered: Mutex<HashMap<Uuid, bool>>,
    /// Failed binds: since when, and how many.
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    pub async fn start(
        config: ServerConfig,
        store: Store,
        messages: Arc<dyn MessageControl>,
        news: News,
    ) -> io::Result<Server> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let slots = Arc::new(Semaphore::new(config.connections));
        let plain = config.listen.iter().map(|address| (*address, None));
        let tls = config.listen_tls.iter().map(|address| (*address, config.tls.clone()));
        let listen: Vec<_> = plain.chain(tls).collect();
        let shared = Arc::new(Shared {
            config,
            store,
            messages,
            news,
            binds: Mutex::default(),
            under_way: Mutex::default(),
            unanswered: Mutex::default(),
            failures: Mutex::default(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        });
        let mut addresses = Vec::with_capacity(listen.len());
        for (address, tls) in listen {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            info!(%address, tls = tls.is_some(), "SMPP server listens");
            addresses.push(address);
            tasks.spawn(accept(listener, tls, slots.clone(), shared.clone()));
        }
        tasks.spawn(sweep(shared));
        Ok(Server { addresses, stop, tasks })
    }

    /// Where it listens: without TLS, then with it.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers what is under way, unbinds, ends.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, tls: Option<ServerTls>, slots: Arc<Semaphore>, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((_, peer)) if shared.is_banned(peer.ip()) => {}
            Ok((stream, peer)) => match slots.clone().try_acquire_owned() {
                Ok(slot) => {
                    let serving = session::serve(stream, peer, tls.clone(), shared.clone());
                    shared.tasks.spawn(async move {
                        serving.await;
                        drop(slot);
                    });
                }
                Err(_) => warn!(%peer, limit = shared.config.connections, "too many SMPP connections"),
            },
            Err(error) => {
                // Out of descriptors, mostly: it passes when something closes.
                warn!(%error, "the SMPP server cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn sweep(shared: Arc<Shared>) {
    loop {
        match shared.store.smpp().give_up(PATIENCE).await {
            Ok(accounts) => accounts.into_iter().for_each(|account| drop(shared.news.send(account))),
            Err(error) => warn!(%error, "segments that wait too long are not read"),
        }
        if let Err(error) = shared.store.smpp().prune(shared.config.keep).await {
            warn!(%error, "what no SMPP bind has fetched is not deleted");
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// A bind of an account, as long as it is there.
struct Seat {
    shared: Arc<Shared>,
    account: Uuid,
}

impl Seat {
    /// `None` when the account has as many as it may.
    fn take(shared: &Arc<Shared>, account: Uuid) -> Option<Seat> {
        let mut binds = shared.binds.lock();
        let count = binds.entry(account).or_default();
        if *count >= shared.config.binds_per_account {
            return None;
        }
        *count += 1;
        Some(Seat { shared: shared.clone(), account })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut binds = self.shared.binds.lock();
        if let Some(count) = binds.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                binds.remove(&self.account);
            }
        }
    }
}

/// A submit_sm whose answer has not left: an ESME that hears of a message it has no id of yet drops the receipt.
struct Unanswered {
    shared: Arc<Shared>,
    account: Uuid,
    submit: Uuid,
}

impl Unanswered {
    fn new(shared: &Arc<Shared>, account: Uuid) -> Unanswered {
        let submit = Uuid::new_v4();
        shared.unanswered.lock().insert(submit, false);
        Unanswered { shared: shared.clone(), account, submit }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.shared.unanswered.lock().remove(&self.submit) == Some(true) {
            let _ = self.shared.news.send(self.account);
        }
    }
}

impl Shared {
    fn is_banned(&self, address: IpAddr) -> bool {
        let limit = self.config.failures;
        let failures = self.failures.lock();
        let recent = failures.get(&address).filter(|(since, _)| since.elapsed() < FAILURES_WITHIN);
        limit > 0 && recent.is_some_and(|(_, count)| *count >= limit)
    }

    fn failed(&self, address: IpAddr) {
        let mut failures = self.failures.lock();
        if failures.len() >= ADDRESSES {
            failures.clear();
        }
        let entry = failures.entry(address).or_insert((Instant::now(), 0));
        if entry.0.elapsed() >= FAILURES_WITHIN {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
    }
}
