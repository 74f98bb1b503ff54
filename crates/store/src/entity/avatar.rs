//! An uploaded image of a user or SIP user.

use sea_orm::entity::prelude::*;

use super::Date;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatars")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    /// The user or SIP user.
    pub owner: Uuid,
    /// `image/png` or `image/jpeg`.
    pub content_type: String,
    pub image: Vec<u8>,
}

super::plain!();
