//! Certificates of those who sign, fetched from where they say and kept for a while (RFC 8224 7.2, ATIS-1000074 5.3.1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use opentact_stir::{Chain, Fault, Reason};
use opentact_store::Store;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use url::Url;
use uuid::Uuid;

use crate::http::{Fetch, HttpClient, max_age};

/// Places remembered; at the limit the least used is forgotten.
const PLACES: u64 = 10_000;
/// Fetches at once. What comes on top fails at once: anybody can name a place that never answers.
const AT_ONCE: usize = 64;
/// A fetch goes on for so long, whoever still waits for it: the next call then has it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of a chain.
const MAX_OCTETS: usize = 64 << 10;
/// How long a certificate is used where the server does not say.
const FRESH: Duration = Duration::from_secs(3600);
/// What the server says is kept within these.
const FRESH_MIN: Duration = Duration::from_secs(60);
const FRESH_MAX: Duration = Duration::from_secs(86_400);
/// How long a place that had no certificate is not asked again.
const FAILED: Duration = Duration::from_secs(30);

/// What was found, and for how long it counts.
#[derive(Clone)]
struct Found {
    chain: Result<Arc<Chain>, Fault>,
    lasts: Duration,
}

struct Lasts;

impl Expiry<String, Found> for Lasts {
    fn expire_after_create(&self, _: &String, found: &Found, _: Instant) -> Option<Duration> {
        Some(found.lasts)
    }
}

/// Certificates by the URL they are published at.
pub(super) struct Certificates {
    http: HttpClient,
    store: Store,
    /// Start of the URLs of the node's own certificates.
    own: String,
    found: Cache<String, Found>,
    slots: Arc<Semaphore>,
    /// Where it was made, and fetches run.
    runtime: Handle,
}

/// Where a certificate of this node is published.
pub(super) fn own_url(public_url: &str, certificate: Uuid) -> String {
    format!("{public_url}/shaken/{certificate}.pem")
}

impl Certificates {
    pub(super) fn new(http: HttpClient, store: Store, public_url: &str) -> Self {
        Self {
            http,
            store,
            own: format!("{public_url}/shaken/"),
            found: Cache::builder().max_capacity(PLACES).expire_after(Lasts).build(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            runtime: Handle::current(),
        }
    }

    /// The chain at a URL, or why there is none. Who stops waiting does not stop the fetch.
    pub(super) async fn get(&self, url: &str) -> Result<Arc<Chain>, Fault> {
        if let Some(file) = url.strip_prefix(&self.own) {
            return self.own(file).await;
        }
        if let Some(found) = self.found.get(url).await {
            return found.chain;
        }
        check(url)?;
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            return Err(Fault::new(Reason::BadInfo, "too many certificates are being fetched"));
        };
        let (found, http, url) = (self.found.clone(), self.http.clone(), url.to_owned());
        let fetching = self.runtime.spawn(async move {
            // Two who ask at once share one fetch.
            let found = found.get_with(url.clone(), fetch(http, url)).await;
            drop(slot);
            found.chain
        });
        fetching.await.unwrap_or_else(|_| Err(Fault::new(Reason::BadInfo, "the fetch was broken off")))
    }

    /// One of ours: it would be strange to ask ourselves over the network, and most networks do not lead back.
    async fn own(&self, file: &str) -> Result<Arc<Chain>, Fault> {
        let unknown = || Fault::new(Reason::BadInfo, "no such certificate is published here");
        let uuid = file.strip_suffix(".pem").and_then(|uuid| uuid.parse().ok()).ok_or_else(unknown)?;
        let row = self.store.shaken_certificates().published(uuid).await.map_err(|error| {
            tracing::error!(%error, "certificates could not be read");
            Fault::new(Reason::BadInfo, "the database does not answer")
        })?;
        parse(row.ok_or_else(unknown)?.chain.as_bytes())
    }
}

/// RFC 8224 7.2 has us refuse what we would not dereference with 436.
fn check(url: &str) -> Result<(), Fault> {
    let bad = |detail: &str| Fault::new(Reason::BadInfo, format!("{detail}: {url}"));
    let parsed = Url::parse(url).map_err(|_| bad("info is no URL"))?;
    if parsed.scheme() != "https" {
        return Err(bad("info is no https URL"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad("info has credentials"));
    }
    Ok(())
}

async fn fetch(http: HttpClient, url: String) -> Found {
    let request = Fetch {
        url,
        method: reqwest::Method::GET,
        query: Vec::new(),
        headers: vec![(
            "Accept".to_owned(),
            "application/pem-certificate-chain, application/pkix-cert, */*".to_owned(),
        )],
        body: None,
        timeout: Some(FETCH_TIMEOUT),
        limit: MAX_OCTETS,
        etag: None,
    };
    let failed = |fault| Found { chain: Err(fault), lasts: FAILED };
    match http.fetch(request).await {
        Ok(answer) if answer.status == 200 => match parse(&answer.body) {
            Ok(chain) => Found { chain: Ok(chain), lasts: lasts(answer.cache_control.as_deref()) },
            Err(fault) => failed(fault),
        },
        Ok(answer) => failed(Fault::new(Reason::BadInfo, format!("certificate: HTTP status {}", answer.status))),
        Err(error) => failed(Fault::new(Reason::BadInfo, format!("certificate: {error}"))),
    }
}

fn parse(octets: &[u8]) -> Result<Arc<Chain>, Fault> {
    let unsupported = |error: opentact_stir::ChainError| Fault::new(Reason::UnsupportedCredential, error.to_string());
    Chain::parse(octets).map(Arc::new).map_err(unsupported)
}

/// How long an answer counts (RFC 9111 5.2.2), within our limits.
fn lasts(cache_control: Option<&str>) -> Duration {
    max_age(cache_control).unwrap_or(FRESH).clamp(FRESH_MIN, FRESH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_how_long_within_limits() {
        for (header, seconds) in [
            (None, 3600),
            (Some("public, max-age=600"), 600),
            (Some("Max-Age=\"600\""), 600),
            (Some("max-age=1"), 60),
            (Some("max-age=99999999999"), 86_400),
            (Some("max-age=soon"), 3600),
            (Some("max-age=600, no-store"), 60),
        ] {
            assert_eq!(lasts(header), Duration::from_secs(seconds), "{header:?}");
        }
    }

    #[test]
    fn only_plain_https_is_asked() {
        for url in ["http://e.org/c", "ftp://e.org/c", "c.pem", "https://user:password@e.org/c", "https://user@e.org/c"]
        {
            assert_eq!(check(url).unwrap_err().reason, Reason::BadInfo, "{url}");
        }
        assert_eq!(check("https://e.org:8443/c.pem"), Ok(()));
    }
}
