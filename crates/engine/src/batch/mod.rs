//! Batches of calls: a task for each that runs, which does what its machine (`call::batch`) says.
//!
//! **Nobody is called twice.** An item is marked as being called, with the id that its call will have, in a transaction that
//! is on disk before the call begins, and what became of it is on disk before its number can be called again. The next start
//! settles what was being called by the records of those calls; of a call without a record it is not known whether it
//! began, so that it counts as one that was lost (cause 41).

mod drive;
mod terms;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentact_store::{Store, StoreError};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::control::Control;

/// After the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the database is asked for batches when nothing calls for it.
const LOOK: Duration = Duration::from_secs(30);

/// Settings of batches.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// Batches that are called at once, at least 1; further ones wait in the order they were made.
    pub max_running: usize,
}

struct Shared {
    store: Store,
    control: Arc<Control>,
    config: BatchConfig,
    /// Nothing new begins.
    stop: CancellationToken,
}

/// The one runner of a database.
pub(crate) struct Batches {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Batches {
    /// Takes up what an earlier run has left. After its lost calls are ended.
    pub(crate) async fn start(store: Store, control: Arc<Control>, config: BatchConfig) -> Result<Self, StoreError> {
        store.batches().forget_unwritten().await?;
        let stop = CancellationToken::new();
        let shared = Shared { store, control, config, stop: stop.clone() };
        Ok(Self { stop, task: tokio::spawn(run(Arc::new(shared))) })
    }

    /// Begins no more calls; those that live are settled as they end.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// After [`Batches::stop`], once there are no calls: waits until what became of them is written.
    pub(crate) async fn finish(mut self, patience: Duration) {
        self.stop();
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            // What is not settled is at the next start.
            self.task.abort();
        }
    }
}

async fn run(shared: Arc<Shared>) {
    let mut changed = shared.control.batches.subscribe();
    let mut tasks = JoinSet::new();
    let mut driven: HashMap<Id, Uuid> = HashMap::new();
    while !shared.stop.is_cancelled() {
        let pause = match take_up(&shared, &mut tasks, &mut driven).await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::error!(%error, "the batches cannot be read");
                PAUSE
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => {}
            _ = changed.changed() => {}
            Some(ended) = tasks.join_next_with_id() => drop(driven.remove(&over(ended))),
            () = tokio::time::sleep(pause) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Which task has ended. One that died is taken up again.
fn over(ended: Result<(Id, ()), tokio::task::JoinError>) -> Id {
    match ended {
        Ok((id, ())) => id,
        Err(error) => {
            tracing::error!(%error, "the drive of a batch died");
            error.id()
        }
    }
}

/// Drives what is to be driven and is not.
async fn take_up(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
    driven: &mut HashMap<Id, Uuid>,
) -> Result<(), StoreError> {
    let room = shared.config.max_running.max(1);
    for batch in shared.store.batches().open(room as u64).await? {
        if driven.len() >= room {
            break;
        }
        if !driven.values().any(|uuid| *uuid == batch.uuid) {
            let uuid = batch.uuid;
            let task = tasks.spawn(drive::drive(shared.clone(), batch));
            driven.insert(task.id(), uuid);
        }
    }
    Ok(())
}
