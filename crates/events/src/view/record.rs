use opentact_store::records::Record;
use opentact_store::transcripts::{Transcript, Word};
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

/// What a recording says, in `call_transcript` events and by itself.
pub fn transcript(transcript: &Transcript, record: &Record) -> Value {
    let word = |word: &Word| {
        // As it was told, not as the binary fraction that is closest to it.
        let confidence = word.confidence.map(|confidence| (f64::from(confidence) * 1000.0).round() / 1000.0);
        json!({ "text": word.text, "from_ms": word.from_ms, "to_ms": word.to_ms, "confidence": confidence })
    };
    json!({
        "uuid": transcript.uuid,
        "record": record.uuid,
        "tag": record.tag,
        "call": record.call,
        "state": transcript.state,
        "language": transcript.language,
        "text": transcript.text,
        "words": transcript.words.iter().map(word).collect::<Vec<_>>(),
        "engine": transcript.engine,
        "error": transcript.error,
        "created_on": date(transcript.created_on),
        "modified_on": date(transcript.modified_on),
    })
}
