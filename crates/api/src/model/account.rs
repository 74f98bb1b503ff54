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
    /// IANA time zone, where the account shows itself alone; null is UTC.
    pub time_zone: Option<String>,
    #[schema(required = false)]
    pub notification: Notification,
}

/// Which notices the account gets.
#[derive(ToSchema)]
pub struct Notification {
    /// Events of type `balance`.
    pub balance: bool,
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

/// Where an account is, is billed or is sent things to.
#[derive(ToSchema)]
pub struct Address {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub is_physical: bool,
    pub is_billing: bool,
    pub is_shipping: bool,
    pub address1: String,
    pub address2: Option<String>,
    pub zip_code: String,
    pub city: String,
    pub country: Country,
    pub user: Author,
    pub created_by: Option<Author>,
    pub modified_by: Option<Author>,
}

/// Hours of a weekday in which the office is closed.
#[derive(ToSchema)]
pub struct OfficeHours {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: Option<String>,
    #[schema(schema_with = types::office_hours_type)]
    pub r#type: String,
    #[schema(schema_with = types::day_of_week)]
    pub dow: String,
    /// Seconds from midnight in the account's time zone.
    pub time_from: u32,
    /// The last second of it.
    pub time_to: u32,
    pub created_by: Option<Author>,
    pub modified_by: Option<Author>,
}

/// Something put aside to order.
#[derive(ToSchema)]
pub struct CartEntry {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// As it was put there.
    #[schema(schema_with = types::any_object)]
    pub payload: String,
    pub expired_on: Option<DateTime<Utc>>,
}

/// A country of ISO 3166-1.
#[derive(ToSchema)]
pub struct Country {
    pub name: String,
    pub a2: String,
    pub a3: String,
    /// The numeric code.
    pub n: u16,
    /// What international telephone numbers of it begin with.
    pub country_code: Option<u16>,
}

#[derive(ToSchema)]
pub struct TimeZone {
    /// ISO 3166 alpha-2.
    pub country_code: String,
    /// IANA.
    pub name: String,
    /// Standard time: hours east of UTC.
    pub utc_offset: f64,
    /// The same in summer.
    pub utc_dst_offset: f64,
    /// ISO 6709.
    pub latitude: String,
    pub longitude: String,
    #[schema(required = false)]
    pub note: String,
}

/// A voice of `<Say>`.
#[derive(ToSchema)]
pub struct Voice {
    /// `Standard` or `WaveNet`.
    pub r#type: String,
    /// What `<Say code>` takes.
    pub code: String,
    pub name: String,
    /// `FEMALE` or `MALE`.
    pub gender: String,
    /// BCP 47.
    pub lang: String,
    pub engine: String,
    /// Samples per second of its own.
    #[schema(rename = "naturalSampleRateHertz")]
    pub natural_sample_rate_hertz: u32,
}

/// Who did it.
#[derive(ToSchema)]
pub struct Author {
    pub uuid: Uuid,
}
