use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentact_store::webhooks::WebhookDelivery;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Deliveries handed on from memory; what comes while they wait is read from the database later.
const QUEUE: usize = 4096;

/// Where the writer leaves what is to be told by HTTP. It is on disk by then.
#[derive(Debug)]
pub(super) struct Desk {
    /// Until the hub is closed.
    queue: Mutex<Option<mpsc::Sender<WebhookDelivery>>>,
    behind: Arc<AtomicBool>,
    /// Until somebody takes it.
    outbox: Mutex<Option<Outbox>>,
}

impl Desk {
    pub(super) fn new() -> Desk {
        let (queue, deliveries) = mpsc::channel(QUEUE);
        // What an earlier run has left is not in the queue.
        let behind = Arc::new(AtomicBool::new(true));
        let outbox = Outbox { deliveries, behind: behind.clone() };
        Desk { queue: Mutex::new(Some(queue)), behind, outbox: Mutex::new(Some(outbox)) }
    }

    pub(super) fn leave(&self, delivery: WebhookDelivery) {
        let queue = self.queue.lock();
        if queue.as_ref().is_none_or(|queue| queue.try_send(delivery).is_err()) {
            self.behind.store(true, Ordering::Release);
        }
    }

    pub(super) fn close(&self) {
        self.queue.lock().take();
    }

    pub(super) fn take(&self) -> Option<Outbox> {
        self.outbox.lock().take()
    }
}

/// What is to be told by HTTP, as it is written.
#[derive(Debug)]
pub struct Outbox {
    deliveries: mpsc::Receiver<WebhookDelivery>,
    behind: Arc<AtomicBool>,
}

impl Outbox {
    /// The next delivery; `None` once the hub is closed.
    pub async fn next(&mut self) -> Option<WebhookDelivery> {
        self.deliveries.recv().await
    }

    /// One that is there already.
    pub fn try_next(&mut self) -> Option<WebhookDelivery> {
        self.deliveries.try_recv().ok()
    }

    /// Whether more waits in the database than came through here, as at the start; asking resets it.
    pub fn is_behind(&self) -> bool {
        self.behind.swap(false, Ordering::AcqRel)
    }
}
