use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use super::AccountShort;
use crate::types;

/// Which events a user's websockets get.
#[derive(ToSchema)]
pub struct Subscription {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub is_active: bool,
    pub expired_on: Option<DateTime<Utc>>,
    #[schema(schema_with = types::channel)]
    pub channel: String,
    #[schema(schema_with = types::event_type)]
    pub r#type: String,
}

/// An event as the websocket sends it.
#[derive(ToSchema)]
pub struct Event {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    #[schema(schema_with = types::event_type)]
    pub r#type: String,
    pub message: String,
    /// Gapless within the account, increasing.
    pub seq: u64,
    /// Of the object.
    pub ref_id: Option<Uuid>,
    pub account: AccountShort,
}

/// A stretch of the event log.
#[derive(ToSchema)]
pub struct EventLog {
    /// In order of `seq`.
    pub data: Vec<Event>,
    /// `seq` to go on from; null at the end of the log.
    pub next: Option<u64>,
}
