//! API tokens: made, listed masked, changed and taken back.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use opentact_events::view;
use opentact_store::types::now;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::envelope::{Envelope, Live, Reply, Tagged, ok};
use crate::error::AppError;
use crate::extract::{Body, Segments};
use crate::idempotency::ShownOnce;
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(list))
        .routes(routes!(remove_all))
        .routes(routes!(modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewToken {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// Seconds until it expires; null never.
    #[schema(minimum = 60, maximum = 3_153_600_000_u64)]
    ttl: Option<u64>,
    /// `<resource>:read` or `<resource>:write`; none means all.
    #[serde(default)]
    #[schema(schema_with = types::scopes)]
    scopes: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct TokenChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Seconds from now; null never expires.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 60, maximum = 3_153_600_000_u64)]
    ttl: Change<u64>,
}

/// Make an API token. It is shown whole only in this answer.
#[utoipa::path(post, path = "/rest/token", operation_id = "CreateToken", tag = "token", request_body = NewToken,
    responses((status = 201, body = Envelope<model::Token>, headers(("ETag"))), Faults))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Extension<ShownOnce>, Live), AppError> {
    if !caller.scopes.cover(&new.scopes) {
        return Err(AppError::param("scopes", "must not exceed those of the token in use", json!(new.scopes)));
    }
    let ttl = new.ttl.map(Duration::from_secs);
    let tokens = state.store.tokens();
    let (token, text) = tokens.create(caller.account(), caller.user.uuid, &new.name, ttl, new.scopes).await?;
    let shown = view::new_token(&token, &text, tokens.smpp_login(token.uuid));
    Ok((StatusCode::CREATED, Extension(ShownOnce), Live { shown, version: view::token(&token) }))
}

/// The caller's tokens, masked.
#[utoipa::path(get, path = "/rest/token/list", operation_id = "GetTokenList", tag = "token",
    responses((status = 200, body = Envelope<Vec<model::Token>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let tokens = state.store.tokens().list(caller.account(), caller.user.uuid).await?;
    ok(tokens.iter().map(view::token).collect::<Vec<_>>())
}

/// Rename a token or change when it expires.
#[utoipa::path(patch, path = "/rest/token/{token}", operation_id = "ModifyToken", tag = "token",
    params(IfMatch, ("token" = uuid::Uuid, Path, description = "The token's uuid")), request_body = TokenChange,
    responses((status = 200, body = Envelope<model::Token>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    if_match: IfMatch,
    Body(change): Body<TokenChange>,
) -> Result<Tagged, AppError> {
    let uuid = path.uuid("token")?;
    let tokens = state.store.tokens();
    let current = tokens.get(caller.account(), caller.user.uuid, uuid).await;
    if_match.check(&view::token(&visible(&state, &caller, uuid, current).await?))?;
    let changed = tokens.update(caller.account(), caller.user.uuid, uuid, |token| {
        if let Some(name) = change.name {
            token.name = name;
        }
        if let Some(ttl) = change.ttl.into_option() {
            token.expired_on = ttl.map(|ttl| now() + Duration::from_secs(ttl));
        }
    });
    Ok(Tagged(view::token(&visible(&state, &caller, uuid, changed.await).await?)))
}

/// Take all tokens of the caller back.
#[utoipa::path(delete, path = "/rest/token/all", operation_id = "RemoveAll", tag = "token",
    responses((status = 200, body = Envelope<Removed>), Faults))]
async fn remove_all(State(state): State<ApiState>, caller: Caller) -> Reply {
    let removed = state.store.tokens().delete_all(caller.account(), caller.user.uuid).await?;
    ok(json!({"removed": removed}))
}

/// How many were removed.
#[derive(ToSchema)]
#[allow(dead_code)]
struct Removed {
    removed: u64,
}

/// Take a token back, named by itself or by its uuid.
#[utoipa::path(delete, path = "/rest/token/{token}", operation_id = "RemoveByTokenString", tag = "token",
    params(("token" = String, Path, description = "The token or its uuid")),
    responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let which = path.text("token");
    let removed = state.store.tokens().delete(caller.account(), caller.user.uuid, which).await;
    match uuid::Uuid::try_parse(which) {
        Ok(uuid) => visible(&state, &caller, uuid, removed).await?,
        Err(_) => removed?,
    }
    ok(json!({}))
}
