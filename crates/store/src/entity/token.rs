//! A named API key. The key itself is not kept.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    #[sea_orm(column_name = "user_uuid")]
    pub user: Uuid,
    pub name: String,
    /// SHA-256 of the key, hex.
    #[serde(skip)]
    pub hash: String,
    /// First and last four characters.
    pub masked: String,
    /// `resource:read`, `resource:write`; empty means all.
    pub scopes: Json<Vec<String>>,
    /// `None` never expires.
    pub expired_on: Option<Date>,
    /// When a receiver was last bound with it by SMPP.
    pub smpp_bound_on: Option<Date>,
}

super::plain!();

impl Related<super::user::Entity> for Entity {
    fn to() -> RelationDef {
        Entity::belongs_to(super::user::Entity).from(Column::User).to(super::user::Column::Uuid).into()
    }
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Entity::belongs_to(super::account::Entity).from(Column::Account).to(super::account::Column::Uuid).into()
    }
}
