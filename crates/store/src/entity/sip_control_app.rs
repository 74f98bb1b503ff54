//! A Call Control App.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Attestation, Json, Method};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_control_apps")]
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
    pub auto_answer: bool,
    /// Minutes.
    pub max_call_length_min: Option<i64>,
    /// 0..=3.
    pub shaken_verify_policy: i64,
    pub shaken_minimum_accepted_attest_lvl: Option<Attestation>,
    /// The static call flow.
    pub xml: Option<String>,
    pub call_flow_url: Option<String>,
    /// Asked when the first brings no document.
    pub call_flow_url2: Option<String>,
    pub call_flow_method: Method,
    /// Milliseconds; `None` and 0 mean none.
    pub call_flow_request_timeout: Option<i64>,
    pub webhook_url: Option<String>,
    pub webhook_method: Method,
    /// Milliseconds; `None` and 0 mean none.
    pub webhook_request_timeout: Option<i64>,
    /// In order of preference; empty: no order of its own.
    pub codecs: Json<Vec<String>>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
