//! One batch, from when it is taken up until it is over, or paused and nobody is being called.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use opentact_call::batch::{Batch as Machine, End, Input, Output, Plan, Start, Verdict};
use opentact_call::{Now, Q850};
use opentact_store::StoreError;
use opentact_store::batches::{Batch, BatchItem, Outcome};
use opentact_store::types::{BatchState, ItemState};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{PAUSE, Shared, terms};
use crate::control::{BatchCall, CallEnd};
use crate::journal::answerer;
use crate::ports::{ControlError, Originate};

const LOST: &str = "The server stopped before it was known what became of the call";

/// What came of calling one.
enum Placed {
    Ended(CallEnd),
    /// Not now, and that is not the number's fault.
    Later(Duration),
    /// Never: the reason.
    Refused(String),
    /// Nobody of this batch can be called as things are: the reason.
    Stopped(String),
}

/// Asks the database until it answers; `None` once the node stops.
macro_rules! insist {
    ($shared:expr, $ask:expr) => {
        loop {
            match $ask.await {
                Ok(answer) => break Some(answer),
                Err(error) => tracing::error!(%error, "what a batch does cannot be read or written; it waits"),
            }
            if $shared.stop.is_cancelled() {
                break None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
}

struct Drive {
    shared: Arc<Shared>,
    uuid: Uuid,
    plan: Plan,
    call: Originate,
    machine: Machine,
    /// A call each, until it is over.
    calls: FuturesUnordered<BoxFuture<'static, (BatchItem, Placed)>>,
}

fn now() -> Now {
    Now { instant: Instant::now(), utc: Utc::now() }
}

pub(super) async fn drive(shared: Arc<Shared>, batch: Batch) {
    let uuid = batch.uuid;
    let made = terms::plan(&batch).and_then(|plan| Ok((plan, terms::call(&batch)?)));
    let (plan, call) = match made {
        Ok(made) => made,
        Err(reason) => {
            // Checked when it was made: another version has.
            insist!(shared, shared.store.batches().pause(uuid, &reason));
            return;
        }
    };
    settle_lost(&shared, &plan, uuid).await;
    let start = match batch.state {
        BatchState::Created => Start::New,
        BatchState::Running => Start::Running,
        BatchState::Paused => Start::Paused,
        BatchState::Canceled | BatchState::Finished => Start::Canceled,
    };
    let machine = Machine::new(now(), plan.clone(), start);
    Drive { shared, uuid, plan, call, machine, calls: FuturesUnordered::new() }.run().await;
}

/// Those that were being called when the last run ended.
async fn settle_lost(shared: &Shared, plan: &Plan, batch: Uuid) {
    let calling = insist!(shared, shared.store.batches().calling(batch));
    for item in calling.unwrap_or_default() {
        let end = insist!(shared, what_became(shared, &item));
        let Some(end) = end else { return };
        let (outcome, _) = outcome(plan, &item, end);
        insist!(shared, shared.store.batches().settle(&item, outcome.clone()));
    }
}

/// What the record of an item's call says.
async fn what_became(shared: &Shared, item: &BatchItem) -> Result<CallEnd, StoreError> {
    let lost = CallEnd { answered: false, cause: Q850::TEMPORARY_FAILURE, reason: Some(LOST.to_owned()), amd: None };
    let Some(call) = item.call else { return Ok(lost) };
    match shared.store.calls().get(item.account, call).await {
        Ok(record) => Ok(CallEnd {
            answered: record.answer_on.is_some(),
            cause: record.q850_cause.and_then(|cause| Q850::new(u8::try_from(cause).ok()?)).unwrap_or(lost.cause),
            reason: record.meta.get("reason").and_then(|reason| reason.as_str()).map(str::to_owned),
            amd: answerer(record.related.0.amd.as_deref()),
        }),
        Err(StoreError::NotFound(_)) => Ok(lost),
        Err(error) => Err(error),
    }
}

/// What is written of a call that has ended, and when its number is called again.
fn outcome(plan: &Plan, item: &BatchItem, end: CallEnd) -> (Outcome, Option<DateTime<Utc>>) {
    let CallEnd { answered, cause, reason, amd } = end;
    let attempts = u32::try_from(item.attempts).unwrap_or(u32::MAX);
    let (state, due_on) = match plan.verdict(Utc::now(), attempts, End { answered, cause }) {
        Verdict::Done => (ItemState::Done, None),
        Verdict::Failed => (ItemState::Failed, None),
        Verdict::Again(at) => (ItemState::Waiting, Some(at)),
    };
    let outcome = Outcome { state, due_on, q850_cause: Some(cause.value()), reason, amd, attempted: true };
    (outcome, due_on)
}

impl Drive {
    async fn run(mut self) {
        let mut changed = self.shared.control.batches.subscribe();
        let mut stopping = false;
        // It may have changed since it was read.
        self.look().await;
        loop {
            while let Some(output) = self.machine.poll() {
                if !self.carry_out(output).await {
                    return;
                }
            }
            if self.machine.is_at_rest() {
                return;
            }
            let deadline = self.machine.deadline();
            tokio::select! {
                Some((item, placed)) = self.calls.next() => self.settle(item, placed).await,
                _ = changed.changed() => self.look().await,
                () = self.shared.stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.machine.handle(now(), Input::Pause);
                }
                () = sleep_until(deadline) => self.machine.handle(now(), Input::Tick),
            }
        }
    }

    /// Somebody may have paused, resumed or canceled it.
    async fn look(&mut self) {
        match self.shared.store.batches().state(self.uuid).await {
            Ok(state) => self.follow(state),
            Err(error) => tracing::error!(batch = %self.uuid, %error, "the state of a batch cannot be read"),
        }
    }

    fn follow(&mut self, state: BatchState) {
        let input = match state {
            _ if self.shared.stop.is_cancelled() => Input::Pause,
            BatchState::Created | BatchState::Running => Input::Resume,
            BatchState::Paused => Input::Pause,
            BatchState::Canceled | BatchState::Finished => Input::Cancel,
        };
        self.machine.handle(now(), input);
    }

    /// False once it is over.
    async fn carry_out(&mut self, output: Output) -> bool {
        let (shared, uuid) = (self.shared.clone(), self.uuid);
        let batches = shared.store.batches();
        match output {
            Output::Begin => {
                insist!(shared, batches.begin(uuid));
            }
            Output::Claim { count } => self.claim(count).await,
            Output::Drop { expired } => {
                let reason = if expired { "Batch expired" } else { "Batch canceled" };
                insist!(shared, batches.drop_waiting(uuid, reason));
            }
            Output::Finish => {
                insist!(shared, batches.finish(uuid));
                return false;
            }
        }
        true
    }

    async fn claim(&mut self, count: u32) {
        match self.shared.store.batches().claim(self.uuid, count.into()).await {
            Ok(claimed) => {
                if claimed.state != BatchState::Running {
                    self.follow(claimed.state);
                }
                let count = u32::try_from(claimed.items.len()).unwrap_or(u32::MAX);
                for item in claimed.items {
                    self.place(item);
                }
                self.machine.handle(now(), Input::Claimed { count, next: claimed.next });
            }
            Err(error) => {
                tracing::error!(batch = %self.uuid, %error, "nobody can be taken to be called; it waits");
                let now = now();
                let next = Some(now.utc + TimeDelta::seconds(1));
                self.machine.handle(now, Input::Claimed { count: 0, next });
            }
        }
    }

    /// Begins the call of an item that is marked.
    fn place(&self, item: BatchItem) {
        let control = self.shared.control.clone();
        let request = Originate { to: item.to.clone(), ..self.call.clone() };
        self.calls.push(Box::pin(async move {
            let Some(call) = item.call else { return (item, Placed::Refused(LOST.to_owned())) };
            let (told, ended) = oneshot::channel();
            let batch = BatchCall { item: item.uuid, call, vars: item.vars.0.clone(), ended: told };
            let placed = match control.place(request, Some(batch)).await {
                // A call that is lost tells nothing any more.
                Ok(_) => Placed::Ended(ended.await.unwrap_or(CallEnd {
                    answered: false,
                    cause: Q850::TEMPORARY_FAILURE,
                    reason: None,
                    amd: None,
                })),
                Err(ControlError::Unavailable { retry_after, .. }) => Placed::Later(retry_after),
                Err(
                    fault @ (ControlError::InsufficientBalance
                    | ControlError::Conflict(_)
                    | ControlError::Forbidden { code: SPENT, .. }),
                ) => Placed::Stopped(fault.to_string()),
                Err(fault) => Placed::Refused(fault.to_string()),
            };
            (item, placed)
        }));
    }

    async fn settle(&mut self, item: BatchItem, placed: Placed) {
        let shared = self.shared.clone();
        let not_begun =
            |state, reason| Outcome { state, due_on: None, q850_cause: None, reason, amd: None, attempted: false };
        let (outcome, input) = match placed {
            Placed::Ended(end) => {
                let (outcome, again) = outcome(&self.plan, &item, end);
                (outcome, Input::Ended { again })
            }
            Placed::Later(after) => (not_begun(ItemState::Waiting, None), Input::Postponed { after }),
            Placed::Refused(reason) => (not_begun(ItemState::Failed, Some(reason)), Input::Ended { again: None }),
            Placed::Stopped(reason) => {
                insist!(shared, shared.store.batches().pause(self.uuid, &reason));
                self.machine.handle(now(), Input::Pause);
                (not_begun(ItemState::Waiting, None), Input::Postponed { after: Duration::ZERO })
            }
        };
        // Its number is called again only once that is on disk.
        let waits = insist!(shared, shared.store.batches().settle(&item, outcome.clone()));
        let input = if waits == Some(true) { input } else { Input::Ended { again: None } };
        self.machine.handle(now(), input);
    }
}

/// The code of a spend limit that is reached.
const SPENT: u16 = 407;

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
