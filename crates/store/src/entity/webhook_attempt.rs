//! One attempt to tell somebody of an event.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "webhook_attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery: Uuid,
    /// From 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub created_on: Date,
    pub url: String,
    /// Of the answer; `None` when there was none.
    pub status: Option<i64>,
    /// Why there was none.
    pub reason: Option<String>,
    pub duration_ms: i64,
}

super::plain!();
