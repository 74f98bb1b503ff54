//! Writes what came of messages at carriers, many in one transaction, and tells of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentact_store::sms::{Settled, Settlement};
use opentact_store::types::SmsState;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{error, warn};
use uuid::Uuid;

use super::Shared;
use super::view::Context;
use super::worker::Reservation;

/// Messages of one transaction at most.
const TOGETHER: usize = 256;
/// Pause before a database that does not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Times it is asked after the stop; then the next start finds out.
const LAST_TRIES: u32 = 10;

/// A message that is not at a carrier any more.
pub(super) struct Done {
    pub settlement: Settlement,
    /// None where it could not be read.
    pub context: Option<Arc<Context>>,
    pub reservation: Option<Reservation>,
    /// Kept until it is written; what never went to a carrier has none.
    pub place: Option<OwnedSemaphorePermit>,
}

/// Ends when nobody hands over any more, and everything is written.
pub(super) async fn run(shared: Arc<Shared>, mut ended: mpsc::Receiver<Done>) {
    let mut done = Vec::with_capacity(TOGETHER);
    while ended.recv_many(&mut done, TOGETHER).await > 0 {
        write(&shared, std::mem::take(&mut done)).await;
    }
}

async fn write(shared: &Shared, done: Vec<Done>) {
    let ids: Vec<Uuid> = done.iter().map(|done| done.settlement.sms).collect();
    let mut settlements = Vec::with_capacity(done.len());
    let mut contexts: HashMap<Uuid, Arc<Context>> = HashMap::new();
    let (mut reservations, mut places) = (Vec::new(), Vec::new());
    for Done { settlement, context, reservation, place } in done {
        contexts.extend(context.map(|context| (settlement.sms, context)));
        reservations.extend(reservation);
        places.extend(place);
        settlements.push(settlement);
    }
    let settled = settled(shared, &settlements).await;
    // What they were for is booked, or cannot be.
    drop((reservations, places));
    let Settled { messages, mut balances } = settled.unwrap_or_default();
    for sms in &messages {
        let Some(context) = contexts.get(&sms.uuid) else { continue };
        match sms.state {
            SmsState::Success => {}
            SmsState::Failed => {
                let reason = sms.reason.as_deref();
                warn!(sms = %sms.uuid, account = %sms.account, reason, "message failed");
            }
            SmsState::Created | SmsState::Sending => continue,
        }
        if sms.state == SmsState::Failed {
            shared.news(sms.account);
        }
        metrics::counter!("opentact_sms_sent_total", "result" => sms.state.as_str()).increment(1);
        context.publish(shared, sms);
    }
    for sms in &messages {
        if let (Some(balance), Some(context)) = (balances.remove(&sms.account), contexts.get(&sms.uuid)) {
            context.publish_balance(shared, Some(balance), "sms_per_send");
        }
    }
    let mut under_way = shared.under_way.lock();
    for id in &ids {
        under_way.remove(id);
    }
    drop(under_way);
    shared.handed_over.notify_one();
    // What was put off may be due at once.
    shared.queued.notify_one();
}

/// Until it is written: what a carrier has must not be sent to it again.
async fn settled(shared: &Shared, settlements: &[Settlement]) -> Option<Settled> {
    let mut tries_left = LAST_TRIES;
    loop {
        match shared.store.sms().settle(settlements.to_vec()).await {
            Ok(settled) => return Some(settled),
            Err(error) => error!(%error, messages = settlements.len(), "what came of messages is not written"),
        }
        if shared.stop.is_cancelled() {
            tries_left -= 1;
            if tries_left == 0 {
                return None;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
