//! A trunk to or from another system.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Attestation, Json, SipTransport, Srtp, TrunkRouting};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_connections")]
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
    pub ip: Option<String>,
    pub hostname: Option<String>,
    /// 1..=65535.
    pub port: i64,
    pub transport: SipTransport,
    /// `None`: as on every other way.
    pub srtp: Option<Srtp>,
    /// In order of preference; empty means all.
    pub codecs: Json<Vec<String>>,
    pub username: Option<String>,
    /// Sealed; see `Connections::password`.
    #[serde(skip)]
    pub password: Option<Vec<u8>>,
    pub register: bool,
    pub channel_limit: Option<i64>,
    /// Calls per second.
    pub cps_limit: Option<i64>,
    pub priority: i64,
    pub weight: i64,
    pub options_ping: bool,
    /// 0..=3.
    pub shaken_verify_policy: i64,
    pub shaken_minimum_accepted_attest_lvl: Option<Attestation>,
    /// Addresses, CIDRs and host names that calls come from, besides `ip` and `hostname`.
    pub sources: Json<Vec<String>>,
    /// Calls come from anywhere and prove themselves by digest.
    pub authenticate: bool,
    pub routing: Json<TrunkRouting>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
