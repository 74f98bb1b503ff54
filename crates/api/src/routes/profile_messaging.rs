//! Messaging profiles: how an account sends and receives messages.

use axum::extract::State;
use opentact_events::view;
use opentact_messaging::opt_out::{Words, keyword};
use opentact_store::messaging_profiles::{MessagingProfile, NewMessagingProfile, OptOutRules};
use opentact_store::numbers::LeaseFilter;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::forms::upper_case;
use super::lease;
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::{AppError, Fields};
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
    /// On by default.
    smart_encoding: Option<bool>,
    geo_match: Option<bool>,
    /// ISO 3166 alpha-2; none means anywhere.
    #[serde(default)]
    #[schema(schema_with = types::countries)]
    allowed_countries: Vec<String>,
    #[serde(default)]
    #[schema(schema_with = types::keywords)]
    opt_out_keywords: Vec<String>,
    #[serde(default)]
    #[schema(schema_with = types::keywords)]
    opt_in_keywords: Vec<String>,
    #[serde(default)]
    #[schema(schema_with = types::keywords)]
    help_keywords: Vec<String>,
    /// Answer to who opts out; null is the product's, empty is none.
    #[schema(max_length = 459)]
    opt_out_message: Option<String>,
    #[schema(max_length = 459)]
    opt_in_message: Option<String>,
    #[schema(max_length = 459)]
    help_message: Option<String>,
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
    smart_encoding: Option<bool>,
    geo_match: Option<bool>,
    #[schema(schema_with = types::countries)]
    allowed_countries: Option<Vec<String>>,
    #[schema(schema_with = types::keywords)]
    opt_out_keywords: Option<Vec<String>>,
    #[schema(schema_with = types::keywords)]
    opt_in_keywords: Option<Vec<String>>,
    #[schema(schema_with = types::keywords)]
    help_keywords: Option<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 459)]
    opt_out_message: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 459)]
    opt_in_message: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 459)]
    help_message: Change<String>,
}

fn shown(state: &ApiState, profile: &MessagingProfile) -> Value {
    view::messaging_profile(profile, &state.store.webhooks().secret(profile.uuid))
}

/// Two machines must not answer each other for ever.
fn check_answers(rules: &OptOutRules) -> Result<(), AppError> {
    let mut fields = Fields::default();
    let words = Words { out: &rules.out_keywords, back_in: &rules.in_keywords, help: &rules.help_keywords };
    let answers = [
        ("opt_out_message", &rules.out_message),
        ("opt_in_message", &rules.in_message),
        ("help_message", &rules.help_message),
    ];
    for (name, answer) in answers {
        if let Some(answer) = answer.as_ref().filter(|answer| keyword(answer, words).is_some()) {
            fields.param(name, "must not be a keyword", answer.as_str());
        }
    }
    fields.check()
}

/// All messaging profiles of the account.
#[utoipa::path(get, path = "/rest/profile/messaging", operation_id = "ListMessagingProfiles", tag = "messaging profile",
    responses((status = 200, body = Envelope<Vec<model::MessagingProfile>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let profiles = state.store.messaging_profiles().list(caller.account()).await?;
    ok(profiles.iter().map(|profile| shown(&state, profile)).collect::<Vec<_>>())
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
        smart_encoding: form.smart_encoding.unwrap_or(defaults.smart_encoding),
        geo_match: form.geo_match.unwrap_or(defaults.geo_match),
        allowed_countries: upper_case(form.allowed_countries),
        opt_out: OptOutRules {
            out_keywords: form.opt_out_keywords,
            in_keywords: form.opt_in_keywords,
            help_keywords: form.help_keywords,
            out_message: form.opt_out_message,
            in_message: form.opt_in_message,
            help_message: form.help_message,
        },
        ..defaults
    };
    check_answers(&new.opt_out)?;
    let profile = state.store.messaging_profiles().create(caller.account(), caller.by(), new).await?;
    created(shown(&state, &profile))
}

/// One messaging profile.
#[utoipa::path(get, path = "/rest/profile/messaging/{uuid}", operation_id = "GetMessagingProfileByUUID",
    tag = "messaging profile", params(IfNoneMatch, ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::MessagingProfile>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let profile = state.store.messaging_profiles().get(caller.account(), uuid).await;
    Ok(Tagged(shown(&state, &visible(&state, &caller, uuid, profile).await?)))
}

/// Change a messaging profile.
#[utoipa::path(patch, path = "/rest/profile/messaging/{uuid}", operation_id = "ModifyMessagingProfile",
    tag = "messaging profile", params(IfMatch, ("uuid" = Uuid, Path)), request_body = ProfileChange,
    responses((status = 200, body = Envelope<model::MessagingProfile>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<ProfileChange>,
) -> Result<Tagged, AppError> {
    let profiles = state.store.messaging_profiles();
    let current = visible(&state, &caller, uuid, profiles.get(caller.account(), uuid).await).await?;
    if_match.check(&shown(&state, &current))?;
    let mut rules = current.opt_out.0.clone();
    rules.out_keywords = form.opt_out_keywords.unwrap_or(rules.out_keywords);
    rules.in_keywords = form.opt_in_keywords.unwrap_or(rules.in_keywords);
    rules.help_keywords = form.help_keywords.unwrap_or(rules.help_keywords);
    form.opt_out_message.apply(&mut rules.out_message);
    form.opt_in_message.apply(&mut rules.in_message);
    form.help_message.apply(&mut rules.help_message);
    check_answers(&rules)?;
    let changed = profiles.update(caller.account(), uuid, caller.by(), |profile| {
        profile.name = form.name.unwrap_or_else(|| std::mem::take(&mut profile.name));
        profile.number_pool_enable = form.number_pool_enable.unwrap_or(profile.number_pool_enable);
        profile.long_code_weight = form.long_code_weight.unwrap_or(profile.long_code_weight);
        profile.tollfree_weight = form.tollfree_weight.unwrap_or(profile.tollfree_weight);
        profile.skip_unhealthy_tns = form.skip_unhealthy_tns.unwrap_or(profile.skip_unhealthy_tns);
        profile.sticky_sender = form.sticky_sender.unwrap_or(profile.sticky_sender);
        profile.smart_encoding = form.smart_encoding.unwrap_or(profile.smart_encoding);
        profile.geo_match = form.geo_match.unwrap_or(profile.geo_match);
        if let Some(countries) = form.allowed_countries {
            profile.allowed_countries = upper_case(countries).into();
        }
        profile.opt_out = rules.into();
        form.callback_url.apply(&mut profile.callback_url);
        form.callback_url2.apply(&mut profile.callback_url2);
    });
    Ok(Tagged(shown(&state, &changed.await?)))
}

/// Delete a messaging profile that no number uses.
#[utoipa::path(delete, path = "/rest/profile/messaging/{uuid}", operation_id = "RemoveMessagingProfileByUUID",
    tag = "messaging profile", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::MessagingProfile>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let profiles = state.store.messaging_profiles();
    let profile = visible(&state, &caller, uuid, profiles.get(caller.account(), uuid).await).await?;
    profiles.delete(caller.account(), uuid).await?;
    ok(shown(&state, &profile))
}

/// Numbers of the profile.
#[utoipa::path(get, path = "/rest/profile/messaging/{uuid}/tnleases", operation_id = "GetMessagingProfileLeasesByUUID",
    tag = "messaging profile", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn leases(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    visible(&state, &caller, uuid, state.store.messaging_profiles().get(caller.account(), uuid).await).await?;
    lease::all(&state, &caller, LeaseFilter { messaging_profile: Some(uuid), ..LeaseFilter::default() }).await
}
