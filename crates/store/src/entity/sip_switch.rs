//! A system whose calls are a domain's by where they come from.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_switches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub sip_domain: Uuid,
    pub name: String,
    pub description: Option<String>,
    /// Address or network.
    pub remote_ip: Option<String>,
    /// Host name, lower case.
    pub remote_domain: Option<String>,
    pub is_active: bool,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
