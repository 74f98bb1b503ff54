//! Which events a user's websockets get.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Channel, EventType, Filters, Json};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    #[sea_orm(column_name = "user_uuid")]
    pub user: Uuid,
    pub channel: Channel,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: EventType,
    pub is_active: bool,
    pub expired_on: Option<Date>,
    /// Where a webhook goes; of no other channel.
    pub url: Option<String>,
    /// Where it goes too, once the other has failed some times.
    pub failover_url: Option<String>,
    /// Sealed: what it is signed with, where that is not ours.
    pub secret: Option<Vec<u8>>,
    pub filters: Option<Json<Filters>>,
}

super::plain!();
