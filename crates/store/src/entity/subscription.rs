//! Which events a user's websockets get.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Channel, EventType};

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
}

super::plain!();
