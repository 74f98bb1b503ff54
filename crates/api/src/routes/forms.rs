//! What several resources have in their bodies and queries.

use chrono::{DateTime, Utc};
use opentact_store::search::{Mode, Search, Sort};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::error::{AppError, Fields};

/// `{add[], remove[]}` of leases.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AssignLeases {
    /// UUIDs of leases to assign.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub add: Vec<uuid::Uuid>,
    /// UUIDs of leases to take off.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub remove: Vec<uuid::Uuid>,
}

/// Country codes as they are kept.
pub(crate) fn upper_case(countries: Vec<String>) -> Vec<String> {
    countries.into_iter().map(|code| code.to_ascii_uppercase()).collect()
}

/// `?take=&skip=`, as well as in the body.
#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1..100, default 10.
    #[schema(minimum = 1, maximum = 100)]
    #[param(minimum = 1, maximum = 100)]
    pub take: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[param(minimum = 0, maximum = 1_000_000_000)]
    pub skip: Option<u64>,
}

/// The part of a search that all searches have. A macro and not a flattened struct: its properties stand beside the
/// filters in schema and body.
macro_rules! search_form {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
        #[serde(default)]
        pub struct $name {
            #[schema(minimum = 1, maximum = 100)]
            pub take: Option<u64>,
            #[schema(minimum = 0, maximum = 1_000_000_000)]
            pub skip: Option<u64>,
            /// How the filters are joined.
            #[schema(schema_with = $crate::types::mode)]
            pub mode: Option<opentact_store::search::Mode>,
            #[schema(schema_with = $crate::types::order)]
            pub order: Option<serde_json::Map<String, serde_json::Value>>,
            pub created_on_from: Option<chrono::DateTime<chrono::Utc>>,
            pub created_on_to: Option<chrono::DateTime<chrono::Utc>>,
            pub modified_on_from: Option<chrono::DateTime<chrono::Utc>>,
            pub modified_on_to: Option<chrono::DateTime<chrono::Utc>>,
            /// `next_cursor` of the page before.
            #[schema(max_length = 200)]
            pub cursor: Option<String>,
            /// False spares the counting.
            pub count: Option<bool>,
            $($(#[$fmeta])* pub $field: $kind,)*
        }

        impl $name {
            /// Page, mode, order and dates; the query's `take` and `skip` where the body has none.
            pub fn search(
                &self,
                query: &$crate::routes::forms::PageQuery,
            ) -> Result<opentact_store::search::Search, $crate::error::AppError> {
                $crate::routes::forms::search(
                    self.take.or(query.take),
                    self.skip.or(query.skip),
                    self.mode,
                    self.order.as_ref(),
                    [self.created_on_from, self.created_on_to, self.modified_on_from, self.modified_on_to],
                    self.cursor.clone(),
                    self.count,
                )
            }
        }
    };
}
pub(crate) use search_form;

pub(crate) fn search(
    take: Option<u64>,
    skip: Option<u64>,
    mode: Option<Mode>,
    order: Option<&Map<String, Value>>,
    [created_on_from, created_on_to, modified_on_from, modified_on_to]: [Option<DateTime<Utc>>; 4],
    cursor: Option<String>,
    count: Option<bool>,
) -> Result<Search, AppError> {
    let mut fields = Fields::default();
    let mut directions = Vec::new();
    for (field, direction) in order.into_iter().flatten() {
        match direction.as_str().and_then(|word| word.to_ascii_uppercase().parse::<Sort>().ok()) {
            Some(sort) => directions.push((field.clone(), sort)),
            None => fields.param(&format!("order.{field}"), "must be one of ASC, DESC", direction.clone()),
        }
    }
    fields.check()?;
    let defaults = Search::default();
    Ok(Search {
        take: take.unwrap_or(defaults.take),
        skip: skip.unwrap_or(defaults.skip),
        mode: mode.unwrap_or(defaults.mode),
        order: directions,
        created_on_from,
        created_on_to,
        modified_on_from,
        modified_on_to,
        cursor,
        count: count.unwrap_or(defaults.count),
    })
}
