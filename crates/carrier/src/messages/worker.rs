//! The worker that hands queued messages to carriers.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentact_engine::ports::{CarrierSubmit, MessageCarrier, Submission};
use opentact_messaging::{Encoding, encoding};
use opentact_store::sms::{Outcome, Queued, Settlement, Sms};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::RefType;
use opentact_store::{Money, StoreError, Tn};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, info};
use uuid::Uuid;

use super::settle::{self, Done};
use super::view::Context;
use super::{INSUFFICIENT_BALANCE, NO_ANSWER, NO_CAMPAIGN, OPTED_OUT, QUEUING_TIMEOUT, Shared};

/// How long the queue is not looked at when nothing calls for it.
const IDLE: Duration = Duration::from_secs(30);
/// After the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A claim outlives the longest hand-over by this.
const CLAIM_MARGIN: Duration = Duration::from_secs(60);
/// Longest pause before a message is tried again, which doubles from try to try.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Messages that have waited too long, of one look.
const EXPIRED: u64 = 256;
/// While something waits they are looked for so often: what was queued meanwhile may end sooner than the others.
const LATE: Duration = Duration::from_secs(1);
/// Times a message may have left without being answered.
const MOST_UNANSWERED: i64 = 2;

/// Runs until the stop, then lets those at carriers end.
pub(super) async fn run(shared: Arc<Shared>) {
    let _done = shared.worker_done.clone().drop_guard();
    let concurrency = shared.config.concurrency.max(1);
    let (done, ended) = mpsc::channel(concurrency);
    let settling = tokio::spawn(settle::run(shared.clone(), ended));
    let places = Arc::new(Semaphore::new(concurrency));
    let mut worker = Worker { shared: shared.clone(), done, at_carrier: JoinSet::new(), places, expiry: Utc::now() };
    while !shared.stop.is_cancelled() {
        let free = worker.places.available_permits();
        // One place at a time would be one transaction at a time.
        let has_room = free >= concurrency.div_ceil(4) || free == concurrency;
        let idle = match worker.look(if has_room { free } else { 0 }).await {
            Ok(idle) => idle,
            Err(error) => {
                error!(%error, "the message queue cannot be read");
                PAUSE
            }
        };
        tokio::select! {
            () = shared.stop.cancelled() => {}
            Some(ended) = worker.at_carrier.join_next() => noticed(ended),
            () = shared.queued.notified() => {}
            () = tokio::time::sleep(idle) => {}
        }
        while let Some(ended) = worker.at_carrier.try_join_next() {
            noticed(ended);
        }
    }
    while let Some(ended) = worker.at_carrier.join_next().await {
        noticed(ended);
    }
    drop(worker);
    noticed(settling.await);
}

/// A task that died took only its message with it, which is claimed again when its claim has run out.
fn noticed(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "the hand-over of a message died");
    }
}

struct Worker {
    shared: Arc<Shared>,
    done: mpsc::Sender<Done>,
    at_carrier: JoinSet<()>,
    /// A message has one until what came of it is on disk: no more than these may have left twice after a kill.
    places: Arc<Semaphore>,
    /// When messages may have waited too long.
    expiry: DateTime<Utc>,
}

impl Worker {
    /// Takes what is due and there is room for; returns how long nothing will be.
    async fn look(&mut self, free: usize) -> Result<Duration, StoreError> {
        let store = self.shared.store.clone();
        let messages = store.sms();
        let lease = self.shared.config.hand_over_timeout + CLAIM_MARGIN;
        let (mut wait, now) = (IDLE, Utc::now());
        if self.expiry <= now {
            let expired = messages.claim_expired(EXPIRED, lease).await?;
            let more = expired.len() as u64 == EXPIRED;
            self.begin(expired, true).await;
            self.expiry = match messages.next_expiry().await? {
                Some(next) if !more => next.min(now + LATE),
                _ => now,
            };
            if more {
                wait = Duration::ZERO;
            }
        }
        if self.expiry > now {
            wait = wait.min(until(Some(self.expiry)));
        }
        let ready = self.shared.carriers.iter().any(|carrier| is_ready(carrier.as_ref()));
        if ready && free > 0 {
            let claimed = messages.claim(free as u64, lease).await?;
            let full = claimed.len() == free;
            self.begin(claimed, false).await;
            if !full {
                wait = wait.min(until(messages.next_due().await?));
            }
        }
        Ok(wait)
    }

    async fn begin(&mut self, claimed: Vec<(Sms, Queued)>, expired: bool) {
        if claimed.is_empty() {
            return;
        }
        // Whoever wrote them has told of them once this is passed.
        drop(self.shared.announcing.write().await);
        let begun = Instant::now();
        self.shared.under_way.lock().extend(claimed.iter().map(|(sms, _)| (sms.uuid, begun)));
        let surroundings = Surroundings::load(&self.shared, &claimed).await;
        for (sms, queued) in claimed {
            let (shared, done) = (self.shared.clone(), self.done.clone());
            let place = if expired { None } else { self.places.clone().try_acquire_owned().ok() };
            let context = surroundings.contexts.get(&(sms.account, sms.tn)).cloned();
            let opted_out = !sms.automated && surroundings.has_opted_out(&sms);
            self.at_carrier.spawn(async move {
                let ended = match &context {
                    None => End::put_off(&queued, PAUSE),
                    Some(_) if expired => End::timed_out(&queued),
                    Some(_) if opted_out && queued.unanswered == 0 => End::failed(OPTED_OUT),
                    Some(context) if lacks_campaign(context, &sms) && queued.unanswered == 0 => {
                        End::failed(NO_CAMPAIGN)
                    }
                    Some(context) => hand_over(&shared, context, &sms, &queued).await,
                };
                let End { carrier, outcome, reservation } = ended;
                let settlement = Settlement { account: sms.account, sms: sms.uuid, carrier, outcome };
                // The settler outlives every task.
                let _ = done.send(Done { settlement, context, reservation, place }).await;
            });
        }
    }
}

fn until(due: Option<DateTime<Utc>>) -> Duration {
    due.map_or(IDLE, |due| (due - Utc::now()).to_std().unwrap_or_default())
}

fn is_ready(carrier: &dyn MessageCarrier) -> bool {
    carrier.ready().is_none_or(|ready| *ready.borrow())
}

/// What is read for several messages together.
struct Surroundings {
    /// By account and number; none where they cannot be read.
    contexts: HashMap<(Uuid, Tn), Arc<Context>>,
    /// By list and recipient.
    opted_out: HashSet<(Uuid, Tn)>,
}

impl Surroundings {
    async fn load(shared: &Shared, claimed: &[(Sms, Queued)]) -> Surroundings {
        let mut contexts = HashMap::new();
        let mut recipients: HashMap<(Uuid, Option<Uuid>), Vec<Tn>> = HashMap::new();
        for (sms, _) in claimed {
            let key = (sms.account, sms.tn);
            if let Entry::Vacant(entry) = contexts.entry(key) {
                match context(shared, sms).await {
                    Ok(context) => drop(entry.insert(Arc::new(context))),
                    Err(error) => error!(sms = %sms.uuid, %error, "what is around a message cannot be read"),
                }
            }
            if let Ok(to) = sms.to.parse() {
                recipients.entry((sms.account, sms.messaging_profile)).or_default().push(to);
            }
        }
        let mut opted_out = HashSet::new();
        for ((account, profile), to) in recipients {
            match shared.store.opt_outs().among(account, profile, to).await {
                Ok(gone) => opted_out.extend(gone.into_iter().map(|tn| (profile.unwrap_or(account), tn))),
                // Nobody who may have opted out is written to.
                Err(error) => {
                    error!(%account, %error, "opt-outs cannot be read");
                    contexts.retain(|(of, _), _| *of != account);
                }
            }
        }
        Surroundings { contexts, opted_out }
    }

    fn has_opted_out(&self, sms: &Sms) -> bool {
        let list = sms.messaging_profile.unwrap_or(sms.account);
        sms.to.parse().is_ok_and(|to| self.opted_out.contains(&(list, to)))
    }
}

/// A reply to who has opted out, or asked for help, is none of a campaign's messages.
fn lacks_campaign(context: &Context, sms: &Sms) -> bool {
    !sms.automated && sms.to.parse().is_ok_and(|to| !context.may_send(to))
}

pub(super) async fn context(shared: &Shared, sms: &Sms) -> Result<Context, StoreError> {
    let lease = match shared.store.numbers().get_lease_by_tn(sms.account, sms.tn).await {
        Ok(lease) => Some(lease),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    Context::load(shared, sms.account, sms.tn, lease).await
}

/// How an attempt ended.
struct End {
    carrier: Option<String>,
    outcome: Outcome,
    /// Kept until the charge is booked.
    reservation: Option<Reservation>,
}

impl End {
    fn new(carrier: Option<&str>, outcome: Outcome) -> End {
        End { carrier: carrier.map(str::to_owned), outcome, reservation: None }
    }

    fn failed(reason: &str) -> End {
        End::new(None, Outcome::Failed { reason: reason.to_owned() })
    }

    fn timed_out(queued: &Queued) -> End {
        End::failed(if queued.unanswered > 0 { NO_ANSWER } else { QUEUING_TIMEOUT })
    }

    /// It has not left this time.
    fn put_off(queued: &Queued, after: Duration) -> End {
        End::new(None, later(queued, after, queued.unanswered, queued.taken.0.clone()))
    }
}

/// Tried again after a pause that doubles from try to try, but never after its end: then it is time to say so.
fn later(queued: &Queued, after: Duration, unanswered: i64, taken: Vec<Option<String>>) -> Outcome {
    let doublings = u32::try_from(queued.attempts).unwrap_or_default().min(16);
    let pause = after.saturating_mul(1 << doublings).min(LONGEST_PAUSE).max(after);
    Outcome::Later { due_on: (Utc::now() + pause).min(queued.expires_on), unanswered, taken }
}

/// One attempt: with one carrier after the other, as long as none of it has left.
async fn hand_over(shared: &Arc<Shared>, context: &Context, sms: &Sms, queued: &Queued) -> End {
    if queued.unanswered >= MOST_UNANSWERED {
        return End::failed(NO_ANSWER);
    }
    if context.account.disabled_on.is_some() {
        return End::failed("Account is disabled");
    }
    if context.lease.is_none() {
        return End::failed("Number is released");
    }
    let (Ok(from), Ok(to)) = (sms.from.parse::<Tn>(), sms.to.parse::<Tn>()) else {
        return End::failed("Invalid number");
    };
    let price = context.prices.sms_per_send_cost.times(sms.segments);
    let Some(reservation) = Reservation::new(shared, sms.account, context.account.balance, price) else {
        return End::failed(INSUFFICIENT_BALANCE);
    };
    // Who may have some of it gets the rest, and the repetition.
    let is_bound = queued.unanswered > 0 || queued.taken.iter().any(Option::is_some);
    let bound = queued.carrier.as_deref().filter(|_| is_bound);
    let is_there = |name: &str| shared.carriers.iter().any(|carrier| carrier.name() == name);
    let bound = bound.filter(|name| is_there(name));
    let carriers = shared.carriers.iter().filter(|carrier| bound.is_none_or(|name| carrier.name() == name));
    let mut end = End::put_off(queued, PAUSE);
    for carrier in carriers.filter(|carrier| is_ready(carrier.as_ref())) {
        let name = carrier.name();
        let message = CarrierSubmit {
            id: sms.uuid,
            from: from.get(),
            to: to.get(),
            text: wire_text(sms),
            taken: if bound.is_some() { queued.taken.0.clone() } else { Vec::new() },
            repeated: queued.unanswered > 0,
        };
        let submission = tokio::time::timeout(shared.config.hand_over_timeout, carrier.submit(message)).await;
        let submission = submission.unwrap_or_else(|_| Submission::Unanswered {
            reason: format!("no answer in {} s", shared.config.hand_over_timeout.as_secs()),
            taken: Vec::new(),
        });
        match submission {
            Submission::Accepted { references } => {
                debug!(sms = %sms.uuid, ?references, carrier = name, "message handed over");
                let charge = (!price.is_zero()).then(|| {
                    NewTransaction::charge(price, RefType::SmsOutgoing, sms.uuid, format!("SMS to {}", sms.to))
                });
                let outcome = Outcome::Accepted { references, charge };
                return End { reservation: Some(reservation), ..End::new(Some(name), outcome) };
            }
            Submission::Refused { reason } => return End::new(Some(name), Outcome::Failed { reason }),
            Submission::Unanswered { reason, taken } => {
                info!(sms = %sms.uuid, carrier = name, reason, "message not answered");
                let outcome = match queued.unanswered + 1 {
                    MOST_UNANSWERED.. => Outcome::Failed { reason: NO_ANSWER.to_owned() },
                    unanswered => later(queued, PAUSE, unanswered, taken),
                };
                return End::new(Some(name), outcome);
            }
            Submission::Later { after, reason, taken } => {
                info!(sms = %sms.uuid, carrier = name, attempts = queued.attempts + 1, reason, "message put off");
                let has_some = taken.iter().any(Option::is_some);
                end = End::new(Some(name), later(queued, after, queued.unanswered, taken));
                if has_some {
                    break;
                }
            }
        }
    }
    metrics::counter!("opentact_sms_postponed_total").increment(1);
    end
}

/// The text in the alphabet that was chosen, and paid for, when the message was queued.
fn wire_text(sms: &Sms) -> String {
    if sms.encoding == Encoding::Gsm.name() { encoding::smart(&sms.message).into_owned() } else { sms.message.clone() }
}

/// Money that a message at the carrier will cost. Given back when dropped: by then it is booked, or will not be.
pub(super) struct Reservation {
    shared: Arc<Shared>,
    account: Uuid,
    price: Money,
}

impl Reservation {
    /// `None` when the balance does not cover it beside what is reserved.
    fn new(shared: &Arc<Shared>, account: Uuid, balance: Money, price: Money) -> Option<Reservation> {
        let mut reserved = shared.reserved.lock();
        let of_account = reserved.entry(account).or_default();
        if *of_account + price > balance {
            if of_account.is_zero() {
                reserved.remove(&account);
            }
            return None;
        }
        *of_account = *of_account + price;
        Some(Reservation { shared: shared.clone(), account, price })
    }
}

impl Drop for Reservation {
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
