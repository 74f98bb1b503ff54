//! One leg: each leg of a bridged call is a call of its own.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Date;
use crate::calls::Related;
use crate::types::{Attestation, CallState, CallType, Direction, Json, Money, Tn};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "calls")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub direction: Direction,
    /// With `+` inbound.
    #[sea_orm(column_name = "from_number")]
    pub from: String,
    #[sea_orm(column_name = "to_number")]
    pub to: String,
    pub state: CallState,
    #[sea_orm(column_name = "type")]
    #[serde(rename = "type")]
    pub kind: CallType,
    /// 32 hex digits, the same for every call between two parties.
    pub thread: String,
    pub parent: Option<Uuid>,
    /// The account's own number.
    pub tn: Option<Tn>,
    pub sip_control_app: Option<Uuid>,
    pub sip_connection: Option<Uuid>,
    pub sip_user: Option<Uuid>,
    pub batch_item: Option<Uuid>,
    pub sip_call_id: Option<String>,
    pub init_on: Option<Date>,
    pub ring_on: Option<Date>,
    pub answer_on: Option<Date>,
    pub hangup_on: Option<Date>,
    pub destroy_on: Option<Date>,
    pub finished_on: Option<Date>,
    /// Whole seconds from the answer.
    pub duration: i64,
    pub q850_cause: Option<i64>,
    pub q850_cause_string: Option<String>,
    pub freeswitch_call_state: String,
    pub freeswitch_channel_state: String,
    pub stir_shaken_attest_level: Option<Attestation>,
    /// Whose spend limits it counts for.
    pub outbound_voice_profile: Option<Uuid>,
    /// What a minute of it costs, where it counts for those.
    pub minute_price: Option<Money>,
    /// Objects as they were when the call began.
    pub related: Json<Related>,
    pub meta: Json<Map<String, Value>>,
}

super::plain!();
