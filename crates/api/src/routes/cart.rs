//! The caller's cart: what a client puts aside until it orders.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use opentact_events::view;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::envelope::{Envelope, Reply, Tagged, ok};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, add, clear)).routes(routes!(replace, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct CartForm {
    /// Whatever the client keeps there.
    #[schema(schema_with = types::any_object)]
    payload: Map<String, Value>,
    /// Seconds until it is gone; null stays until it is removed.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 60, maximum = 315_360_000)]
    ttl: Change<u64>,
}

/// What is in the cart.
#[utoipa::path(get, path = "/rest/user/cart", operation_id = "GetCartEntries", tag = "cart",
    responses((status = 200, body = Envelope<Vec<model::CartEntry>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let entries = state.store.cart(caller.account(), caller.user.uuid).list().await?;
    ok(entries.iter().map(view::cart_entry).collect::<Vec<_>>())
}

/// Put something in the cart.
#[utoipa::path(post, path = "/rest/user/cart", operation_id = "CreateUserCartEntry", tag = "cart",
    request_body = CartForm,
    responses((status = 201, body = Envelope<model::CartEntry>, headers(("ETag"))), Faults))]
async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    Body(form): Body<CartForm>,
) -> Result<(StatusCode, Tagged), AppError> {
    let ttl = form.ttl.set().copied().map(Duration::from_secs);
    let entry = state.store.cart(caller.account(), caller.user.uuid).add(form.payload, ttl).await?;
    Ok((StatusCode::CREATED, Tagged(view::cart_entry(&entry))))
}

/// Empty the cart.
#[utoipa::path(delete, path = "/rest/user/cart", operation_id = "ClearUserCart", tag = "cart",
    responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn clear(State(state): State<ApiState>, caller: Caller) -> Reply {
    state.store.cart(caller.account(), caller.user.uuid).clear().await?;
    ok(json!({}))
}

/// Put something else in an entry's place.
#[utoipa::path(patch, path = "/rest/user/cart/{uuid}", operation_id = "UpdateUserCartEntry", tag = "cart",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = CartForm,
    responses((status = 200, body = Envelope<model::CartEntry>), Faults))]
async fn replace(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<CartForm>,
) -> Result<Tagged, AppError> {
    let cart = state.store.cart(caller.account(), caller.user.uuid);
    if_match.check(&view::cart_entry(&visible(&state, &caller, uuid, cart.get(uuid).await).await?))?;
    let ttl = form.ttl.into_option().map(|ttl| ttl.map(Duration::from_secs));
    let replaced = cart.replace(uuid, form.payload, ttl).await;
    Ok(Tagged(view::cart_entry(&visible(&state, &caller, uuid, replaced).await?)))
}

/// Take an entry out.
#[utoipa::path(delete, path = "/rest/user/cart/{uuid}", operation_id = "DeleteUserCartEntry", tag = "cart",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::CartEntry>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let removed = state.store.cart(caller.account(), caller.user.uuid).remove(uuid).await;
    ok(view::cart_entry(&visible(&state, &caller, uuid, removed).await?))
}
