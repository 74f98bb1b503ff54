//! One executed element of a call flow.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Date;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "call_flow_logs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub call: Uuid,
    pub sip_control_app: Option<Uuid>,
    /// Order of execution within the call, from 0.
    pub position: i64,
    pub name: String,
    pub element: String,
    /// `Gather[1].DTMF[0].Say[0]`.
    pub path: String,
    pub success: bool,
    pub reason: String,
    pub tag: Option<String>,
    /// The element's attributes.
    pub command: Json<Value>,
    pub children: Json<Vec<Value>>,
    pub errors: Json<Vec<Value>>,
}

super::plain!();
