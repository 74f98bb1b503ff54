use std::time::Duration;

use opentact_store::Money;

/// How the time of a call is counted (domain.md, billing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// What a call that is answered costs at least; whole seconds.
    pub first: Duration,
    /// Each begun one after that costs; whole seconds, at least 1.
    pub each: Duration,
}

impl Default for Steps {
    fn default() -> Self {
        Self { first: Duration::from_secs(30), each: Duration::from_secs(6) }
    }
}

impl Steps {
    /// What somebody who has talked so long has paid for.
    pub(crate) fn counted(self, talked: Duration) -> Duration {
        let each = self.each.max(Duration::from_secs(1));
        let more = talked.saturating_sub(self.first).as_nanos().div_ceil(each.as_nanos());
        self.first.saturating_add(each.saturating_mul(u32::try_from(more).unwrap_or(u32::MAX)))
    }

    /// The price of a conversation, by that of a minute.
    pub(crate) fn price(self, minute: Money, talked: Duration) -> Money {
        minute.share(u32::try_from(self.counted(talked).as_secs()).unwrap_or(u32::MAX), 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_minute_is_the_least_and_steps_of_six_seconds_follow() {
        for (millis, seconds) in
            [(0, 30), (1, 30), (30_000, 30), (30_001, 36), (36_000, 36), (60_000, 60), (61_000, 66)]
        {
            let talked = Duration::from_millis(millis);
            assert_eq!(Steps::default().counted(talked), Duration::from_secs(seconds), "{millis}");
        }
        let by_the_minute = Steps { first: Duration::ZERO, each: Duration::from_secs(60) };
        assert_eq!(by_the_minute.counted(Duration::from_secs(61)), Duration::from_secs(120));
        let cent = Money::micros(10_000);
        assert_eq!(by_the_minute.price(cent, Duration::from_secs(61)), cent.times(2));
        assert_eq!(Steps::default().price(cent, Duration::ZERO), Money::micros(5_000));
    }
}
