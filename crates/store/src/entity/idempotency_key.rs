//! A POST that is or was answered under a key.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account: Uuid,
    #[sea_orm(primary_key, auto_increment = false, column_name = "idempotency_key")]
    pub key: String,
    pub created_on: Date,
    /// Method, path and body, hashed.
    pub fingerprint: String,
    /// `None` while the first request runs.
    pub status: Option<i64>,
    pub body: Option<String>,
}

super::plain!();
