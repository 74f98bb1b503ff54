//! An event that somebody is to be told of by HTTP.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{DeliveryState, EventType, Packed};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// Who is told: the one of the next two that is there, else the messaging profile or message whose callback it is.
    pub hook: Uuid,
    /// A subscription of channel `webhook`, or
    pub subscription: Option<Uuid>,
    /// the app whose call it is.
    pub sip_control_app: Option<Uuid>,
    pub event: Uuid,
    /// Number of the event within the account.
    pub seq: i64,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The object the event is about: what one is told of it comes in order.
    pub ref_id: Option<Uuid>,
    pub state: DeliveryState,
    pub attempts: i64,
    /// When it was first to be told; later where somebody has asked for it again.
    pub since: Date,
    /// When it is tried next; `None` when that is over.
    pub next_on: Option<Date>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// The event's envelope: the log may forget it first.
    pub body: Packed,
    /// The callback URL of the message `ref_id` is told, in place of the two above.
    pub callback: bool,
}

super::plain!();
