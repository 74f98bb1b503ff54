//! How many calls may begin now.

use std::time::{Duration, Instant};

/// A bucket of calls that fills with time.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    /// What it holds at most.
    most: f64,
    level: f64,
    at: Instant,
}

/// Sums of fractions come a little short.
const ROUNDING: f64 = 1e-6;

impl Pace {
    pub fn new(now: Instant, per_second: f64) -> Pace {
        // A drive that wakes now and then must not fall behind.
        Pace { per_second, most: (per_second / 10.0).max(1.0), level: 1.0, at: now }
    }

    fn level(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level + passed * self.per_second).min(self.most)
    }

    /// When the next may begin; `None`: now.
    pub fn wait(&self, now: Instant) -> Option<Instant> {
        let short = 1.0 - self.level(now);
        (short > ROUNDING).then(|| now + Duration::from_secs_f64(short / self.per_second))
    }

    /// As many as may begin, `wanted` at most and one at least: only after [`Pace::wait`] has said that one may.
    pub fn take(&mut self, now: Instant, wanted: u32) -> u32 {
        self.level = self.level(now);
        self.at = now;
        let count = ((self.level + ROUNDING) as u32).clamp(1, wanted.max(1));
        self.level -= f64::from(count);
        count
    }

    /// So many have not begun after all.
    pub fn give_back(&mut self, count: u32) {
        self.level = (self.level + f64::from(count)).min(self.most);
    }
}
