use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use opentact_store::{Result, Store};
use serde::Serialize;
use uuid::Uuid;

use crate::event::write;
use crate::view::{AccountView, ByUuid};

/// How long an account is shown as it was read, where another node may have changed it. A change by this one is seen at
/// once.
const KEEP: Duration = Duration::from_secs(1);
/// Accounts kept; with one more all others than those of this commit are forgotten.
const MAX: usize = 10_000;

/// The objects that envelopes hold of their accounts.
#[derive(Default)]
pub(super) struct Accounts {
    known: HashMap<Uuid, Known>,
}

struct Known {
    /// JSON.
    text: Vec<u8>,
    read: Instant,
    /// Of the store's accounts when it was read.
    changes: u64,
}

impl Accounts {
    /// Reads those that are not known as they are now.
    pub(super) async fn look_up(&mut self, store: &Store, accounts: &HashSet<Uuid>) -> Result<()> {
        let (changes, read) = (store.accounts().changes(), Instant::now());
        let fresh = |known: &Known| known.changes == changes && read.duration_since(known.read) < KEEP;
        let missing: Vec<Uuid> =
            accounts.iter().copied().filter(|account| !self.known.get(account).is_some_and(fresh)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if self.known.len() > MAX {
            self.known.retain(|account, _| accounts.contains(account));
        }
        let rows = store.accounts().get_many(missing.clone()).await?;
        // A row that is gone is shown by its name.
        for uuid in missing {
            self.known.insert(uuid, Known { text: text(&ByUuid { uuid }), read, changes });
        }
        for row in rows {
            self.known.insert(row.uuid, Known { text: text(&AccountView::new(&row)), read, changes });
        }
        Ok(())
    }

    /// One that was looked up.
    pub(super) fn get(&self, account: Uuid) -> &[u8] {
        self.known.get(&account).map_or(b"null", |known| &known.text)
    }
}

fn text(shape: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text, shape);
    text
}
