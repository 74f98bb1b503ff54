//! A domain that holds SIP users.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_domains")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// Full name, lower case.
    pub domain: String,
    pub sip_connection: Option<Uuid>,
    pub sip_control_app: Option<Uuid>,
    pub outbound_voice_profile: Option<Uuid>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
