//! REST, one file a resource, and the websocket. `spec/api.md`, `spec/events.md`.
//!
//! It reads requests, asks the store, the engine's ports and the hub, and words the answers. It knows no SQL and no SIP.
//!
//! The one invariant: whatever a handler touches it touches with its caller's account.

mod auth;
mod carrier_callback;
mod conditional;
mod csv;
mod envelope;
mod error;
mod expand;
mod extract;
mod idempotency;
mod lerg;
mod limits;
mod lookup;
mod mail;
mod model;
mod openapi;
mod orders;
mod panics;
mod request_id;
mod routes;
mod settings;
mod shape;
mod state;
mod store_error;
mod terms;
mod types;
mod vetting;
mod ws;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_swagger_ui::SwaggerUi;

pub use auth::{Jwt, Scopes};
pub use error::AppError;
pub use limits::Clock;
pub use settings::{
    BatchSettings, FacebookSettings, GoogleSettings, IceSettings, LeaseSettings, LookupSettings, MailSettings,
    OrderSettings, RateLimit, Settings, SignUp, WebsocketSettings,
};
pub use state::{ApiState, Parts};

/// All routes of the API and the websocket. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that
/// limits know the client's address.
pub fn router(state: ApiState) -> Router {
    let (implemented, mut document) = routes::implemented(&state.settings.public_url).split_for_parts();
    openapi::finish(&mut document);
    let rest = implemented
        .merge(routes::later())
        .fallback(async || AppError::NotFound("Path"))
        .method_not_allowed_fallback(async || AppError::MethodNotAllowed)
        .layer(from_fn_with_state(state.clone(), idempotency::layer))
        .layer(from_fn(conditional::layer))
        .layer(from_fn_with_state(state.clone(), limits::layer))
        .layer(from_fn(auth::form::layer))
        .merge(carrier_callback::router())
        .layer(from_fn_with_state(state.clone(), timeout))
        .layer(DefaultBodyLimit::disable())
        .layer(panics::layer());
    Router::new()
        .merge(rest)
        .merge(ws::router())
        .merge(SwaggerUi::new("/swagger").url("/swagger/openapi.json", document))
        .layer(tower::util::option_layer(cors(&state.settings)))
        .layer(from_fn(request_id::layer))
        .with_state(state)
}

/// The OpenAPI document, for the configuration reference and SDKs.
#[must_use]
pub fn openapi(public_url: &str) -> utoipa::openapi::OpenApi {
    let mut document = routes::implemented(public_url).into_openapi();
    openapi::finish(&mut document);
    document
}

/// Operations of the specification that this version answers with 501.
pub fn not_implemented() -> impl Iterator<Item = (Method, &'static str)> {
    routes::not_implemented()
}

/// A handler that takes too long is given up, so that a client always gets an answer.
async fn timeout(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(state.settings.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let reason = "The request took too long".to_owned();
            AppError::Unavailable { reason, retry_after: Duration::from_secs(1) }.into_response()
        }
    }
}

/// Nothing at all where no other origin may call.
fn cors(settings: &Settings) -> Option<CorsLayer> {
    if settings.allowed_origins.is_empty() {
        return None;
    }
    let origins = settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::HeaderName::from_static("x-auth-token"),
            header::HeaderName::from_static("x-auth-google-token"),
            header::HeaderName::from_static("x-auth-facebook-token"),
            header::HeaderName::from_static("x-auth-ha1b-token"),
            header::HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            request_id::HEADER,
            idempotency::REPLAYED,
            limits::LIMIT,
            limits::REMAINING,
            limits::RESET,
        ])
        .max_age(Duration::from_secs(3600));
    Some(layer)
}
