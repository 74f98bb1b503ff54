//! When which call wants to be woken: one deadline a call, gone with it.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use opentact_call::LegId;

#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Instant, LegId)>,
    set: HashMap<LegId, Instant>,
}

impl Timers {
    /// Wakes a call at `at` and at no other time; `None` never.
    pub(super) fn set(&mut self, call: LegId, at: Option<Instant>) {
        if self.set.get(&call).copied() == at {
            return;
        }
        let former = match at {
            Some(at) => self.set.insert(call, at),
            None => self.set.remove(&call),
        };
        if let Some(former) = former {
            self.queue.remove(&(former, call));
        }
        if let Some(at) = at {
            self.queue.insert((at, call));
        }
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// The calls to wake by `now`, the most overdue first. Each has no timer until it is set again.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<LegId> {
        let mut due = Vec::new();
        while let Some((at, call)) = self.queue.first().copied().filter(|(at, _)| *at <= now) {
            self.queue.remove(&(at, call));
            self.set.remove(&call);
            due.push(call);
        }
        due
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_call_has_one_timer_and_none_when_it_is_gone() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let (a, b) = (LegId(Uuid::from_u128(1)), LegId(Uuid::from_u128(2)));
        let mut timers = Timers::default();
        timers.set(a, at(5));
        timers.set(b, at(3));
        timers.set(a, at(1));
        timers.set(a, at(4));
        assert_eq!((timers.len(), timers.first()), (2, at(3)));
        assert_eq!(timers.take_due(start + Duration::from_secs(4)), [b, a]);
        timers.set(b, at(9));
        timers.set(b, None);
        assert_eq!((timers.len(), timers.first()), (0, None));
    }
}
