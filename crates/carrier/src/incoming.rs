//! What carriers tell, on its way to where it is written.

use std::sync::Arc;

use opentact_engine::ports::CarrierMessage;
use tokio::sync::{mpsc, oneshot};

/// Something a carrier tells. It is acknowledged to the carrier only after `taken` is sent `true`, so whoever takes it
/// makes it durable first; `false` or a drop asks the carrier to come again.
#[derive(Debug)]
pub struct Incoming {
    /// Name of the carrier.
    pub carrier: Arc<str>,
    pub message: CarrierMessage,
    pub taken: oneshot::Sender<bool>,
}

/// It cannot be passed on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPassedOn {
    /// As much waits as may.
    Full,
    /// The node is ending.
    Closed,
}

impl Incoming {
    /// Never waits; what is returned says whether it was taken.
    pub(crate) fn pass_on(
        to: &mpsc::Sender<Incoming>,
        carrier: &Arc<str>,
        message: CarrierMessage,
    ) -> Result<oneshot::Receiver<bool>, NotPassedOn> {
        let (taken, answer) = oneshot::channel();
        match to.try_send(Incoming { carrier: carrier.clone(), message, taken }) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(NotPassedOn::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(NotPassedOn::Closed),
        }
    }
}
