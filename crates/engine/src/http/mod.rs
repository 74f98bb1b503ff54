//! Outgoing HTTP: one client whose every connection passes the egress guard.
//!
//! Call-flow documents, callbacks, prompts and webhooks go through here. Redirects stay on the same host and scheme,
//! answers are read up to a limit and no further.

mod guard;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use rustls::pki_types::CertificateDer;
use url::Url;

pub use guard::EgressGuard;
pub use reqwest::Method;

/// Longest time a request may take, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(120);
/// Longest time an answer may take that is read as it comes.
const LONGEST_STREAM: Duration = Duration::from_secs(3600);
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
    /// Nothing of the request has left.
    #[error("{0}")]
    Connect(String),
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

    /// One for addresses that the operator has configured, wherever they are. It follows no redirects: what is sent is sent
    /// to nobody else, and not again.
    pub fn unguarded() -> Result<Self, HttpError> {
        Self::build(EgressGuard::everywhere(), crate::engine::PRODUCT, |builder| {
            builder.redirect(reqwest::redirect::Policy::none())
        })
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
        let client = reqwest::Client::builder()
            .user_agent(user_agent)
            .dns_resolver(guard.clone())
            .redirect(redirects)
            .connect_timeout(Duration::from_secs(10))
            .timeout(LONGEST)
            .pool_max_idle_per_host(64)
            .no_proxy();
        let client = more(client).build().map_err(|error| HttpError::Transport(error.to_string()))?;
        Ok(Self { client, guard })
    }

    /// Performs one request. Any HTTP status is an answer; errors are those of the way there.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Answer, HttpError> {
        let timeout = fetch.timeout.unwrap_or(LONGEST).min(LONGEST);
        let mut opened = self.begin(fetch, timeout, timeout).await?;
        let content_type = opened.header(CONTENT_TYPE);
        let retry_after = opened.header(RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let mut body = BytesMut::new();
        while let Some(piece) = opened.next().await? {
            body.extend_from_slice(&piece);
        }
        let Opened { status, etag, cache_control, .. } = opened;
        Ok(Answer { status, content_type, etag, cache_control, retry_after, body: body.freeze() })
    }

    /// Performs one request whose answer is read as it comes. Here `timeout` is that from one octet to the next; in all
    /// it may take an hour.
    pub async fn open(&self, fetch: Fetch) -> Result<Opened, HttpError> {
        let pause = fetch.timeout.unwrap_or(LONGEST).min(LONGEST);
        let opened = tokio::time::timeout(pause, self.begin(fetch, pause, LONGEST_STREAM)).await;
        opened.map_err(|_| HttpError::Timeout(pause))?
    }

    async fn begin(&self, fetch: Fetch, pause: Duration, timeout: Duration) -> Result<Opened, HttpError> {
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
        let response = request.send().await.map_err(|error| transport_error(&error, &host, timeout))?;
        if response.content_length().is_some_and(|length| length > fetch.limit as u64) {
            return Err(HttpError::TooLarge { limit: fetch.limit });
        }
        let header = |name| header(&response, name);
        Ok(Opened {
            status: response.status().as_u16(),
            etag: header(ETAG),
            last_modified: header(LAST_MODIFIED),
            cache_control: header(CACHE_CONTROL),
            response,
            host,
            pause,
            timeout,
            limit: fetch.limit,
            left: fetch.limit,
        })
    }
}

fn header(response: &reqwest::Response, name: HeaderName) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Opened {
    pub status: u16,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub cache_control: Option<String>,
    response: reqwest::Response,
    host: String,
    pause: Duration,
    timeout: Duration,
    limit: usize,
    left: usize,
}

impl Opened {
    fn header(&self, name: HeaderName) -> Option<String> {
        header(&self.response, name)
    }

    /// What comes next of the body; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        let piece = tokio::time::timeout(self.pause, self.response.chunk()).await;
        let piece = piece.map_err(|_| HttpError::Timeout(self.pause))?;
        let piece = piece.map_err(|error| transport_error(&error, &self.host, self.timeout))?;
        if let Some(piece) = &piece {
            self.left = self.left.checked_sub(piece.len()).ok_or(HttpError::TooLarge { limit: self.limit })?;
        }
        Ok(piece)
    }
}

/// How long an answer may be used without asking (RFC 9111 5.2.2), where it says.
pub fn max_age(cache_control: Option<&str>) -> Option<Duration> {
    let mut age = None;
    for directive in cache_control.unwrap_or_default().split(',') {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => age = value.trim_matches('"').parse().ok().map(Duration::from_secs).or(age),
            _ => {}
        }
    }
    age
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
    if error.is_connect() {
        return HttpError::Connect(innermost);
    }
    if error.is_timeout() { HttpError::Timeout(timeout) } else { HttpError::Transport(innermost) }
}
