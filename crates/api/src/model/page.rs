use utoipa::ToSchema;

use crate::types;

/// One page of a search.
#[derive(ToSchema)]
pub struct Page<T> {
    pub take: u64,
    pub skip: u64,
    #[schema(schema_with = types::mode)]
    pub mode: String,
    #[schema(schema_with = types::order)]
    pub order: serde_json::Value,
    /// All matches; left out with `count: false`.
    pub total: Option<u64>,
    /// For the next page, when there may be one.
    pub next_cursor: Option<String>,
    pub data: Vec<T>,
}

/// Nothing more to say.
#[derive(ToSchema)]
pub struct Nothing {}
