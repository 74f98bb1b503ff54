//! What numbers of a price profile cost one account.

use sea_orm::entity::prelude::*;

use super::Date;
use crate::numbers::Prices;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tn_special_prices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub profile: Uuid,
    pub prices: Json<Prices>,
    /// From then on the profile's own prices are paid again.
    pub expired_on: Option<Date>,
}

super::plain!();
