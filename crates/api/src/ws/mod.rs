//! The websocket: `auth` frame, events in order, replay. `spec/events.md`.

mod protocol;
mod seats;
mod session;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{RequestExt, Router, routing};
use http::header;

pub(crate) use seats::Seats;

use crate::auth::client_address;
use crate::error::AppError;
use crate::state::ApiState;

pub(crate) fn router() -> Router<ApiState> {
    Router::new().route("/", routing::get(root)).route("/ws", routing::get(upgrade))
}

/// Clients of the product connect to `/`; browsers that come here want something to read.
async fn root(State(state): State<ApiState>, request: Request) -> Response {
    if request.headers().contains_key(header::SEC_WEBSOCKET_KEY) {
        return upgrade(State(state), request).await;
    }
    Redirect::to("/swagger/").into_response()
}

async fn upgrade(State(state): State<ApiState>, mut request: Request) -> Response {
    let address = client_address(request.extensions(), request.headers(), &state.settings);
    let upgrade = match request.extract_parts::<WebSocketUpgrade>().await {
        Ok(upgrade) => upgrade,
        Err(error) => return AppError::BadRequest(error.to_string()).into_response(),
    };
    let limit = state.settings.websocket.max_frame;
    upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| session::run(state, socket, address))
}
