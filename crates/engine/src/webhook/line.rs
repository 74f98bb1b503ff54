//! Whose turn it is. For each webhook and object there is a line, of which only the first is tried; no clock, no socket.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use uuid::Uuid;

/// A line: what one webhook is told of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) hook: Uuid,
    pub(super) object: Uuid,
}

pub(super) struct Lines<T> {
    /// At once, of all and of one webhook.
    limit: usize,
    limit_per_hook: usize,
    /// What waits in each line. The first of a line that is being tried is not in it.
    lines: HashMap<Place, VecDeque<(Instant, T)>>,
    /// Lines whose first waits for its time.
    due: BTreeSet<(Instant, Place)>,
    /// Webhooks of which some are being tried.
    hooks: HashMap<Uuid, Hook>,
    running: usize,
}

#[derive(Default)]
struct Hook {
    running: usize,
    /// Lines whose first would be tried now, but for the limit.
    held_up: VecDeque<Place>,
}

impl<T> Lines<T> {
    pub(super) fn new(limit: usize, limit_per_hook: usize) -> Self {
        Self {
            limit: limit.max(1),
            limit_per_hook: limit_per_hook.max(1),
            lines: HashMap::new(),
            due: BTreeSet::new(),
            hooks: HashMap::new(),
            running: 0,
        }
    }

    /// Puts something at the end of a line, not to be tried before its time.
    pub(super) fn add(&mut self, place: Place, at: Instant, item: T) {
        // A line is there as long as anything of it is not over.
        let is_new = !self.lines.contains_key(&place);
        self.lines.entry(place).or_default().push_back((at, item));
        if is_new {
            self.due.insert((at, place));
        }
    }

    /// What is to be tried next, if anything is.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Place, T)> {
        while self.running < self.limit {
            let first = *self.due.first().filter(|(at, _)| *at <= now)?;
            self.due.remove(&first);
            let (_, place) = first;
            let hook = self.hooks.entry(place.hook).or_default();
            if hook.running >= self.limit_per_hook {
                hook.held_up.push_back(place);
                continue;
            }
            if let Some((_, item)) = self.lines.get_mut(&place).and_then(VecDeque::pop_front) {
                hook.running += 1;
                self.running += 1;
                return Some((place, item));
            }
        }
        None
    }

    /// What was being tried is to be tried again: it stays the first of its line.
    pub(super) fn again(&mut self, place: Place, at: Instant, item: T) {
        if let Some(line) = self.lines.get_mut(&place) {
            line.push_front((at, item));
            self.due.insert((at, place));
        }
        self.free(place.hook);
    }

    /// What was being tried is over.
    pub(super) fn end(&mut self, place: Place) {
        match self.lines.get(&place).and_then(VecDeque::front) {
            Some((at, _)) => drop(self.due.insert((*at, place))),
            None => drop(self.lines.remove(&place)),
        }
        self.free(place.hook);
    }

    /// When [`begin`](Self::begin) will have something, as far as that is known; `None` while an end is to be waited for.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at).filter(|_| self.running < self.limit)
    }

    fn free(&mut self, uuid: Uuid) {
        self.running = self.running.saturating_sub(1);
        let Some(hook) = self.hooks.get_mut(&uuid) else { return };
        hook.running = hook.running.saturating_sub(1);
        if let Some(place) = hook.held_up.pop_front()
            && let Some((at, _)) = self.lines.get(&place).and_then(VecDeque::front)
        {
            self.due.insert((*at, place));
        }
        if hook.running == 0 && hook.held_up.is_empty() {
            self.hooks.remove(&uuid);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn place(hook: u8, object: u8) -> Place {
        Place { hook: Uuid::from_u128(hook.into()), object: Uuid::from_u128(object.into()) }
    }

    #[test]
    fn a_line_waits_for_its_first_and_another_does_not() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut lines = Lines::new(10, 10);
        lines.add(place(1, 1), now, "first");
        lines.add(place(1, 1), now, "second");
        lines.add(place(1, 2), now, "other");
        assert_eq!(lines.begin(now), Some((place(1, 1), "first")));
        assert_eq!(lines.begin(now), Some((place(1, 2), "other")));
        assert_eq!(lines.begin(now), None);
        lines.again(place(1, 1), later, "first");
        lines.end(place(1, 2));
        assert_eq!((lines.begin(now), lines.due()), (None, Some(later)));
        assert_eq!(lines.begin(later), Some((place(1, 1), "first")));
        lines.end(place(1, 1));
        assert_eq!(lines.begin(later), Some((place(1, 1), "second")));
        lines.end(place(1, 1));
        assert!(lines.lines.is_empty() && lines.hooks.is_empty() && lines.due.is_empty());
    }

    #[test]
    fn a_slow_webhook_holds_up_only_itself() {
        let now = Instant::now();
        let mut lines = Lines::new(3, 2);
        for object in 0..4 {
            lines.add(place(1, object), now, object);
        }
        lines.add(place(2, 9), now, 9);
        let begun: Vec<_> = std::iter::from_fn(|| lines.begin(now)).map(|(_, item)| item).collect();
        assert_eq!(begun, [0, 1, 9]);
        lines.end(place(1, 1));
        assert_eq!(lines.begin(now), Some((place(1, 2), 2)));
        assert_eq!((lines.begin(now), lines.due()), (None, None));
    }

    #[test]
    fn everything_is_told_in_order_whatever_fails() {
        for seed in 0..2_000 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut now = Instant::now();
            let (limit, per_hook) = (random.random_range(1..6), random.random_range(1..4));
            let mut lines = Lines::new(limit, per_hook);
            let mut running: Vec<(Place, u32)> = Vec::new();
            let (mut added, mut told): (HashMap<Place, u32>, HashMap<Place, u32>) = Default::default();
            for step in 0..400 {
                now += Duration::from_millis(random.random_range(0..50));
                let ends = step >= 200;
                match random.random_range(0..3) {
                    0 if !ends => {
                        let place = place(random.random_range(0..3), random.random_range(0..4));
                        let number = added.entry(place).or_default();
                        lines.add(place, now + Duration::from_millis(random.random_range(0..20)), *number);
                        *number += 1;
                    }
                    1 if !running.is_empty() => {
                        let (place, number) = running.swap_remove(random.random_range(0..running.len()));
                        if !ends && random.random_bool(0.3) {
                            lines.again(place, now + Duration::from_millis(random.random_range(0..200)), number);
                        } else {
                            assert_eq!(told.insert(place, number + 1).unwrap_or(0), number, "seed {seed}");
                            lines.end(place);
                        }
                    }
                    _ => {
                        while let Some(begun) = lines.begin(now) {
                            assert!(running.iter().all(|(place, _)| *place != begun.0), "seed {seed}: two of a line");
                            running.push(begun);
                            let of_hook = running.iter().filter(|(place, _)| place.hook == begun.0.hook).count();
                            assert!(running.len() <= limit && of_hook <= per_hook, "seed {seed}");
                        }
                    }
                }
            }
            now += Duration::from_secs(1);
            loop {
                running.extend(std::iter::from_fn(|| lines.begin(now)));
                let Some((place, number)) = running.pop() else { break };
                assert_eq!(told.insert(place, number + 1).unwrap_or(0), number, "seed {seed}");
                lines.end(place);
            }
            assert_eq!(told, added, "seed {seed}");
            assert!(lines.lines.is_empty() && lines.hooks.is_empty(), "seed {seed}");
        }
    }
}
