//! The simulated network's short message centre: real SMPP 3.4 over TCP.
//!
//! A message to a number that is leased comes back as an inbound one. To any other number, the last four digits say
//! what happens: see [`Behaviour`].

mod behaviour;
mod connection;
mod network;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use opentact_messaging::segment::TooLong;
use opentact_messaging::smpp::Status;
use opentact_store::{Store, Tn};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use behaviour::Behaviour;
use network::Network;

/// Connections at once; one more is closed at once.
const CONNECTIONS: usize = 64;

/// Whether a number is leased by somebody, E.164. The store answers.
pub type LeaseLookup = Arc<dyn Fn(u64) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The lookup in a store. A database that does not answer counts as no lease.
pub fn leases_of(store: Store) -> LeaseLookup {
    Arc::new(move |number| {
        let store = store.clone();
        Box::pin(async move {
            let Ok(tn) = Tn::new(number) else { return false };
            match store.numbers().active_lease(tn).await {
                Ok(lease) => lease.is_some(),
                Err(error) => {
                    warn!(number, %error, "simulated SMSC cannot look up a lease");
                    false
                }
            }
        })
    })
}

#[derive(Debug, Clone)]
pub struct SmscConfig {
    /// Port 0 picks a free one; see [`Smsc::address`].
    pub listen: SocketAddr,
    /// What an ESME must bind with.
    pub system_id: String,
    pub password: String,
    /// From the acceptance of a message to its receipt.
    pub delivery: Duration,
    /// Times a message to `0113` is throttled before it is taken.
    pub throttles: u32,
}

impl Default for SmscConfig {
    fn default() -> SmscConfig {
        SmscConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            system_id: "opentact".to_owned(),
            password: "opentact".to_owned(),
            delivery: Duration::from_millis(200),
            throttles: 3,
        }
    }
}

impl SmscConfig {
    fn admits(&self, system_id: &str, password: &str) -> Result<(), Status> {
        if system_id != self.system_id {
            Err(Status::INVALID_SYSTEM_ID)
        } else if password != self.password {
            Err(Status::INVALID_PASSWORD)
        } else {
            Ok(())
        }
    }
}

/// The running SMSC. Ends with [`Smsc::shutdown`].
pub struct Smsc {
    address: SocketAddr,
    network: Arc<Network>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Smsc {
    /// Listens. Without a lookup no number is leased, and every message ends at the simulated network's own numbers.
    pub async fn start(config: SmscConfig, leased: Option<LeaseLookup>) -> io::Result<Smsc> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let network = Arc::new(Network::new(config, leased, tasks.clone(), stop.clone()));
        tasks.spawn(accept(listener, network.clone(), tasks.clone(), stop.clone()));
        info!(%address, "simulated SMSC listens");
        Ok(Smsc { address, network, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A text from somewhere in the simulated network, delivered by deliver_sm to whoever is bound; waits for a bind
    /// where nobody is. Returns the number of segments.
    pub fn text(&self, from: u64, to: u64, text: &str) -> Result<u8, TooLong> {
        self.network.text(from, to, text)
    }

    /// Ends every session and drops what was to be delivered.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, network: Arc<Network>, tasks: TaskTracker, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => match slots.clone().try_acquire_owned() {
                Ok(slot) => {
                    let serving = connection::serve(stream, peer, network.clone(), stop.clone());
                    tasks.spawn(async move {
                        serving.await;
                        drop(slot);
                    });
                }
                Err(_) => warn!(%peer, limit = CONNECTIONS, "simulated SMSC has too many connections"),
            },
            Err(error) => {
                // Out of descriptors, mostly: it passes when something closes.
                warn!(%error, "simulated SMSC cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
