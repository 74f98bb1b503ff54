//! A number that an account holds.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::{Feature, Json, Tn};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "tn_leases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub tn: Tn,
    pub tn_order: Option<Uuid>,
    pub expired_on: Date,
    pub autorenew: bool,
    /// What the number is used for.
    pub subscriptions: Json<Vec<Feature>>,
    pub sip_connection: Option<Uuid>,
    pub sip_control_app: Option<Uuid>,
    pub sip_user: Option<Uuid>,
    pub messaging_profile: Option<Uuid>,
    /// 10DLC campaign of what it sends.
    pub sms_campaign: Option<Uuid>,
    /// Filter of callers.
    pub tn_profile: Option<Uuid>,
    pub released_on: Option<Date>,
    /// When the account was told that the term ends.
    pub noticed_on: Option<Date>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
