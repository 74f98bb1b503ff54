//! The static call flow of a SIP control app.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::{FlowFile, FlowForm, FlowXml, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get, save, remove))
}

/// The document stands beside `url`, as 2021 clients read it.
#[derive(Debug, Serialize, ToSchema)]
struct StaticFlow {
    #[schema(example = true)]
    success: bool,
    /// The XML.
    payload: String,
    /// Where it is read from.
    url: String,
}

impl StaticFlow {
    fn answer(state: &ApiState, app: Uuid, xml: String) -> Response {
        let url = format!("{}/rest/sip/app/call/flow/{app}", state.settings.public_url);
        Json(Self { success: true, payload: xml, url }).into_response()
    }
}

/// The app's static XML.
#[utoipa::path(get, path = "/rest/sip/app/call/flow/{uuid}", operation_id = "GetSIPControlAppStaticCallFlow",
    tag = "sip app", params(("uuid" = Uuid, Path, description = "The app")),
    responses((status = 200, body = StaticFlow), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Response, AppError> {
    let app = visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    let xml = app.xml.ok_or(AppError::NotFound("Call flow"))?;
    Ok(StaticFlow::answer(&state, uuid, xml))
}

/// Check and store the app's static XML.
///
/// A document with faults is not stored: the answer lists each with its line and column.
#[utoipa::path(post, path = "/rest/sip/app/call/flow/{uuid}", operation_id = "SaveSIPControlAppStaticCallFlow",
    tag = "sip app", params(("uuid" = Uuid, Path, description = "The app")),
    request_body(content((String = "application/xml"), (FlowForm = "application/json"), (FlowFile = "multipart/form-data"))),
    responses((status = 200, body = StaticFlow), Faults))]
async fn save(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, xml: FlowXml) -> Result<Response, AppError> {
    visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    xml.parse()?;
    let stored = xml.0.clone();
    state.store.apps().update(caller.account(), uuid, caller.by(), |app| app.xml = Some(stored)).await?;
    state.calls.invalidate(caller.account());
    Ok(StaticFlow::answer(&state, uuid, xml.0))
}

/// Take the static XML away.
#[utoipa::path(delete, path = "/rest/sip/app/call/flow/{uuid}", operation_id = "RemoveSIPControlAppStaticCallFlow",
    tag = "sip app", params(("uuid" = Uuid, Path, description = "The app")),
    responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let changed = state.store.apps().update(caller.account(), uuid, caller.by(), |app| app.xml = None).await;
    visible(&state, &caller, uuid, changed).await?;
    state.calls.invalidate(caller.account());
    ok(json!({}))
}
