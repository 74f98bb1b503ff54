//! One number of a batch, and what became of it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Date;
use crate::types::{ItemState, Json};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "batch_items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub modified_on: Date,
    pub account: Uuid,
    pub batch: Uuid,
    /// In the request, from 0.
    pub position: i64,
    #[sea_orm(column_name = "to_number")]
    pub to: String,
    /// Variables of its call's flow.
    pub vars: Json<Map<String, Value>>,
    pub state: ItemState,
    /// It is not called before.
    pub due_on: Date,
    pub attempts: i64,
    /// Of the last attempt.
    pub call: Option<Uuid>,
    /// Of the last attempt.
    pub q850_cause: Option<i64>,
    pub reason: Option<String>,
    /// Who has answered, where that was asked.
    pub amd: Option<String>,
}

super::plain!();
