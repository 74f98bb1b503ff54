//! A table of bounded size that forgets who has not been seen for longest.

use std::collections::HashMap;
use std::hash::Hash;

/// Two halves: whoever is seen is in the young one. When that is full it becomes the old one, and what was left in the
/// old one, the least recently seen half, is forgotten. No look-up costs more than two of a hash map, so that a flood
/// of forged addresses does not make the table itself the weak spot.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    /// Keeps at most `limit` entries, and always at least the `limit / 2` seen last.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (limit / 2).max(1) }
    }

    /// The entry of a key, made when there is none.
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(&key) {
            let known = self.old.remove(&key);
            if self.young.len() >= self.half {
                self.old = std::mem::take(&mut self.young);
            }
            if let Some(value) = known {
                self.young.insert(key, value);
            }
        }
        self.young.entry(key).or_insert_with(make)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut V) -> bool) {
        self.young.retain(|_, value| keep(value));
        self.old.retain(|_, value| keep(value));
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_seen_for_longest_is_forgotten_first() {
        let mut table = Recent::new(4);
        for key in [1, 2, 3, 1, 4, 1, 5] {
            *table.entry(key, || 0) += 1;
        }
        assert!(table.len() <= 4);
        assert_eq!(table.get_mut(&1), Some(&mut 3));
        assert_eq!(table.get_mut(&5), Some(&mut 1));
        assert_eq!(table.get_mut(&2), None);
        for key in 0..1_000 {
            table.entry(key, || 0);
            assert!(table.len() <= 4);
        }
    }
}
