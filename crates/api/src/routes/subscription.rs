//! Event subscriptions of a user, and the event log.

use axum::extract::State;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use opentact_events::{Filter, view};
use opentact_store::subscriptions::NewSubscription;
use opentact_store::types::{Channel, EventType};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewEventSubscription {
    #[schema(schema_with = types::event_type)]
    r#type: EventType,
    /// Only `wss` in this version.
    #[schema(schema_with = types::channel)]
    channel: Option<Channel>,
    is_active: Option<bool>,
    /// Nothing is delivered from here on; null never ends.
    expired_on: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct EventSubscriptionChange {
    #[schema(schema_with = types::event_type)]
    r#type: Option<EventType>,
    #[schema(schema_with = types::channel)]
    channel: Option<Channel>,
    is_active: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    expired_on: Change<DateTime<Utc>>,
}

/// Webhooks as a channel come with the durable outbox; a subscription that would deliver nothing is refused.
fn check_channel(channel: Option<Channel>) -> Result<(), AppError> {
    match channel {
        Some(Channel::Webhook) => {
            Err(AppError::param("channel", "webhook is not available in this version", Channel::Webhook.as_str()))
        }
        _ => Ok(()),
    }
}

/// Open websockets follow at once.
async fn refilter(state: &ApiState, caller: &Caller) -> Result<(), AppError> {
    let rows = state.store.subscriptions().list(caller.account(), caller.user.uuid).await?;
    let filter = Filter::of_subscriptions(&rows, Channel::Wss);
    state.hub.refilter(caller.account(), caller.user.uuid, &filter);
    Ok(())
}

/// The caller's subscriptions. None yet: websockets get all types.
#[utoipa::path(get, path = "/rest/event/subscription", operation_id = "ListSubscriptions", tag = "event",
    responses((status = 200, body = Envelope<Vec<model::Subscription>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let subscriptions = state.store.subscriptions().list(caller.account(), caller.user.uuid).await?;
    ok(subscriptions.iter().map(view::subscription).collect::<Vec<_>>())
}

/// Subscribe to a type of event.
#[utoipa::path(post, path = "/rest/event/subscription", operation_id = "CreateSubscription", tag = "event",
    request_body = NewEventSubscription, responses((status = 201, body = Envelope<model::Subscription>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewEventSubscription>) -> Reply {
    check_channel(form.channel)?;
    let new = NewSubscription {
        channel: Channel::Wss,
        kind: form.r#type,
        is_active: form.is_active.unwrap_or(true),
        expired_on: form.expired_on,
    };
    let subscription = state.store.subscriptions().create(caller.account(), caller.user.uuid, new).await?;
    refilter(&state, &caller).await?;
    created(view::subscription(&subscription))
}

/// One subscription.
#[utoipa::path(get, path = "/rest/event/subscription/{uuid}", operation_id = "GetSubscription", tag = "event",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Subscription>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let found = state.store.subscriptions().get(caller.account(), caller.user.uuid, uuid).await;
    Ok(Tagged(view::subscription(&visible(&state, &caller, uuid, found).await?)))
}

/// Change a subscription.
#[utoipa::path(patch, path = "/rest/event/subscription/{uuid}", operation_id = "ModifySubscription", tag = "event",
    params(("uuid" = Uuid, Path)), request_body = EventSubscriptionChange,
    responses((status = 200, body = Envelope<model::Subscription>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    headers: HeaderMap,
    Body(form): Body<EventSubscriptionChange>,
) -> Result<Tagged, AppError> {
    check_channel(form.channel)?;
    let subscriptions = state.store.subscriptions();
    let current =
        visible(&state, &caller, uuid, subscriptions.get(caller.account(), caller.user.uuid, uuid).await).await?;
    if_match(&headers, &view::subscription(&current))?;
    let changed = subscriptions.update(caller.account(), caller.user.uuid, uuid, |subscription| {
        subscription.kind = form.r#type.unwrap_or(subscription.kind);
        subscription.is_active = form.is_active.unwrap_or(subscription.is_active);
        form.expired_on.apply(&mut subscription.expired_on);
    });
    let subscription = changed.await?;
    refilter(&state, &caller).await?;
    Ok(Tagged(view::subscription(&subscription)))
}

/// Unsubscribe.
#[utoipa::path(delete, path = "/rest/event/subscription/{uuid}", operation_id = "RemoveSubscription", tag = "event",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Subscription>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let subscriptions = state.store.subscriptions();
    let current =
        visible(&state, &caller, uuid, subscriptions.get(caller.account(), caller.user.uuid, uuid).await).await?;
    subscriptions.delete(caller.account(), caller.user.uuid, uuid).await?;
    refilter(&state, &caller).await?;
    ok(view::subscription(&current))
}
