//! What a handler answers when it does not answer with success, and how that becomes the envelope.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use opentact_engine::ports::ControlError;
use serde::Serialize;
use serde_json::Value;

/// One wrong property: what is wrong and what was sent.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Field {
    pub message: String,
    /// As sent; null when nothing was.
    pub value: Value,
    /// Where in a call-flow document, both counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What should stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was most likely meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

/// A long list that is wrong throughout must not make an answer that is longer still.
const MAX_FAULTS: usize = 1_000;

/// All wrong properties, keyed `params.<property>` or `path.<name>`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Fields(BTreeMap<String, Field>);

impl Fields {
    /// The first fault found of a property stays.
    pub fn push(&mut self, key: impl Into<String>, message: impl Into<String>, value: Value) {
        let (message, line, column) = (message.into(), None, None);
        self.insert(key.into(), Field { message, value, line, column, expected: None, did_you_mean: None });
    }

    /// At most [`MAX_FAULTS`] are told.
    pub fn insert(&mut self, key: String, field: Field) {
        if self.0.len() < MAX_FAULTS {
            self.0.entry(key).or_insert(field);
        }
    }

    /// A fault of a body or query property.
    pub fn param(&mut self, property: &str, message: impl Into<String>, value: impl Into<Value>) {
        self.push(format!("params.{property}"), message, value.into());
    }

    /// Takes over the faults of another pass.
    pub fn merge(&mut self, other: Self) {
        for (key, field) in other.0 {
            self.insert(key, field);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Err` with all faults when there is one.
    pub fn check(self) -> Result<(), AppError> {
        if self.is_empty() { Ok(()) } else { Err(AppError::Invalid(self)) }
    }
}

/// The only error of the API. Each variant is one status code.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// 400: not JSON, wrong content type.
    #[error("{0}")]
    BadRequest(String),
    /// 401: no or bad credentials.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 401: not yours to see.
    #[error("Forbidden")]
    Forbidden,
    /// 402, with the product's own code on messages.
    #[error("Not enough account balance")]
    InsufficientBalance { code: Option<u16> },
    /// 403, with the product's own code.
    #[error("{message}")]
    Refused { code: Option<u16>, message: String },
    /// 404: `<Entity> not found`.
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("Method not allowed")]
    MethodNotAllowed,
    #[error("{0}")]
    Conflict(String),
    /// 412: `If-Match` names an older state.
    #[error("The object has changed since it was read")]
    PreconditionFailed,
    #[error("Request body is larger than {limit} octets")]
    TooLarge { limit: usize },
    /// 422, all faults at once.
    #[error("Validation failed")]
    Invalid(Fields),
    /// 422 without a property at fault.
    #[error("{0}")]
    Unprocessable(String),
    #[error("{message}")]
    TooMany { message: &'static str, retry_after: Duration },
    /// 501: specified, not in this version.
    #[error("Not implemented in this version")]
    NotImplemented,
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// 500: what happened is for the log, never for the client.
    #[error("Internal server error")]
    Internal(String),
}

impl AppError {
    /// One property at fault.
    #[must_use]
    pub fn param(property: &str, message: impl Into<String>, value: impl Into<Value>) -> Self {
        let mut fields = Fields::default();
        fields.param(property, message, value);
        Self::Invalid(fields)
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::Forbidden => StatusCode::UNAUTHORIZED,
            Self::InsufficientBalance { .. } => StatusCode::PAYMENT_REQUIRED,
            Self::Refused { .. } => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) | Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::InsufficientBalance { code } | Self::Refused { code, .. } => *code,
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { retry_after, .. } | Self::Unavailable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

/// The error envelope as it goes over the wire. `meta` is filled in by [`crate::request_id`].
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorEnvelope {
    success: bool,
    message: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meta: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Fields>,
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(cause, "request failed");
        }
        let status = self.status();
        let envelope = ErrorEnvelope {
            success: false,
            message: self.to_string(),
            status: status.as_u16(),
            meta: None,
            code: self.code(),
            fields: match &self {
                Self::Invalid(fields) => Some(fields.clone()),
                _ => None,
            },
        };
        let mut response = (status, Json(&envelope)).into_response();
        if let Some(after) = self.retry_after() {
            // Rounded up: a client that waits that long must not be refused again.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        if status == StatusCode::UNAUTHORIZED {
            // Not "Basic": a browser would pop up its own dialog in front of the console.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(envelope);
        response
    }
}

impl From<ControlError> for AppError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NotFound(entity) => Self::NotFound(entity),
            ControlError::Conflict(message) => Self::Conflict(message),
            ControlError::Invalid { field, message, value } => Self::param(field, message, value),
            ControlError::InsufficientBalance => Self::InsufficientBalance { code: None },
            ControlError::Forbidden { code, message } => Self::Refused { code: Some(code), message },
            ControlError::Unavailable { reason, retry_after } => Self::Unavailable { reason, retry_after },
            ControlError::Internal(cause) => Self::Internal(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        let response = AppError::TooMany { message: "Too many requests", retry_after: Duration::from_millis(1200) }
            .into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }

    #[test]
    fn an_internal_error_tells_the_client_nothing() {
        let response = AppError::Internal("SELECT exploded".to_owned()).into_response();
        let envelope = response.extensions().get::<ErrorEnvelope>().unwrap();
        assert_eq!(
            serde_json::to_string(envelope).unwrap(),
            r#"{"success":false,"message":"Internal server error","status":500}"#
        );
    }

    #[test]
    fn the_first_fault_of_a_property_stays() {
        let mut fields = Fields::default();
        fields.param("to", "is required", Value::Null);
        fields.param("to", "must be a string", Value::Null);
        fields.param("from", "invalid telephone number", "qwerty");
        let json = serde_json::to_value(&fields).unwrap();
        assert_eq!(json["params.to"]["message"], "is required");
        assert_eq!(json["params.from"]["value"], "qwerty");
    }
}
