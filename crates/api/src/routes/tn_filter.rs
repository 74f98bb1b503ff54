//! TN filter profiles: who may call a number (`/rest/tn_profile`).

use axum::extract::State;
use opentact_events::view;
use opentact_store::tn_filters::TnFilter;
use opentact_store::types::{Json, OnReject};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, modify, remove))
        .routes(routes!(blacklist, change_blacklist))
        .routes(routes!(whitelist, change_whitelist))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewTnFilter {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    is_active: Option<bool>,
    /// `decline` (SIP 603, the default), `busy` (486), or `voicemail_app`: `sip_control_app` takes the call.
    #[schema(schema_with = types::on_reject)]
    on_reject: Option<OnReject>,
    sip_control_app: Option<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct TnFilterChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    is_active: Option<bool>,
    #[schema(schema_with = types::on_reject)]
    on_reject: Option<OnReject>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sip_control_app: Change<Uuid>,
}

/// What is put on a list and what is taken off.
#[derive(Debug, Deserialize, ToSchema)]
struct CallerListChange {
    /// Numbers, masks of them with `*`, or `anonymous` for a withheld number.
    #[serde(default, deserialize_with = "entries")]
    #[schema(schema_with = types::caller_masks)]
    add: Vec<String>,
    #[serde(default, deserialize_with = "entries")]
    #[schema(schema_with = types::caller_masks)]
    remove: Vec<String>,
}

/// Numbers as text or number, as the lists keep them: without `+`.
fn entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let entry = |value: Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.strip_prefix('+').map(str::to_owned).unwrap_or(text)
    };
    Ok(Vec::<Value>::deserialize(deserializer)?.into_iter().map(entry).collect())
}

async fn find(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<TnFilter, AppError> {
    visible(state, caller, uuid, state.store.tn_filters().get(caller.account(), uuid).await).await
}

/// All filter profiles of the account.
#[utoipa::path(get, path = "/rest/tn_profile", operation_id = "ListTNFilters", tag = "tn profile",
    responses((status = 200, body = Envelope<Vec<model::TnFilter>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let filters = state.store.tn_filters().list(caller.account()).await?;
    ok(filters.iter().map(view::tn_filter).collect::<Vec<_>>())
}

/// Make a filter profile. With empty lists it keeps nobody out.
#[utoipa::path(post, path = "/rest/tn_profile", operation_id = "CreateTNFilter", tag = "tn profile",
    request_body = NewTnFilter, responses((status = 201, body = Envelope<model::TnFilter>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewTnFilter>) -> Reply {
    let filters = state.store.tn_filters();
    let on_reject = form.on_reject.unwrap_or(OnReject::Decline);
    let is_active = form.is_active.unwrap_or(true);
    let made = filters.create(caller.account(), caller.by(), form.name, is_active, on_reject, form.sip_control_app);
    let filter = made.await?;
    state.calls.invalidate(caller.account());
    created(view::tn_filter(&filter))
}

/// One filter profile.
#[utoipa::path(get, path = "/rest/tn_profile/{uuid}", operation_id = "GetTNFilter", tag = "tn profile",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::TnFilter>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    Ok(Tagged(view::tn_filter(&find(&state, &caller, uuid).await?)))
}

/// Change a filter profile.
#[utoipa::path(patch, path = "/rest/tn_profile/{uuid}", operation_id = "ModifyTNFilter", tag = "tn profile",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = TnFilterChange,
    responses((status = 200, body = Envelope<model::TnFilter>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<TnFilterChange>,
) -> Result<Tagged, AppError> {
    if_match.check(&view::tn_filter(&find(&state, &caller, uuid).await?))?;
    let filters = state.store.tn_filters();
    let changed = filters.update(caller.account(), uuid, caller.by(), |filter| {
        filter.name = form.name.unwrap_or_else(|| std::mem::take(&mut filter.name));
        filter.is_active = form.is_active.unwrap_or(filter.is_active);
        filter.on_reject = form.on_reject.unwrap_or(filter.on_reject);
        form.sip_control_app.apply(&mut filter.sip_control_app);
    });
    let filter = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(view::tn_filter(&filter)))
}

/// Delete a filter profile that no number has.
#[utoipa::path(delete, path = "/rest/tn_profile/{uuid}", operation_id = "RemoveTNFilter", tag = "tn profile",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::TnFilter>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let filter = find(&state, &caller, uuid).await?;
    state.store.tn_filters().delete(caller.account(), uuid).await?;
    state.calls.invalidate(caller.account());
    ok(view::tn_filter(&filter))
}

/// Who never gets through.
#[utoipa::path(get, path = "/rest/tn_profile/{uuid}/blacklist", operation_id = "GetTNFilterBlacklist", tag = "tn profile",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<Vec<String>>), Faults))]
async fn blacklist(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    ok(find(&state, &caller, uuid).await?.blacklist.0)
}

/// Put callers on the blacklist and take them off.
#[utoipa::path(post, path = "/rest/tn_profile/{uuid}/blacklist", operation_id = "ModifyTNFilterBlacklist",
    tag = "tn profile", params(("uuid" = Uuid, Path)), request_body = CallerListChange,
    responses((status = 200, body = Envelope<Vec<String>>), Faults))]
async fn change_blacklist(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    Body(form): Body<CallerListChange>,
) -> Reply {
    ok(change(&state, &caller, uuid, form, |filter| &mut filter.blacklist).await?)
}

/// Who alone gets through, unless nobody is on it.
#[utoipa::path(get, path = "/rest/tn_profile/{uuid}/whitelist", operation_id = "GetTNFilterWhitelist", tag = "tn profile",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<Vec<String>>), Faults))]
async fn whitelist(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    ok(find(&state, &caller, uuid).await?.whitelist.0)
}

/// Put callers on the whitelist and take them off.
#[utoipa::path(post, path = "/rest/tn_profile/{uuid}/whitelist", operation_id = "ModifyTNFilterWhitelist",
    tag = "tn profile", params(("uuid" = Uuid, Path)), request_body = CallerListChange,
    responses((status = 200, body = Envelope<Vec<String>>), Faults))]
async fn change_whitelist(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    Body(form): Body<CallerListChange>,
) -> Reply {
    ok(change(&state, &caller, uuid, form, |filter| &mut filter.whitelist).await?)
}

/// The list as it is then.
async fn change(
    state: &ApiState,
    caller: &Caller,
    uuid: Uuid,
    form: CallerListChange,
    list: fn(&mut TnFilter) -> &mut Json<Vec<String>>,
) -> Result<Vec<String>, AppError> {
    find(state, caller, uuid).await?;
    let filters = state.store.tn_filters();
    let changed = filters.update(caller.account(), uuid, caller.by(), |filter| {
        let list = list(filter);
        list.retain(|entry| !form.remove.contains(entry));
        list.extend(form.add);
    });
    let mut filter = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(std::mem::take(&mut list(&mut filter).0))
}
