//! Event subscriptions of a user, and the event log.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Utc};
use opentact_events::{Filter, view};
use opentact_store::subscriptions::{NewSubscription, Subscription};
use opentact_store::types::{Channel, EventType, Filters, Json};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewEventSubscription {
    #[schema(schema_with = types::event_type)]
    r#type: EventType,
    /// `wss`, the user's websockets, where nothing is said; or `webhook`.
    #[schema(schema_with = types::channel)]
    channel: Option<Channel>,
    is_active: Option<bool>,
    /// Nothing is delivered from here on; null never ends.
    expired_on: Option<DateTime<Utc>>,
    /// Where a webhook goes: events are posted there.
    #[schema(schema_with = types::callback_url)]
    url: Option<String>,
    /// Where every second attempt goes once three at `url` have failed.
    #[schema(schema_with = types::callback_url)]
    failover_url: Option<String>,
    /// What a webhook is signed with; one is made where none is given.
    #[schema(min_length = 16, max_length = 128)]
    secret: Option<String>,
    /// Values of which an event must have one at each of these places: `{"payload.state": ["live"]}`.
    #[schema(schema_with = types::any_object)]
    filters: Option<Map<String, Value>>,
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
    #[schema(schema_with = types::callback_url)]
    url: Option<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::callback_url)]
    failover_url: Change<String>,
    #[schema(min_length = 16, max_length = 128)]
    secret: Option<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::any_object)]
    filters: Change<Map<String, Value>>,
}

/// A webhook goes somewhere, a websocket does not.
fn check(channel: Channel, url: Option<&str>, others: [(&'static str, bool); 3]) -> Result<(), AppError> {
    match (channel, url) {
        (Channel::Webhook, None) => Err(AppError::param("url", "is where the webhook goes", Value::Null)),
        (Channel::Webhook, Some(_)) => Ok(()),
        (Channel::Wss, Some(url)) => Err(AppError::param("url", "is for the channel webhook only", url)),
        (Channel::Wss, None) => match others.into_iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(AppError::param(name, "is for the channel webhook only", Value::Null)),
            None => Ok(()),
        },
    }
}

/// Places that filters may ask for, and values of each.
const FILTERS: usize = 16;
const VALUES: usize = 64;

fn filters(asked: Map<String, Value>) -> Result<Filters, AppError> {
    let wrong = |message: String| AppError::param("filters", message, Value::Null);
    if asked.len() > FILTERS {
        return Err(wrong(format!("may name {FILTERS} places of an event")));
    }
    let mut places = BTreeMap::new();
    for (place, values) in asked {
        let values = match values {
            Value::Array(values) => values,
            value => vec![value],
        };
        if values.len() > VALUES || values.iter().any(|value| value.is_object() || value.is_array()) {
            return Err(wrong(format!("{place} may be a text, number or boolean, or a list of {VALUES} of them")));
        }
        places.insert(place, values);
    }
    Ok(Filters(places))
}

/// With what its webhooks are signed.
fn shown(state: &ApiState, subscription: &Subscription) -> Result<Value, AppError> {
    let secret = match subscription.channel {
        Channel::Webhook => Some(state.store.subscriptions().secret(subscription)?),
        Channel::Wss => None,
    };
    Ok(view::subscription(subscription, secret.as_deref()))
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
    ok(subscriptions.iter().map(|subscription| shown(&state, subscription)).collect::<Result<Vec<_>, _>>()?)
}

/// Subscribe to a type of event.
#[utoipa::path(post, path = "/rest/event/subscription", operation_id = "CreateSubscription", tag = "event",
    request_body = NewEventSubscription, responses((status = 201, body = Envelope<model::Subscription>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewEventSubscription>) -> Reply {
    let channel = form.channel.unwrap_or(Channel::Wss);
    let others = [
        ("failover_url", form.failover_url.is_some()),
        ("secret", form.secret.is_some()),
        ("filters", form.filters.is_some()),
    ];
    check(channel, form.url.as_deref(), others)?;
    let new = NewSubscription {
        channel,
        kind: form.r#type,
        is_active: form.is_active.unwrap_or(true),
        expired_on: form.expired_on,
        url: form.url,
        failover_url: form.failover_url,
        secret: form.secret,
        filters: form.filters.map(filters).transpose()?,
    };
    let subscription = state.store.subscriptions().create(caller.account(), caller.user.uuid, new).await?;
    refilter(&state, &caller).await?;
    created(shown(&state, &subscription)?)
}

/// One subscription.
#[utoipa::path(get, path = "/rest/event/subscription/{uuid}", operation_id = "GetSubscription", tag = "event",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Subscription>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let found = state.store.subscriptions().get(caller.account(), caller.user.uuid, uuid).await;
    Ok(Tagged(shown(&state, &visible(&state, &caller, uuid, found).await?)?))
}

/// Change a subscription.
#[utoipa::path(patch, path = "/rest/event/subscription/{uuid}", operation_id = "ModifySubscription", tag = "event",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = EventSubscriptionChange,
    responses((status = 200, body = Envelope<model::Subscription>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<EventSubscriptionChange>,
) -> Result<Tagged, AppError> {
    let subscriptions = state.store.subscriptions();
    let current =
        visible(&state, &caller, uuid, subscriptions.get(caller.account(), caller.user.uuid, uuid).await).await?;
    if_match.check(&shown(&state, &current)?)?;
    if let Some(channel) = form.channel.filter(|channel| *channel != current.channel) {
        return Err(AppError::param("channel", "of a subscription stays", channel.as_str()));
    }
    let others = [
        ("failover_url", form.failover_url.set().is_some()),
        ("secret", form.secret.is_some()),
        ("filters", form.filters.set().is_some()),
    ];
    check(current.channel, form.url.as_deref().or(current.url.as_deref()), others)?;
    let secret = form.secret;
    let wanted = form.filters.into_option().map(|wanted| wanted.map(filters).transpose()).transpose()?;
    let changed = subscriptions.update(caller.account(), caller.user.uuid, uuid, secret, |subscription| {
        subscription.kind = form.r#type.unwrap_or(subscription.kind);
        subscription.is_active = form.is_active.unwrap_or(subscription.is_active);
        form.expired_on.apply(&mut subscription.expired_on);
        subscription.url = form.url.or(subscription.url.take());
        form.failover_url.apply(&mut subscription.failover_url);
        if let Some(filters) = wanted {
            subscription.filters = filters.map(Json);
        }
    });
    let subscription = changed.await?;
    refilter(&state, &caller).await?;
    Ok(Tagged(shown(&state, &subscription)?))
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
    ok(shown(&state, &current)?)
}
