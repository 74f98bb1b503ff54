//! What the carrier tells: receipts and messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use opentact_engine::ports::{CarrierMessage, ReceiptState};
use opentact_messaging::{segment, thread_id};
use opentact_store::sms::{Consequences, NewSms, Receipted, ReceivedSms, Waiting, created};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{Priority, RefType, SmsType};
use opentact_store::{StoreError, Tn};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::opt_out::reaction;
use super::segments::Segments;
use super::view::Context;
use super::{INSUFFICIENT_BALANCE, Shared};
use crate::incoming::Incoming;

/// Receipts that came before the message they are of was recorded as handed over. One more is not taken: the SMSC
/// comes again.
const EARLY: usize = 10_000;
/// How long they are kept: no SMSC may take its session for dead meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

struct Receipt {
    carrier: Arc<str>,
    reference: String,
    state: ReceiptState,
    error: Option<String>,
}

struct Early {
    receipt: Receipt,
    taken: oneshot::Sender<bool>,
    until: Instant,
}

/// One thing at a time, in the order it came: the database writes one thing at a time, too.
pub(super) async fn run(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>) {
    let mut early: VecDeque<Early> = VecDeque::new();
    let mut segments = Segments::new(&shared);
    loop {
        tokio::select! {
            next = incoming.recv() => match next {
                None => return,
                Some(Incoming { message: CarrierMessage::Inbound { from, to, text, reference }, taken, carrier }) => {
                    let message = Message { carrier: &carrier, reference, from, to, text, missing: None, joined: None };
                    acknowledge(taken, received(&shared, message).await);
                }
                Some(Incoming { message: CarrierMessage::Segment(segment), taken, carrier }) => {
                    acknowledge(taken, segments.take(&carrier, segment).await);
                }
                Some(Incoming { message: CarrierMessage::Receipt { reference, state, error }, taken, carrier }) => {
                    let receipt = Receipt { carrier, reference, state, error };
                    let until = Instant::now() + PATIENCE;
                    consider(&shared, &mut early, Early { receipt, taken, until }).await;
                }
            },
            () = shared.handed_over.notified(), if !early.is_empty() => look_again(&shared, &mut early).await,
            () = tokio::time::sleep(LOOK_AGAIN), if !early.is_empty() => look_again(&shared, &mut early).await,
            () = segments.due() => segments.give_up().await,
            // What has come is still taken; what comes now is for the next start.
            () = shared.worker_done.cancelled(), if !incoming.is_closed() => {
                incoming.close();
                look_again(&shared, &mut early).await;
            }
        }
    }
}

/// The carrier may be gone already; then it will come again.
fn acknowledge(taken: oneshot::Sender<bool>, is_taken: bool) {
    let _ = taken.send(is_taken);
}

async fn look_again(shared: &Shared, early: &mut VecDeque<Early>) {
    for waiting in std::mem::take(early) {
        consider(shared, early, waiting).await;
    }
}

async fn consider(shared: &Shared, early: &mut VecDeque<Early>, waiting: Early) {
    match apply(shared, &waiting.receipt).await {
        Ok(true) => acknowledge(waiting.taken, true),
        Ok(false) if Instant::now() >= waiting.until => {
            info!(reference = waiting.receipt.reference, "receipt of no message");
            acknowledge(waiting.taken, true);
        }
        Ok(false) if early.len() >= EARLY => acknowledge(waiting.taken, false),
        Ok(false) => early.push_back(waiting),
        Err(error) => {
            error!(reference = waiting.receipt.reference, %error, "receipt not written");
            acknowledge(waiting.taken, false);
        }
    }
}

/// `false` when the message is not known, or not yet.
async fn apply(shared: &Shared, receipt: &Receipt) -> Result<bool, StoreError> {
    let failed = match receipt.state {
        ReceiptState::Delivered => None,
        ReceiptState::Expired | ReceiptState::Deleted | ReceiptState::Undeliverable | ReceiptState::Rejected => {
            Some(reason(receipt))
        }
        // On its way, or nothing is known.
        ReceiptState::Enroute | ReceiptState::Accepted | ReceiptState::Unknown => return Ok(true),
    };
    let messages = shared.store.sms();
    // Its `success` may not be told of yet.
    match messages.by_reference(&receipt.carrier, &receipt.reference).await? {
        None => return Ok(false),
        Some(sms) if shared.under_way.lock().contains(&sms) => return Ok(false),
        Some(_) => {}
    }
    let Some(Receipted { sms, changed }) = messages.receipt(&receipt.carrier, &receipt.reference, failed).await? else {
        return Ok(false);
    };
    debug!(sms = %sms.uuid, state = ?receipt.state, changed, "receipt");
    if changed {
        metrics::counter!("opentact_sms_receipts_total", "delivered" => sms.delivered.to_string()).increment(1);
        let lease = shared.store.numbers().active_lease(sms.tn).await?;
        let lease = lease.filter(|lease| lease.account == sms.account);
        let context = Context::load(shared, sms.account, sms.tn, lease).await?;
        context.publish(shared, &sms);
        shared.news(sms.account);
    }
    Ok(true)
}

fn reason(receipt: &Receipt) -> String {
    let state = match receipt.state {
        ReceiptState::Expired => "EXPIRED",
        ReceiptState::Deleted => "DELETED",
        ReceiptState::Rejected => "REJECTD",
        _ => "UNDELIV",
    };
    match &receipt.error {
        Some(error) => format!("{state}, error {error}"),
        None => state.to_owned(),
    }
}

/// A message that has come, as far as it has.
pub(super) struct Message<'a> {
    pub carrier: &'a str,
    /// The carrier's id of it.
    pub reference: Option<String>,
    pub from: u64,
    pub to: u64,
    pub text: String,
    pub missing: Option<Missing>,
    /// The segments that it was joined from.
    pub joined: Option<Uuid>,
}

/// Segments of it that never came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    pub segments: u8,
    pub of: u8,
}

/// Whether it was taken.
pub(super) async fn received(shared: &Shared, message: Message<'_>) -> bool {
    let (from, to, joined) = (message.from, message.to, message.joined);
    let received = async {
        match (receive(shared, message).await?, joined) {
            // What is dropped leaves nothing behind.
            (false, Some(joined)) => shared.store.sms().forget_unfinished(joined).await,
            _ => Ok(()),
        }
    };
    match received.await {
        Ok(()) => true,
        Err(error) => {
            error!(from, to, %error, "inbound message not written");
            false
        }
    }
}

/// Written and charged, with what it brings about, then told of. `false`: a number nobody leases is not ours, and what a
/// carrier has told of before is not taken twice.
async fn receive(shared: &Shared, message: Message<'_>) -> Result<bool, StoreError> {
    let Message { carrier, reference, from, to, text, missing, joined } = message;
    let Ok(tn) = Tn::new(to) else { return Ok(false) };
    let Some(lease) = shared.store.numbers().active_lease(tn).await? else {
        warn!(from, to, "inbound message to a number nobody leases");
        return Ok(false);
    };
    let context = Context::load(shared, lease.account, tn, Some(lease)).await?;
    if context.account.disabled_on.is_some() {
        info!(from, to, account = %context.account.uuid, "inbound message to a disabled account");
        return Ok(false);
    }
    let account = context.account.uuid;
    let profile = context.profile.as_ref().map(|profile| profile.uuid);
    let opted_out = match Tn::new(from) {
        Ok(from) => !shared.store.opt_outs().among(account, profile, vec![from]).await?.is_empty(),
        Err(_) => false,
    };
    // A fragment is no keyword.
    let reaction = reaction(&context, &text, opted_out).filter(|_| missing.is_none());
    let (opt, answer) = reaction.map_or((None, None), |reaction| (reaction.opt, reaction.answer));
    let measured = segment::measure(&text, false);
    let segments = missing.map_or(measured.segments, |missing| usize::from(missing.of - missing.segments));
    let new = NewSms {
        kind: SmsType::Inbound,
        from: from.to_string(),
        to: to.to_string(),
        tn,
        tn_lease: context.lease.as_ref().map(|lease| lease.uuid),
        messaging_profile: profile,
        thread: thread_id(from, to),
        segments: u8::try_from(segments).unwrap_or(u8::MAX),
        encoding: measured.encoding.name().to_owned(),
        message: text,
        automated: false,
        reference_id: reference,
        custom_callback_url: None,
        created_by: None,
        carrier: Some(carrier.to_owned()),
    };
    let price = context.prices.sms_per_receive_cost.times(i64::from(new.segments));
    let charge = |sms| {
        let charge = || NewTransaction::charge(price, RefType::SmsIncoming, sms, format!("SMS from {from}"));
        (!price.is_zero()).then(charge)
    };
    let reply = answer.map(|text| (reply(&context, &new, text), waiting(shared)));
    let incomplete =
        |missing: Missing| format!("Incomplete: {} of {} segments never came", missing.segments, missing.of);
    let wants = Consequences { charge: None, opt, reply, joined, failed: missing.map(incomplete) };
    let announcing = shared.announcing.read().await;
    let messages = shared.store.sms();
    let received = messages.receive(account, new.clone(), |sms| Consequences { charge: charge(sms), ..wants.clone() });
    let received = match received.await {
        Ok(received) => received,
        // Kept, so that it can be read once the account is paid up; who opts out is out, whoever pays.
        Err(StoreError::InsufficientBalance) => {
            let failed = Some(INSUFFICIENT_BALANCE.to_owned());
            messages.receive(account, new, |_| Consequences { reply: None, failed, ..wants }).await?
        }
        Err(error) => return Err(error),
    };
    let Some(ReceivedSms { sms, booked, reply }) = received else {
        info!(from, to, carrier, "inbound message that the carrier has told of before");
        return Ok(false);
    };
    metrics::counter!("opentact_sms_received_total", "state" => sms.state.as_str()).increment(1);
    context.publish(shared, &created(&sms));
    context.publish(shared, &sms);
    shared.news(account);
    context.publish_balance(shared, booked.map(|booked| booked.account_balance_after), "sms_per_receive");
    if let Some(reply) = reply {
        context.publish(shared, &reply);
        shared.queued.notify_one();
    }
    drop(announcing);
    Ok(true)
}

/// What the product answers to a keyword.
fn reply(context: &Context, to: &NewSms, text: String) -> NewSms {
    let measured = segment::measure(&text, context.smart_encoding());
    NewSms {
        kind: SmsType::Outbound,
        from: to.to.clone(),
        to: to.from.clone(),
        message: text,
        automated: true,
        reference_id: None,
        carrier: None,
        segments: u8::try_from(measured.segments).unwrap_or(u8::MAX),
        encoding: measured.encoding.name().to_owned(),
        ..to.clone()
    }
}

fn waiting(shared: &Shared) -> Waiting {
    Waiting { send_at: None, expires_on: Utc::now() + shared.config.queue_timeout, priority: Priority::High }
}
