//! A SIP phone's login.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::types::Gender;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sip_users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub sip_domain: Uuid,
    pub login: String,
    /// Sealed; see `SipUsers::ha1`.
    #[serde(skip)]
    pub ha1: Vec<u8>,
    #[serde(skip)]
    pub ha1_sha256: Vec<u8>,
    #[serde(skip)]
    pub ha1b: Vec<u8>,
    /// Of HA1B, with a key: to find who shows it.
    #[serde(skip)]
    pub ha1b_digest: Option<String>,
    pub is_active: bool,
    pub same_domain_calls_only: bool,
    /// Caller id and direct number.
    pub tn_lease: Option<Uuid>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone_number: Option<String>,
    pub avatar: Option<String>,
    pub gender: Option<Gender>,
    pub dob: Option<String>,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
