//! STIR/SHAKEN at this node: who calls is checked on the way in and vouched for on the way out.
//!
//! The rules are those of the crate `stir`; here are the clock, the fetching of certificates and the keys. All of it runs
//! in the tasks that route calls, beside the core.

mod outgoing;
mod vouched;
mod x5u;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures_util::future::join_all;
use moka::future::Cache;
use opentact_stir::{Anchors, Evidence, Fault, Reason, Replays, Rules, Signer, SigningKey, Subject, Verified};
use opentact_store::{Store, StoreError};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use uuid::Uuid;

use self::x5u::Certificates;
use crate::http::{EgressGuard, HttpClient, HttpError};
use crate::kept::Changes;

pub(crate) use self::outgoing::Outgoing;
pub(crate) use self::vouched::{Screening, Vouched, level};

/// Accounts whose key is kept ready.
const SIGNERS: u64 = 10_000;

/// Settings of STIR/SHAKEN.
#[derive(Debug, Clone)]
pub struct StirConfig {
    /// The authorities whose certificates count.
    pub anchors: Anchors,
    /// How far `iat` may be from now.
    pub window: Duration,
    /// How long a call waits for certificates that have to be fetched.
    pub verify_timeout: Duration,
    /// Identities remembered against replay; 0 for none.
    pub replays: usize,
    /// Authorities that servers of certificates are trusted by, besides those of the operating system.
    pub roots: Vec<CertificateDer<'static>>,
    /// `https://host[:port]` of this node, where its own certificates are published.
    pub public_url: String,
}

impl Default for StirConfig {
    /// Trusts nobody, and publishes nothing that anybody could reach.
    fn default() -> Self {
        Self {
            anchors: Anchors::default(),
            window: Duration::from_secs(60),
            verify_timeout: Duration::from_secs(2),
            replays: 100_000,
            roots: Vec::new(),
            public_url: "https://localhost".to_owned(),
        }
    }
}

/// Checks and signs for all calls of the node.
pub(crate) struct Stir {
    anchors: Anchors,
    rules: Rules,
    verify_timeout: Duration,
    /// Held for microseconds, never across an await.
    replays: Mutex<Replays>,
    certificates: Certificates,
    store: Store,
    changes: Changes,
    signers: Cache<Uuid, Option<Signer>>,
    public_url: String,
}

impl Stir {
    pub(crate) fn new(
        config: StirConfig,
        store: Store,
        guard: EgressGuard,
        cache_ttl: Duration,
    ) -> Result<Self, HttpError> {
        let http = HttpClient::https_only(guard, crate::engine::PRODUCT, &config.roots)?;
        Ok(Self {
            anchors: config.anchors,
            rules: Rules { window: i64::try_from(config.window.as_secs()).unwrap_or(i64::MAX) },
            verify_timeout: config.verify_timeout,
            replays: Mutex::new(Replays::new(config.replays)),
            certificates: Certificates::new(http, store.clone(), &config.public_url),
            store,
            changes: Changes::default(),
            signers: Cache::builder().max_capacity(SIGNERS).time_to_live(cache_ttl).build(),
            public_url: config.public_url,
        })
    }

    /// Forgets keys: a certificate has changed.
    pub(crate) fn clear(&self) {
        self.changes.happened();
        self.signers.invalidate_all();
    }

    /// Checks the Identity headers of a call.
    pub(crate) async fn verify(&self, values: &[Bytes], subject: &Subject, call_id: &[u8]) -> Result<Verified, Fault> {
        let verdict = self.judge(values, subject, call_id).await;
        let result = match &verdict {
            Ok(_) => "passed",
            Err(fault) => match fault.reason {
                Reason::NoIdentity => "no_identity",
                Reason::Stale => "stale",
                Reason::BadInfo => "bad_info",
                Reason::UnsupportedCredential => "unsupported_credential",
                Reason::InvalidIdentity => "invalid_identity",
            },
        };
        metrics::counter!("opentact_stir_verifications_total", "result" => result).increment(1);
        verdict
    }

    async fn judge(&self, values: &[Bytes], subject: &Subject, call_id: &[u8]) -> Result<Verified, Fault> {
        let values = values.iter().map(|value| value.as_ref());
        let evidence = Evidence::read(values, subject, self.rules, Utc::now().timestamp())?;
        let urls = evidence.urls();
        let found = join_all(urls.iter().map(|url| self.certificates.get(url)));
        let late = |_| Fault::new(Reason::BadInfo, format!("no certificate within {:?}", self.verify_timeout));
        let found = tokio::time::timeout(self.verify_timeout, found).await.map_err(late)?;
        let certificate = |url: &str| match urls.iter().position(|known| *known == url).map(|at| &found[at]) {
            Some(found) => found.clone(),
            None => Err(Fault::new(Reason::BadInfo, "certificate was not asked for")),
        };
        let now = Utc::now().timestamp();
        let verified = evidence.judge(certificate, &self.anchors, now)?;
        // Last, so that nobody can have an identity forgotten, or burnt, with one that does not hold.
        if !self.replays.lock().admit(evidence.fingerprint(), call_id, evidence.until(self.rules), now) {
            return Err(Fault::new(Reason::InvalidIdentity, "the identity was seen with another call"));
        }
        Ok(verified)
    }

    /// What the account signs with; `None` without a certificate.
    pub(crate) async fn signer(&self, account: Uuid) -> Result<Option<Signer>, StoreError> {
        self.changes.cached(&self.signers, account, self.read_signer(account)).await
    }

    async fn read_signer(&self, account: Uuid) -> Result<Option<Signer>, StoreError> {
        let certificates = self.store.shaken_certificates();
        let Some(certificate) = certificates.signing(account, Utc::now()).await? else { return Ok(None) };
        Ok(match SigningKey::from_pem(&certificates.key(&certificate)?) {
            Ok(key) => Some(Signer::new(Arc::new(key), x5u::own_url(&self.public_url, certificate.uuid))),
            Err(error) => {
                tracing::error!(certificate = %certificate.uuid, %error, "key of a certificate is not usable");
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_read_before_a_change_is_not_kept_after_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = Store::in_memory().await.unwrap();
        let guard = EgressGuard::new(Vec::new());
        let stir = Stir::new(StirConfig::default(), store, guard, Duration::from_secs(60)).unwrap();
        let account = Uuid::new_v4();
        let (signer, ()) = tokio::join!(biased; stir.signer(account), async { stir.clear() });
        assert!(signer.unwrap().is_none());
        assert!(stir.signers.get(&account).await.is_none());
        stir.signer(account).await.unwrap();
        assert!(stir.signers.get(&account).await.is_some());
    }
}
