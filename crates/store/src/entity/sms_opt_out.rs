//! A number that wants no messages.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{OptOutSource, Tn};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sms_opt_outs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// `None`: from the account's numbers that have no profile.
    pub messaging_profile: Option<Uuid>,
    /// The profile, else the account: a number is there once in each.
    pub scope: Uuid,
    pub tn: Tn,
    pub source: OptOutSource,
    /// What the recipient wrote.
    pub keyword: Option<String>,
}

super::plain!();
