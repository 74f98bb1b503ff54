//! Termination: by which route, from which number and within which limits calls go out.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Json, Money, RecordFormat};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "outbound_voice_profiles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub name: String,
    pub is_active: bool,
    pub tech_prefix: i64,
    pub product: i64,
    /// Caller number.
    pub tn_lease: Option<Uuid>,
    /// 0 off, 1 sign.
    pub shaken_sign_policy: i64,
    pub channel_limit: Option<i64>,
    pub cps_limit: Option<i64>,
    /// Per minute.
    pub max_rate: Option<Money>,
    /// In any 24 hours.
    pub daily_spend_limit: Option<Money>,
    /// In any hour.
    pub hourly_spend_limit: Option<Money>,
    /// 0..=2.
    pub record_calls: i64,
    pub format: RecordFormat,
    /// ISO 3166 alpha-2; empty means all.
    pub allowed_countries: Json<Vec<String>>,
    /// Trunks its calls go by; empty means the node's carriers.
    pub sip_connections: Json<Vec<Uuid>>,
    /// Trunk that emergency calls go by.
    pub emergency_connection: Option<Uuid>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
