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
