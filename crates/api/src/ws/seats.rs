//! How many websockets an account has open on this node.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

#[derive(Debug, Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<HashMap<Uuid, usize>>>);

/// One open websocket; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    account: Uuid,
}

impl Seats {
    /// `None` when the account has `limit` websockets already.
    pub(super) fn take(&self, account: Uuid, limit: usize) -> Option<Seat> {
        let mut taken = self.0.lock();
        let count = taken.entry(account).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        metrics::gauge!("api_websockets").increment(1.0);
        Some(Seat { seats: self.clone(), account })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("api_websockets").decrement(1.0);
        let mut taken = self.seats.0.lock();
        if let Some(count) = taken.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_and_given_back() {
        let seats = Seats::default();
        let account = Uuid::new_v4();
        let first = seats.take(account, 2).unwrap();
        let second = seats.take(account, 2).unwrap();
        assert!(seats.take(account, 2).is_none());
        assert!(seats.take(Uuid::new_v4(), 2).is_some());
        drop(first);
        assert!(seats.take(account, 2).is_some());
        drop(second);
        assert!(seats.0.lock().is_empty());
    }
}
