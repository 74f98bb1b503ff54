//! Credentials in fields of a form, for pages that send files with it.

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::has_credentials;
use crate::extract::essence;

/// Octets of a body's beginning in which they are looked for: they stand before the file.
const LOOKED_AT: usize = 64 << 10;
/// Field, and the header it stands for; the first that is there decides.
const FIELDS: [(&str, HeaderName); 4] = [
    ("jwt", HeaderName::from_static("x-auth-token")),
    ("google_token", HeaderName::from_static("x-auth-google-token")),
    ("facebook_token", HeaderName::from_static("x-auth-facebook-token")),
    ("ha1b", HeaderName::from_static("x-auth-ha1b-token")),
];

/// Puts the credential of a form into the header that it stands for, where no header and no query has one.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let kind = essence(request.headers());
    let is_form = matches!(kind.as_deref(), Some("multipart/form-data" | "application/x-www-form-urlencoded"));
    if !is_form || has_credentials(&request) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let mut rest = body.into_data_stream();
    let mut beginning = BytesMut::new();
    let mut fault = None;
    while beginning.len() < LOOKED_AT {
        match rest.next().await {
            Some(Ok(octets)) => beginning.extend_from_slice(&octets),
            Some(Err(error)) => {
                fault = Some(Err(error));
                break;
            }
            None => break,
        }
    }
    let beginning = beginning.freeze();
    let looked_at = beginning.slice(..beginning.len().min(LOOKED_AT));
    let found = match kind.as_deref() {
        Some("multipart/form-data") => of_files(&parts.headers, Body::from(looked_at)).await,
        _ => url::form_urlencoded::parse(&looked_at).into_owned().collect(),
    };
    let credential = FIELDS.iter().find_map(|(field, header)| {
        let (_, value) = found.iter().find(|(name, _)| name == field)?;
        // What no header can carry is no good credential either.
        Some((header.clone(), HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("?"))))
    });
    parts.headers.extend(credential);
    let body = stream::iter([Ok(beginning)].into_iter().chain(fault)).chain(rest);
    next.run(Request::from_parts(parts, Body::from_stream(body))).await
}

/// The fields of a multipart form that are there before what is cut off.
async fn of_files(headers: &HeaderMap, beginning: Body) -> Vec<(String, String)> {
    let mut request = Request::new(beginning);
    *request.headers_mut() = headers.clone();
    let mut found = Vec::new();
    let Ok(mut form) = Multipart::from_request(request, &()).await else { return found };
    while let Ok(Some(field)) = form.next_field().await {
        let Some(name) = field.name().filter(|name| FIELDS.iter().any(|(field, _)| field == name)) else { continue };
        let name = name.to_owned();
        let Ok(value) = field.text().await else { break };
        found.push((name, value));
    }
    found
}
