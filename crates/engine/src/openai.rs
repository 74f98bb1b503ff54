//! Servers that speak the API of OpenAI: what they are asked with, and how they refuse.

use std::fmt::Display;
use std::time::Duration;

use reqwest::Method;

use crate::engine::PRODUCT;
use crate::http::{Body, EgressGuard, Fetch, HttpClient, HttpError};

/// Octets of a refusal that are told.
pub(crate) const REASON: usize = 300;

/// The URL is the operator's own: it may be anywhere.
pub(crate) fn client() -> Result<HttpClient, HttpError> {
    HttpClient::new(EgressGuard::everywhere(), PRODUCT)
}

/// A POST to `path` of the server; `limit`: octets of its answer.
pub(crate) fn post(
    (url, path): (&str, &str),
    key: Option<&String>,
    accept: &str,
    body: Body,
    timeout: Duration,
    limit: usize,
) -> Fetch {
    let mut headers = vec![("accept".to_owned(), accept.to_owned())];
    headers.extend(key.map(|key| ("authorization".to_owned(), format!("Bearer {key}"))));
    Fetch {
        url: format!("{}{path}", url.trim_end_matches('/')),
        method: Method::POST,
        query: Vec::new(),
        headers,
        body: Some(body),
        timeout: Some(timeout),
        limit,
        etag: None,
    }
}

/// What it said in place of an answer, of which the beginning counts.
pub(crate) fn refusal(url: &str, status: impl Display, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(&said[..said.len().min(REASON)]);
    format!("{url} answered {status} {said}").trim_end().to_owned()
}
