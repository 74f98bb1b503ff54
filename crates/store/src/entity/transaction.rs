//! A change of a balance.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Money, RefType};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "transactions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    /// Charges are negative: a balance is the sum of its transactions.
    pub amount: Money,
    pub account_balance_before: Money,
    pub account_balance_after: Money,
    pub ref_type: RefType,
    pub ref_uuid: Option<Uuid>,
    pub description: Option<String>,
}

super::plain!();
