//! An event as it was sent.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{EventType, Packed};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account: Uuid,
    /// From 1, gapless within the account.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub uuid: Uuid,
    pub created_on: Date,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: EventType,
    pub ref_id: Option<Uuid>,
    /// The envelope, JSON.
    pub body: Packed,
}

super::plain!();
