//! Path parameters.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde_json::Value;
use uuid::Uuid;

use crate::error::{AppError, Fields};
use crate::state::ApiState;

/// `{uuid}` of the path; any case.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub Uuid);

/// The first parameter of the path as text.
#[derive(Debug, Clone)]
pub struct Segment(pub String);

/// All parameters of the path by name.
#[derive(Debug, Clone)]
pub struct Segments(Vec<(String, String)>);

impl Segments {
    /// Empty when the route has no such parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn uuid(&self, name: &str) -> Result<Uuid, AppError> {
        let text = self.text(name);
        Uuid::try_parse(text).ok().filter(|_| text.len() == 36).ok_or_else(|| {
            let mut fields = Fields::default();
            fields.push(format!("path.{name}"), "invalid UUID", Value::from(text));
            AppError::Invalid(fields)
        })
    }
}

impl FromRequestParts<ApiState> for Segments {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        let Path(pairs) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| AppError::BadRequest(error.body_text()))?;
        Ok(Self(pairs))
    }
}

impl FromRequestParts<ApiState> for Id {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        Segments::from_request_parts(parts, state).await?.uuid("uuid").map(Self)
    }
}

impl FromRequestParts<ApiState> for Segment {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        let segments = Segments::from_request_parts(parts, state).await?;
        Ok(Self(segments.0.into_iter().next().map(|(_, value)| value).unwrap_or_default()))
    }
}
