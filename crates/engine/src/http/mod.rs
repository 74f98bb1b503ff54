//! Outgoing HTTP: one client whose every connection passes the egress guard.
//!
//! Call-flow documents, callbacks, prompts and webhooks go through here. Redirects stay on the same host and scheme,
//! answers are read up to a limit and no further.

mod guard;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use rustls::pki_types::CertificateDer;
use url::Url;

pub use guard::EgressGuard;

/// Longest time a request may take, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(120);
/// A redirect chain longer than this is an error.
const MAX_REDIRECTS: usize = 5;

/// Why an outgoing request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error("bad URL {url}: {reason}")]
    Url { url: String, reason: String },
    /// The target is a private, loopback or link-local address that `http.egress_allow` does not list, or a port that no
    /// web server has.
    #[error("{host} leads to an address that http.egress_allow does not list, or to no web server's port")]
    Refused { host: String },
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    Transport(String),
}

/// A request as a call flow states it.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub url: String,
    pub method: reqwest::Method,
    /// Added to whatever query the URL has.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Body>,
    /// From the first byte sent to the last received; 120 s at most, and where it is `None`.
    pub timeout: Option<Duration>,
    /// Octets of the answer's body that are read at most.
    pub limit: usize,
    /// Sent as `If-None-Match`.
    pub etag: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Body {
    pub content_type: String,
    pub bytes: Bytes,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub etag: Option<String>,
    pub cache_control: Option<String>,
    /// Seconds, where they are told so.
    pub retry_after: Option<u64>,
    pub body: Bytes,
}

/// The outgoing HTTP client. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    guard: Arc<EgressGuard>,
}

impl HttpClient {
    /// A process-wide rustls crypto provider must be installed before.
    pub fn new(guard: EgressGuard, user_agent: &str) -> Result<Self, HttpError> {
        Self::build(guard, user_agent, |builder| builder)
    }

    /// One that speaks HTTPS only, and trusts these authorities besides those of the operating system.
    pub fn https_only(guard: EgressGuard, user_agent: &str, roots: &[CertificateDer<'_>]) -> Result<Self, HttpError> {
        let bad = |error: reqwest::Error| HttpError::Transport(error.to_string());
        let root = |der: &CertificateDer<'_>| reqwest::Certificate::from_der(der).map_err(bad);
        let roots: Vec<_> = roots.iter().map(root).collect::<Result<_, _>>()?;
        Self::build(guard, user_agent, |builder| builder.https_only(true).tls_certs_merge(roots))
    }

    fn build(
        guard: EgressGuard,
        user_agent: &str,
        more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, HttpError> {
        let guard = Arc::new(guard);
        let redirect_guard = guard.clone();
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            let same_place = attempt.previous().first().is_some_and(|first| {
                first.scheme() == attempt.url().scheme()
                    && first.host_str() == attempt.url().host_str()
                    && first.port_or_known_default() == attempt.url().port_or_known_default()
            });
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if same_place && redirect_guard.admits_url(attempt.url()) {
                attempt.follow()
            } else {
                attempt.error("redirect to another host or scheme")
            }
        });
        let client = more(reqwest::Client::builder())
            .user_agent(user_agent)
            .dns_resolver(guard.clone())
            .redirect(redirects)
            .connect_timeout(Duration::from_secs(10))
            .timeout(LONGEST)
            .pool_max_idle_per_host(16)
            .no_proxy()
            .build()
            .map_err(|error| HttpError::Transport(error.to_string()))?;
        Ok(Self { client, guard })
    }

    /// Performs one request. Any HTTP status is an answer; errors are those of the way there.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Answer, HttpError> {
        let mut url = parse_url(&fetch.url)?;
        if !self.guard.admits_url(&url) {
            return Err(HttpError::Refused { host: url.host_str().unwrap_or_default().to_owned() });
        }
        if !fetch.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &fetch.query {
                pairs.append_pair(name, value);
            }
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let timeout = fetch.timeout.unwrap_or(LONGEST).min(LONGEST);
        let mut request = self.client.request(fetch.method, url).timeout(timeout);
        for (name, value) in &fetch.headers {
            request = request.header(name, value);
        }
        if let Some(etag) = &fetch.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(body) = fetch.body {
            request = request.header(CONTENT_TYPE, body.content_type).body(body.bytes);
        }
        let failed = |error: reqwest::Error| transport_error(&error, &host, timeout);
        let mut response = request.send().await.map_err(failed)?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, content_type, etag) = (response.status().as_u16(), header(CONTENT_TYPE), header(ETAG));
        let cache_control = header(CACHE_CONTROL);
        let retry_after = header(RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let too_large = HttpError::TooLarge { limit: fetch.limit };
        if response.content_length().is_some_and(|length| length > fetch.limit as u64) {
            return Err(too_large);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > fetch.limit {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, etag, cache_control, retry_after, body: body.freeze() })
    }
}

fn parse_url(text: &str) -> Result<Url, HttpError> {
    let bad = |reason: String| HttpError::Url { url: text.to_owned(), reason };
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(bad(format!("scheme {other} is not http or https"))),
    }
}

fn transport_error(error: &reqwest::Error, host: &str, timeout: Duration) -> HttpError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = error.to_string();
    while let Some(cause) = source {
        if cause.is::<guard::Refused>() {
            return HttpError::Refused { host: host.to_owned() };
        }
        innermost = cause.to_string();
        source = cause.source();
    }
    if error.is_timeout() { HttpError::Timeout(timeout) } else { HttpError::Transport(innermost) }
}
