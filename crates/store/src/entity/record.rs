//! A recording of a call.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{RecordFormat, RecordState};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "records")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    /// When it began.
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub call: Uuid,
    pub tag: Option<String>,
    pub state: RecordState,
    pub format: RecordFormat,
    pub channels: i64,
    /// Samples per second; 0 until it is stored.
    pub sample_rate: i64,
    pub duration_ms: i64,
    /// Octets.
    pub size: i64,
    /// Why it holds less than was said.
    pub reason: Option<String>,
    /// Its file is in the folder of recordings.
    pub is_local: bool,
    /// It is in the object store since then.
    pub uploaded_on: Option<Date>,
    /// When it is to be uploaded; `None` when it is not.
    pub upload_due: Option<Date>,
    pub upload_attempts: i64,
    /// Of the last attempt.
    pub upload_error: Option<String>,
}

super::plain!();
