//! One submit_sm of a customer's ESME, until there is nothing left to tell of it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::Tn;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "smpp_submits")]
pub struct Model {
    /// The message id that it was answered with.
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub account: Uuid,
    /// Whose binds are told.
    pub token: Uuid,
    #[sea_orm(column_name = "from_tn")]
    pub from: Tn,
    #[sea_orm(column_name = "to_tn")]
    pub to: Tn,
    pub data_coding: i64,
    /// Of the concatenation; 0 where there is none.
    pub reference: i64,
    /// 1 where there is none.
    pub total: i64,
    pub number: i64,
    /// User data without header.
    pub octets: Vec<u8>,
    /// What receipts are wanted for (SMPP 3.4 5.2.17): 0 nothing, 1 everything, 2 failure, 3 success.
    pub receipt: i64,
    /// The message that it is, or is part of, once that is whole.
    pub sms: Option<Uuid>,
    /// Its receipt is to be told.
    pub due: bool,
}

super::plain!();
