//! A certificate that calls are signed with.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Date;
use crate::types::Json;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "shaken_certificates")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub modified_on: Date,
    pub account: Uuid,
    pub name: String,
    pub is_active: bool,
    /// Signs for accounts that have none of their own.
    pub shared: bool,
    /// Of the node's own test authority.
    pub test: bool,
    /// PEM, the signing certificate first.
    pub chain: String,
    /// Sealed; see `ShakenCertificates::key`.
    #[serde(skip)]
    pub key: Vec<u8>,
    pub subject: String,
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// Entries of the TN authorization list, as they are shown.
    pub tn_auth_list: Json<Vec<Value>>,
    pub not_before: Date,
    pub not_after: Date,
    pub created_by: Option<Uuid>,
    pub modified_by: Option<Uuid>,
}

super::plain!();
