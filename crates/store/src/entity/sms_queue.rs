//! An outbound message that no carrier has taken yet.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::Json;

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
    /// 0 goes first, then 1, then 2.
    pub priority: i64,
    /// Times it left, or may have left, and no answer came; the one under way counts.
    pub unanswered: i64,
    /// The carrier that may have it.
    pub carrier: Option<String>,
    /// Of each segment the id that the carrier gave it, in their order; empty while there is none.
    pub taken: Json<Vec<Option<String>>>,
}

super::plain!();
