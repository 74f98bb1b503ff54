//! Call-flow documents and what else a flow asks for by HTTP.

use bytes::Bytes;
use opentact_callflow::{HttpAnswer, HttpBody, HttpRequest, MAX_BYTES, Method};
use serde_json::Value;

use crate::http::{Body, Fetch, HttpClient};

/// Makes a request. `call` is the call object, sent where the request wants it.
///
/// # Errors
/// Why there is no answer, for a person to read.
pub(crate) async fn document(
    http: &HttpClient,
    request: HttpRequest,
    call: Option<Value>,
) -> Result<HttpAnswer, String> {
    let body = match request.body {
        HttpBody::Empty => None,
        HttpBody::Call => {
            call.map(|call| Body { content_type: "application/json".to_owned(), bytes: Bytes::from(call.to_string()) })
        }
        HttpBody::Text { content_type, text } => Some(Body { content_type, bytes: Bytes::from(text) }),
    };
    let mut headers = request.headers;
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        headers.push(("accept".to_owned(), "application/xml, text/xml;q=0.9, */*;q=0.1".to_owned()));
    }
    let fetch = Fetch {
        url: request.url,
        method: match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        },
        query: request.query,
        headers,
        body,
        timeout: request.timeout,
        limit: MAX_BYTES,
        etag: None,
    };
    let answer = http.fetch(fetch).await.map_err(|error| error.to_string())?;
    Ok(HttpAnswer {
        status: answer.status,
        content_type: answer.content_type,
        body: String::from_utf8(answer.body.to_vec()).map_err(|_| "the answer is not UTF-8".to_owned())?,
    })
}
