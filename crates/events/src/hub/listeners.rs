use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use opentact_store::events::Event;
use opentact_store::subscriptions::Subscription as Row;
use opentact_store::types::{Channel, EventType};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Published;

/// Which events a listener gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// `None` is all. Until when each type is delivered, `None` without end.
    types: Option<Vec<(EventType, Option<DateTime<Utc>>)>>,
    /// Chosen by the listener itself: subscriptions in the database do not change it.
    own: bool,
}

impl Filter {
    /// Every type.
    pub fn all() -> Filter {
        Filter { types: None, own: false }
    }

    /// The types that a listener named itself.
    pub fn types(types: impl IntoIterator<Item = EventType>) -> Filter {
        Filter { types: Some(types.into_iter().map(|kind| (kind, None)).collect()), own: true }
    }

    /// What a user's subscriptions of a channel say: none there, every type; else those that are active, each
    /// until it expires.
    pub fn of_subscriptions(rows: &[Row], channel: Channel) -> Filter {
        let mut of_channel = rows.iter().filter(|row| row.channel == channel).peekable();
        if of_channel.peek().is_none() {
            return Filter::all();
        }
        let active = of_channel.filter(|row| row.is_active).map(|row| (row.kind, row.expired_on));
        Filter { types: Some(active.collect()), own: false }
    }

    /// Whether an event of this type and time passes.
    pub fn passes(&self, kind: EventType, at: DateTime<Utc>) -> bool {
        let Some(types) = &self.types else { return true };
        types.iter().any(|(of, end)| *of == kind && end.is_none_or(|end| at < end))
    }
}

/// Who listens to which account.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    accounts: Mutex<HashMap<Uuid, Vec<Listener>>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Listener {
    id: u64,
    user: Option<Uuid>,
    filter: Filter,
    /// Still reading the log: nothing is sent yet.
    paused: bool,
    sender: mpsc::Sender<Arc<Published>>,
    lagged: Arc<AtomicBool>,
}

/// The listener's end.
#[derive(Debug)]
pub(super) struct Ear {
    pub id: u64,
    pub receiver: mpsc::Receiver<Arc<Published>>,
    pub lagged: Arc<AtomicBool>,
}

impl Listeners {
    pub fn add(&self, account: Uuid, user: Option<Uuid>, filter: Filter, paused: bool, buffer: usize) -> Ear {
        let (sender, receiver) = mpsc::channel(buffer.max(1));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let lagged = Arc::new(AtomicBool::new(false));
        let listener = Listener { id, user, filter, paused, sender, lagged: lagged.clone() };
        self.accounts.lock().entry(account).or_default().push(listener);
        Ear { id, receiver, lagged }
    }

    pub fn remove(&self, account: Uuid, id: u64) {
        let mut accounts = self.accounts.lock();
        if let Some(listeners) = accounts.get_mut(&account) {
            listeners.retain(|listener| listener.id != id);
            if listeners.is_empty() {
                accounts.remove(&account);
            }
        }
    }

    /// From here on it gets what is sent.
    pub fn unpause(&self, account: Uuid, id: u64) {
        self.change(account, |listener| {
            if listener.id == id {
                listener.paused = false;
            }
        });
    }

    pub fn refilter(&self, account: Uuid, user: Uuid, filter: &Filter) {
        self.change(account, |listener| {
            if listener.user == Some(user) && !listener.filter.own {
                listener.filter = filter.clone();
            }
        });
    }

    /// Replaces the filter of one listener.
    pub fn set_filter(&self, account: Uuid, id: u64, filter: &Filter) {
        self.change(account, |listener| {
            if listener.id == id {
                listener.filter = filter.clone();
            }
        });
    }

    /// The filter in force, for what is read from the log.
    pub fn filter(&self, account: Uuid, id: u64) -> Option<Filter> {
        let accounts = self.accounts.lock();
        accounts.get(&account)?.iter().find(|listener| listener.id == id).map(|listener| listener.filter.clone())
    }

    pub fn online(&self, account: Uuid, user: Uuid) -> bool {
        let accounts = self.accounts.lock();
        accounts.get(&account).is_some_and(|all| all.iter().any(|listener| listener.user == Some(user)))
    }

    /// Gives the events to all whom they concern, in order, waiting for nobody. Returns how many listeners
    /// were dropped because their buffer was full.
    pub fn send(&self, events: Vec<Event>) -> u64 {
        let mut dropped = 0;
        let mut accounts = self.accounts.lock();
        for event in events {
            let Some(listeners) = accounts.get_mut(&event.account) else { continue };
            let event = Arc::new(Published::from(event));
            listeners.retain(|listener| {
                if listener.paused || !listener.filter.passes(event.kind, event.created_on) {
                    return true;
                }
                match listener.sender.try_send(event.clone()) {
                    Ok(()) => true,
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        listener.lagged.store(true, Ordering::Release);
                        dropped += 1;
                        false
                    }
                    Err(mpsc::error::TrySendError::Closed(_)) => false,
                }
            });
            if listeners.is_empty() {
                accounts.remove(&event.account);
            }
        }
        dropped
    }

    /// Ends those of a user.
    pub fn part(&self, account: Uuid, user: Uuid) {
        if let Some(listeners) = self.accounts.lock().get_mut(&account) {
            listeners.retain(|listener| listener.user != Some(user));
        }
    }

    /// Ends every listener.
    pub fn clear(&self) {
        self.accounts.lock().clear();
    }

    fn change(&self, account: Uuid, change: impl FnMut(&mut Listener)) {
        if let Some(listeners) = self.accounts.lock().get_mut(&account) {
            listeners.iter_mut().for_each(change);
        }
    }
}
