//! The caller's account.

use axum::extract::State;
use opentact_events::view;
use opentact_store::accounts::Account;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Live};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(own, modify)).routes(routes!(notification)).routes(routes!(by_uuid))
}

/// What is left out stays; null takes it away.
#[derive(Debug, Deserialize, ToSchema)]
struct AccountChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    #[schema(schema_with = types::email)]
    email: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 16)]
    phone: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    address1: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    address2: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 12)]
    zip_code: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    city: Change<String>,
    /// IANA time zone, for office hours and `<Schedule>`; null is UTC.
    #[serde(default)]
    #[schema(schema_with = types::or_null::time_zone)]
    time_zone: Change<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct NotificationChange {
    /// Events of type `balance`.
    balance: Option<bool>,
}

/// The account of the credential, with its balance.
#[utoipa::path(get, path = "/rest/account", operation_id = "GetAccount", tag = "account",
    params(IfNoneMatch), responses((status = 200, body = Envelope<model::Account>), Faults))]
async fn own(caller: Caller) -> Live {
    show(&caller.account)
}

fn show(account: &Account) -> Live {
    Live { shown: view::account_full(account), version: version(account) }
}

/// Each call and message changes the balance, which nobody changes by PATCH.
fn version(account: &Account) -> Value {
    let mut version = view::account_full(account);
    version["balance"].take();
    version
}

/// An account by its uuid: one's own.
#[utoipa::path(get, path = "/rest/account/{uuid}", operation_id = "GetAccountByUUID", tag = "account",
    params(IfNoneMatch, ("uuid" = uuid::Uuid, Path)), responses((status = 200, body = Envelope<model::Account>), Faults))]
async fn by_uuid(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Live, AppError> {
    if uuid == caller.account() {
        return Ok(show(&caller.account));
    }
    state.store.accounts().get(uuid).await?;
    Err(AppError::Forbidden)
}

/// Change the account. Admins only.
#[utoipa::path(patch, path = "/rest/account", operation_id = "ModifyAccount", tag = "account",
    request_body = AccountChange, params(IfMatch), responses((status = 200, body = Envelope<model::Account>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    if_match: IfMatch,
    Body(form): Body<AccountChange>,
) -> Result<Live, AppError> {
    caller.administrates()?;
    if_match.check(&version(&caller.account))?;
    let accounts = state.store.accounts();
    let changed = accounts.update(caller.account(), |account| {
        account.name = form.name.unwrap_or_else(|| std::mem::take(&mut account.name));
        account.email = form.email.unwrap_or_else(|| std::mem::take(&mut account.email));
        form.phone.apply(&mut account.phone);
        form.address1.apply(&mut account.address1);
        form.address2.apply(&mut account.address2);
        form.zip_code.apply(&mut account.zip_code);
        form.city.apply(&mut account.city);
        form.time_zone.apply(&mut account.time_zone);
    });
    let account = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(show(&account))
}

/// Choose which notices the account gets. Admins only.
#[utoipa::path(patch, path = "/rest/account/notification", operation_id = "ModifyAccountNotification", tag = "account",
    request_body = NotificationChange, params(IfMatch), responses((status = 200, body = Envelope<model::Account>), Faults))]
async fn notification(
    State(state): State<ApiState>,
    caller: Caller,
    if_match: IfMatch,
    Body(form): Body<NotificationChange>,
) -> Result<Live, AppError> {
    caller.administrates()?;
    if_match.check(&version(&caller.account))?;
    let accounts = state.store.accounts();
    let changed = accounts.update(caller.account(), |account| {
        account.notification.balance = form.balance.unwrap_or(account.notification.balance);
    });
    let account = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(show(&account))
}
