//! What was seen lately, so that an identity cut from one call is worth nothing on another (RFC 8224 12.1).

use std::collections::{HashMap, VecDeque};

use ring::digest::{SHA256, digest};

type Hash = [u8; 32];

/// Identities of the last while. At the limit the oldest is forgotten: what could be replayed then is older than as many
/// calls as are kept.
#[derive(Debug)]
pub struct Replays {
    limit: usize,
    /// The call it came with, and until when it is remembered (seconds since 1970).
    seen: HashMap<Hash, (Hash, i64)>,
    order: VecDeque<Hash>,
}

impl Replays {
    /// Remembers `limit` identities at most; 0 remembers none, and takes every replay.
    pub fn new(limit: usize) -> Self {
        Self { limit, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// False when this identity was seen with another call. The same call may show it again: a request that was
    /// challenged, forked or retried over another way keeps its Call-ID.
    ///
    /// `until`: when the identity is stale by itself.
    pub fn admit(&mut self, fingerprint: Hash, call_id: &[u8], until: i64, now: i64) -> bool {
        if self.limit == 0 {
            return true;
        }
        self.forget(now);
        let call = hash(call_id);
        if let Some((known, _)) = self.seen.get(&fingerprint) {
            return *known == call;
        }
        if self.seen.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(fingerprint, (call, until));
        self.order.push_back(fingerprint);
        true
    }

    pub fn len(&self) -> usize {
        self.seen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Drops the oldest that are stale. One that lasts longer keeps those behind it a little longer too.
    fn forget(&mut self, now: i64) {
        while let Some(oldest) = self.order.front() {
            if self.seen.get(oldest).is_some_and(|(_, until)| *until >= now) {
                return;
            }
            self.seen.remove(oldest);
            self.order.pop_front();
        }
    }
}

pub(crate) fn hash(octets: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, octets).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_call_with_the_same_identity_is_a_replay() {
        let mut replays = Replays::new(8);
        assert!(replays.admit([1; 32], b"a", 100, 50));
        assert!(replays.admit([1; 32], b"a", 100, 60));
        assert!(!replays.admit([1; 32], b"b", 100, 60));
        assert!(replays.admit([2; 32], b"b", 100, 60));
    }

    #[test]
    fn what_is_stale_is_forgotten() {
        let mut replays = Replays::new(8);
        assert!(replays.admit([1; 32], b"a", 100, 50));
        assert!(!replays.admit([1; 32], b"b", 100, 100));
        assert!(replays.admit([2; 32], b"b", 200, 101));
        assert_eq!(replays.len(), 1);
    }

    #[test]
    fn at_the_limit_the_oldest_is_forgotten() {
        let mut replays = Replays::new(2);
        for n in 1..=3 {
            assert!(replays.admit([n; 32], b"a", 100, 50));
        }
        assert_eq!(replays.len(), 2);
        assert!(!replays.admit([3; 32], b"b", 100, 50));
        assert!(replays.admit([1; 32], b"b", 100, 50));
    }

    #[test]
    fn none_remembered_is_none_refused() {
        let mut replays = Replays::new(0);
        assert!(replays.admit([1; 32], b"a", 100, 50) && replays.admit([1; 32], b"b", 100, 50));
        assert!(replays.is_empty());
    }
}
