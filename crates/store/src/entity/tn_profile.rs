//! A price profile of numbers.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::numbers::Prices;
use crate::types::{Json, Priority};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tn_profiles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub name: String,
    pub description: Option<String>,
    pub is_active: bool,
    pub priority: Priority,
    pub toll_free: bool,
    /// ISO 3166 alpha-2.
    pub country: String,
    pub prices: Json<Prices>,
}

super::plain!();
