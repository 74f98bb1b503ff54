//! One segment of an inbound message that is not whole.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sms_inbound_segments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    /// The same for all segments of one message.
    pub message: Uuid,
    pub created_on: Date,
    pub carrier: String,
    #[sea_orm(column_name = "from_number")]
    pub from: i64,
    #[sea_orm(column_name = "to_number")]
    pub to: i64,
    /// SMPP 3.4 5.2.19.
    pub data_coding: i64,
    pub reference: i64,
    pub total: i64,
    /// From 1.
    pub number: i64,
    /// User data without header.
    pub octets: Vec<u8>,
}

super::plain!();
