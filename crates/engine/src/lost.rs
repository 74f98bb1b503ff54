//! Calls of a run that was killed: nobody will tell of their end but the next one.

use chrono::{DateTime, Utc};
use opentact_call::q850::Q850;
use opentact_events::view::{CallContext, CallView};
use opentact_events::{Hub, NewEvent, Write};
use opentact_store::calls::CallRecord;
use opentact_store::types::CallState;
use opentact_store::{Store, StoreError};

/// Calls between two waits for the disk; the hub's queue takes many times that.
const BATCH: usize = 500;

/// Ends every call that is not destroyed, in the records and for those who listen. Returns how many there were.
///
/// For the start of the only node on this database, before it takes calls: a call of another node would be ended too.
///
/// # Errors
/// The database's.
pub(crate) async fn end_lost_calls(store: &Store, hub: &Hub, now: DateTime<Utc>) -> Result<usize, StoreError> {
    let lost = store.calls().unfinished().await?;
    let count = lost.len();
    for (number, record) in lost.into_iter().enumerate() {
        end(store, hub, record, now).await?;
        if number % BATCH == BATCH - 1 {
            hub.flush().await;
        }
    }
    Ok(count)
}

async fn end(store: &Store, hub: &Hub, mut record: CallRecord, now: DateTime<Utc>) -> Result<(), StoreError> {
    record.modified_on = now;
    if record.state < CallState::Hangup {
        record.state = CallState::Hangup;
        // When it really ended is not known; `duration` stays what was known.
        record.hangup_on = Some(now);
        record.q850_cause = Some(Q850::TEMPORARY_FAILURE.value().into());
        record.q850_cause_string = Some(Q850::TEMPORARY_FAILURE.text().to_owned());
        record.freeswitch_call_state = "HANGUP".to_owned();
        record.freeswitch_channel_state = "CS_HANGUP".to_owned();
        tell(store, hub, &record).await?;
    }
    record.state = CallState::Destroyed;
    record.destroy_on = Some(now);
    record.finished_on = Some(now);
    record.freeswitch_channel_state = "CS_DESTROY".to_owned();
    tell(store, hub, &record).await
}

async fn tell(store: &Store, hub: &Hub, record: &CallRecord) -> Result<(), StoreError> {
    let account = store.accounts().get(record.account).await?;
    let logs = store.calls().logs(record.account, record.uuid).await?;
    let children = store.calls().children(record.account, record.uuid).await?;
    let parent = match record.parent {
        Some(parent) => store.calls().get(record.account, parent).await.ok(),
        None => None,
    };
    let children: Vec<&CallRecord> = children.iter().collect();
    let context = CallContext {
        account: Some(&account),
        parent: parent.as_ref(),
        children: &children,
        logs: &logs,
        records: &[],
    };
    let _ = hub.record(Write::CallRecord(record.clone().into()));
    let _ = hub.publish(NewEvent::call_state(record, &CallView { call: record, context }));
    Ok(())
}
