//! Hours of a weekday in which an account's office is closed.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{DayOfWeek, OfficeHoursType};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "office_hours")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub name: Option<String>,
    pub kind: OfficeHoursType,
    pub dow: DayOfWeek,
    /// Seconds from midnight where the account is.
    pub time_from: i64,
    /// The last second of it.
    pub time_to: i64,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
