//! The query string, checked against the schema of its type.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::body::from_value;
use crate::error::AppError;
use crate::shape::Shape;
use crate::state::ApiState;

#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequestParts<ApiState> for Query<T> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, AppError> {
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()));
        from_value(Shape::of::<T>().coerce(pairs)).map(Self)
    }
}
