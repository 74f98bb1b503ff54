use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::types;

/// Many calls made by one request.
#[derive(ToSchema)]
pub struct Batch {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// When it was over, or canceled.
    pub finished_on: Option<DateTime<Utc>>,
    /// Who waits then is not called any more.
    pub expires_on: Option<DateTime<Utc>>,
    #[schema(example = "call_xml")]
    pub r#type: String,
    pub name: Option<String>,
    #[schema(schema_with = types::batch_state)]
    pub state: String,
    /// Why it was paused, where nobody asked for that.
    pub reason: Option<String>,
    /// Numbers.
    pub total: u64,
    pub counts: BatchCounts,
    pub from: Option<String>,
    pub tn_lease: Option<Uuid>,
    pub outbound_voice_profile: Option<Uuid>,
    pub sip_connection: Option<Uuid>,
    pub sip_control_app: Option<Uuid>,
    pub call_flow_url: Option<String>,
    /// Seconds.
    pub timeout: u64,
    /// Seconds.
    pub max_length: Option<u64>,
    #[schema(schema_with = types::or_null::any_object)]
    pub record: Option<serde_json::Value>,
    /// What was asked for, with what it is judged by where nothing was said; `sync`: the flow waits for the verdict.
    #[schema(schema_with = types::or_null::any_object)]
    pub amd: Option<serde_json::Value>,
    #[schema(schema_with = types::any_object)]
    pub meta: serde_json::Value,
    /// Calls begun a second.
    pub cps: f64,
    pub max_concurrent: u32,
    #[schema(schema_with = types::or_null::any_object)]
    pub schedule: Option<serde_json::Value>,
    #[schema(schema_with = types::any_object)]
    pub retries: serde_json::Value,
    /// Only in the answer about one batch.
    pub xml: Option<String>,
    /// The page that was asked for, in the order of the request; only in the answer about one batch.
    pub items: Option<Vec<BatchItem>>,
    /// All that are of the state asked for.
    pub items_found: Option<u64>,
}

/// How many numbers are in each state.
#[derive(ToSchema)]
pub struct BatchCounts {
    pub waiting: u64,
    pub calling: u64,
    pub done: u64,
    pub failed: u64,
}

/// One number of a batch, and what became of it.
#[derive(ToSchema)]
pub struct BatchItem {
    /// `batch_item` of its calls.
    pub uuid: Uuid,
    pub to: String,
    #[schema(schema_with = types::any_object)]
    pub vars: serde_json::Value,
    #[schema(schema_with = types::item_state)]
    pub state: String,
    /// Of one that waits: it is not called before.
    pub due_on: Option<DateTime<Utc>>,
    /// Calls made to it.
    pub attempts: u32,
    /// The last of them.
    pub call: Option<Uuid>,
    /// Of the last call.
    pub q850_cause: Option<u8>,
    pub reason: Option<String>,
    /// Who has answered the last call: `human`, `machine`, `beep`, `not_sure`; null where nobody was asked.
    pub amd: Option<String>,
    pub modified_on: DateTime<Utc>,
}
