//! Joins the segments of messages that come in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::segment::Concatenation;

/// Which message a segment is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub source: String,
    pub destination: String,
    pub data_coding: u8,
    /// The concatenation's reference and total.
    pub reference: u16,
    pub total: u8,
}

impl Key {
    pub fn new(source: &str, destination: &str, data_coding: u8, place: Concatenation) -> Key {
        Key {
            source: source.to_owned(),
            destination: destination.to_owned(),
            data_coding,
            reference: place.reference,
            total: place.total,
        }
    }
}

#[derive(Debug)]
struct Partial {
    parts: Vec<Option<Vec<u8>>>,
    missing: usize,
    first_seen: Instant,
}

/// Holds the segments of messages that are not yet complete.
///
/// At most `limit` messages: when one more begins, the oldest is given up. A message that is not complete `patience`
/// after its first segment is given up, too. A segment that came twice counts once.
#[derive(Debug)]
pub struct Reassembler {
    limit: usize,
    patience: Duration,
    partial: HashMap<Key, Partial>,
}

impl Reassembler {
    pub fn new(limit: usize, patience: Duration) -> Reassembler {
        Reassembler { limit: limit.max(1), patience, partial: HashMap::new() }
    }

    /// Adds segment `number` (1-based); the octets of the whole message once it is complete. Octets are joined before
    /// they are decoded, so that an escape or a surrogate pair cut in two by the sender is whole again.
    pub fn push(&mut self, now: Instant, key: Key, number: u8, octets: &[u8]) -> Option<Vec<u8>> {
        if number == 0 || number > key.total {
            return None;
        }
        self.expire(now);
        if !self.partial.contains_key(&key) && self.partial.len() >= self.limit {
            self.give_up_oldest();
        }
        let total = usize::from(key.total);
        let partial = self.partial.entry(key.clone()).or_insert_with(|| Partial {
            parts: vec![None; total],
            missing: total,
            first_seen: now,
        });
        let part = &mut partial.parts[usize::from(number) - 1];
        if part.is_none() {
            *part = Some(octets.to_vec());
            partial.missing -= 1;
        }
        if partial.missing > 0 {
            return None;
        }
        let partial = self.partial.remove(&key)?;
        Some(partial.parts.into_iter().flatten().flatten().collect())
    }

    /// Messages begun and not complete.
    pub fn len(&self) -> usize {
        self.partial.len()
    }

    pub fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    fn expire(&mut self, now: Instant) {
        let patience = self.patience;
        self.partial.retain(|_, partial| now.saturating_duration_since(partial.first_seen) < patience);
    }

    fn give_up_oldest(&mut self) {
        let oldest = self.partial.iter().min_by_key(|(_, partial)| partial.first_seen).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.partial.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(reference: u16, total: u8) -> Key {
        Key::new("12025550100", "12125550100", 0, Concatenation { reference, total, number: 1 })
    }

    #[test]
    fn segments_out_of_order_and_twice_make_one_message() {
        let now = Instant::now();
        let mut reassembler = Reassembler::new(8, Duration::from_secs(60));
        assert_eq!(reassembler.push(now, key(1, 3), 3, b"c"), None);
        assert_eq!(reassembler.push(now, key(1, 3), 1, b"a"), None);
        assert_eq!(reassembler.push(now, key(1, 3), 3, b"c"), None);
        assert_eq!(reassembler.push(now, key(1, 3), 2, b"b").as_deref(), Some(&b"abc"[..]));
        assert!(reassembler.is_empty());
    }

    #[test]
    fn the_oldest_is_given_up_at_the_limit() {
        let now = Instant::now();
        let mut reassembler = Reassembler::new(2, Duration::from_secs(60));
        for (at, reference) in (1..=3).enumerate() {
            reassembler.push(now + Duration::from_secs(at as u64), key(reference, 2), 1, b"a");
        }
        assert_eq!(reassembler.len(), 2);
        let later = now + Duration::from_secs(4);
        assert_eq!(reassembler.push(later, key(3, 2), 2, b"b").as_deref(), Some(&b"ab"[..]));
        assert_eq!(reassembler.push(later, key(1, 2), 2, b"b"), None, "begins a new one");
    }

    #[test]
    fn patience_ends() {
        let now = Instant::now();
        let mut reassembler = Reassembler::new(2, Duration::from_secs(60));
        reassembler.push(now, key(1, 2), 1, b"a");
        let later = now + Duration::from_secs(60);
        assert_eq!(reassembler.push(later, key(1, 2), 2, b"b"), None, "begins a new one");
        assert_eq!(reassembler.len(), 1);
    }

    #[test]
    fn impossible_numbers_are_ignored() {
        let now = Instant::now();
        let mut reassembler = Reassembler::new(2, Duration::from_secs(60));
        assert_eq!(reassembler.push(now, key(1, 2), 0, b"a"), None);
        assert_eq!(reassembler.push(now, key(1, 2), 3, b"a"), None);
        assert!(reassembler.is_empty());
    }
}
