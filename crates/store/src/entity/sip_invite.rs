//! An invite to become a SIP user of a domain. Its token is made of the database's key.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_invites")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub sip_domain: Uuid,
    pub name: String,
    /// Whom it was mailed to.
    pub email: Option<String>,
    pub expired_on: Date,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
