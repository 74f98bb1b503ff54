//! A tenant.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::accounts::Notification;
use crate::types::{AccountLevel, Json, Money};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub name: String,
    pub email: String,
    pub level: AccountLevel,
    pub balance: Money,
    pub phone: Option<String>,
    pub address1: Option<String>,
    pub address2: Option<String>,
    pub zip_code: Option<String>,
    pub city: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    pub notification: Json<Notification>,
    pub disabled_on: Option<Date>,
    pub deleted_on: Option<Date>,
}

super::plain!();
