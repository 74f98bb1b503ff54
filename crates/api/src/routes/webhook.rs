//! What webhooks were told, and what is still to be told.

use axum::extract::State;
use opentact_events::view;
use opentact_store::search::Search;
use opentact_store::types::{DeliveryState, EventType};
use opentact_store::webhooks::DeliveryFilter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::{Body, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, find)).routes(routes!(get)).routes(routes!(redeliver))
}

search_form! {
    /// Filters of the deliveries.
    pub struct WebhookDeliverySearch {
        pub subscription: Option<Uuid>,
        pub sip_control_app: Option<Uuid>,
        pub event: Option<Uuid>,
        #[schema(schema_with = types::event_type)]
        pub r#type: Option<EventType>,
        /// The object the events are about.
        pub ref_id: Option<Uuid>,
        #[schema(schema_with = types::delivery_state)]
        pub state: Option<DeliveryState>,
    }
}

async fn page(state: &ApiState, caller: &Caller, filter: DeliveryFilter, search: Search) -> Reply {
    let found = state.store.webhooks().search(caller.account(), filter, search).await?;
    ok(view::found(found.map(|delivery| view::webhook_delivery(&delivery))))
}

/// Deliveries to webhooks, newest first.
#[utoipa::path(get, path = "/rest/webhook/delivery", operation_id = "ListWebhookDeliveries", tag = "event",
    params(PageQuery), responses((status = 200, body = Envelope<model::Page<model::WebhookDelivery>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, Query(query): Query<PageQuery>) -> Reply {
    let search = WebhookDeliverySearch::default().search(&query)?;
    page(&state, &caller, DeliveryFilter::default(), search).await
}

/// Search deliveries to webhooks.
#[utoipa::path(post, path = "/rest/webhook/delivery", operation_id = "SearchWebhookDeliveries", tag = "event",
    params(PageQuery), request_body = WebhookDeliverySearch,
    responses((status = 200, body = Envelope<model::Page<model::WebhookDelivery>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<WebhookDeliverySearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = DeliveryFilter {
        subscription: form.subscription,
        sip_control_app: form.sip_control_app,
        event: form.event,
        kind: form.r#type,
        ref_id: form.ref_id,
        state: form.state,
    };
    page(&state, &caller, filter, search).await
}

/// One delivery, with every attempt.
#[utoipa::path(get, path = "/rest/webhook/delivery/{uuid}", operation_id = "GetWebhookDelivery", tag = "event",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::WebhookDelivery>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let found = state.store.webhooks().get(caller.account(), uuid).await;
    let delivery = visible(&state, &caller, uuid, found).await?;
    let attempts = state.store.webhooks().attempts(uuid).await?;
    ok(view::webhook_delivery_log(&delivery, &attempts))
}

/// Make a delivery again that is over.
#[utoipa::path(post, path = "/rest/webhook/delivery/{uuid}/redeliver", operation_id = "RedeliverWebhook", tag = "event",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::WebhookDelivery>), Faults))]
async fn redeliver(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let again = state.store.webhooks().redeliver(caller.account(), uuid).await;
    let delivery = visible(&state, &caller, uuid, again).await?;
    let delivery = delivery.ok_or_else(|| AppError::Conflict("the delivery waits to be made already".to_owned()))?;
    state.hub.deliver_again(delivery.clone());
    ok(view::webhook_delivery(&delivery))
}
