//! Where a block of North American numbers is, and whose.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lerg_blocks")]
pub struct Model {
    /// NPA, NXX and the thousands digit, or `A` for the whole exchange: `201555A`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub block: String,
    /// ISO 3166 alpha-2.
    pub country: String,
    /// Two letters.
    pub state: String,
    pub rate_center: String,
    /// Local access and transport area.
    pub lata: Option<String>,
    /// Operating company number.
    pub ocn: Option<String>,
    /// Name of that company.
    pub carrier: Option<String>,
    /// In capitals.
    pub county: Option<String>,
}

super::plain!();
