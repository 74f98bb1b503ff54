//! Files: call-flow XML in any of its three envelopes (multipart `file`, `application/xml`, `{"xml": "..."}`), and CSV.

use axum::body::Body as HttpBody;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use bytes::Bytes;
use opentact_callflow::{Document, Fault, Mode};
use serde_json::Value;

use super::body::{essence, from_value, is_json, read_body};
use crate::error::{AppError, Field, Fields};
use crate::state::ApiState;

/// The XML as sent, not yet parsed.
#[derive(Debug)]
pub struct FlowXml(pub String);

/// The JSON form.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
pub struct FlowForm {
    /// The document, `<Response>…</Response>`.
    #[schema(min_length = 1)]
    pub xml: String,
}

/// The multipart form.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct FlowFile {
    /// The document as a file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

impl FromRequest<ApiState> for FlowXml {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, AppError> {
        let headers = request.headers().clone();
        let octets = read_body(request, state.settings.max_body).await?;
        match essence(&headers).as_deref() {
            Some("application/xml" | "text/xml") => text(octets.to_vec()).map(Self),
            Some("multipart/form-data") => text(file_field(&headers, octets, state).await?).map(Self),
            _ if is_json(&headers) => {
                let value: Value = serde_json::from_slice(&octets)
                    .map_err(|error| AppError::BadRequest(format!("Request body is not JSON: {error}")))?;
                from_value::<FlowForm>(value).map(|form| Self(form.xml))
            }
            _ => Err(AppError::BadRequest(
                "Content-Type must be application/xml, application/json or multipart/form-data".to_owned(),
            )),
        }
    }
}

/// The file of a form.
pub(super) async fn file_field(
    headers: &http::HeaderMap,
    octets: Bytes,
    state: &ApiState,
) -> Result<Vec<u8>, AppError> {
    let mut request = Request::new(HttpBody::from(octets));
    *request.headers_mut() = headers.clone();
    // What a body may take was seen when it was read.
    DefaultBodyLimit::disable().apply(&mut request);
    let unreadable = |error: &dyn std::fmt::Display| AppError::BadRequest(format!("Multipart body: {error}"));
    let mut form = Multipart::from_request(request, state).await.map_err(|error| unreadable(&error))?;
    while let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? {
        if matches!(field.name(), Some("file" | "xml")) {
            return Ok(field.bytes().await.map_err(|error| unreadable(&error))?.to_vec());
        }
    }
    Err(AppError::param("file", "is required", Value::Null))
}

fn text(octets: Vec<u8>) -> Result<String, AppError> {
    String::from_utf8(octets).map_err(|_| AppError::param("file", "must be UTF-8", Value::Null))
}

/// CSV, as multipart `file` or as `text/csv`.
#[derive(Debug)]
pub struct CsvFile(pub String);

impl FromRequest<ApiState> for CsvFile {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, AppError> {
        let headers = request.headers().clone();
        let limit = state.settings.body_limit(request.uri().path());
        let octets = read_body(request, limit).await?;
        match essence(&headers).as_deref() {
            Some("text/csv") => text(octets.to_vec()).map(Self),
            Some("multipart/form-data") => text(file_field(&headers, octets, state).await?).map(Self),
            _ => Err(AppError::BadRequest("Content-Type must be multipart/form-data or text/csv".to_owned())),
        }
    }
}

impl FlowXml {
    pub fn parse(&self) -> Result<Document, AppError> {
        parse_flow(&self.0)
    }
}

/// The document, or 422 with each fault under `params.xml[n]`, with its line and column.
pub fn parse_flow(xml: &str) -> Result<Document, AppError> {
    opentact_callflow::parse(xml, Mode::Strict).map_err(|faults| {
        let mut fields = Fields::default();
        tell(&faults, &mut fields);
        AppError::Invalid(fields)
    })
}

/// Adds the faults of a document that is one property of a larger body.
pub fn flow_faults(xml: &str, fields: &mut Fields) {
    if let Err(faults) = opentact_callflow::parse(xml, Mode::Strict) {
        tell(&faults, fields);
    }
}

fn tell(faults: &[Fault], fields: &mut Fields) {
    for (index, fault) in faults.iter().enumerate() {
        fields.insert(
            format!("params.xml[{index}]"),
            Field {
                message: fault.to_string(),
                value: fault.element.clone().map_or(Value::Null, Value::from),
                line: Some(fault.line),
                column: Some(fault.column),
                expected: fault.expected.clone(),
                did_you_mean: fault.did_you_mean.clone(),
            },
        );
    }
}
