use opentact_store::records::Record;
use opentact_store::types::RecordState;
use serde_json::{Value, json};

use super::{date, date_or_null};

/// A recording, in `call_record` events, in a call's `records` and by itself.
pub fn record(record: &Record) -> Value {
    let readable = record.state == RecordState::Stored;
    json!({
        "uuid": record.uuid,
        "tag": record.tag,
        "call": record.call,
        "state": record.state,
        "duration": record.duration_ms / 1000,
        "duration_ms": record.duration_ms,
        "size": record.size,
        "format": record.format,
        "channels": record.channels,
        "sample_rate": record.sample_rate,
        "complete": readable && record.reason.is_none(),
        "reason": record.reason,
        "url": readable.then(|| format!("/rest/record/{}/file", record.uuid)),
        "uploaded_on": date_or_null(record.uploaded_on),
        "upload_error": record.upload_error,
        "created_on": date(record.created_on),
        "modified_on": date(record.modified_on),
    })
}
