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
    /// This and the next three: of channel `webhook` only.
    pub url: Option<String>,
    pub failover_url: Option<String>,
    pub secret: Option<String>,
    #[schema(schema_with = types::or_null::any_object)]
    pub filters: Option<serde_json::Value>,
}

/// Telling a webhook of an event.
#[derive(ToSchema)]
pub struct WebhookDelivery {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// The subscription that asks for it, or else
    pub subscription: Option<Uuid>,
    /// the app whose call it is.
    pub sip_control_app: Option<Uuid>,
    /// The callback URL of the message `ref_id` is told, in place of these.
    pub callback: bool,
    /// What is told.
    pub event: Uuid,
    pub seq: i64,
    #[schema(schema_with = types::event_type)]
    pub r#type: String,
    /// The object the event is about: what one is told of it comes in order.
    pub ref_id: Option<Uuid>,
    #[schema(schema_with = types::delivery_state)]
    pub state: String,
    pub attempts: i64,
    /// When it is tried next.
    pub next_on: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// Every attempt, where one delivery is asked for.
    pub log: Option<Vec<WebhookAttempt>>,
}

/// One attempt of a delivery.
#[derive(ToSchema)]
pub struct WebhookAttempt {
    /// From 1.
    pub number: i64,
    pub created_on: DateTime<Utc>,
    pub url: String,
    /// Of the answer.
    pub status: Option<i64>,
    /// Why there was none.
    pub reason: Option<String>,
    pub duration_ms: i64,
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
