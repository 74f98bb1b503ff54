//! Somebody who may set a password anew. The token that says so is not kept.

use sea_orm::entity::prelude::*;

use super::Date;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "password_resets")]
pub struct Model {
    /// Whose password.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: Uuid,
    pub account: Uuid,
    /// SHA-256 of the token, hex.
    pub hash: String,
    pub expired_on: Date,
}

super::plain!();
