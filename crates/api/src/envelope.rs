//! `{"success":true,"payload":X}` and its documented forms.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::error::AppError;

/// Shape of every successful answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    /// Always true here.
    #[schema(example = true)]
    pub success: bool,
    pub payload: T,
}

/// A successful answer with its status code.
#[derive(Debug)]
pub struct Success<T> {
    status: StatusCode,
    payload: T,
}

/// What a handler answers.
pub type Reply = Result<Success<Value>, AppError>;

/// 200.
pub fn ok(payload: impl Into<Value>) -> Reply {
    Ok(Success { status: StatusCode::OK, payload: payload.into() })
}

/// 201.
pub fn created(payload: impl Into<Value>) -> Reply {
    Ok(Success { status: StatusCode::CREATED, payload: payload.into() })
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        (self.status, Json(Envelope { success: true, payload: self.payload })).into_response()
    }
}

/// An object with its version: 200 with an `ETag`.
#[derive(Debug)]
pub struct Tagged(pub Value);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&etag(&self.0));
        let mut response = Success { status: StatusCode::OK, payload: self.0 }.into_response();
        if let Ok(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// An object shown with what is not its version: what changes by itself. 200 with the `ETag` of `version`.
#[derive(Debug)]
pub struct Live {
    pub shown: Value,
    pub version: Value,
}

impl IntoResponse for Live {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&etag(&self.version));
        let mut response = Success { status: StatusCode::OK, payload: self.shown }.into_response();
        if let Ok(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// The strong entity tag of an object: a digest of its JSON, so that it changes exactly when the answer does.
#[must_use]
pub fn etag(payload: &Value) -> String {
    use base64::Engine as _;
    let digest = Sha256::digest(payload.to_string().as_bytes());
    format!("\"{}\"", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..15]))
}
