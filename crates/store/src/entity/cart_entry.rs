//! What a user has put aside to order.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "cart_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    #[sea_orm(column_name = "user_uuid")]
    pub user: Uuid,
    /// Whatever the client keeps there.
    pub payload: Json<serde_json::Map<String, serde_json::Value>>,
    /// `None` stays until it is removed.
    pub expired_on: Option<Date>,
}

super::plain!();
