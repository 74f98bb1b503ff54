//! How many connections there may be: in all, and of one peer's address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::defence::holder;

/// Places for connections. Cheap to share.
#[derive(Clone)]
pub(super) struct Seats(Arc<Room>);

struct Room {
    total: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// A place that is taken until this is dropped.
pub(super) struct Seat {
    room: Arc<Room>,
    peer: Option<IpAddr>,
}

impl Seats {
    /// `total` of all peers, `each` of one address.
    pub(super) fn new(total: usize, each: usize) -> Self {
        Self(Arc::new(Room { total, each, taken: Mutex::default() }))
    }

    /// For a connection that a peer has made. `None` when there is no place left, or none for this peer.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Seat> {
        let peer = holder(peer);
        let mut taken = self.0.taken.lock();
        if taken.all >= self.0.total || taken.by_peer.get(&peer).is_some_and(|taken| *taken >= self.0.each) {
            return None;
        }
        taken.all += 1;
        *taken.by_peer.entry(peer).or_default() += 1;
        Some(Seat { room: self.0.clone(), peer: Some(peer) })
    }

    /// For a connection of ours: nobody makes us make too many to one peer.
    pub(super) fn take_own(&self) -> Option<Seat> {
        let mut taken = self.0.taken.lock();
        if taken.all >= self.0.total {
            return None;
        }
        taken.all += 1;
        Some(Seat { room: self.0.clone(), peer: None })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        taken.all -= 1;
        if let Some(peer) = self.peer
            && let Some(count) = taken.by_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_peer.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_and_all_together_so_many() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let seats = Seats::new(4, 2);
        let first = seats.take(ip("192.0.2.1")).unwrap();
        let second = seats.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(seats.take(ip("192.0.2.1")).is_none());
        let other = seats.take(ip("2001:db8::1")).unwrap();
        let own = seats.take_own().unwrap();
        assert!(seats.take(ip("2001:db8:1::1")).is_none() && seats.take_own().is_none());
        drop((first, own));
        let again = seats.take(ip("192.0.2.1")).unwrap();
        let neighbour = seats.take(ip("2001:db8::2")).unwrap();
        drop(again);
        assert!(seats.take(ip("2001:db8::3")).is_none(), "of the same /64");
        drop((second, other, neighbour));
        let taken = seats.0.taken.lock();
        assert_eq!((taken.all, taken.by_peer.len()), (0, 0));
    }
}
