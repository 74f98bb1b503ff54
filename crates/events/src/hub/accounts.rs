use std::collections::HashSet;

use opentact_store::{Result, Store};
use serde::Serialize;
use uuid::Uuid;

use super::by_account::ByAccount;
use crate::event::write;
use crate::view::{AccountView, ByUuid};

/// The objects that envelopes hold of their accounts, JSON.
#[derive(Default)]
pub(super) struct Accounts {
    known: ByAccount<Vec<u8>>,
}

impl Accounts {
    /// Reads those that are not known as they are now.
    pub(super) async fn look_up(&mut self, store: &Store, accounts: &HashSet<Uuid>) -> Result<()> {
        let (missing, now) = self.known.missing(accounts, store.accounts().changes());
        if missing.is_empty() {
            return Ok(());
        }
        let rows = store.accounts().get_many(missing.clone()).await?;
        // A row that is gone is shown by its name.
        for uuid in missing {
            self.known.put(uuid, text(&ByUuid { uuid }), now);
        }
        for row in rows {
            self.known.put(row.uuid, text(&AccountView::new(&row)), now);
        }
        Ok(())
    }

    /// One that was looked up.
    pub(super) fn get(&self, account: Uuid) -> &[u8] {
        self.known.get(account).map_or(b"null", |text| text)
    }
}

fn text(shape: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    write(&mut text, shape);
    text
}
