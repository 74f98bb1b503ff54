//! A message between SIP users.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::SmsState;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// The message this row is the sender's copy of.
    pub copy_of: Option<Uuid>,
    /// SIP user; `None` for somebody outside.
    pub sender: Option<Uuid>,
    /// SIP user; `None` for somebody outside.
    pub recipient: Option<Uuid>,
    /// Rises with every message the node has taken.
    pub position: i64,
    /// `login@domain`, or what stands for the other side of a call.
    #[sea_orm(column_name = "from_address")]
    pub from: String,
    #[sea_orm(column_name = "to_address")]
    pub to: String,
    /// 32 hex digits, the same for every message between two parties.
    pub thread: String,
    pub content_type: String,
    pub message: String,
    /// Max-Forwards that are left.
    pub hops: i64,
    pub state: SmsState,
    pub delivered: bool,
    pub reason: Option<String>,
    /// It is to be delivered up to then; `None` when it waits for nobody any more.
    pub waits_until: Option<Date>,
}

super::plain!();
