//! What has become of a message, until the event of it is in the log.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::SmsState;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sms_untold")]
pub struct Model {
    /// Of the message and what it has become: a message becomes nothing twice.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub sms: Uuid,
    pub account: Uuid,
    pub state: SmsState,
    pub delivered: bool,
    pub reason: Option<String>,
    pub modified_on: Date,
    /// Rises with each.
    pub place: i64,
}

super::plain!();
