//! An inbound message that a customer's ESME is to be told.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "smpp_inbound")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sms: Uuid,
    pub account: Uuid,
    pub created_on: Date,
}

super::plain!();
