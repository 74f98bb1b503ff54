//! What the carrier tells: receipts and messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use opentact_engine::ports::{CarrierMessage, ReceiptState};
use opentact_messaging::{Encoding, segment, thread_id};
use opentact_store::sms::{NewSms, Sms};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, SmsState, SmsType};
use opentact_store::{StoreError, Tn};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::view::Context;
use super::{INSUFFICIENT_BALANCE, Shared};
use crate::smpp::Incoming;

/// Receipts that came before the message they are of was recorded as handed over. One more is not taken: the SMSC
/// comes again.
const EARLY: usize = 10_000;
/// How long they are kept.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

struct Receipt {
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
    loop {
        tokio::select! {
            next = incoming.recv() => match next {
                None => return,
                Some(Incoming { message: CarrierMessage::Inbound { from, to, text }, taken }) => {
                    let received = receive(&shared, from, to, text).await;
                    if let Err(error) = &received {
                        error!(from, to, %error, "inbound message not written");
                    }
                    acknowledge(taken, received.is_ok());
                }
                Some(Incoming { message: CarrierMessage::Receipt { reference, state, error }, taken }) => {
                    let receipt = Receipt { reference, state, error };
                    let until = Instant::now() + PATIENCE;
                    consider(&shared, &mut early, Early { receipt, taken, until }).await;
                }
            },
            () = shared.handed_over.notified(), if !early.is_empty() => look_again(&shared, &mut early).await,
            () = tokio::time::sleep(LOOK_AGAIN), if !early.is_empty() => look_again(&shared, &mut early).await,
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
    let Some(sms) = shared.store.sms().by_reference(&receipt.reference).await? else { return Ok(false) };
    // Its `success` may not be told of yet.
    if shared.under_way.lock().contains(&sms.uuid) {
        return Ok(false);
    }
    debug!(sms = %sms.uuid, state = ?receipt.state, "receipt");
    let changed = match receipt.state {
        ReceiptState::Delivered if !sms.delivered => {
            shared.store.sms().change(sms.account, sms.uuid, |sms| sms.delivered = true).await?
        }
        ReceiptState::Expired | ReceiptState::Deleted | ReceiptState::Undeliverable | ReceiptState::Rejected
            if !sms.delivered && sms.state == SmsState::Success =>
        {
            let reason = reason(receipt);
            let fail = |sms: &mut Sms| {
                sms.state = SmsState::Failed;
                sms.reason = Some(reason);
            };
            shared.store.sms().change(sms.account, sms.uuid, fail).await?
        }
        // On its way, unknown, or told before.
        _ => return Ok(true),
    };
    metrics::counter!("opentact_sms_receipts_total", "delivered" => changed.delivered.to_string()).increment(1);
    let lease = shared.store.numbers().active_lease(changed.tn).await?;
    let lease = lease.filter(|lease| lease.account == changed.account);
    let context = Context::load(shared, changed.account, changed.tn, lease).await?;
    context.publish(shared, &changed);
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

/// Written and charged, then told of. A number nobody leases is not ours: taken and dropped.
async fn receive(shared: &Shared, from: u64, to: u64, text: String) -> Result<(), StoreError> {
    let Ok(tn) = Tn::new(to) else { return Ok(()) };
    let Some(lease) = shared.store.numbers().active_lease(tn).await? else {
        warn!(from, to, "inbound message to a number nobody leases");
        return Ok(());
    };
    let context = Context::load(shared, lease.account, tn, Some(lease)).await?;
    if context.account.disabled_on.is_some() {
        info!(from, to, account = %context.account.uuid, "inbound message to a disabled account");
        return Ok(());
    }
    let new = NewSms {
        kind: SmsType::Inbound,
        from: from.to_string(),
        to: to.to_string(),
        tn,
        tn_lease: context.lease.as_ref().map(|lease| lease.uuid),
        messaging_profile: context.profile.as_ref().map(|profile| profile.uuid),
        thread: thread_id(from, to),
        segments: u8::try_from(segment::count(&text, false)).unwrap_or(u8::MAX),
        encoding: Encoding::of(&text).name().to_owned(),
        message: text,
        automated: false,
        reference_id: None,
        custom_callback_url: None,
        created_by: None,
    };
    let account = context.account.uuid;
    let price = context.prices.sms_per_receive_cost;
    let charge = |sms| {
        let charge = || NewTransaction::charge(price, RefType::SmsIncoming, sms, format!("SMS from {from}"));
        (!price.is_zero()).then(charge)
    };
    let (sms, booked) = match shared.store.sms().receive(account, new.clone(), charge).await {
        Ok(received) => received,
        // Kept, so that it can be read once the account is paid up.
        Err(StoreError::InsufficientBalance) => {
            let sms = shared.store.sms().create(account, new).await?;
            (shared.store.sms().failed(account, sms.uuid, INSUFFICIENT_BALANCE).await?, None)
        }
        Err(error) => return Err(error),
    };
    metrics::counter!("opentact_sms_received_total", "state" => sms.state.as_str()).increment(1);
    let created = Sms { state: SmsState::Created, reason: None, modified_on: sms.created_on, ..sms.clone() };
    context.publish(shared, &created);
    context.publish(shared, &sms);
    context.publish_balance(shared, booked.as_ref(), "sms_per_receive");
    Ok(())
}
