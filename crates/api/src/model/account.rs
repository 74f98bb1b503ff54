use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::types;

/// A tenant.
#[derive(ToSchema)]
pub struct Account {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub email: String,
    #[schema(schema_with = types::account_level)]
    pub level: String,
    /// Prepaid balance.
    #[schema(schema_with = types::money)]
    pub balance: f64,
    pub phone: Option<String>,
    pub address1: Option<String>,
    pub address2: Option<String>,
    pub zip_code: Option<String>,
    pub city: Option<String>,
    pub disabled_on: Option<DateTime<Utc>>,
    pub deleted_on: Option<DateTime<Utc>>,
}

/// An account inside other objects; only `uuid` where no more is at hand.
#[derive(ToSchema)]
pub struct AccountShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub created_on: DateTime<Utc>,
    #[schema(required = false)]
    pub modified_on: DateTime<Utc>,
    #[schema(required = false)]
    pub name: String,
    #[schema(required = false)]
    pub email: String,
    #[schema(schema_with = types::account_level, required = false)]
    pub level: String,
    /// Where a call shows it.
    #[schema(schema_with = types::money)]
    pub balance: Option<f64>,
    pub phone: Option<String>,
    pub address1: Option<String>,
    pub address2: Option<String>,
    pub zip_code: Option<String>,
    pub city: Option<String>,
    pub disabled_on: Option<DateTime<Utc>>,
    pub deleted_on: Option<DateTime<Utc>>,
}

/// A person of an account.
#[derive(ToSchema)]
pub struct User {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub email: String,
    #[schema(schema_with = types::role)]
    pub role: String,
    pub phone_number: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Whether the user has a live websocket.
    pub wss_online: bool,
    pub avatar: Option<String>,
    pub dob: Option<String>,
    #[schema(schema_with = types::or_null::gender)]
    pub gender: Option<String>,
    pub deleted_on: Option<DateTime<Utc>>,
    /// JWT, 24 h; only in the answer of `GET /rest/auth` to Basic.
    pub token: Option<String>,
    pub account: Option<Account>,
}

/// An API key.
#[derive(ToSchema)]
pub struct Token {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// Whole once, in the answer that made it; masked ever after.
    pub token: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub expired_on: Option<DateTime<Utc>>,
    /// What SMPP software binds with, in the answer that made it.
    pub smpp: Option<SmppLogin>,
}

/// What SMPP software binds with.
#[derive(ToSchema)]
pub struct SmppLogin {
    pub system_id: String,
    pub password: String,
}
