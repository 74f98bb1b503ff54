//! An order of numbers.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Date;
use crate::numbers::{OrderError, OrderItem};
use crate::types::{Json, OrderState};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tn_orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub state: OrderState,
    /// The request as it came.
    pub request: Json<Value>,
    /// Accepted items.
    pub items: Json<Vec<OrderItem>>,
    /// Rejected items.
    pub errors: Json<Vec<OrderError>>,
    pub total: i64,
    pub success: i64,
    pub processing: i64,
    pub failed: i64,
    pub created_by: Option<Uuid>,
}

super::plain!();
