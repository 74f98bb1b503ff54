//! A prefix that is given out.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tech_prefixes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub prefix: i64,
    pub owner: Uuid,
}

super::plain!();
