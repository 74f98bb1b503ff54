//! A segment of a message that was handed over in several.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sms_segments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sms: Uuid,
    /// 1 for the first.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub account: Uuid,
    pub carrier: String,
    /// The carrier's id of it.
    pub reference_id: String,
    pub created_on: Date,
    pub delivered: bool,
}

super::plain!();
