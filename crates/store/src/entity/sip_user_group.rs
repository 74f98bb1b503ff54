//! SIP users of a domain who are rung together.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_user_groups")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub sip_domain: Uuid,
    pub name: String,
    /// Each once.
    pub users: Json<Vec<Uuid>>,
    /// The SIP user who made it; `None`: the account did.
    pub owner: Option<Uuid>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
