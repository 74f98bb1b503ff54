//! An account with numbers, a database and a hub, for tests of the queue.

// Each of the tests uses a part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use opentact_engine::ports::{SendMessage, Sender};
use opentact_events::Hub;
use opentact_store::accounts::NewAccount;
use opentact_store::messaging_profiles::NewMessagingProfile;
use opentact_store::numbers::{NewLease, TnLease};
use opentact_store::sms::{NewSms, Waiting};
use opentact_store::types::{Feature, Priority, SmsType, TnKind};
use opentact_store::{Keyring, Money, Settings, Store, Tn};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub const OURS: u64 = 12025550150;
pub const OTHER: u64 = 12125550110;
pub const SEND_PRICE: i64 = 7_500;

/// Nothing here takes longer unless it is broken.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("{what} never happened"))
}

/// A database with its tables: to make them takes longer than most tests.
static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();

async fn empty() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty.db");
    let store = connect(&file).await;
    store.migrate().await.unwrap();
    store.close().await.unwrap();
    tokio::fs::read(&file).await.unwrap()
}

async fn connect(file: &Path) -> Store {
    let url = format!("sqlite:{}", file.display());
    Store::connect(&Settings::new(url), Keyring::ephemeral().unwrap()).await.unwrap()
}

/// An account with two numbers; the database outlives what runs on it.
pub struct Ground {
    pub store: Store,
    pub hub: Hub,
    pub account: Uuid,
    _folder: tempfile::TempDir,
}

impl Ground {
    pub async fn with_balance(balance: Money) -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db");
        tokio::fs::write(&file, EMPTY.get_or_init(empty).await).await.unwrap();
        let store = connect(&file).await;
        let account = NewAccount { name: "a".into(), email: "a@b.example".into(), balance, ..NewAccount::default() };
        let account = store.accounts().create(account).await.unwrap().uuid;
        let profile = store.numbers().profile_for(TnKind::LongCode, "US").await.unwrap().uuid;
        for number in [OURS, OTHER] {
            let lease = NewLease {
                tn: Tn::new(number).unwrap(),
                kind: TnKind::LongCode,
                country: "US".into(),
                state: None,
                city: None,
                rate_center: None,
                features: vec![Feature::Voice, Feature::Sms],
                carrier: "dev".into(),
                profile,
                order: None,
                subscriptions: vec![Feature::Voice, Feature::Sms],
                autorenew: true,
                expired_on: Utc::now() + Duration::from_secs(86_400),
                created_by: None,
            };
            store.numbers().lease(account, lease, |_| vec![]).await.unwrap();
        }
        let hub = Hub::start(store.clone(), opentact_events::Settings::default()).await.unwrap();
        Ground { store, hub, account, _folder: folder }
    }

    pub async fn new() -> Ground {
        Ground::with_balance(Money::units(100)).await
    }

    /// A profile of which both numbers are.
    pub async fn profile(&self, new: NewMessagingProfile) -> Uuid {
        let profile = self.store.messaging_profiles().create(self.account, None, new).await.unwrap().uuid;
        for lease in self.store.numbers().leases(self.account).await.unwrap() {
            let join = |lease: &mut TnLease| lease.messaging_profile = Some(profile);
            self.store.numbers().update_lease(self.account, lease.uuid, None, join).await.unwrap();
        }
        profile
    }

    pub fn request(&self, to: &[u64], text: &str) -> SendMessage {
        SendMessage {
            account: self.account,
            created_by: None,
            from: Sender::Number(OURS),
            to: to.to_vec(),
            text: text.to_owned(),
            custom_callback_url: None,
            send_at: None,
            validity: None,
            priority: Priority::Normal,
            submits: vec![],
        }
    }

    pub async fn balance(&self) -> Money {
        self.store.accounts().get(self.account).await.unwrap().balance
    }
}

pub fn a_minute() -> Waiting {
    Waiting { send_at: None, expires_on: Utc::now() + Duration::from_secs(60), priority: Priority::Normal }
}

/// From a number of the account to another.
pub fn new_sms(to: u64) -> NewSms {
    NewSms {
        kind: SmsType::Outbound,
        from: OURS.to_string(),
        to: to.to_string(),
        tn: Tn::new(OURS).unwrap(),
        tn_lease: None,
        messaging_profile: None,
        thread: "0".repeat(32),
        message: to.to_string(),
        automated: false,
        reference_id: None,
        segments: 1,
        encoding: "gsm".into(),
        custom_callback_url: None,
        created_by: None,
        carrier: None,
    }
}
