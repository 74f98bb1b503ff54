use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How long what was read counts, where another node may have changed it. A change by this one counts at once.
const KEEP: Duration = Duration::from_secs(1);
/// Accounts kept; with one more all others than those asked for are forgotten.
const MAX: usize = 10_000;

/// What was read of accounts from the database, as long as it counts.
pub(super) struct ByAccount<T> {
    known: HashMap<Uuid, (T, Moment)>,
}

/// When something was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    at: Instant,
    /// Of the rows it was read from, by this process.
    changes: u64,
}

impl<T> Default for ByAccount<T> {
    fn default() -> Self {
        ByAccount { known: HashMap::new() }
    }
}

impl<T> ByAccount<T> {
    /// Those of which it is to be read now. `changes` rises with each change that this process has made.
    pub fn missing(&mut self, accounts: &HashSet<Uuid>, changes: u64) -> (Vec<Uuid>, Moment) {
        let now = Moment { at: Instant::now(), changes };
        let counts = |(_, then): &(T, Moment)| then.changes == changes && now.at.duration_since(then.at) < KEEP;
        let missing: Vec<Uuid> =
            accounts.iter().copied().filter(|account| !self.known.get(account).is_some_and(counts)).collect();
        if !missing.is_empty() && self.known.len() > MAX {
            self.known.retain(|account, _| accounts.contains(account));
        }
        (missing, now)
    }

    pub fn put(&mut self, account: Uuid, value: T, read: Moment) {
        self.known.insert(account, (value, read));
    }

    pub fn get(&self, account: Uuid) -> Option<&T> {
        self.known.get(&account).map(|(value, _)| value)
    }

    pub fn get_mut(&mut self, account: Uuid) -> Option<&mut T> {
        self.known.get_mut(&account).map(|(value, _)| value)
    }
}
