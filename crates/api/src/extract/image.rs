//! An image, as multipart `file` or as the body.

use axum::extract::{FromRequest, Request};
use serde_json::Value;

use super::body::{essence, read_body};
use super::flow::file_field;
use crate::error::AppError;
use crate::state::ApiState;

/// PNG or JPEG, by what its octets say.
#[derive(Debug)]
pub struct Image {
    pub content_type: &'static str,
    pub octets: Vec<u8>,
}

/// The multipart form.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code)]
pub struct ImageFile {
    /// PNG or JPEG, of at most `accounts.avatar_size`.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

impl FromRequest<ApiState> for Image {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, AppError> {
        let headers = request.headers().clone();
        let limit = state.settings.body_limit(request.uri().path());
        let body = read_body(request, limit).await?;
        let octets = match essence(&headers).as_deref() {
            Some("multipart/form-data") => file_field(&headers, body, state).await?,
            Some("image/png" | "image/jpeg") => body.to_vec(),
            _ => {
                let wanted = "Content-Type must be multipart/form-data, image/png or image/jpeg";
                return Err(AppError::BadRequest(wanted.to_owned()));
            }
        };
        if octets.len() > state.settings.avatar_size {
            return Err(AppError::TooLarge { limit: state.settings.avatar_size });
        }
        let content_type =
            content_type(&octets).ok_or_else(|| AppError::param("file", "must be a PNG or JPEG image", Value::Null))?;
        Ok(Self { content_type, octets })
    }
}

/// By the signatures of PNG (RFC 2083 3.1) and JPEG (SOI and the marker after it).
fn content_type(octets: &[u8]) -> Option<&'static str> {
    if octets.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    octets.starts_with(b"\xff\xd8\xff").then_some("image/jpeg")
}
