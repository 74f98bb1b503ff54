//! Outbound voice profiles: by which route, from which number and within which limits calls go out.

use axum::extract::State;
use opentact_store::Money;
use opentact_store::products::DEFAULT_PRODUCT;
use opentact_store::types::RecordFormat;
use opentact_store::voice_profiles::NewVoiceProfile;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::upper_case;
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::expand;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewOutboundVoiceProfile {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    is_active: Option<bool>,
    /// Id of a SIP product, default 1.
    product: Option<i64>,
    /// Lease of the caller number.
    tn_lease: Option<Uuid>,
    /// 0 off, 1 sign.
    #[schema(minimum = 0, maximum = 1)]
    shaken_sign_policy: Option<i64>,
    /// Calls at once.
    #[schema(minimum = 1)]
    channel_limit: Option<i64>,
    /// Calls per second.
    #[schema(minimum = 1)]
    cps_limit: Option<i64>,
    /// Dearest price of a minute.
    #[schema(schema_with = types::money)]
    max_rate: Option<Money>,
    /// What its calls may cost in any 24 hours.
    #[schema(schema_with = types::money)]
    daily_spend_limit: Option<Money>,
    /// What its calls may cost in any hour.
    #[schema(schema_with = types::money)]
    hourly_spend_limit: Option<Money>,
    /// 0 never, 1 from answer, 2 from ringing.
    #[schema(minimum = 0, maximum = 2)]
    record_calls: Option<i64>,
    #[schema(schema_with = types::record_format)]
    format: Option<RecordFormat>,
    /// ISO 3166 alpha-2; none means all.
    #[serde(default)]
    #[schema(schema_with = types::countries)]
    allowed_countries: Vec<String>,
    /// Trunks its calls go by, by priority and weight; none means the carriers of the node.
    #[serde(default)]
    #[schema(max_items = 16)]
    sip_connections: Vec<Uuid>,
    /// Trunk that emergency calls go by; none means that of the node.
    emergency_connection: Option<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct OutboundVoiceProfileChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    is_active: Option<bool>,
    product: Option<i64>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    tn_lease: Change<Uuid>,
    #[schema(minimum = 0, maximum = 1)]
    shaken_sign_policy: Option<i64>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1)]
    channel_limit: Change<i64>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1)]
    cps_limit: Change<i64>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::money)]
    max_rate: Change<Money>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::money)]
    daily_spend_limit: Change<Money>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::money)]
    hourly_spend_limit: Change<Money>,
    #[schema(minimum = 0, maximum = 2)]
    record_calls: Option<i64>,
    #[schema(schema_with = types::record_format)]
    format: Option<RecordFormat>,
    #[schema(schema_with = types::countries)]
    allowed_countries: Option<Vec<String>>,
    #[schema(max_items = 16)]
    sip_connections: Option<Vec<Uuid>>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    emergency_connection: Change<Uuid>,
}

/// All outbound voice profiles of the account.
#[utoipa::path(get, path = "/rest/profile/outbound_voice", operation_id = "ListOutboundVoiceProfiles",
    tag = "outbound voice profile", responses((status = 200, body = Envelope<Vec<model::OutboundVoiceProfile>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let profiles = state.store.voice_profiles().list(caller.account()).await?;
    let mut shown = Vec::with_capacity(profiles.len());
    for profile in &profiles {
        shown.push(expand::voice_profile(&state.store, profile).await?);
    }
    ok(shown)
}

/// Make an outbound voice profile.
#[utoipa::path(post, path = "/rest/profile/outbound_voice", operation_id = "CreateOutboundVoiceProfile",
    tag = "outbound voice profile", request_body = NewOutboundVoiceProfile,
    responses((status = 201, body = Envelope<model::OutboundVoiceProfile>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewOutboundVoiceProfile>) -> Reply {
    let new = NewVoiceProfile {
        is_active: form.is_active.unwrap_or(true),
        product: form.product.unwrap_or(DEFAULT_PRODUCT),
        tn_lease: form.tn_lease,
        shaken_sign_policy: form.shaken_sign_policy.unwrap_or(0),
        channel_limit: form.channel_limit,
        cps_limit: form.cps_limit,
        max_rate: form.max_rate,
        daily_spend_limit: form.daily_spend_limit,
        hourly_spend_limit: form.hourly_spend_limit,
        record_calls: form.record_calls.unwrap_or(0),
        format: form.format.unwrap_or(RecordFormat::Wav),
        allowed_countries: upper_case(form.allowed_countries),
        sip_connections: form.sip_connections,
        emergency_connection: form.emergency_connection,
        ..NewVoiceProfile::new(form.name)
    };
    let profile = state.store.voice_profiles().create(caller.account(), caller.by(), new).await?;
    state.calls.invalidate(caller.account());
    created(expand::voice_profile(&state.store, &profile).await?)
}

/// One outbound voice profile.
#[utoipa::path(get, path = "/rest/profile/outbound_voice/{uuid}", operation_id = "GetOutboundVoiceProfileByUUID",
    tag = "outbound voice profile", params(IfNoneMatch, ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::OutboundVoiceProfile>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let profile = state.store.voice_profiles().get(caller.account(), uuid).await;
    let profile = visible(&state, &caller, uuid, profile).await?;
    Ok(Tagged(expand::voice_profile(&state.store, &profile).await?))
}

/// Change an outbound voice profile.
#[utoipa::path(patch, path = "/rest/profile/outbound_voice/{uuid}", operation_id = "ModifyOutboundVoiceProfile",
    tag = "outbound voice profile", params(IfMatch, ("uuid" = Uuid, Path)), request_body = OutboundVoiceProfileChange,
    responses((status = 200, body = Envelope<model::OutboundVoiceProfile>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<OutboundVoiceProfileChange>,
) -> Result<Tagged, AppError> {
    let profiles = state.store.voice_profiles();
    let current = visible(&state, &caller, uuid, profiles.get(caller.account(), uuid).await).await?;
    if_match.check(&expand::voice_profile(&state.store, &current).await?)?;
    let allowed_countries = form.allowed_countries.map(upper_case);
    let changed = profiles.update(caller.account(), uuid, caller.by(), |profile| {
        profile.name = form.name.unwrap_or_else(|| std::mem::take(&mut profile.name));
        profile.is_active = form.is_active.unwrap_or(profile.is_active);
        profile.product = form.product.unwrap_or(profile.product);
        profile.shaken_sign_policy = form.shaken_sign_policy.unwrap_or(profile.shaken_sign_policy);
        profile.record_calls = form.record_calls.unwrap_or(profile.record_calls);
        profile.format = form.format.unwrap_or(profile.format);
        if let Some(list) = allowed_countries {
            profile.allowed_countries = list.into();
        }
        if let Some(trunks) = form.sip_connections {
            profile.sip_connections = trunks.into();
        }
        form.tn_lease.apply(&mut profile.tn_lease);
        form.emergency_connection.apply(&mut profile.emergency_connection);
        form.channel_limit.apply(&mut profile.channel_limit);
        form.cps_limit.apply(&mut profile.cps_limit);
        form.max_rate.apply(&mut profile.max_rate);
        form.daily_spend_limit.apply(&mut profile.daily_spend_limit);
        form.hourly_spend_limit.apply(&mut profile.hourly_spend_limit);
    });
    let profile = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(expand::voice_profile(&state.store, &profile).await?))
}

/// Delete an outbound voice profile that no domain uses.
#[utoipa::path(delete, path = "/rest/profile/outbound_voice/{uuid}", operation_id = "RemoveOutboundVoiceProfileByUUID",
    tag = "outbound voice profile", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::OutboundVoiceProfile>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let profiles = state.store.voice_profiles();
    let profile = visible(&state, &caller, uuid, profiles.get(caller.account(), uuid).await).await?;
    profiles.delete(caller.account(), uuid).await?;
    state.calls.invalidate(caller.account());
    ok(expand::voice_profile(&state.store, &profile).await?)
}
