//! Writes what is asked for at the same time in one transaction.

use std::sync::Arc;

use opentact_engine::ports::ControlError;
use opentact_store::StoreError;
use opentact_store::sms::{Enqueue, Sms};
use tokio::sync::{mpsc, oneshot};

use super::{Shared, control_error, draining};

/// Requests of one transaction at most.
const TOGETHER: usize = 64;
/// Requests that wait; one more waits to wait.
pub(super) const WAITING: usize = 1_024;

type Written = Result<Vec<Sms>, StoreError>;

/// Messages to be queued, and who waits for that.
pub(super) struct Request {
    enqueue: Enqueue,
    written: oneshot::Sender<Written>,
}

/// Queues messages; returns them once they are on disk.
pub(super) async fn enqueue(shared: &Shared, enqueue: Enqueue) -> Result<Vec<Sms>, ControlError> {
    let (written, answer) = oneshot::channel();
    shared.intake.send(Request { enqueue, written }).await.map_err(|_| draining())?;
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
    let (all, waiting): (Vec<Enqueue>, Vec<_>) =
        requests.into_iter().map(|request| (request.enqueue, request.written)).unzip();
    match shared.store.sms().enqueue_all(all.clone()).await {
        Ok(written) => waiting.into_iter().zip(written).for_each(|(waiting, written)| tell(waiting, Ok(written))),
        // What is wrong with one is not the others' fault.
        Err(_) => {
            for (one, waiting) in all.into_iter().zip(waiting) {
                let written = shared.store.sms().enqueue_all(vec![one]).await;
                tell(waiting, written.map(|mut written| written.pop().unwrap_or_default()));
            }
        }
    }
}

fn tell(waiting: oneshot::Sender<Written>, written: Written) {
    // Who asked may have given up; the message is queued all the same.
    let _ = waiting.send(written);
}
