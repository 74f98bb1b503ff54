//! A JSON body, checked against the schema of its type.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{AppError, Fields};
use crate::shape::Shape;
use crate::state::ApiState;

/// A body of type `T`. An empty body is an empty object.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<ApiState> for Body<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, AppError> {
        let headers = request.headers().clone();
        let limit = state.settings.body_limit(request.uri().path());
        let octets = read_body(request, limit).await?;
        let value = parse(&headers, &octets)?;
        from_value(value).map(Self)
    }
}

/// What a schema cannot say: rules between properties. Faults are told together with the schema's.
pub trait Check {
    fn check(body: &Map<String, Value>, fields: &mut Fields);
}

/// A body of type `T` with rules between its properties.
#[derive(Debug)]
pub struct Checked<T>(pub T);

impl<T: DeserializeOwned + ToSchema + Check + 'static> FromRequest<ApiState> for Checked<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, AppError> {
        let headers = request.headers().clone();
        let limit = state.settings.body_limit(request.uri().path());
        let octets = read_body(request, limit).await?;
        checked(parse(&headers, &octets)?).map(Self)
    }
}

/// Checks `value` against `T`'s schema and rules, then reads it.
pub fn checked<T: DeserializeOwned + ToSchema + Check + 'static>(value: Value) -> Result<T, AppError> {
    let mut fields = Fields::default();
    if let Value::Object(body) = &value {
        T::check(body, &mut fields);
    }
    from_checked_value(value, fields)
}

/// Whether a property was sent, other than as null.
pub fn has(body: &Map<String, Value>, name: &str) -> bool {
    body.get(name).is_some_and(|value| !value.is_null())
}

/// Properties of the specification that this version does not act on: refused, so that nobody relies on them.
pub fn refuse(body: &Map<String, Value>, names: &[&str], fields: &mut Fields) {
    for name in names {
        if let Some(value) = body.get(*name).filter(|value| !matches!(value, Value::Null | Value::Bool(false))) {
            fields.param(name, "is not available in this version", value.clone());
        }
    }
}

/// The whole body, refused with 413 beyond `limit` octets before more than that is in memory.
pub async fn read_body(request: Request, limit: usize) -> Result<Bytes, AppError> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(AppError::TooLarge { limit });
    }
    axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<LengthLimitError>() {
                return AppError::TooLarge { limit };
            }
            cause = inner.source();
        }
        AppError::BadRequest("Request body could not be read".to_owned())
    })
}

fn parse(headers: &HeaderMap, octets: &[u8]) -> Result<Value, AppError> {
    if octets.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    if !is_json(headers) {
        return Err(AppError::BadRequest("Content-Type must be application/json".to_owned()));
    }
    serde_json::from_slice(octets).map_err(|error| AppError::BadRequest(format!("Request body is not JSON: {error}")))
}

/// `application/json` or `application/<anything>+json`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    essence(headers).is_some_and(|essence| {
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

/// The media type in lower case, without parameters.
pub(crate) fn essence(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Checks `value` against `T`'s schema, then reads it.
pub(super) fn from_value<T: DeserializeOwned + ToSchema + 'static>(value: Value) -> Result<T, AppError> {
    from_checked_value(value, Fields::default())
}

/// The same with the faults that were found before.
fn from_checked_value<T: DeserializeOwned + ToSchema + 'static>(
    value: Value,
    mut fields: Fields,
) -> Result<T, AppError> {
    Shape::of::<T>().check(&value, "params", &mut fields);
    fields.check()?;
    // What the schema lets through and the type does not is rare (a number beyond its range): named as a whole.
    serde_json::from_value(value).map_err(|error| {
        let mut fields = Fields::default();
        fields.push("params", error.to_string(), Value::Null);
        AppError::Invalid(fields)
    })
}
