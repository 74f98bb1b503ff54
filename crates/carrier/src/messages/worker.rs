//! The worker that hands queued messages to the carrier.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentact_engine::ports::{CarrierSubmit, Submission};
use opentact_messaging::state::Step;
use opentact_messaging::{Encoding, SmsState, encoding};
use opentact_store::sms::{Queued, Sms};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, SmsState as Stored};
use opentact_store::{Money, StoreError, Tn};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::view::Context;
use super::{INSUFFICIENT_BALANCE, QUEUING_TIMEOUT, Shared};

/// How long the queue is not looked at when nothing calls for it.
const IDLE: Duration = Duration::from_secs(30);
/// After the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A claim outlives the longest hand-over by this.
const CLAIM_MARGIN: Duration = Duration::from_secs(60);

/// Runs until the stop, then lets those at the carrier end.
pub(super) async fn run(shared: Arc<Shared>) {
    let _done = shared.worker_done.clone().drop_guard();
    let mut at_carrier: JoinSet<()> = JoinSet::new();
    let concurrency = shared.config.concurrency.max(1);
    while !shared.stop.is_cancelled() {
        let free = concurrency - at_carrier.len();
        let idle = match fill(&shared, &mut at_carrier, free).await {
            Ok(idle) => idle,
            Err(error) => {
                error!(%error, "the message queue cannot be read");
                PAUSE
            }
        };
        let is_full = at_carrier.len() >= concurrency;
        tokio::select! {
            () = shared.stop.cancelled() => {}
            Some(ended) = at_carrier.join_next() => noticed(ended),
            () = shared.queued.notified(), if !is_full => {}
            () = tokio::time::sleep(idle), if !is_full => {}
        }
    }
    while let Some(ended) = at_carrier.join_next().await {
        noticed(ended);
    }
}

/// A task that died took only its message with it, which is claimed again when its claim has run out.
fn noticed(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "the hand-over of a message died");
    }
}

/// Claims what is due and there is room for; returns how long nothing will be due.
async fn fill(shared: &Arc<Shared>, at_carrier: &mut JoinSet<()>, free: usize) -> Result<Duration, StoreError> {
    if free == 0 {
        return Ok(IDLE);
    }
    let claim = shared.config.hand_over_timeout + CLAIM_MARGIN;
    let claimed = shared.store.sms().claim(free as u64, claim).await?;
    if claimed.len() == free {
        at_carrier_all(shared, at_carrier, claimed).await;
        return Ok(Duration::ZERO);
    }
    at_carrier_all(shared, at_carrier, claimed).await;
    let due = shared.store.sms().next_due().await?;
    let wait = due.map_or(IDLE, |due| (due - Utc::now()).to_std().unwrap_or_default());
    Ok(wait.min(IDLE))
}

async fn at_carrier_all(shared: &Arc<Shared>, at_carrier: &mut JoinSet<()>, claimed: Vec<(Sms, Queued)>) {
    if claimed.is_empty() {
        return;
    }
    // Whoever wrote them has told of them once this is passed.
    drop(shared.announcing.write().await);
    for (sms, queued) in claimed {
        let shared = shared.clone();
        at_carrier.spawn(async move {
            let id = sms.uuid;
            shared.under_way.lock().insert(id);
            if let Err(error) = hand_over(&shared, sms, &queued).await {
                // It stays claimed until the claim runs out, and is tried again then.
                error!(sms = %id, %error, "the hand-over of a message failed");
            }
            shared.under_way.lock().remove(&id);
            shared.handed_over.notify_one();
        });
    }
}

/// One attempt.
async fn hand_over(shared: &Shared, sms: Sms, queued: &Queued) -> Result<(), StoreError> {
    let lease = match shared.store.numbers().get_lease_by_tn(sms.account, sms.tn).await {
        Ok(lease) => Some(lease),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let context = Context::load(shared, sms.account, sms.tn, lease).await?;
    if queued.expires_on <= Utc::now() {
        return fail(shared, &context, &sms, QUEUING_TIMEOUT).await;
    }
    if context.account.disabled_on.is_some() {
        return fail(shared, &context, &sms, "Account is disabled").await;
    }
    if context.lease.is_none() {
        return fail(shared, &context, &sms, "Number is released").await;
    }
    let (Ok(from), Ok(to)) = (sms.from.parse::<Tn>(), sms.to.parse::<Tn>()) else {
        return fail(shared, &context, &sms, "Invalid number").await;
    };
    let price = context.prices.sms_per_send_cost;
    let Some(reservation) = Reservation::new(shared, sms.account, context.account.balance, price) else {
        return fail(shared, &context, &sms, INSUFFICIENT_BALANCE).await;
    };
    // Before the first octet leaves: after a crash it is known that this one may have.
    let sms = shared.store.sms().sending(sms.account, sms.uuid).await?;
    let message = CarrierSubmit { id: sms.uuid, from: from.get(), to: to.get(), text: wire_text(&sms) };
    let submission = tokio::time::timeout(shared.config.hand_over_timeout, shared.carrier.submit(message)).await;
    let submission = submission.unwrap_or_else(|_| Submission::Later {
        after: PAUSE,
        reason: format!("no answer in {} s", shared.config.hand_over_timeout.as_secs()),
    });
    match submission {
        Submission::Accepted { reference } => accepted(shared, &context, &sms, &reference, price).await?,
        Submission::Later { after, reason } => postpone(shared, &sms, queued, after, &reason).await?,
        Submission::Refused { reason } => fail(shared, &context, &sms, &reason).await?,
    }
    drop(reservation);
    Ok(())
}

/// The text in the alphabet that was chosen, and paid for, when the message was queued.
fn wire_text(sms: &Sms) -> String {
    if sms.encoding == Encoding::Gsm.name() { encoding::smart(&sms.message).into_owned() } else { sms.message.clone() }
}

async fn accepted(
    shared: &Shared,
    context: &Context,
    sms: &Sms,
    reference: &str,
    price: Money,
) -> Result<(), StoreError> {
    let charge = (!price.is_zero())
        .then(|| NewTransaction::charge(price, RefType::SmsOutgoing, sms.uuid, format!("SMS to {}", sms.to)));
    let messages = shared.store.sms();
    let recorded = match messages.accepted(sms.account, sms.uuid, reference, charge).await {
        // Something else spent the balance between the check and now. The carrier has the message, so it must not be
        // sent again; the loss is ours.
        Err(StoreError::InsufficientBalance) => {
            error!(sms = %sms.uuid, account = %sms.account, "message handed over and not paid");
            messages.accepted(sms.account, sms.uuid, reference, None).await
        }
        recorded => recorded,
    };
    let (sms, booked) = recorded?;
    debug!(sms = %sms.uuid, reference, carrier = shared.carrier.name(), "message handed over");
    metrics::counter!("opentact_sms_sent_total", "result" => "success").increment(1);
    context.publish(shared, &sms);
    context.publish_balance(shared, booked.as_ref(), "sms_per_send");
    Ok(())
}

async fn postpone(
    shared: &Shared,
    sms: &Sms,
    queued: &Queued,
    after: Duration,
    reason: &str,
) -> Result<(), StoreError> {
    info!(sms = %sms.uuid, attempts = queued.attempts, reason, "message put off");
    metrics::counter!("opentact_sms_postponed_total").increment(1);
    step(shared, sms, Step::Postpone).await?;
    // Never beyond its end: then it is time to say so.
    let due: DateTime<Utc> = (Utc::now() + after).min(queued.expires_on);
    shared.store.sms().retry(sms.uuid, due).await
}

async fn fail(shared: &Shared, context: &Context, sms: &Sms, reason: &str) -> Result<(), StoreError> {
    let sms = shared.store.sms().failed(sms.account, sms.uuid, reason).await?;
    warn!(sms = %sms.uuid, account = %sms.account, reason, "message failed");
    metrics::counter!("opentact_sms_sent_total", "result" => "failed").increment(1);
    context.publish(shared, &sms);
    Ok(())
}

async fn step(shared: &Shared, sms: &Sms, step: Step) -> Result<(), StoreError> {
    let next = SmsState::parse(sms.state.as_str()).and_then(|state| state.after(step).ok());
    let Some(next) = next.and_then(|state| state.as_str().parse::<Stored>().ok()) else { return Ok(()) };
    shared.store.sms().change(sms.account, sms.uuid, |sms| sms.state = next).await?;
    Ok(())
}

/// Money that a message at the carrier will cost. Given back when dropped: by then it is booked, or will not be.
struct Reservation<'a> {
    shared: &'a Shared,
    account: Uuid,
    price: Money,
}

impl<'a> Reservation<'a> {
    /// `None` when the balance does not cover it beside what is reserved.
    fn new(shared: &'a Shared, account: Uuid, balance: Money, price: Money) -> Option<Reservation<'a>> {
        let mut reserved = shared.reserved.lock();
        let of_account = reserved.entry(account).or_default();
        if *of_account + price > balance {
            if of_account.is_zero() {
                reserved.remove(&account);
            }
            return None;
        }
        *of_account = *of_account + price;
        Some(Reservation { shared, account, price })
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut reserved = self.shared.reserved.lock();
        if let Some(of_account) = reserved.get_mut(&self.account) {
            *of_account = *of_account - self.price;
            if of_account.is_zero() {
                reserved.remove(&self.account);
            }
        }
    }
}
