//! The people of an account.

use axum::extract::State;
use opentact_events::view;
use opentact_store::types::Role;
use opentact_store::users::User;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::user::NewUserForm;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(reactivate, deactivate))
}

/// All users of the account, those that are deactivated too.
#[utoipa::path(get, path = "/rest/account/user", operation_id = "GetUsersByAccount", tag = "account",
    responses((status = 200, body = Envelope<Vec<model::User>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    shown(&state, &caller).await
}

/// Add a user to the account. Admins only.
#[utoipa::path(post, path = "/rest/account/user", operation_id = "AddUserToAccount", tag = "account",
    request_body = NewUserForm, responses((status = 201, body = Envelope<model::User>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewUserForm>) -> Reply {
    caller.administrates()?;
    if form.account.is_some() {
        return Err(AppError::param(
            "account",
            "is the caller's: an account of its own comes by signing up",
            Value::Null,
        ));
    }
    let role = form.role.unwrap_or(Role::User);
    let new = form.user(role);
    let user = state.passwords.bounded(state.store.users().create(caller.account(), new)).await?;
    created(view::user(&user, false))
}

/// Reactivate a user. Admins only.
#[utoipa::path(put, path = "/rest/account/user/{uuid}", operation_id = "ReactivateUserAccountByUUID", tag = "account",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<Vec<model::User>>), Faults))]
async fn reactivate(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    caller.administrates()?;
    set_deleted(&state, &caller, uuid, false).await?;
    shown(&state, &caller).await
}

/// Deactivate a user: no credential of theirs works then. Admins only.
#[utoipa::path(delete, path = "/rest/account/user/{uuid}", operation_id = "DeactivateUserAccountByUUID",
    tag = "account", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<Vec<model::User>>), Faults))]
async fn deactivate(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    caller.administrates()?;
    set_deleted(&state, &caller, uuid, true).await?;
    shown(&state, &caller).await
}

pub(super) async fn set_deleted(
    state: &ApiState,
    caller: &Caller,
    uuid: Uuid,
    deleted: bool,
) -> Result<User, AppError> {
    let changed = state.store.users().set_deleted(caller.account(), uuid, deleted).await;
    let user = visible(state, caller, uuid, changed).await?;
    if deleted {
        state.hub.part(caller.account(), uuid);
    }
    Ok(user)
}

async fn shown(state: &ApiState, caller: &Caller) -> Reply {
    let users = state.store.users().list(caller.account()).await?;
    let online = |user: &User| state.hub.online(caller.account(), user.uuid);
    ok(users.iter().map(|user| view::user(user, online(user))).collect::<Vec<_>>())
}
