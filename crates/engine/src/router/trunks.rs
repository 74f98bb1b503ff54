//! Over which trunk a call comes: by certificate, address, network or host name, and where several share that, by source port, digest
//! user, tech prefix, and whose the number called is (domain.md, inbound call 1).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use opentact_sip::digest::{Authorization, Ha1, Realm, Verdict};
use opentact_store::StoreError;
use opentact_store::connections::SipConnection;
use opentact_store::numbers::TnLease;
use opentact_store::types::{Direction, Party};

use super::called::unreadable;
use super::caller::Caller;
use super::source::Sources;
use super::{Admission, Inquiry, Refusal, Router};

/// Trunks with the same digest user whose passwords are tried; users are free to be the same in different accounts.
const NAMESAKES: usize = 8;

/// Trunks that are told by something else than their own address.
pub(super) struct Trunks {
    told: Sources<SipConnection>,
    digest: Vec<Arc<SipConnection>>,
}

impl Trunks {
    pub(super) fn of(rows: Vec<SipConnection>) -> Self {
        let mut trunks = Self { told: Sources::new(), digest: Vec::new() };
        for row in rows.into_iter().map(Arc::new) {
            for source in row.sources.iter().chain(&row.hostname) {
                trunks.told.add(source, &row);
            }
            if row.authenticate {
                trunks.digest.push(row);
            }
        }
        trunks
    }
}

impl Router {
    /// Active trunks, of all accounts, that calls from this address may come over.
    pub(super) async fn trunks_at(&self, address: IpAddr) -> Result<Vec<SipConnection>, StoreError> {
        let mut found = self.directory.trunks(&address.to_canonical().to_string()).await?.to_vec();
        for trunk in self.told_by(&self.directory.sources().await?.told, address).await {
            if found.iter().all(|known| known.uuid != trunk.uuid) {
                found.push(SipConnection::clone(&trunk));
            }
        }
        Ok(found)
    }

    /// Active trunks, of all accounts, whose host names are among those that a certificate proves, whatever the address.
    pub(super) async fn trunks_named(&self, certified: &[String]) -> Result<Vec<SipConnection>, StoreError> {
        let mut found: Vec<SipConnection> = Vec::new();
        if certified.is_empty() {
            return Ok(found);
        }
        let sources = self.directory.sources().await?;
        for trunk in certified.iter().flat_map(|name| sources.told.named(name)) {
            if found.iter().all(|known| known.uuid != trunk.uuid) {
                found.push(SipConnection::clone(trunk));
            }
        }
        Ok(found)
    }

    /// Addresses and small networks of all active trunks and switches: they are not limited or banned.
    pub(crate) async fn trunk_networks(&self) -> Result<Vec<IpNet>, StoreError> {
        let addresses = self.store.connections().addresses().await?;
        let mut networks: Vec<IpNet> =
            addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()).map(IpNet::from).collect();
        networks.extend(self.small_networks(&self.directory.sources().await?.told).await);
        networks.extend(self.small_networks(&*self.directory.switches().await?).await);
        Ok(networks)
    }

    /// Who of the trunks at an address calls; without any, who proves by digest to be one.
    pub(super) async fn by_digest(
        &self,
        inquiry: &Inquiry,
        trunks: Vec<SipConnection>,
    ) -> Result<Result<Caller, Admission>, StoreError> {
        let sources = self.directory.sources().await?;
        let (closed, open): (Vec<_>, Vec<_>) = trunks.into_iter().partition(|trunk| trunk.authenticate);
        let name = self.config.realm.as_str();
        let values = inquiry.authorization.iter().map(|value| value.as_ref());
        let (source, now) = (inquiry.source.ip(), unix_now());
        let realm = Realm { name, client: Some(source) };
        let Some(authorization) = Authorization::find(values, name) else {
            if !open.is_empty() {
                return Ok(Ok(Caller::Trunks(open)));
            }
            if closed.is_empty() && sources.digest.is_empty() {
                return Ok(Err(Admission::Refuse(Refusal::new(403, "Forbidden"))));
            }
            return Ok(Err(self.challenge(realm, false, now)));
        };
        let user = format!("trunk {}", authorization.user);
        if self.gate.lock().is_locked(Instant::now(), source, &user) {
            return Ok(Err(Admission::Refuse(Refusal::new(403, "Forbidden"))));
        }
        let named = |trunk: &&Arc<SipConnection>| trunk.username.as_ref() == Some(&authorization.user);
        let mut secrets = Vec::new();
        for trunk in sources.digest.iter().filter(named).take(NAMESAKES) {
            if let Some(password) = self.store.connections().password(trunk)? {
                let hash = authorization.algorithm.hash();
                secrets.push((trunk, Some(Ha1::new(hash, &authorization.user, name, &password))));
            }
        }
        let nobody = sources.digest.first().map(|trunk| (trunk, None));
        if secrets.is_empty() {
            // It costs and says the same as a wrong password.
            secrets.extend(nobody);
        }
        let algorithms = &self.config.digest;
        for (trunk, secret) in &secrets {
            let verdict =
                self.challenger.lock().verify(&authorization, realm, &inquiry.method, algorithms, secret.as_ref(), now);
            match verdict {
                Verdict::Ok(_) => {
                    self.gate.lock().auth_passed(source, &user);
                    return Ok(Ok(Caller::Trunks(vec![SipConnection::clone(trunk)])));
                }
                Verdict::Stale => return Ok(Err(self.challenge(realm, true, now))),
                Verdict::Wrong | Verdict::Missing => {}
            }
        }
        self.gate.lock().auth_failed(Instant::now(), source, &user);
        Ok(Err(Admission::Refuse(Refusal::new(403, "Forbidden"))))
    }

    fn challenge(&self, realm: Realm<'_>, stale: bool, now: u64) -> Admission {
        Admission::Challenge(self.challenger.lock().challenge(realm, &self.config.digest, stale, now))
    }

    /// The number called and the trunk it is called over: as the trunk writes numbers, with or without the trunk's tech
    /// prefix.
    pub(super) async fn called_over<'a>(
        &self,
        inquiry: &Inquiry,
        trunks: &'a [SipConnection],
    ) -> Result<Option<(TnLease, &'a SipConnection)>, Refusal> {
        let Some(asked) = inquiry.request_uri.user_text() else { return Ok(None) };
        for prefixed in [false, true] {
            for trunk in trunks {
                // Who is registered with a provider may be called by the contact; the number is then in To.
                let registered = trunk.register && trunk.username.as_deref() == Some(&*asked);
                let to = inquiry.to.user_text().filter(|_| registered);
                let dialled = to.as_ref().unwrap_or(&asked);
                let prefix = trunk.tech_prefix.to_string();
                let bare = dialled.strip_prefix('+').unwrap_or(dialled);
                let called = match prefixed {
                    false => &**dialled,
                    true => match bare.strip_prefix(&*prefix) {
                        Some(rest) => rest,
                        None => continue,
                    },
                };
                let called = trunk.routing.rewrite(Direction::In, Party::Called, called);
                if let Some(lease) = self.lease_of(&called).await.map_err(unreadable)?
                    && lease.account == trunk.account
                {
                    return Ok(Some((lease, trunk)));
                }
            }
        }
        Ok(None)
    }
}

/// Unix time, seconds.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
