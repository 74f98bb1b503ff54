use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::types;

/// A recording of a call.
#[derive(ToSchema)]
pub struct Record {
    pub uuid: Uuid,
    /// Of the element that has made it.
    pub tag: Option<String>,
    pub call: Uuid,
    #[schema(schema_with = types::record_state)]
    pub state: String,
    /// Whole seconds; 0 until it is stored.
    pub duration: u64,
    pub duration_ms: u64,
    /// Octets; 0 until it is stored.
    pub size: u64,
    #[schema(schema_with = types::record_format)]
    pub format: String,
    /// 1: both sides mixed; 2: the leg left, what it hears right.
    pub channels: u8,
    /// Samples per second; 0 until it is stored.
    pub sample_rate: u32,
    /// Whether it is stored and holds all that was said.
    pub complete: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Path of the file; null while there is none to be read.
    pub url: Option<String>,
    /// It is in the object store since then.
    pub uploaded_on: Option<DateTime<Utc>>,
    /// Why it was not uploaded at the last attempt.
    pub upload_error: Option<String>,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
}

/// What a recording says.
#[derive(ToSchema)]
pub struct Transcript {
    pub uuid: Uuid,
    pub record: Uuid,
    /// Of the element that has made the recording.
    pub tag: Option<String>,
    pub call: Uuid,
    /// `waiting` until the engine has heard all of it.
    #[schema(schema_with = types::transcript_state)]
    pub state: String,
    /// BCP 47 or ISO 639: as the engine tells it, else as was asked for.
    pub language: String,
    /// Null until it is `done`.
    pub text: Option<String>,
    /// In order; none where the engine gives no times.
    pub words: Vec<SpokenWord>,
    pub engine: Option<String>,
    /// Why it has `failed`.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
}

/// A word of a transcript.
#[derive(ToSchema)]
pub struct SpokenWord {
    pub text: String,
    /// Milliseconds since the beginning of the recording.
    pub from_ms: u64,
    pub to_ms: u64,
    /// 0 to 1; null where the engine does not say.
    pub confidence: Option<f64>,
}
