//! A contact of a SIP user, as it outlives the process.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "registrations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sip_user: Uuid,
    /// Among the contacts of the user, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    /// Address of record, `login@domain`.
    pub aor: String,
    /// URI.
    pub contact: String,
    /// As the Via says it: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub transport: String,
    /// Addresses of the flow it registered over, `ip:port`.
    pub local: String,
    pub remote: String,
    /// Preference in thousandths, 0..=1000.
    pub q: i64,
    pub since: Date,
    pub expires_on: Date,
    /// `+sip.instance` and `reg-id` (RFC 5626).
    pub instance: Option<String>,
    pub reg_id: Option<i64>,
    /// Route of calls to it (RFC 3327), in order.
    pub path: Json<Vec<String>>,
    pub user_agent: Option<String>,
    /// 64 bits of the hash of the Call-ID.
    pub call_id: i64,
    pub cseq: i64,
}

super::plain!();
