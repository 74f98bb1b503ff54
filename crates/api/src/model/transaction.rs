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

/// What was booked in a period.
#[derive(ToSchema)]
pub struct Invoice {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub report: Vec<InvoiceRow>,
}

#[derive(ToSchema)]
pub struct InvoiceRow {
    #[schema(schema_with = types::ref_type)]
    pub ref_type: String,
    pub count: u64,
    #[schema(schema_with = types::money)]
    pub amount: f64,
}

/// What was booked of one kind in a period.
#[derive(ToSchema)]
pub struct Dashboard {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    #[schema(schema_with = types::ref_type)]
    pub ref_type: String,
    /// Days on which something was.
    pub report: Vec<DashboardRow>,
}

#[derive(ToSchema)]
pub struct DashboardRow {
    /// `YYYY-MM-DD`, UTC.
    #[schema(format = Date)]
    pub date: String,
    pub count: u64,
    #[schema(schema_with = types::money)]
    pub sum: f64,
}
