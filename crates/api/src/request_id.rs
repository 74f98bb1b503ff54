//! One id a request: in `X-Request-Id`, in `meta` of an error, in every log line of the request.

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use tracing::Instrument;
use uuid::Uuid;

use crate::error::ErrorEnvelope;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken over from a client.
const MAX_LENGTH: usize = 128;

/// Takes the client's id if it is harmless to log, makes one otherwise.
fn choose(request: &Request) -> HeaderValue {
    request
        .headers()
        .get(HEADER)
        .filter(|id| {
            (1..=MAX_LENGTH).contains(&id.len())
                && id.as_bytes().iter().all(|c| c.is_ascii_alphanumeric() || b"-_.:/+=".contains(c))
        })
        .cloned()
        .or_else(|| HeaderValue::from_str(&Uuid::new_v4().to_string()).ok())
        .unwrap_or_else(|| HeaderValue::from_static("unknown"))
}

/// Outermost layer: all that comes back through it carries the id, also what no handler made.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let id = choose(&request);
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let mut response = next.run(request).instrument(span).await;
    if let Some(mut envelope) = response.extensions_mut().remove::<ErrorEnvelope>() {
        envelope.meta = id.to_str().ok().map(str::to_owned);
        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        response = (status, Json(envelope)).into_response();
        headers.remove(http::header::CONTENT_LENGTH);
        headers.extend(std::mem::take(response.headers_mut()));
        *response.headers_mut() = headers;
    }
    response.headers_mut().insert(HEADER, id);
    response
}
