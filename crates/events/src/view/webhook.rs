use opentact_store::webhooks::{WebhookAttempt, WebhookDelivery};
use serde_json::{Value, json};

use super::{date, date_or_null, extended};

/// A delivery to a webhook.
pub fn webhook_delivery(delivery: &WebhookDelivery) -> Value {
    json!({
        "created_on": date(delivery.created_on),
        "modified_on": date(delivery.modified_on),
        "uuid": delivery.uuid,
        "subscription": delivery.subscription,
        "sip_control_app": delivery.sip_control_app,
        "callback": delivery.callback,
        "event": delivery.event,
        "seq": delivery.seq,
        "type": delivery.kind,
        "ref_id": delivery.ref_id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_on": date_or_null(delivery.next_on),
        "reason": delivery.reason,
    })
}

/// The same with every attempt.
pub fn webhook_delivery_log(delivery: &WebhookDelivery, attempts: &[WebhookAttempt]) -> Value {
    let log: Vec<Value> = attempts
        .iter()
        .map(|attempt| {
            json!({
                "number": attempt.number,
                "created_on": date(attempt.created_on),
                "url": attempt.url,
                "status": attempt.status,
                "reason": attempt.reason,
                "duration_ms": attempt.duration_ms,
            })
        })
        .collect();
    extended(webhook_delivery(delivery), json!({ "log": log }))
}
