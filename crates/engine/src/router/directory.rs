//! The rows routing reads, kept for a moment.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use opentact_call::DialTarget;
use opentact_callflow::{Document, Mode};
use opentact_store::accounts::Account;
use opentact_store::apps::SipControlApp;
use opentact_store::connections::SipConnection;
use opentact_store::domains::SipDomain;
use opentact_store::lerg::LergBlock;
use opentact_store::numbers::{Number, Prices, TnLease};
use opentact_store::office_hours::OfficeHours;
use opentact_store::sip_users::SipUser;
use opentact_store::tn_filters::TnFilter;
use opentact_store::voice_profiles::OutboundVoiceProfile;
use opentact_store::{Ha1, Store, StoreError, Tn};
use uuid::Uuid;

use super::switch::{Switches, switches};
use super::trunks::Trunks;
use crate::kept::Changes;

/// Rows of each kind kept at most.
const ROWS: u64 = 50_000;
/// Octets; no user's is longer, and none such is looked for.
const LONGEST_LOGIN: usize = 1_024;

/// A SIP user with what its logins are checked against.
pub(super) struct Subscriber {
    pub(super) user: SipUser,
    pub(super) domain: SipDomain,
    pub(super) ha1: Ha1,
}

/// The users of a group, and how each is dialled.
pub(super) type Members = Vec<(Uuid, DialTarget)>;

/// An app with its static document read.
pub(crate) struct App {
    pub(crate) row: SipControlApp,
    pub(super) document: Option<Document>,
}

/// An account with what its flows ask for.
#[derive(Debug)]
pub struct Tenant {
    pub(crate) row: Arc<Account>,
    /// When its office is closed, as flows read it ([`opentact_callflow::schedule::CLOSED`]).
    pub(super) closed: Option<String>,
}

impl Deref for Tenant {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.row
    }
}

/// `mon 0-32399,mon 61200-86399`.
fn closed(hours: &[OfficeHours]) -> String {
    let entry = |hours: &OfficeHours| format!("{} {}-{}", hours.dow.as_str(), hours.time_from, hours.time_to);
    hours.iter().map(entry).collect::<Vec<_>>().join(",")
}

impl Subscriber {
    /// `login@domain`: the address of record.
    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.user.login, self.domain.domain)
    }
}

pub(super) struct Directory {
    store: Store,
    changes: Changes,
    accounts: Cache<Uuid, Arc<Tenant>>,
    leases: Cache<Tn, Arc<TnLease>>,
    numbers: Cache<Tn, Arc<Number>>,
    apps: Cache<Uuid, Arc<App>>,
    domains: Cache<String, Arc<SipDomain>>,
    subscribers: Cache<(String, String), Arc<Subscriber>>,
    /// Logins and domains of no user. Who asks for one learns it no faster or slower than that a password is wrong.
    strangers: Cache<(String, String), ()>,
    connections: Cache<Uuid, Arc<SipConnection>>,
    trunks: Cache<String, Arc<Vec<SipConnection>>>,
    /// One entry: the trunks of all accounts that are told by more than an address.
    sources: Cache<(), Arc<Trunks>>,
    /// One entry: the switches of all accounts.
    switches: Cache<(), Arc<Switches>>,
    profiles: Cache<Uuid, Arc<OutboundVoiceProfile>>,
    /// By account and id.
    groups: Cache<(Uuid, Uuid), Arc<Members>>,
    /// By account and price profile.
    prices: Cache<(Uuid, Uuid), Arc<Prices>>,
    filters: Cache<(Uuid, Uuid), Arc<TnFilter>>,
    /// One entry: whether a LERG file was uploaded.
    lerg: Cache<(), Arc<bool>>,
    /// Of the LERG, by a number without its last three digits.
    blocks: Cache<u64, Arc<LergBlock>>,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Directory {
    pub(super) fn new(store: Store, ttl: Duration) -> Self {
        fn cache<K, V>(ttl: Duration) -> Cache<K, V>
        where
            K: std::hash::Hash + Eq + Send + Sync + 'static,
            V: Clone + Send + Sync + 'static,
        {
            Cache::builder().max_capacity(ROWS).time_to_live(ttl).build()
        }
        Self {
            store,
            changes: Changes::default(),
            accounts: cache(ttl),
            leases: cache(ttl),
            numbers: cache(ttl),
            apps: cache(ttl),
            domains: cache(ttl),
            subscribers: cache(ttl),
            strangers: cache(ttl),
            connections: cache(ttl),
            trunks: cache(ttl),
            sources: cache(ttl),
            switches: cache(ttl),
            profiles: cache(ttl),
            groups: cache(ttl),
            prices: cache(ttl),
            filters: cache(ttl),
            lerg: cache(ttl),
            blocks: cache(ttl),
        }
    }

    pub(super) fn clear(&self) {
        self.changes.happened();
        self.accounts.invalidate_all();
        self.leases.invalidate_all();
        self.numbers.invalidate_all();
        self.apps.invalidate_all();
        self.domains.invalidate_all();
        self.subscribers.invalidate_all();
        self.strangers.invalidate_all();
        self.connections.invalidate_all();
        self.trunks.invalidate_all();
        self.sources.invalidate_all();
        self.switches.invalidate_all();
        self.profiles.invalidate_all();
        self.groups.invalidate_all();
        self.prices.invalidate_all();
        self.filters.invalidate_all();
        self.lerg.invalidate_all();
        self.blocks.invalidate_all();
    }

    pub(super) async fn account(&self, uuid: Uuid) -> Result<Arc<Tenant>> {
        let read = async {
            let row = Arc::new(self.store.accounts().get(uuid).await?);
            let hours = self.store.office_hours().list(uuid).await?;
            Ok(Tenant { row, closed: (!hours.is_empty()).then(|| closed(&hours)) })
        };
        self.cached(&self.accounts, uuid, read).await
    }

    /// The lease of a number, whoever holds it.
    pub(super) async fn lease(&self, tn: u64) -> Result<Option<Arc<TnLease>>> {
        let Ok(tn) = Tn::try_from(tn) else { return Ok(None) };
        self.maybe_cached(&self.leases, tn, self.store.numbers().active_lease(tn)).await
    }

    /// A number of the inventory.
    pub(super) async fn number(&self, tn: Tn) -> Result<Option<Arc<Number>>> {
        self.maybe_cached(&self.numbers, tn, self.store.numbers().number(tn)).await
    }

    /// Where a number is, by the LERG.
    pub(super) async fn block(&self, tn: Tn) -> Result<Option<Arc<LergBlock>>> {
        let lerg = self.store.lerg();
        if tn.npa().is_none() || !*self.cached(&self.lerg, (), lerg.is_known()).await? {
            return Ok(None);
        }
        self.maybe_cached(&self.blocks, tn.get() / 1_000, lerg.find(tn)).await
    }

    pub(super) async fn app(&self, account: Uuid, uuid: Uuid) -> Result<Arc<App>> {
        if let Some(app) = self.apps.get(&uuid).await.filter(|app| app.row.account == account) {
            return Ok(app);
        }
        let since = self.changes.so_far();
        let row = self.store.apps().get(account, uuid).await?;
        // Checked when it was stored; by a version that knew more, perhaps, so faults are left to the elements.
        let document = row.xml.as_deref().and_then(|xml| opentact_callflow::parse(xml, Mode::Lenient).ok());
        let app = Arc::new(App { row, document });
        self.changes.keep(since, &self.apps, uuid, app.clone()).await;
        Ok(app)
    }

    pub(super) async fn domain(&self, name: &str) -> Result<Option<Arc<SipDomain>>> {
        let name = name.to_ascii_lowercase();
        let domains = self.store.domains();
        self.maybe_cached(&self.domains, name.clone(), domains.by_name(&name)).await
    }

    pub(super) async fn subscriber(&self, login: &str, domain: &str) -> Result<Option<Arc<Subscriber>>> {
        let key = (login.to_owned(), domain.to_ascii_lowercase());
        if let Some(known) = self.subscribers.get(&key).await {
            return Ok(Some(known));
        }
        if login.len() > LONGEST_LOGIN || self.strangers.contains_key(&key) {
            return Ok(None);
        }
        let since = self.changes.so_far();
        let Some((user, domain)) = self.store.sip_users().by_address(&key.0, &key.1).await? else {
            self.changes.keep(since, &self.strangers, key, ()).await;
            return Ok(None);
        };
        let ha1 = self.store.sip_users().ha1(&user)?;
        let subscriber = Arc::new(Subscriber { user, domain, ha1 });
        self.changes.keep(since, &self.subscribers, key, subscriber.clone()).await;
        Ok(Some(subscriber))
    }

    /// A SIP user by its id: for numbers that ring one.
    pub(super) async fn subscriber_by_id(&self, account: Uuid, uuid: Uuid) -> Result<Option<Arc<Subscriber>>> {
        let user = self.store.sip_users().get(account, uuid).await?;
        let domain = self.store.domains().get(account, user.sip_domain).await?;
        self.subscriber(&user.login, &domain.domain).await
    }

    pub(super) async fn connection(&self, account: Uuid, uuid: Uuid) -> Result<Arc<SipConnection>> {
        let found = self.cached(&self.connections, uuid, self.store.connections().get(account, uuid)).await?;
        if found.account == account { Ok(found) } else { Err(StoreError::NotFound("SIP Connection")) }
    }

    /// Active trunks of an address, of all accounts.
    pub(super) async fn trunks(&self, ip: &str) -> Result<Arc<Vec<SipConnection>>> {
        let read = async {
            let trunks = self.store.connections().by_ip(ip).await?;
            Ok((!trunks.is_empty()).then_some(trunks))
        };
        Ok(self.maybe_cached(&self.trunks, ip.to_owned(), read).await?.unwrap_or_default())
    }

    /// Trunks that are told by networks, host names or digest.
    pub(super) async fn sources(&self) -> Result<Arc<Trunks>> {
        let read = async { Ok(Trunks::of(self.store.connections().told_otherwise().await?)) };
        self.cached(&self.sources, (), read).await
    }

    /// Who calls as a domain by where the call comes from.
    pub(super) async fn switches(&self) -> Result<Arc<Switches>> {
        let read = async { Ok(switches(self.store.sip_switches().active().await?)) };
        self.cached(&self.switches, (), read).await
    }

    /// The active members of a group, and how each is dialled.
    pub(super) async fn group(&self, account: Uuid, uuid: Uuid) -> Result<Arc<Members>> {
        let read = async {
            let group = self.store.sip_user_groups().get(account, uuid).await?;
            let domain = self.store.domains().get(account, group.sip_domain).await?.domain;
            let users = self.store.sip_users().list(account, group.sip_domain).await?.into_iter();
            let members = users.filter(|user| user.is_active && group.users.contains(&user.uuid));
            let target = |user: SipUser| (user.uuid, DialTarget::User { user: user.login, domain: domain.clone() });
            Ok(members.map(target).collect())
        };
        self.cached(&self.groups, (account, uuid), read).await
    }

    /// What calls of numbers of a price profile cost an account.
    pub(super) async fn prices(&self, account: Uuid, profile: Uuid) -> Result<Arc<Prices>> {
        self.cached(&self.prices, (account, profile), self.store.numbers().prices_for(account, profile)).await
    }

    /// Who may call a number.
    pub(super) async fn filter(&self, account: Uuid, uuid: Uuid) -> Result<Arc<TnFilter>> {
        self.cached(&self.filters, (account, uuid), self.store.tn_filters().get(account, uuid)).await
    }

    pub(super) async fn profile(&self, account: Uuid, uuid: Uuid) -> Result<Arc<OutboundVoiceProfile>> {
        let found = self.cached(&self.profiles, uuid, self.store.voice_profiles().get(account, uuid)).await?;
        if found.account == account { Ok(found) } else { Err(StoreError::NotFound("Outbound voice profile")) }
    }

    async fn cached<K, V>(
        &self,
        cache: &Cache<K, Arc<V>>,
        key: K,
        read: impl Future<Output = Result<V>>,
    ) -> Result<Arc<V>>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        self.changes.cached(cache, key, async { read.await.map(Arc::new) }).await
    }

    async fn maybe_cached<K, V>(
        &self,
        cache: &Cache<K, Arc<V>>,
        key: K,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<Arc<V>>>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        // What is not there is not kept.
        let read = async { read.await.map_err(Some)?.map(Arc::new).ok_or(None) };
        self.changes.cached(cache, key, read).await.map(Some).or_else(|fault| fault.map_or(Ok(None), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let directory = Directory::new(Store::in_memory().await.unwrap(), Duration::from_secs(60));
        let read = async {
            directory.clear();
            Ok(false)
        };
        assert!(!*directory.cached(&directory.lerg, (), read).await.unwrap());
        assert!(directory.lerg.get(&()).await.is_none());
        assert!(*directory.cached(&directory.lerg, (), async { Ok(true) }).await.unwrap());
        assert!(*directory.cached(&directory.lerg, (), async { Ok(false) }).await.unwrap());
    }
}
