//! Messaging profiles: how an account sends and receives messages.

use axum::extract::State;
use http::HeaderMap;
use opentact_events::view;
use opentact_store::messaging_profiles::NewMessagingProfile;
use opentact_store::numbers::LeaseFilter;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lease;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, Tagged, created, if_match, ok};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove)).routes(routes!(leases))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewProfile {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// Told of inbound messages and receipts.
    #[schema(schema_with = types::callback_url)]
    callback_url: Option<String>,
    /// Used when the first cannot be reached.
    #[schema(schema_with = types::callback_url)]
    callback_url2: Option<String>,
    number_pool_enable: Option<bool>,
    #[schema(minimum = 0, maximum = 9)]
    long_code_weight: Option<i64>,
    #[schema(minimum = 0, maximum = 9)]
    tollfree_weight: Option<i64>,
    skip_unhealthy_tns: Option<bool>,
    sticky_sender: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProfileChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::callback_url)]
    callback_url: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::callback_url)]
    callback_url2: Change<String>,
    number_pool_enable: Option<bool>,
    #[schema(minimum = 0, maximum = 9)]
    long_code_weight: Option<i64>,
    #[schema(minimum = 0, maximum = 9)]
    tollfree_weight: Option<i64>,
    skip_unhealthy_tns: Option<bool>,
    sticky_sender: Option<bool>,
}

/// All messaging profiles of the account.
#[utoipa::path(get, path = "/rest/profile/messaging", operation_id = "ListMessagingProfiles", tag = "messaging profile",
    responses((status = 200, body = Envelope<Vec<model::MessagingProfile>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let profiles = state.store.messaging_profiles().list(caller.account()).await?;
    ok(profiles.iter().map(view::messaging_profile).collect::<Vec<_>>())
}

/// Make a messaging profile.
#[utoipa::path(post, path = "/rest/profile/messaging", operation_id = "CreateMessagingProfile", tag = "messaging profile",
    request_body = NewProfile, responses((status = 201, body = Envelope<model::MessagingProfile>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewProfile>) -> Reply {
    let defaults = NewMessagingProfile::new(form.name);
    let new = NewMessagingProfile {
        callback_url: form.callback_url,
        callback_url2: form.callback_url2,
        number_pool_enable: form.number_pool_enable.unwrap_or(defaults.number_pool_enable),
        long_code_weight: form.long_code_weight.unwrap_or(defaults.long_code_weight),
        tollfree_weight: form.tollfree_weight.unwrap_or(defaults.tollfree_weight),
        skip_unhealthy_tns: form.skip_unhealthy_tns.unwrap_or(defaults.skip_unhealthy_tns),
        sticky_sender: form.sticky_sender.unwrap_or(defaults.sticky_sender),
        ..defaults
    };
    let profile = state.store.messaging_profiles().create(caller.account(), caller.by(), new).await?;
    created(view::messaging_profile(&profile))
}

/// One messaging profile.
#[utoipa::path(get, path = "/rest/profile/messaging/{uuid}", operation_id = "GetMessagingProfileByUUID",
    tag = "messaging profile", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::MessagingProfile>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let profile = state.store.messaging_profiles().get(caller.account(), uuid).await;
    Ok(Tagged(view::messaging_profile(&visible(&state, &caller, uuid, profile).await?)))
}

/// Change a messaging profile.
#[utoipa::path(patch, path = "/rest/profile/messaging/{uuid}", operation_id = "ModifyMessagingProfile",
    tag = "messaging profile", params(("uuid" = Uuid, Path)), request_body = ProfileChange,
    responses((status = 200, body = Envelope<model::MessagingProfile>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    headers: HeaderMap,
    Body(form): Body<ProfileChange>,
) -> Result<Tagged, AppError> {
    let profiles = state.store.messaging_profiles();
    let current = visible(&state, &caller, uuid, profiles.get(caller.account(), uuid).await).await?;
    if_match(&headers, &view::messaging_profile(&current))?;
    let changed = profiles.update(caller.account(), uuid, caller.by(), |profile| {
        profile.name = form.name.unwrap_or_else(|| std::mem::take(&mut profile.name));
        profile.number_pool_enable = form.number_pool_enable.unwrap_or(profile.number_pool_enable);
        profile.long_code_weight = form.long_code_weight.unwrap_or(profile.long_code_weight);
        profile.tollfree_weight = form.tollfree_weight.unwrap_or(profile.tollfree_weight);
        profile.skip_unhealthy_tns = form.skip_unhealthy_tns.unwrap_or(profile.skip_unhealthy_tns);
        profile.sticky_sender = form.sticky_sender.unwrap_or(profile.sticky_sender);
        form.callback_url.apply(&mut profile.callback_url);
        form.callback_url2.apply(&mut profile.callback_url2);
    });
    Ok(Tagged(view::messaging_profile(&changed.await?)))
}

/// Delete a messaging profile that no number uses.
#[utoipa::path(delete, path = "/rest/profile/messaging/{uuid}", operation_id = "RemoveMessagingProfileByUUID",
    tag = "messaging profile", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::MessagingProfile>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let profiles = state.store.messaging_profiles();
    let profile = visible(&state, &caller, uuid, profiles.get(caller.account(), uuid).await).await?;
    profiles.delete(caller.account(), uuid).await?;
    ok(view::messaging_profile(&profile))
}

/// Numbers of the profile.
#[utoipa::path(get, path = "/rest/profile/messaging/{uuid}/tnleases", operation_id = "GetMessagingProfileLeasesByUUID",
    tag = "messaging profile", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn leases(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    visible(&state, &caller, uuid, state.store.messaging_profiles().get(caller.account(), uuid).await).await?;
    lease::all(&state, &caller, LeaseFilter { messaging_profile: Some(uuid), ..LeaseFilter::default() }).await
}
