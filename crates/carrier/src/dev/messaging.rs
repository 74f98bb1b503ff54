//! The SMS side of the simulated network, wired: the SMSC, the ESME bound to it, the queue before that.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use opentact_engine::ports::MessageControl;
use opentact_events::Hub;
use opentact_store::{Store, StoreError};
use tokio::sync::mpsc;

use super::smsc::{Smsc, SmscConfig, leases_of};
use crate::messages::{Messages, MessagesConfig};
use crate::smpp::{SmppCarrier, SmppConfig};

/// Receipts and messages that wait to be written; more are left with the SMSC.
const INCOMING: usize = 1_000;

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the simulated SMSC cannot listen: {0}")]
    Listen(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until [`DevMessaging::drain`].
pub struct DevMessaging {
    smsc: Arc<Smsc>,
    carrier: Arc<SmppCarrier>,
    messages: Arc<Messages>,
}

impl DevMessaging {
    pub async fn start(
        store: &Store,
        hub: &Hub,
        smsc: SmscConfig,
        messages: MessagesConfig,
    ) -> Result<DevMessaging, StartError> {
        let (system_id, password) = (smsc.system_id.clone(), smsc.password.clone());
        let smsc = Arc::new(Smsc::start(smsc, Some(leases_of(store.clone()))).await?);
        let (tell, incoming) = mpsc::channel(INCOMING);
        let mut esme = SmppConfig::new("dev", smsc.address().to_string(), &system_id, &password);
        // The queue before it has done that, by the profile of the number.
        esme.smart_encoding = false;
        let carrier = SmppCarrier::start(esme, tell);
        let messages =
            Messages::start(store.clone(), hub.clone(), carrier.clone(), incoming, Some(smsc.clone()), messages)
                .await?;
        Ok(DevMessaging { smsc, carrier, messages })
    }

    /// What the API drives.
    pub fn control(&self) -> Arc<dyn MessageControl> {
        self.messages.clone()
    }

    /// Where the SMSC listens, for other ESMEs.
    pub fn smsc_address(&self) -> SocketAddr {
        self.smsc.address()
    }

    /// Takes no more messages, lets those at the SMSC be answered, unbinds, stops. What is queued stays queued. The hub
    /// and the store must outlive it.
    pub async fn drain(&self) {
        self.messages.drain().await;
        self.carrier.shutdown().await;
        self.smsc.shutdown().await;
    }
}
