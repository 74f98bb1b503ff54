//! What the carrier tells: receipts and messages.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use opentact_engine::ports::{CarrierMessage, ReceiptState};
use opentact_messaging::{segment, thread_id};
use opentact_store::sms::{Consequences, NewReceipt, NewSms, Receipted, ReceivedSms, Waiting, created};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{Priority, RefType, SmsType};
use opentact_store::{StoreError, Tn};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::opt_out::reaction;
use super::segments::Segments;
use super::view::Context;
use super::worker::context;
use super::{INSUFFICIENT_BALANCE, Shared};
use crate::incoming::Incoming;

/// Receipts that came before the message they are of was recorded as handed over. One more is not taken: the SMSC
/// comes again.
const EARLY: usize = 10_000;
/// Receipts of one transaction at most.
const TOGETHER: usize = 256;
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
    came: Instant,
}

/// In the order it came; receipts that come together are written together.
pub(super) async fn run(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>) {
    let mut early: VecDeque<Early> = VecDeque::new();
    let mut segments = Segments::new(&shared);
    let mut together = Vec::with_capacity(TOGETHER);
    loop {
        tokio::select! {
            count = incoming.recv_many(&mut together, TOGETHER) => {
                if count == 0 {
                    return;
                }
                let mut receipts = Vec::new();
                for Incoming { message, taken, carrier } in together.drain(..) {
                    if !matches!(message, CarrierMessage::Receipt { .. }) {
                        consider(&shared, &mut early, std::mem::take(&mut receipts)).await;
                    }
                    let is_taken = match message {
                        CarrierMessage::Receipt { reference, state, error } => {
                            let receipt = Receipt { carrier, reference, state, error };
                            receipts.push(Early { receipt, taken, came: Instant::now() });
                            continue;
                        }
                        CarrierMessage::Inbound { from, to, text, reference } => {
                            let carrier = &*carrier;
                            received(&shared, Message { carrier, reference, from, to, text, missing: None, joined: None }).await
                        }
                        CarrierMessage::Segment(segment) => segments.take(&carrier, segment).await,
                    };
                    acknowledge(taken, is_taken);
                }
                consider(&shared, &mut early, receipts).await;
            }
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
    let mut again = std::mem::take(early).into_iter();
    loop {
        let together: Vec<Early> = again.by_ref().take(TOGETHER).collect();
        if together.is_empty() {
            return;
        }
        consider(shared, early, together).await;
    }
}

async fn consider(shared: &Shared, early: &mut VecDeque<Early>, receipts: Vec<Early>) {
    let (open, said): (Vec<Early>, Vec<Early>) = receipts.into_iter().partition(|one| one.receipt.is_last());
    // On its way, or nothing is known.
    said.into_iter().for_each(|one| acknowledge(one.taken, true));
    if open.is_empty() {
        return;
    }
    // Whose answers may still tell whom the receipts are of.
    let oldest = shared.under_way.lock().values().min().copied();
    let known = match apply(shared, &open).await {
        Ok(known) => known,
        Err(error) => {
            error!(receipts = open.len(), %error, "receipts not written");
            return open.into_iter().for_each(|one| acknowledge(one.taken, false));
        }
    };
    for (waiting, known) in open.into_iter().zip(known) {
        if known {
            acknowledge(waiting.taken, true);
        } else if waiting.came.elapsed() >= shared.config.early && oldest.is_none_or(|oldest| waiting.came < oldest) {
            info!(reference = waiting.receipt.reference, "receipt of no message");
            acknowledge(waiting.taken, true);
        } else if early.len() >= EARLY {
            acknowledge(waiting.taken, false);
        } else {
            early.push_back(waiting);
        }
    }
}

/// Of each whether its message is known; not yet, where its `success` may not be told of.
async fn apply(shared: &Shared, receipts: &[Early]) -> Result<Vec<bool>, StoreError> {
    let new = receipts.iter().map(|Early { receipt, .. }| NewReceipt {
        carrier: receipt.carrier.to_string(),
        reference_id: receipt.reference.clone(),
        failed: (receipt.state != ReceiptState::Delivered).then(|| reason(receipt)),
    });
    let under_way = shared.under_way.clone();
    let is_busy = move |sms| under_way.lock().contains_key(&sms);
    let found = shared.store.sms().receipts(new.collect(), is_busy).await?;
    let mut contexts: HashMap<(Uuid, Tn), Context> = HashMap::new();
    for Receipted { sms, .. } in found.iter().flatten().filter(|found| found.changed) {
        metrics::counter!("opentact_sms_receipts_total", "delivered" => sms.delivered.to_string()).increment(1);
        let context = match contexts.entry((sms.account, sms.tn)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match context(shared, sms).await {
                Ok(context) => place.insert(context),
                Err(error) => {
                    error!(sms = %sms.uuid, %error, "what a receipt has changed is told of at the next start");
                    continue;
                }
            },
        };
        context.publish(shared, sms);
        shared.news(sms.account);
    }
    Ok(found.iter().map(Option::is_some).collect())
}

impl Receipt {
    /// Whether nothing more is to come.
    fn is_last(&self) -> bool {
        !matches!(self.state, ReceiptState::Enroute | ReceiptState::Accepted | ReceiptState::Unknown)
    }
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
