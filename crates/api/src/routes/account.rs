//! The caller's account.

use axum::extract::State;
use opentact_events::view;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::Id;
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(own)).routes(routes!(by_uuid))
}

/// The account of the credential, with its balance.
#[utoipa::path(get, path = "/rest/account", operation_id = "GetAccount", tag = "account",
    responses((status = 200, body = Envelope<model::Account>), Faults))]
async fn own(caller: Caller) -> Reply {
    ok(view::account_with_balance(&caller.account))
}

/// An account by its uuid: one's own.
#[utoipa::path(get, path = "/rest/account/{uuid}", operation_id = "GetAccountByUUID", tag = "account",
    params(("uuid" = uuid::Uuid, Path)), responses((status = 200, body = Envelope<model::Account>), Faults))]
async fn by_uuid(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    if uuid == caller.account() {
        return ok(view::account_with_balance(&caller.account));
    }
    state.store.accounts().get(uuid).await?;
    Err(AppError::Forbidden)
}
