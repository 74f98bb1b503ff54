use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use super::AccountShort;
use crate::types;

/// A change of the balance.
#[derive(ToSchema)]
pub struct Transaction {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// Signed: charges are negative.
    #[schema(schema_with = types::money)]
    pub amount: f64,
    #[schema(schema_with = types::money)]
    pub account_balance_before: f64,
    #[schema(schema_with = types::money)]
    pub account_balance_after: f64,
    #[schema(schema_with = types::ref_type)]
    pub ref_type: String,
    /// What was charged: a call, a message, a lease.
    pub ref_uuid: Option<Uuid>,
    pub description: Option<String>,
    pub account: AccountShort,
}
