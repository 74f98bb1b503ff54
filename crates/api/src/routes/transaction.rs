//! Changes of the balance.

use axum::extract::State;
use opentact_events::view;
use opentact_store::Money;
use opentact_store::transactions::TransactionFilter;
use opentact_store::types::RefType;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::extract::{Body, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(find)).routes(routes!(get))
}

search_form! {
    /// Filters of the transactions.
    pub struct TransactionSearch {
        #[schema(schema_with = types::money)]
        pub amount: Option<Money>,
        #[schema(schema_with = types::money)]
        pub account_balance_before: Option<Money>,
        #[schema(schema_with = types::money)]
        pub account_balance_after: Option<Money>,
        #[schema(schema_with = types::ref_type)]
        pub ref_type: Option<RefType>,
        /// What was charged: a call, a message, a lease.
        pub ref_uuid: Option<Uuid>,
        #[schema(schema_with = types::mask)]
        pub description: Option<String>,
    }
}

/// Search the changes of the balance.
#[utoipa::path(post, path = "/rest/transaction/search", operation_id = "SearchTransactions", tag = "transaction",
    params(PageQuery), request_body = TransactionSearch,
    responses((status = 200, body = Envelope<model::Page<model::Transaction>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<TransactionSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = TransactionFilter {
        amount: form.amount,
        account_balance_before: form.account_balance_before,
        account_balance_after: form.account_balance_after,
        ref_type: form.ref_type,
        ref_uuid: form.ref_uuid,
        description: form.description,
    };
    let found = state.store.transactions().search(caller.account(), filter, search).await?;
    ok(view::found(found.map(|transaction| view::transaction(&transaction))))
}

/// One change of the balance.
#[utoipa::path(get, path = "/rest/transaction/{uuid}", operation_id = "GetTransaction", tag = "transaction",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Transaction>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let transaction = state.store.transactions().get(caller.account(), uuid).await;
    ok(view::transaction(&visible(&state, &caller, uuid, transaction).await?))
}
