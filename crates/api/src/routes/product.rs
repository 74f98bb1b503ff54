//! SIP products: route and price classes.

use axum::extract::State;
use opentact_events::view;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// All SIP products.
#[utoipa::path(get, path = "/rest/sip/product", operation_id = "GetSIPProductsList", tag = "sip product",
    responses((status = 200, body = Envelope<Vec<model::SipProduct>>), Faults))]
async fn list(State(state): State<ApiState>, _: Caller) -> Reply {
    let products = state.store.products().await?;
    ok(products.iter().map(view::product).collect::<Vec<_>>())
}
