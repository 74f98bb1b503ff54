//! Writes what is asked for at the same time in one transaction, and tells of it.

use std::sync::Arc;

use opentact_engine::ports::ControlError;
use opentact_store::StoreError;
use opentact_store::sms::{Enqueue, Sms};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::view::Context;
use super::{Shared, control_error, draining};

/// Requests of one transaction at most.
const TOGETHER: usize = 64;
/// Requests that wait; one more waits to wait.
pub(super) const WAITING: usize = 1_024;

type Written = Result<Vec<Value>, StoreError>;

/// Messages to be queued, and who waits for that.
pub(super) struct Request {
    enqueue: Enqueue,
    waits: Waits,
}

struct Waits {
    /// Of each message.
    contexts: Vec<Arc<Context>>,
    written: oneshot::Sender<Written>,
}

/// Queues messages; returns them once they are on disk and told of.
pub(super) async fn enqueue(
    shared: &Shared,
    enqueue: Enqueue,
    contexts: Vec<Arc<Context>>,
) -> Result<Vec<Value>, ControlError> {
    let (written, answer) = oneshot::channel();
    let request = Request { enqueue, waits: Waits { contexts, written } };
    shared.intake.send(request).await.map_err(|_| draining())?;
    answer.await.map_err(|_| draining())?.map_err(control_error)
}

/// Ends with the stop, when all that was asked for is written.
pub(super) async fn run(shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut together = Vec::with_capacity(TOGETHER);
    loop {
        tokio::select! {
            count = requests.recv_many(&mut together, TOGETHER) => if count == 0 { return },
            () = shared.stop.cancelled(), if !requests.is_closed() => {
                requests.close();
                continue;
            }
        }
        write(&shared, std::mem::take(&mut together)).await;
    }
}

async fn write(shared: &Shared, requests: Vec<Request>) {
    let (all, waiting): (Vec<Enqueue>, Vec<Waits>) =
        requests.into_iter().map(|request| (request.enqueue, request.waits)).unzip();
    let announcing = shared.announcing.read().await;
    match shared.store.sms().enqueue_all(all.clone()).await {
        Ok(written) => {
            waiting.into_iter().zip(written).for_each(|(waits, written)| waits.tell(shared, Ok(written)));
        }
        // What is wrong with one is not the others' fault.
        Err(_) => {
            for (one, waits) in all.into_iter().zip(waiting) {
                let written = shared.store.sms().enqueue_all(vec![one]).await;
                waits.tell(shared, written.map(|mut written| written.pop().unwrap_or_default()));
            }
        }
    }
    drop(announcing);
    shared.queued.notify_one();
}

impl Waits {
    fn tell(self, shared: &Shared, written: Result<Vec<Sms>, StoreError>) {
        let views = written.map(|written| {
            metrics::counter!("opentact_sms_queued_total").increment(written.len() as u64);
            written.iter().zip(&self.contexts).map(|(sms, context)| context.publish(shared, sms)).collect()
        });
        // Who asked may have given up; the message is queued all the same.
        let _ = self.written.send(views);
    }
}
