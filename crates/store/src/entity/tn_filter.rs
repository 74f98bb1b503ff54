//! Who may call a number: black- and whitelist of caller ids.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Json, OnReject};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tn_filters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub name: String,
    pub is_active: bool,
    pub on_reject: OnReject,
    /// Takes the calls that are rejected, with [`OnReject::VoicemailApp`].
    pub sip_control_app: Option<Uuid>,
    /// Digits without `+`, masks of them with `*`, or `anonymous`; sorted, each once.
    pub whitelist: Json<Vec<String>>,
    pub blacklist: Json<Vec<String>>,
    /// Calls so far.
    pub rejected: i64,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
