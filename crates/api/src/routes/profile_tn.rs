//! Price profiles of numbers.

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
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(special)).routes(routes!(get))
}

/// What numbers cost, by kind.
#[utoipa::path(get, path = "/rest/profile/tn", operation_id = "ListTNProfiles", tag = "price profile",
    responses((status = 200, body = Envelope<Vec<model::PriceProfile>>), Faults))]
async fn list(State(state): State<ApiState>, _: Caller) -> Reply {
    ok(state.store.numbers().profiles().await?.iter().map(view::tn_profile).collect::<Vec<_>>())
}

/// What numbers cost the account other than others: the price profiles with the account's own prices.
///
/// 404 where it has none. The operator sets them (`opentact admin prices`).
#[utoipa::path(get, path = "/rest/profile/tn/special_prices", operation_id = "GetTNSpecialPricesByAccount",
    tag = "price profile", responses((status = 200, body = Envelope<Vec<model::SpecialPrice>>), Faults))]
async fn special(State(state): State<ApiState>, caller: Caller) -> Reply {
    let special = state.store.numbers().special_prices(caller.account()).await?;
    if special.is_empty() {
        return Err(AppError::NotFound("Special prices"));
    }
    ok(special.iter().map(|(profile, price)| view::special_price(profile, price)).collect::<Vec<_>>())
}

/// One price profile.
#[utoipa::path(get, path = "/rest/profile/tn/{uuid}", operation_id = "GetTNProfileByUUID", tag = "price profile",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::PriceProfile>), Faults))]
async fn get(State(state): State<ApiState>, _: Caller, Id(uuid): Id) -> Reply {
    ok(view::tn_profile(&state.store.numbers().profile(uuid).await?))
}
