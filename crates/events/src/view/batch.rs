use opentact_store::batches::{Batch, BatchItem, Counts};
use opentact_store::types::ItemState;
use serde_json::{Value, json};

use super::{date, date_or_null, extended};

/// A batch of calls in lists.
pub fn batch(batch: &Batch, counts: Counts) -> Value {
    let terms = &batch.terms;
    json!({
        "uuid": batch.uuid,
        "created_on": date(batch.created_on),
        "modified_on": date(batch.modified_on),
        "finished_on": date_or_null(batch.finished_on),
        "expires_on": date_or_null(batch.expires_on),
        "type": "call_xml",
        "name": batch.name,
        "state": batch.state,
        "reason": batch.reason,
        "total": batch.total,
        "counts": counts,
        "from": terms.from,
        "tn_lease": terms.tn_lease,
        "outbound_voice_profile": terms.outbound_voice_profile,
        "sip_connection": terms.sip_connection,
        "sip_control_app": terms.sip_control_app,
        "call_flow_url": terms.call_flow_url,
        "timeout": terms.timeout,
        "max_length": terms.max_length,
        "record": terms.record,
        "amd": terms.amd,
        "meta": terms.meta,
        "cps": terms.cps,
        "max_concurrent": terms.max_concurrent,
        "schedule": terms.schedule,
        "retries": terms.retries,
    })
}

/// A batch by itself, with the page of its items that was asked for, of so many.
pub fn batch_full(of: &Batch, counts: Counts, items: &[BatchItem], found: u64) -> Value {
    let items: Vec<Value> = items.iter().map(batch_item).collect();
    extended(batch(of, counts), json!({ "xml": of.terms.xml, "items": items, "items_found": found }))
}

/// One number of a batch.
fn batch_item(item: &BatchItem) -> Value {
    json!({
        "uuid": item.uuid,
        "to": item.to,
        "vars": item.vars,
        "state": item.state,
        "due_on": date_or_null((item.state == ItemState::Waiting).then_some(item.due_on)),
        "attempts": item.attempts,
        "call": item.call,
        "q850_cause": item.q850_cause,
        "reason": item.reason,
        "amd": item.amd,
        "modified_on": date(item.modified_on),
    })
}
