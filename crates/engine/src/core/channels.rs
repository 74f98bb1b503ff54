//! How many calls a trunk or an outbound voice profile has at once, and how many it has begun this second.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::router::Limit;

/// The period of `cps_limit`.
const SECOND: Duration = Duration::from_secs(1);
/// Owners of limits remembered before those without a call are forgotten.
const OWNERS: usize = 1_024;

/// One call's place among those its trunk or profile may have. Gone with its owner, however that ends: it cannot be
/// given back twice, nor be forgotten.
#[derive(Debug)]
pub(super) struct Channel(#[expect(dead_code, reason = "counted by being there")] Arc<()>);

#[derive(Debug, Default)]
struct Used {
    /// Held once by each channel, and once here.
    held: Arc<()>,
    /// Calls begun in the last second, the oldest first; never more than `cps_limit`.
    begun: VecDeque<Instant>,
}

impl Used {
    fn channels(&self) -> u64 {
        u64::try_from(Arc::strong_count(&self.held)).unwrap_or(u64::MAX).saturating_sub(1)
    }

    /// Forgets what was begun more than a second ago.
    fn pass(&mut self, now: Instant) {
        while self.begun.front().is_some_and(|begun| now.saturating_duration_since(*begun) >= SECOND) {
            self.begun.pop_front();
        }
    }
}

/// Why a call may not begin.
#[derive(Debug)]
pub(super) struct Full {
    /// `channel` or `cps`.
    pub(super) limit: &'static str,
    pub(super) reason: String,
}

impl Limit {
    fn full(&self, limit: &'static str, most: String) -> Full {
        Full { limit, reason: format!("{} {} is at its limit of {most}", self.kind, self.name) }
    }
}

impl Full {
    /// Of a trunk.
    pub(super) fn counted(self) -> String {
        metrics::counter!("opentact_calls_limited_total", "limit" => self.limit).increment(1);
        self.reason
    }
}

/// The channels of everybody who has a limit.
#[derive(Debug, Default)]
pub(super) struct Channels {
    used: HashMap<Uuid, Used>,
}

impl Channels {
    /// Whether a call may begin now; why not.
    pub(super) fn check(&mut self, now: Instant, limit: &Limit) -> Result<(), Full> {
        let (held, begun) = self.used.get_mut(&limit.of).map_or((0, 0), |used| {
            used.pass(now);
            (used.channels(), used.begun.len() as u64)
        });
        if let Some(most) = limit.channels.filter(|most| held >= *most) {
            return Err(limit.full("channel", format!("{most} channels")));
        }
        if let Some(most) = limit.per_second.filter(|most| begun >= *most) {
            return Err(limit.full("cps", format!("{most} calls a second")));
        }
        Ok(())
    }

    /// Begins a call.
    pub(super) fn take(&mut self, now: Instant, limit: &Limit) -> Result<Channel, Full> {
        self.check(now, limit)?;
        if self.used.len() >= OWNERS && !self.used.contains_key(&limit.of) {
            self.used.retain(|_, used| {
                used.pass(now);
                used.channels() > 0 || !used.begun.is_empty()
            });
        }
        let used = self.used.entry(limit.of).or_default();
        if limit.per_second.is_some() {
            used.begun.push_back(now);
        }
        Ok(Channel(used.held.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(channels: Option<u64>, per_second: Option<u64>) -> Limit {
        Limit { of: Uuid::from_u128(1), kind: "SIP connection", name: "A".to_owned(), channels, per_second }
    }

    #[test]
    fn a_channel_is_free_again_once_its_call_is_gone() {
        let (mut channels, now, limit) = (Channels::default(), Instant::now(), limit(Some(2), None));
        let first = channels.take(now, &limit).unwrap();
        let second = channels.take(now, &limit).unwrap();
        assert_eq!(channels.take(now, &limit).unwrap_err().reason, "SIP connection A is at its limit of 2 channels");
        drop(first);
        let third = channels.take(now, &limit).unwrap();
        assert!(channels.check(now, &limit).is_err());
        drop((second, third));
        let other = Limit { of: Uuid::from_u128(2), ..limit.clone() };
        assert!(channels.check(now, &limit).is_ok() && channels.check(now, &other).is_ok());
    }

    #[test]
    fn calls_a_second_are_those_of_any_second() {
        let (mut channels, now, limit) = (Channels::default(), Instant::now(), limit(None, Some(2)));
        let at = |millis| now + Duration::from_millis(millis);
        for (millis, taken) in [(0, true), (900, true), (950, false), (1_000, true), (1_500, false), (1_900, true)] {
            assert_eq!(channels.take(at(millis), &limit).is_ok(), taken, "after {millis} ms");
        }
    }

    #[test]
    fn random_calls_leave_nothing_behind_and_never_exceed_the_limit() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};
        let (mut channels, mut now, limit) = (Channels::default(), Instant::now(), limit(Some(7), Some(5)));
        let mut random = StdRng::seed_from_u64(1);
        let mut calls = Vec::new();
        for _ in 0..20_000 {
            now += Duration::from_millis(random.random_range(0..200));
            if random.random_bool(0.6) {
                calls.extend(channels.take(now, &limit));
            } else if !calls.is_empty() {
                calls.swap_remove(random.random_range(0..calls.len()));
            }
            assert!(calls.len() <= 7);
            assert_eq!(channels.used.get(&limit.of).map_or(0, Used::channels), calls.len() as u64);
        }
        calls.clear();
        assert!(channels.check(now + SECOND, &limit).is_ok());
    }

    #[test]
    fn owners_without_calls_are_forgotten() {
        let (mut channels, now) = (Channels::default(), Instant::now());
        for owner in 0..10_000 {
            let limit = Limit { of: Uuid::from_u128(owner), ..limit(Some(1), None) };
            channels.take(now, &limit).unwrap();
            assert!(channels.used.len() <= OWNERS);
        }
    }
}
