//! A person of an account.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Gender, Role};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// Lower case, unique over all accounts.
    pub email: String,
    /// argon2id in PHC form.
    #[serde(skip)]
    pub password_hash: String,
    pub role: Role,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub phone_number: Option<String>,
    pub avatar: Option<String>,
    pub gender: Option<Gender>,
    /// Day of birth, `YYYY-MM-DD`.
    pub dob: Option<String>,
    /// Deactivated since.
    pub deleted_on: Option<Date>,
    /// JWTs issued before are void.
    pub signed_out_on: Option<Date>,
}

super::plain!();

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Entity::belongs_to(super::account::Entity).from(Column::Account).to(super::account::Column::Uuid).into()
    }
}
