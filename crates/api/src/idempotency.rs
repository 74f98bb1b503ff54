//! `Idempotency-Key` on every POST: done once, answered as often as it is asked.

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use opentact_store::idempotency::Begun;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::auth::{Caller, Credential, Phone};
use crate::error::AppError;
use crate::extract::read_body;
use crate::state::ApiState;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, in characters.
pub(crate) const MAX_KEY: usize = 255;
/// Answers longer than this are not kept, and the key is freed: no POST of the API answers that much.
const MAX_ANSWER: usize = 1024 * 1024;

/// Put into a response's extensions: it shows a secret once and must not be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownOnce;

/// Whether a request of this method is done once a key.
pub(crate) fn heeded(method: &Method) -> bool {
    method == Method::POST
}

pub(crate) async fn layer(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if !heeded(request.method()) || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    match once(&state, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn once(state: &ApiState, request: Request, next: Next) -> Result<Response, AppError> {
    let (mut parts, body) = request.into_parts();
    let key = parts.headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(AppError::BadRequest(format!("Idempotency-Key must be 1 to {MAX_KEY} visible characters")));
    }
    // Keys belong to an account. What needs no credentials is done as often as it is asked.
    let account = match Credential::find(&parts.headers, parts.uri.query()) {
        None => return Ok(next.run(Request::from_parts(parts, body)).await),
        Some(Credential::Ha1b(_)) => Phone::from_request_parts(&mut parts, state).await?.account(),
        Some(_) => Caller::from_request_parts(&mut parts, state).await?.account(),
    };
    let octets =
        read_body(Request::from_parts(parts.clone(), body), state.settings.body_limit(parts.uri.path())).await?;
    let fingerprint = fingerprint(&parts, &octets);
    match state.store.idempotency().begin(account, &key, &fingerprint).await? {
        Begun::New => {}
        Begun::Answered { status, body } => return Ok(again(status, body)),
        Begun::Running => {
            return Err(AppError::Conflict("A request with this Idempotency-Key is still running".to_owned()));
        }
        Begun::Differs => {
            return Err(AppError::Conflict("Idempotency-Key was used with another request".to_owned()));
        }
    }
    let mut pending = Pending { state: state.clone(), account, key, kept: false };
    let response = next.run(Request::from_parts(parts, Body::from(octets))).await;
    pending.keep(response).await
}

fn fingerprint(parts: &http::request::Parts, body: &[u8]) -> String {
    use base64::Engine as _;
    let mut hash = Sha256::new();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    for part in [target.as_bytes(), kind, body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash.finalize())
}

fn again(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    (status, headers, body).into_response()
}

/// A key in use. Freed when the request ends without an answer to keep, also when the client went away in between.
struct Pending {
    state: ApiState,
    account: Uuid,
    key: String,
    kept: bool,
}

impl Pending {
    async fn keep(&mut self, response: Response) -> Result<Response, AppError> {
        let (mut parts, body) = response.into_parts();
        // A failure of ours, or a "not now", is worth another try; a refusal would only be repeated.
        let retry = parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS;
        if retry || parts.extensions.get::<ShownOnce>().is_some() {
            return Ok(Response::from_parts(parts, body));
        }
        let octets: Bytes = axum::body::to_bytes(body, MAX_ANSWER)
            .await
            .map_err(|error| AppError::Internal(format!("answer too long to be kept: {error}")))?;
        let text = String::from_utf8_lossy(&octets);
        self.state.store.idempotency().finish(self.account, &self.key, parts.status.as_u16(), &text).await?;
        self.kept = true;
        parts.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(octets)))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (state, account, key) = (self.state.clone(), self.account, std::mem::take(&mut self.key));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = state.store.idempotency().abandon(account, &key).await {
                    tracing::warn!(%error, "idempotency key stays taken until it expires");
                }
            });
        }
    }
}
