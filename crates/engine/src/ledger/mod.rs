//! What calls to and from the telephone network cost their accounts (domain.md, billing): money is held back while they
//! talk, so that many at once cannot spend a balance twice, and charged when they end. So is what speech costs on calls.
//!
//! Each node holds for its own calls; what those of other nodes have cost is seen once it is booked.

mod purse;
mod speech;
mod steps;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_events::{Booked, Charge};
use opentact_store::accounts::Account;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::RefType;
use opentact_store::{Money, Store, StoreError};
use parking_lot::Mutex;
use uuid::Uuid;

use self::purse::Purse;
pub use self::speech::SpeechPrices;
pub use self::steps::Steps;
use crate::journal::Journal;

/// Accounts remembered before those without a call are forgotten.
const ACCOUNTS: usize = 10_000;

/// What a leg costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tariff {
    /// Price of a minute; zero for what is done at once.
    pub(crate) minute: Money,
    pub(crate) ref_type: RefType,
}

/// The money of all accounts that have calls.
#[derive(Debug)]
pub(crate) struct Ledger {
    store: Store,
    journal: Journal,
    steps: Steps,
    speech: SpeechPrices,
    purses: Mutex<HashMap<Uuid, Arc<Mutex<Purse>>>>,
}

/// What is held back for one leg, or for speech on it, until it is charged or nobody holds this any more.
#[derive(Debug)]
pub(crate) struct Holding {
    id: u64,
    purse: Arc<Mutex<Purse>>,
    account: Arc<Account>,
    tariff: Tariff,
    steps: Steps,
    journal: Journal,
}

impl Ledger {
    pub(crate) fn new(store: Store, journal: Journal, steps: Steps, speech: SpeechPrices) -> Self {
        Self { store, journal, steps, speech, purses: Mutex::default() }
    }

    /// Holds back what a leg costs at least; `None` where the account does not have it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn hold(
        &self,
        account: &Arc<Account>,
        tariff: Tariff,
    ) -> Result<Option<Arc<Holding>>, StoreError> {
        let purse = self.refreshed(account.uuid).await?;
        let Some(id) = purse.lock().hold(tariff.minute) else { return Ok(None) };
        Ok(Some(Arc::new(self.holding(id, purse, account, tariff))))
    }

    fn holding(&self, id: u64, purse: Arc<Mutex<Purse>>, account: &Arc<Account>, tariff: Tariff) -> Holding {
        let (account, journal) = (account.clone(), self.journal.clone());
        Holding { id, purse, account, tariff, steps: self.steps, journal }
    }

    /// Whether the account has anything for a call.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn pays(&self, account: Uuid) -> Result<bool, StoreError> {
        Ok(self.refreshed(account).await?.lock().pays())
    }

    /// Reads the balance of an account again.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn refresh(&self, account: Uuid) -> Result<(), StoreError> {
        self.forget(account);
        self.refreshed(account).await.map(drop)
    }

    /// The balance of an account may be another than what was read.
    pub(crate) fn forget(&self, account: Uuid) {
        self.purse(account).lock().forget();
    }

    async fn refreshed(&self, account: Uuid) -> Result<Arc<Mutex<Purse>>, StoreError> {
        let purse = self.purse(account);
        let before = {
            let purse = purse.lock();
            (!purse.is_known(Instant::now())).then(|| purse.changes())
        };
        if let Some(before) = before {
            let balance = self.store.accounts().get(account).await?.balance;
            purse.lock().read(Instant::now(), before, balance);
        }
        Ok(purse)
    }

    fn purse(&self, account: Uuid) -> Arc<Mutex<Purse>> {
        let mut purses = self.purses.lock();
        if purses.len() >= ACCOUNTS && !purses.contains_key(&account) {
            purses.retain(|_, purse| Arc::strong_count(purse) > 1 || !purse.lock().is_empty());
        }
        purses.entry(account).or_insert_with(|| Arc::new(Mutex::new(Purse::new(self.steps)))).clone()
    }
}

impl Holding {
    /// When more has to be held for the leg, which was answered `answered`.
    pub(crate) fn due(&self, answered: Instant) -> Option<Instant> {
        self.purse.lock().due(self.id, answered)
    }

    /// Holds back more, so that the leg may go on; false where the account does not have it.
    pub(crate) fn extend(&self) -> bool {
        self.purse.lock().extend(self.id)
    }

    /// What the leg has cost. That is held back until it is booked.
    pub(crate) fn charge(self: Arc<Self>, leg: Uuid, party: &str, talked: Duration) -> Option<Charge> {
        let cost = self.steps.price(self.tariff.minute, talked);
        self.purse.lock().owe(self.id, cost);
        if cost.is_zero() {
            return None;
        }
        let way = if self.tariff.ref_type == RefType::VoiceIncoming { "from" } else { "to" };
        let seconds = talked.as_millis().div_ceil(1_000);
        let description = format!("Call {way} {party}, {seconds} s at {} a minute", self.tariff.minute);
        let transaction = NewTransaction::charge(cost, self.tariff.ref_type, leg, description);
        Some(Charge { transaction, booked: Box::new(Owed(self)) })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.purse.lock().release(self.id);
    }
}

#[derive(Debug)]
struct Owed(Arc<Holding>);

impl Booked for Owed {
    fn booked(&self, balance: Money, last: bool) {
        let Holding { id, purse, account, tariff, journal, .. } = &*self.0;
        {
            let mut purse = purse.lock();
            purse.tell(Instant::now(), balance);
            purse.release(*id);
        }
        if last {
            let source_action = match tariff.ref_type {
                RefType::VoiceIncoming => "voice_charge_in",
                RefType::Asr => "call_asr",
                RefType::Tts => "tts",
                _ => "voice_charge_out",
            };
            journal.balance(account, balance, source_action);
        }
    }
}
