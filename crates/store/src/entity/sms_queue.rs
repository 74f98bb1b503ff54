//! An outbound message that no carrier has taken yet.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sms_queue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sms: Uuid,
    pub account: Uuid,
    /// Not to be tried before.
    pub due_on: Date,
    /// `Queuing Timeout` from here on.
    pub expires_on: Date,
    pub attempts: i64,
    /// A worker has it until then.
    pub leased_until: Option<Date>,
}

super::plain!();
