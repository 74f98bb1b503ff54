//! Users: oneself and others, sign-up.

use axum::extract::State;
use opentact_events::view;
use opentact_store::accounts::NewAccount;
use opentact_store::types::{Gender, Role};
use opentact_store::users::{NewUser, User};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::account_user;
use crate::auth::{Caller, sign_up};
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Live, Reply, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(current, create)).routes(routes!(get, modify, remove))
}

/// A user to be: one's first by signing up, or another of the account.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewUserForm {
    #[schema(schema_with = types::email)]
    email: String,
    #[schema(min_length = 8, max_length = 255)]
    password: String,
    #[schema(min_length = 3, max_length = 16)]
    phone_number: Option<String>,
    #[schema(min_length = 1, max_length = 24)]
    first_name: Option<String>,
    #[schema(min_length = 1, max_length = 24)]
    last_name: Option<String>,
    #[schema(schema_with = types::gender)]
    gender: Option<Gender>,
    /// Day of birth, `YYYY-MM-DD`.
    #[schema(format = Date)]
    dob: Option<String>,
    #[schema(min_length = 10, max_length = 255)]
    avatar: Option<String>,
    /// Who signs up is `Admin`; who is added is `User` where this is left out.
    #[schema(schema_with = types::role)]
    pub(super) role: Option<Role>,
    /// Of who signs up.
    pub(super) account: Option<SignUpAccount>,
}

impl NewUserForm {
    pub(super) fn user(self, role: Role) -> NewUser {
        NewUser {
            first_name: self.first_name,
            last_name: self.last_name,
            phone_number: self.phone_number,
            avatar: self.avatar,
            gender: self.gender,
            dob: self.dob,
            ..NewUser::new(self.email, self.password, role)
        }
    }
}

/// What is left out stays; null takes it away.
#[derive(Debug, Deserialize, ToSchema)]
struct UserChange {
    #[schema(schema_with = types::email)]
    email: Option<String>,
    #[schema(min_length = 8, max_length = 255)]
    password: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 16)]
    phone_number: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 24)]
    first_name: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 24)]
    last_name: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::gender)]
    gender: Change<Gender>,
    /// Day of birth, `YYYY-MM-DD`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    dob: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 10, max_length = 255)]
    avatar: Change<String>,
    /// Admins only.
    #[schema(schema_with = types::role)]
    role: Option<Role>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SignUpAccount {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[schema(schema_with = types::email)]
    email: String,
}

/// The caller with `account` and `wss_online`.
pub(super) fn full(state: &ApiState, caller: &Caller) -> Value {
    let mut user = view::user(&caller.user, state.hub.online(caller.account(), caller.user.uuid));
    user["account"] = view::account_full(&caller.account);
    user
}

/// The user whose credential is used.
#[utoipa::path(get, path = "/rest/user", operation_id = "GetCurrentUser", tag = "user",
    responses((status = 200, body = Envelope<model::User>), Faults))]
async fn current(State(state): State<ApiState>, caller: Caller) -> Reply {
    ok(full(&state, &caller))
}

/// Sign up: makes an account and its first user.
///
/// Open only where the installation says so (`accounts.sign_up`).
#[utoipa::path(post, path = "/rest/user", operation_id = "CreateUser", tag = "user", request_body = NewUserForm,
    security(()), responses((status = 201, body = Envelope<model::User>), Faults))]
async fn create(State(state): State<ApiState>, Body(mut form): Body<NewUserForm>) -> Reply {
    if let Some(role) = form.role.filter(|role| *role != Role::Admin) {
        return Err(AppError::param("role", "the first user of an account is its Admin", json!(role)));
    }
    let account = form.account.take();
    let account = NewAccount {
        name: account.as_ref().map_or_else(|| form.email.clone(), |account| account.name.clone()),
        email: account.map_or_else(|| form.email.clone(), |account| account.email),
        phone: form.phone_number.clone(),
        ..NewAccount::default()
    };
    let new = form.user(Role::Admin);
    let (account, user) = sign_up(&state, account, new).await?;
    let mut payload = view::user(&user, false);
    payload["account"] = view::account_full(&account);
    created(payload)
}

pub(super) fn online(state: &ApiState, user: &User) -> Value {
    view::user(user, state.hub.online(user.account, user.uuid))
}

/// Who comes and goes is not changed by that.
fn show(state: &ApiState, user: &User) -> Live {
    Live { shown: online(state, user), version: view::user(user, false) }
}

pub(super) async fn find(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<User, AppError> {
    visible(state, caller, uuid, state.store.users().get(caller.account(), uuid).await).await
}

/// Only Admins change others.
pub(super) fn may_change(caller: &Caller, uuid: Uuid) -> Result<(), AppError> {
    if uuid == caller.user.uuid { Ok(()) } else { caller.administrates() }
}

/// A user of the account.
#[utoipa::path(get, path = "/rest/user/{uuid}", operation_id = "GetUserByUUID", tag = "user",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::User>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Live, AppError> {
    Ok(show(&state, &find(&state, &caller, uuid).await?))
}

/// Change oneself; an Admin changes any user of the account, and their role.
///
/// With a new password the JWTs issued so far are void; API tokens are not.
#[utoipa::path(patch, path = "/rest/user/{uuid}", operation_id = "UpdateUserByUUID", tag = "user",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = UserChange,
    responses((status = 200, body = Envelope<model::User>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<UserChange>,
) -> Result<Live, AppError> {
    let before = find(&state, &caller, uuid).await?;
    may_change(&caller, uuid)?;
    if_match.check(&view::user(&before, false))?;
    if form.role.is_some_and(|role| role != before.role) {
        caller.administrates()?;
    }
    let users = state.store.users();
    let changed = users.update(caller.account(), uuid, |user| {
        user.email = form.email.unwrap_or_else(|| std::mem::take(&mut user.email));
        user.role = form.role.unwrap_or(user.role);
        form.phone_number.apply(&mut user.phone_number);
        form.first_name.apply(&mut user.first_name);
        form.last_name.apply(&mut user.last_name);
        form.gender.apply(&mut user.gender);
        form.dob.apply(&mut user.dob);
        form.avatar.apply(&mut user.avatar);
    });
    let mut user = changed.await?;
    if let Some(password) = form.password {
        let set = users.set_password(caller.account(), uuid, &password);
        user = state.passwords.bounded(set).await?;
    }
    Ok(show(&state, &user))
}

/// Deactivate oneself; an Admin any user of the account. No credential of theirs works then; an Admin can reactivate them.
#[utoipa::path(delete, path = "/rest/user/{uuid}", operation_id = "DeleteUserByUUID", tag = "user",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::User>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    find(&state, &caller, uuid).await?;
    may_change(&caller, uuid)?;
    ok(view::user(&account_user::set_deleted(&state, &caller, uuid, true).await?, false))
}
