//! Who is calling, whom, and which way. Reads the store behind a short-lived cache; decides, and does nothing else.
//!
//! Rows are kept for a few seconds; a change by the API empties the cache at once on this node. Numbers that are not found
//! are not kept, so a new one works with its first call; SIP users are, so that guessing at them tells nothing.

mod called;
mod caller;
mod credit;
mod dial;
mod directory;
mod domain;
mod emergency;
mod filter;
mod group;
mod identity;
mod message;
mod names;
mod order;
mod place;
mod plan;
mod replaces;
mod source;
mod spending;
mod stopped;
mod subscribe;
mod switch;
mod transfer;
mod trunks;
mod vouch;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use opentact_call::q850::Q850;
use opentact_sip::digest::{Algorithm, Challenger};
use opentact_store::Store;
use opentact_store::accounts::Account;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::defence::SharedGate;
use crate::dns::Locator;
use crate::http::EgressGuard;
use crate::journal::Journal;
use crate::ledger::{Ledger, SpeechPrices, Steps};
use crate::ports::VoiceCarrier;
use crate::spend::Meters;
use crate::stir::Stir;
use crate::trunk_board::TrunkBoard;

pub(crate) use self::directory::App;
use self::directory::Directory;
pub use self::emergency::EmergencyConfig;
pub(crate) use self::identity::{ANONYMOUS, is_history_withheld};
pub(crate) use self::message::{Correspondence, MessageAdmission, party};
use self::names::Names;
pub use self::plan::{
    About, Admission, Attempt, DialFault, DialPlan, DialRequest, Inquiry, LegContext, Limit, Over, Phones, Place, Plan,
    Refusal, Registration,
};
pub(crate) use self::replaces::{Newcomer, Seat};
pub(crate) use self::stopped::Stopped;
pub(crate) use self::subscribe::{Package, Watch, WatchAdmission};
pub(crate) use self::transfer::Referrer;

/// Settings of routing.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// Country of numbers written without a country code, ISO 3166 alpha-2.
    pub region: String,
    /// How long a call without a document waits for one by REST.
    pub park_timeout: Duration,
    /// How long a dialled SIP user or trunk may ring where nothing says.
    pub ring_timeout: Duration,
    /// How often each carrier is tried for a call that it answers with 5xx, at least 1.
    pub carrier_attempts: u32,
    /// Realm of the digest challenges to trunks.
    pub realm: String,
    /// Digest algorithms of challenges, the first most wanted.
    pub digest: Vec<Algorithm>,
    /// How long a row read from the database is used.
    pub cache_ttl: Duration,
    pub emergency: EmergencyConfig,
    /// How the time of calls that cost is counted.
    pub billing: Steps,
    /// What speech on calls costs.
    pub speech: SpeechPrices,
}

pub struct Router {
    config: RouterConfig,
    store: Store,
    directory: Directory,
    names: Names,
    board: TrunkBoard,
    /// Told of each change by the API.
    changed: Notify,
    /// Nonces and their counts; held for microseconds, never across an await.
    challenger: Mutex<Challenger>,
    carriers: ArcSwap<Vec<VoiceCarrier>>,
    guard: Arc<EgressGuard>,
    /// Told of right and wrong passwords.
    gate: SharedGate,
    locator: Locator,
    stir: Stir,
    /// Told of what no call's record tells.
    journal: Journal,
    /// What the calls of outbound voice profiles have cost.
    meters: Meters,
    /// Which limits of outbound voice profiles were told of.
    told: stopped::Told,
    /// What the calls of accounts cost.
    ledger: Ledger,
}

impl Router {
    pub(crate) fn new(
        config: RouterConfig,
        store: Store,
        challenger: Challenger,
        guard: Arc<EgressGuard>,
        gate: SharedGate,
        locator: Locator,
        stir: Stir,
        journal: Journal,
    ) -> Self {
        let directory = Directory::new(store.clone(), config.cache_ttl);
        let ledger = Ledger::new(store.clone(), journal.clone(), config.billing, config.speech);
        let meters = Meters::new(config.billing);
        Self {
            config,
            store,
            directory,
            names: Names::new(),
            board: TrunkBoard::default(),
            changed: Notify::new(),
            challenger: Mutex::new(challenger),
            carriers: ArcSwap::default(),
            guard,
            gate,
            locator,
            stir,
            journal,
            meters,
            told: stopped::Told::default(),
            ledger,
        }
    }

    /// A way to the telephone network, tried after those there are.
    pub fn add_carrier(&self, carrier: VoiceCarrier) {
        self.carriers.rcu(|carriers| {
            let mut carriers = Vec::clone(carriers);
            carriers.push(carrier);
            carriers
        });
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How the trunks do.
    pub(crate) fn board(&self) -> &TrunkBoard {
        &self.board
    }

    /// Waits until something has changed that is read from the database.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Forgets what was read: something of the account has changed.
    pub fn invalidate(&self, account: Uuid) {
        self.directory.clear();
        self.ledger.forget(account);
        self.changed.notify_one();
        self.stir.clear();
    }

    /// E.164 of what is a telephone number.
    fn number(&self, text: &str) -> Option<u64> {
        crate::number::e164(text, &self.config.region)
    }
}

/// A disabled account keeps its data and makes and takes no calls.
fn is_closed(account: &Account) -> bool {
    account.disabled_on.is_some() || account.deleted_on.is_some()
}

impl DialFault {
    /// A fault of the callee, or of the way there where the code is 5xx.
    pub(crate) fn new(sip: u16, reason: impl Into<String>) -> Self {
        let about = if sip >= 500 { About::Way } else { About::Callee };
        Self { about, sip, q850: Q850::from_sip(sip), reason: reason.into() }
    }

    fn about(about: About, sip: u16, reason: impl Into<String>) -> Self {
        Self { about, ..Self::new(sip, reason) }
    }
}
