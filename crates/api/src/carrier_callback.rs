//! Where carriers that are reached by HTTP tell of receipts and messages. No part of the API: each carrier is known by its
//! signature.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentact_engine::ports::{Callback, CallbackError, CallbackKind};
use serde_json::json;

use crate::auth::client_address;
use crate::envelope::ok;
use crate::error::AppError;
use crate::extract::read_body;
use crate::limits::Charged;
use crate::state::ApiState;

/// Octets of one callback.
const BODY: usize = 64 << 10;
const RETRY_AFTER: Duration = Duration::from_secs(5);

pub(crate) fn router() -> Router<ApiState> {
    Router::new().route("/carrier/{name}/receipt", post(receipt)).route("/carrier/{name}/message", post(message))
}

async fn receipt(State(state): State<ApiState>, Path(name): Path<String>, request: Request) -> Response {
    told(&state, &name, CallbackKind::Receipt, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn message(State(state): State<ApiState>, Path(name): Path<String>, request: Request) -> Response {
    told(&state, &name, CallbackKind::Message, request).await.unwrap_or_else(IntoResponse::into_response)
}

/// Answered once it is on disk.
async fn told(state: &ApiState, name: &str, kind: CallbackKind, request: Request) -> Result<Response, AppError> {
    let address = client_address(request.extensions(), request.headers(), &state.settings);
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = request.headers().iter().filter_map(header).collect();
    let body = read_body(request, BODY).await?;
    match state.messages.callback(name, Callback { kind, headers, body }).await {
        Ok(()) => Ok(ok(json!({}))?.into_response()),
        Err(CallbackError::NotFound) => Err(AppError::NotFound("Carrier")),
        Err(CallbackError::Unauthorized) => {
            // Only strangers are counted: a carrier may tell as much as there is to tell.
            state.limiter.address(address, &Charged::default()).await?;
            Err(AppError::Unauthorized("Not signed by the carrier"))
        }
        Err(error @ CallbackError::Invalid(_)) => Err(AppError::Unprocessable(error.to_string())),
        Err(error @ CallbackError::Unavailable) => {
            Err(AppError::Unavailable { reason: error.to_string(), retry_after: RETRY_AFTER })
        }
    }
}
