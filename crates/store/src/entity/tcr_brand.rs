//! Who sends messages, as 10DLC wants to know.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::tcr::BrandDetails;
use crate::types::{Json, Vetting};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tcr_brands")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// What the registry calls it.
    pub registry_id: Option<String>,
    pub status: Vetting,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// When the registry got it as it reads now.
    pub filed_on: Option<Date>,
    /// When the registry is asked next; `None`: it has decided.
    pub look_on: Option<Date>,
    /// Counts the changes.
    pub revision: i64,
    pub details: Json<BrandDetails>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
