use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AccountShort, MessagingProfileShort, SipConnectionShort, SipControlAppShort, SipUserShort};
use crate::types;

/// A number for sale.
#[derive(ToSchema)]
pub struct Offer {
    #[schema(schema_with = types::tn_out)]
    pub tn: u64,
    #[schema(schema_with = types::tn_kind)]
    pub r#type: String,
    pub country: String,
    pub state: Option<String>,
    pub city: Option<String>,
    pub rate_center: Option<String>,
    pub npa: Option<String>,
    pub nxx: Option<String>,
    pub features: Vec<String>,
    /// Once, when the order succeeds.
    #[schema(schema_with = types::money)]
    pub nrc: f64,
    /// Monthly.
    #[schema(schema_with = types::money)]
    pub mrc: f64,
    /// Name of the price profile.
    pub profile: String,
}

#[derive(ToSchema)]
pub struct OfferPage {
    pub take: u64,
    pub skip: u64,
    pub total: u64,
    pub data: Vec<Offer>,
}

/// A country with numbers for sale.
#[derive(ToSchema)]
pub struct OfferCountry {
    /// ISO 3166 alpha-2.
    #[schema(example = "US")]
    pub a2: String,
    /// Numbers for sale now.
    pub total: u64,
}

/// A number of the inventory.
#[derive(ToSchema)]
pub struct TnShort {
    #[schema(schema_with = types::tn_out)]
    pub tn: u64,
    #[schema(required = false)]
    pub created_on: DateTime<Utc>,
    #[schema(required = false)]
    pub modified_on: DateTime<Utc>,
    pub deleted_on: Option<DateTime<Utc>>,
}

/// A number of the inventory with where it is and what it can.
#[derive(ToSchema)]
pub struct Tn {
    #[schema(schema_with = types::tn_out)]
    pub tn: u64,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub deleted_on: Option<DateTime<Utc>>,
    #[schema(schema_with = types::tn_kind)]
    pub r#type: String,
    pub country: String,
    pub state: Option<String>,
    pub city: Option<String>,
    pub rate_center: Option<String>,
    pub features: Vec<String>,
    pub registered: bool,
}

/// A number that the account holds.
#[derive(ToSchema)]
pub struct TnLease {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub tn: Tn,
    pub expired_on: DateTime<Utc>,
    pub autorenew: bool,
    pub subscriptions: Vec<String>,
    pub sip_connection: Option<SipConnectionShort>,
    pub sip_control_app: Option<SipControlAppShort>,
    pub sip_user: Option<SipUserShort>,
    pub messaging_profile: Option<MessagingProfileShort>,
    /// 10DLC campaign of what it sends.
    pub sms_campaign: Option<ByUuid>,
    /// Who may call it.
    pub tn_profile: Option<ByUuid>,
    pub account: AccountShort,
}

/// What is told by its id only.
#[derive(ToSchema)]
pub struct ByUuid {
    pub uuid: Uuid,
}

/// Who may call a number.
#[derive(ToSchema)]
pub struct TnFilter {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub is_active: bool,
    #[schema(schema_with = types::on_reject)]
    pub on_reject: String,
    /// Takes rejected calls, with `voicemail_app`.
    pub sip_control_app: Option<SipControlAppShort>,
    pub whitelist_entries: u64,
    pub blacklist_entries: u64,
    /// Calls so far.
    pub rejected: u64,
}

#[derive(ToSchema)]
pub struct OrderItem {
    #[schema(schema_with = types::tn_out)]
    pub tn: u64,
    pub features: Vec<String>,
    pub autorenew: bool,
}

#[derive(ToSchema)]
pub struct OrderFault {
    pub item: OrderItem,
    pub reason: String,
    pub description: Option<String>,
}

/// An order of numbers.
#[derive(ToSchema)]
pub struct TnOrder {
    pub uuid: Uuid,
    #[schema(schema_with = types::order_state)]
    pub state: String,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub total: u64,
    pub success: u64,
    pub processing: u64,
    pub failed: u64,
    /// The request as it came; only in the answer about one order.
    #[schema(schema_with = types::any_object)]
    pub request: Option<serde_json::Value>,
    pub items: Option<Vec<OrderItem>>,
    pub errors: Option<Vec<OrderFault>>,
    pub tnleases: Option<Vec<TnLease>>,
}

#[derive(ToSchema)]
pub struct OrderPrice {
    #[schema(schema_with = types::money)]
    pub nrc: f64,
    #[schema(schema_with = types::money)]
    pub mrc: f64,
    pub items: Vec<OrderPriceItem>,
}

#[derive(ToSchema)]
pub struct OrderPriceItem {
    /// The number.
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    #[schema(schema_with = types::money)]
    pub nrc: f64,
    #[schema(schema_with = types::money)]
    pub mrc: f64,
}

/// What numbers of a kind cost.
#[derive(ToSchema)]
pub struct PriceProfile {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub description: Option<String>,
    pub is_active: bool,
    #[schema(schema_with = types::priority)]
    pub priority: String,
    pub toll_free: bool,
    #[schema(schema_with = types::any_object)]
    pub country: String,
    #[schema(schema_with = types::money)]
    pub nrc: f64,
    #[schema(schema_with = types::money)]
    pub mrc: f64,
    #[schema(schema_with = types::money)]
    pub voice_nrc: f64,
    #[schema(schema_with = types::money)]
    pub voice_mrc: f64,
    #[schema(schema_with = types::money)]
    pub voice_incoming_per_min_cost: f64,
    #[schema(schema_with = types::money)]
    pub voice_outgoing_per_min_cost: f64,
    #[schema(schema_with = types::money)]
    pub sms_nrc: f64,
    #[schema(schema_with = types::money)]
    pub sms_mrc: f64,
    #[schema(schema_with = types::money)]
    pub sms_per_send_cost: f64,
    #[schema(schema_with = types::money)]
    pub sms_per_receive_cost: f64,
    #[schema(schema_with = types::money)]
    pub mms_nrc: f64,
    #[schema(schema_with = types::money)]
    pub mms_mrc: f64,
    #[schema(schema_with = types::money)]
    pub mms_per_send_cost: f64,
    #[schema(schema_with = types::money)]
    pub mms_per_receive_cost: f64,
    #[schema(schema_with = types::money)]
    pub fax_nrc: f64,
    #[schema(schema_with = types::money)]
    pub fax_mrc: f64,
    #[schema(schema_with = types::money)]
    pub fax_incoming_per_min_cost: f64,
    #[schema(schema_with = types::money)]
    pub fax_outgoing_per_min_cost: f64,
    #[schema(schema_with = types::money)]
    pub emergency_nrc: f64,
    #[schema(schema_with = types::money)]
    pub emergency_mrc: f64,
    #[schema(schema_with = types::money)]
    pub emergency_incoming_per_min_cost: f64,
    #[schema(schema_with = types::money)]
    pub emergency_outgoing_per_min_cost: f64,
}

/// A price profile at what it costs the account.
#[derive(ToSchema)]
pub struct SpecialPrice {
    #[serde(flatten)]
    pub profile: PriceProfile,
    /// From then on the profile's own prices are paid; null is never.
    pub expired_on: Option<DateTime<Utc>>,
}
