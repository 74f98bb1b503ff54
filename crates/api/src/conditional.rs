//! Requests that depend on the version a client knows (RFC 9110 13): `If-Match`, so that nobody's change is written over,
//! and `If-None-Match`, so that nothing is sent that the client has.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::envelope::etag;
use crate::error::AppError;
use crate::state::ApiState;

/// The versions of which a change may be one; in the parameters of an operation it says that the operation heeds it.
#[derive(Debug)]
pub struct IfMatch(Vec<HeaderValue>);

impl IfMatch {
    /// 412 where the object is another by now (13.1.1).
    pub fn check(&self, current: &Value) -> Result<(), AppError> {
        if self.0.is_empty() || lists(&self.0, &etag(current)) { Ok(()) } else { Err(AppError::PreconditionFailed) }
    }
}

impl FromRequestParts<ApiState> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Infallible> {
        Ok(Self(sent(&parts.headers, &header::IF_MATCH)))
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("If-Match")]
    }
}

/// In the parameters of an operation it says that its answer has an `ETag`; [`layer`] does what is asked by the header.
pub struct IfNoneMatch;

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("If-None-Match")]
    }
}

fn parameter(name: &str) -> Parameter {
    ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).build()
}

fn sent(headers: &HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    headers.get_all(name).iter().cloned().collect()
}

/// Whether one of the lists has this tag, or `*` for any.
fn lists(lists: &[HeaderValue], tag: &str) -> bool {
    let mut tags = lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    tags.any(|one| [tag, "*"].contains(&one.trim()))
}

/// 304 in place of an object that the client has (13.1.2).
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let known = if reads { sent(request.headers(), &header::IF_NONE_MATCH) } else { Vec::new() };
    let mut response = next.run(request).await;
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if response.status() == StatusCode::OK && tag.is_some_and(|tag| lists(&known, tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn if_match(value: &str) -> IfMatch {
        IfMatch(vec![HeaderValue::from_str(value).unwrap()])
    }

    #[test]
    fn if_match_accepts_the_current_tag_and_the_star() {
        let object = json!({"uuid": "a", "name": "b"});
        assert!(IfMatch(Vec::new()).check(&object).is_ok());
        assert!(if_match("*").check(&object).is_ok());
        assert!(if_match(&format!("\"old\", {}", etag(&object))).check(&object).is_ok());
        assert!(matches!(if_match("\"old\"").check(&object), Err(AppError::PreconditionFailed)));
    }
}
