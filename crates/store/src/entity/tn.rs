//! A telephone number of the inventory.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Feature, Json, Tn, TnKind};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tns")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tn: Tn,
    pub created_on: Date,
    pub modified_on: Date,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: TnKind,
    /// ISO 3166 alpha-2.
    pub country: String,
    pub state: Option<String>,
    pub city: Option<String>,
    pub rate_center: Option<String>,
    /// What the carrier offers.
    pub features: Json<Vec<Feature>>,
    pub carrier: String,
    pub registered: bool,
    /// Price profile.
    pub profile: Uuid,
    pub quarantined_until: Option<Date>,
    pub deleted_on: Option<Date>,
}

super::plain!();
