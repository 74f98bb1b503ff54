//! The SMS side of the node, wired: carriers, the queue before them, and the simulated network where it is one of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use opentact_engine::http::HttpError;
use opentact_engine::ports::{MessageCarrier, MessageControl};
use opentact_events::Hub;
use opentact_store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::dev::smsc::{Smsc, SmscConfig, leases_of};
use crate::http::{HttpCarrier, HttpConfig};
use crate::messages::{Messages, MessagesConfig};
use crate::smpp::{Server, ServerConfig, SmppCarrier, SmppConfig};

/// Receipts and messages that wait to be written; more are left with the SMSC.
const INCOMING: usize = 4_000;

/// A way to the telephone network.
#[derive(Debug, Clone)]
pub enum CarrierConfig {
    /// The simulated network, reached by real SMPP over loopback.
    Dev(SmscConfig),
    Smpp(SmppConfig),
    /// A provider with a JSON API.
    Http(Box<HttpConfig>),
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the SMPP server, or the simulated SMSC, cannot listen: {0}")]
    Listen(#[from] io::Error),
    #[error("an HTTP carrier cannot start: {0}")]
    Http(#[from] HttpError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until [`Messaging::drain`].
pub struct Messaging {
    smsc: Option<Arc<Smsc>>,
    smpp: Vec<Arc<SmppCarrier>>,
    messages: Arc<Messages>,
    server: Option<Server>,
}

impl Messaging {
    /// Carriers are tried in the order given; `server` is for customers' ESMEs.
    pub async fn start(
        store: &Store,
        hub: &Hub,
        carriers: Vec<CarrierConfig>,
        messages: MessagesConfig,
        server: Option<ServerConfig>,
    ) -> Result<Messaging, StartError> {
        let (tell, incoming) = mpsc::channel(INCOMING);
        let mut smsc = None;
        let mut smpp = Vec::new();
        let mut started: Vec<Arc<dyn MessageCarrier>> = Vec::with_capacity(carriers.len());
        for carrier in carriers {
            let mut esme = match carrier {
                CarrierConfig::Smpp(esme) => esme,
                CarrierConfig::Http(config) => {
                    started.push(Arc::new(HttpCarrier::new(*config, tell.clone())?));
                    continue;
                }
                CarrierConfig::Dev(config) => {
                    let (system_id, password) = (config.system_id.clone(), config.password.clone());
                    let dev = Arc::new(Smsc::start(config, Some(leases_of(store.clone()))).await?);
                    let esme = SmppConfig::new("dev", dev.address().to_string(), &system_id, &password);
                    smsc = Some(dev);
                    esme
                }
            };
            // The queue before it has done that, by the profile of the number.
            esme.smart_encoding = false;
            let esme = SmppCarrier::start(esme, tell.clone());
            smpp.push(esme.clone());
            started.push(esme);
        }
        drop(tell);
        let messages = Messages::start(store.clone(), hub.clone(), started, incoming, smsc.clone(), messages).await?;
        let server = match server {
            Some(server) => Some(Server::start(server, store.clone(), messages.clone(), messages.news()).await?),
            None => None,
        };
        Ok(Messaging { smsc, smpp, messages, server })
    }

    /// What the API drives.
    pub fn control(&self) -> Arc<dyn MessageControl> {
        self.messages.clone()
    }

    /// Where customers' ESMEs bind.
    pub fn server_addresses(&self) -> &[SocketAddr] {
        self.server.as_ref().map_or(&[], |server| server.addresses())
    }

    /// Where the simulated SMSC listens, for other ESMEs.
    pub fn smsc_address(&self) -> Option<SocketAddr> {
        self.smsc.as_ref().map(|smsc| smsc.address())
    }

    /// Takes no more messages, lets those at carriers be answered, unbinds, stops. What is queued stays queued. The hub and
    /// the store must outlive it.
    pub async fn drain(&self) {
        if let Some(server) = &self.server {
            server.shutdown().await;
        }
        self.messages.drain().await;
        for carrier in &self.smpp {
            carrier.shutdown().await;
        }
        if let Some(smsc) = &self.smsc {
            smsc.shutdown().await;
        }
    }
}
