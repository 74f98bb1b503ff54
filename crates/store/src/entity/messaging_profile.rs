//! How an account sends and receives messages.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::messaging_profiles::OptOutRules;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "messaging_profiles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub name: String,
    pub callback_url: Option<String>,
    /// Used when the first cannot be reached.
    pub callback_url2: Option<String>,
    pub number_pool_enable: bool,
    /// 0..=9.
    pub long_code_weight: i64,
    /// 0..=9.
    pub tollfree_weight: i64,
    pub skip_unhealthy_tns: bool,
    pub sticky_sender: bool,
    /// Typographic characters to GSM 03.38 where that saves segments.
    pub smart_encoding: bool,
    /// Prefer a number of the recipient's area code.
    pub geo_match: bool,
    /// ISO 3166 alpha-2 of where messages may go; empty means anywhere.
    pub allowed_countries: Json<Vec<String>>,
    pub opt_out: Json<OptOutRules>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
