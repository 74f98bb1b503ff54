//! Many calls made by one request.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::batches::Terms;
use crate::types::{BatchState, Json};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "batches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub created_by: Option<Uuid>,
    pub name: Option<String>,
    pub state: BatchState,
    /// Why it was paused, where nobody asked for that.
    pub reason: Option<String>,
    /// Items; 0 while they are being written.
    pub total: i64,
    /// Who waits then is not called any more.
    pub expires_on: Option<Date>,
    pub finished_on: Option<Date>,
    pub terms: Json<Terms>,
}

super::plain!();
