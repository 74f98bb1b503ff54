//! A route and price class.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::ProductType;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_products")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub created_on: Date,
    pub modified_on: Date,
    pub name: String,
    pub description: Option<String>,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: ProductType,
    pub tech_prefix: Option<i64>,
    pub rate_table_id: Option<i64>,
    pub route_plan_id: Option<i64>,
}

super::plain!();
