//! Users: oneself, sign-up.

use axum::extract::State;
use opentact_events::view;
use opentact_store::Money;
use opentact_store::accounts::NewAccount;
use opentact_store::types::{Gender, Role};
use opentact_store::users::NewUser;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::AppError;
use crate::extract::Body;
use crate::model;
use crate::openapi::Faults;
use crate::settings::SignUp;
use crate::state::ApiState;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(current, create))
}

#[derive(Debug, Deserialize, ToSchema)]
struct SignUpForm {
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
    account: Option<SignUpAccount>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SignUpAccount {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[schema(schema_with = types::email)]
    email: String,
}

/// The caller with `account` and `wss_online`.
pub(super) fn full(state: &ApiState, caller: &Caller) -> Value {
    let mut user = view::user(&caller.user, state.hub.online(caller.account(), caller.user.uuid));
    user["account"] = view::account_with_balance(&caller.account);
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
#[utoipa::path(post, path = "/rest/user", operation_id = "CreateUser", tag = "user", request_body = SignUpForm,
    security(()), responses((status = 201, body = Envelope<model::User>), Faults))]
async fn create(State(state): State<ApiState>, Body(form): Body<SignUpForm>) -> Reply {
    if state.settings.sign_up != SignUp::Open {
        return Err(AppError::Refused { code: None, message: "Sign-up is closed".to_owned() });
    }
    let account = NewAccount {
        name: form.account.as_ref().map_or_else(|| form.email.clone(), |account| account.name.clone()),
        email: form.account.map_or_else(|| form.email.clone(), |account| account.email),
        phone: form.phone_number.clone(),
        balance: Money::try_from(state.settings.sign_up_balance).unwrap_or_default(),
        ..NewAccount::default()
    };
    let user = NewUser {
        first_name: form.first_name,
        last_name: form.last_name,
        phone_number: form.phone_number,
        avatar: form.avatar,
        gender: form.gender,
        dob: form.dob,
        ..NewUser::new(form.email, form.password, Role::Admin)
    };
    let (account, user) = state.passwords.bounded(state.store.users().sign_up(account, user)).await?;
    let mut payload = view::user(&user, false);
    payload["account"] = view::account_with_balance(&account);
    created(payload)
}
