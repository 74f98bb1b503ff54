//! Where an account is, is billed, or is sent things to.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "addresses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// Whose it is.
    #[sea_orm(column_name = "user_uuid")]
    pub user: Uuid,
    pub name: String,
    pub is_physical: bool,
    pub is_billing: bool,
    pub is_shipping: bool,
    pub address1: String,
    pub address2: Option<String>,
    pub zip_code: String,
    pub city: String,
    /// ISO 3166 alpha-2, upper case.
    pub country: String,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
