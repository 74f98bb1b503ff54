//! A message, in or out.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Priority, SmsState, SmsType, Tn};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sms")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: SmsType,
    #[sea_orm(column_name = "from_number")]
    pub from: String,
    #[sea_orm(column_name = "to_number")]
    pub to: String,
    /// The account's own number.
    pub tn: Tn,
    pub tn_lease: Option<Uuid>,
    pub messaging_profile: Option<Uuid>,
    /// 32 hex digits, the same for every message between two parties.
    pub thread: String,
    pub message: String,
    pub state: SmsState,
    pub delivered: bool,
    pub automated: bool,
    pub readed: bool,
    pub reason: Option<String>,
    /// The carrier's id.
    pub reference_id: Option<String>,
    pub segments: i64,
    pub encoding: String,
    pub custom_callback_url: Option<String>,
    pub created_by: Option<Uuid>,
    /// Not to be sent before.
    pub send_at: Option<Date>,
    pub priority: Priority,
    /// The carrier that has it, or had it last.
    pub carrier: Option<String>,
    /// How often it was on its way to a carrier.
    pub attempts: i64,
    /// It was sent a second time, as the first was never answered: the recipient may have it twice.
    pub repeated: bool,
}

super::plain!();
