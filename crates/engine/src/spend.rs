//! What the calls of an outbound voice profile cost, for its spend limits. Kept in memory; a node begins with what the records
//! say of all calls of the last day, and counts its own from then on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use opentact_store::Money;
use opentact_store::calls::SpentCall;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::ledger::Steps;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The limits of one profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpendLimits {
    /// Whose they are.
    pub(crate) of: Uuid,
    /// In any hour.
    pub(crate) hourly: Option<Money>,
    /// In any 24 hours.
    pub(crate) daily: Option<Money>,
}

/// Why no call may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    /// `hour` or `day`.
    pub(crate) period: &'static str,
    pub(crate) limit: Money,
    pub(crate) spent: Money,
    /// Nothing has been stopped since the last call that went out.
    pub(crate) first: bool,
}

/// All profiles that have had a call under a limit.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    steps: Steps,
    meters: Mutex<HashMap<Uuid, Arc<Mutex<Meter>>>>,
}

#[derive(Debug, Default)]
struct Meter {
    steps: Steps,
    /// What calls that ended in a minute have cost, by its beginning, the oldest first; of the last 24 hours.
    minutes: VecDeque<(Instant, Money)>,
    open: HashMap<u64, Open>,
    next: u64,
    /// Calls are stopped, and that was told.
    stopped: bool,
}

/// A call that goes out or talks.
#[derive(Debug)]
struct Open {
    /// Price of a minute.
    minute: Money,
    answered: Option<Instant>,
}

/// A call that counts; when the last who holds it lets go, it has ended.
#[derive(Debug)]
pub(crate) struct Spending {
    meter: Arc<Mutex<Meter>>,
    id: u64,
    of: Uuid,
    minute: Money,
}

impl Open {
    /// So far; one that may yet be answered costs the least that it then would.
    fn cost(&self, steps: Steps, now: Instant) -> Money {
        steps.price(
            self.minute,
            self.answered.map_or(Duration::ZERO, |answered| now.saturating_duration_since(answered)),
        )
    }
}

impl Meter {
    /// Of the last `period`, to the minute.
    fn spent(&self, now: Instant, period: Duration) -> Money {
        let recent = |begun: &Instant| now.saturating_duration_since(*begun) < period;
        let ended = self.minutes.iter().rev().take_while(|(begun, _)| recent(begun)).map(|(_, cost)| *cost);
        ended.chain(self.open.values().map(|open| open.cost(self.steps, now))).sum()
    }

    fn begin(&mut self, now: Instant, limits: SpendLimits, minute: Money) -> Result<u64, Stop> {
        for (period, length, limit) in [("hour", HOUR, limits.hourly), ("day", DAY, limits.daily)] {
            let Some(limit) = limit else { continue };
            let spent = self.spent(now, length);
            if spent + self.steps.price(minute, Duration::ZERO) > limit {
                return Err(Stop { period, limit, spent, first: !std::mem::replace(&mut self.stopped, true) });
            }
        }
        self.stopped = false;
        self.next += 1;
        self.open.insert(self.next, Open { minute, answered: None });
        Ok(self.next)
    }

    fn end(&mut self, now: Instant, id: u64) {
        let Some(open) = self.open.remove(&id).filter(|open| open.answered.is_some()) else { return };
        self.add(now, open.cost(self.steps, now));
    }

    /// A call that ended now has cost this.
    fn add(&mut self, now: Instant, cost: Money) {
        while self.minutes.front().is_some_and(|(begun, _)| now.saturating_duration_since(*begun) >= DAY) {
            self.minutes.pop_front();
        }
        match self.minutes.back_mut() {
            Some((begun, spent)) if now.saturating_duration_since(*begun) < MINUTE => *spent = *spent + cost,
            _ => self.minutes.push_back((now, cost)),
        }
    }
}

impl Meters {
    pub(crate) fn new(steps: Steps) -> Self {
        Self { steps, meters: Mutex::default() }
    }

    fn meter(&self, of: Uuid) -> Arc<Mutex<Meter>> {
        let meter = || Arc::new(Mutex::new(Meter { steps: self.steps, ..Meter::default() }));
        self.meters.lock().entry(of).or_insert_with(meter).clone()
    }

    /// A call goes out, at this price of a minute.
    pub(crate) fn begin(&self, now: Instant, limits: SpendLimits, minute: Money) -> Result<Spending, Stop> {
        let meter = self.meter(limits.of);
        let id = meter.lock().begin(now, limits, minute)?;
        Ok(Spending { meter, id, of: limits.of, minute })
    }

    /// Takes over what calls of earlier have cost, in the order they ended. Before the first `begin`.
    pub(crate) fn restore(&self, (now, date): (Instant, DateTime<Utc>), calls: &[SpentCall]) {
        for call in calls {
            // Later by the clock than now, it ended just now.
            let ago = (date - call.hangup_on).to_std().unwrap_or_default();
            let talked = (call.hangup_on - call.answer_on).to_std().unwrap_or_default();
            let cost = self.steps.price(call.minute_price, talked);
            self.meter(call.outbound_voice_profile).lock().add(now.checked_sub(ago).unwrap_or(now), cost);
        }
    }
}

impl Spending {
    /// Whose limits it counts for, and the price of a minute.
    pub(crate) fn price(&self) -> (Uuid, Money) {
        (self.of, self.minute)
    }

    pub(crate) fn answered(&self, now: Instant) {
        if let Some(open) = self.meter.lock().open.get_mut(&self.id) {
            open.answered.get_or_insert(now);
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        self.meter.lock().end(Instant::now(), self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: Money = Money::micros(10_000);

    fn limits(hourly: Option<i64>, daily: Option<i64>) -> SpendLimits {
        let cents = |count: Option<i64>| count.map(|count| CENT.times(count));
        SpendLimits { of: Uuid::nil(), hourly: cents(hourly), daily: cents(daily) }
    }

    #[test]
    fn what_is_spent_in_an_hour_or_a_day_stops_calls_until_it_is_past() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let at = |minutes: u64| start + MINUTE * u32::try_from(minutes).unwrap();
        let both = limits(Some(3), Some(5));
        // Two minutes at a cent each.
        let talk = |meter: &mut Meter, from: u64| {
            let id = meter.begin(at(from), both, CENT)?;
            meter.open.get_mut(&id).unwrap().answered = Some(at(from));
            meter.end(at(from + 2), id);
            Ok::<(), Stop>(())
        };
        talk(&mut meter, 0).unwrap();
        talk(&mut meter, 10).unwrap();
        let stop = talk(&mut meter, 20).unwrap_err();
        assert_eq!(stop, Stop { period: "hour", limit: CENT.times(3), spent: CENT.times(4), first: true });
        assert!(!talk(&mut meter, 21).unwrap_err().first, "told once");
        talk(&mut meter, 63).unwrap();
        let stop = talk(&mut meter, 130).unwrap_err();
        assert_eq!((stop.period, stop.spent, stop.first), ("day", CENT.times(6), true));
        talk(&mut meter, 24 * 60 + 13).unwrap();
    }

    #[test]
    fn calls_that_are_on_count_and_those_that_nobody_answers_cost_nothing() {
        let (meters, now) = (Meters::default(), Instant::now());
        let one = limits(Some(1), None);
        let first = meters.begin(now, one, CENT).unwrap();
        let second = meters.begin(now, one, CENT).unwrap();
        // Half a cent each, were they answered.
        assert!(meters.begin(now, one, CENT).is_err());
        drop(first);
        let third = meters.begin(now, one, CENT).unwrap();
        drop((second, third));
        let talks = meters.begin(now, one, CENT).unwrap();
        talks.answered(now);
        assert!(meters.begin(now + MINUTE, one, CENT).is_err());
        let other = SpendLimits { of: Uuid::from_u128(1), ..one };
        assert!(meters.begin(now + MINUTE, other, CENT).is_ok());
    }

    #[test]
    fn what_calls_of_before_have_cost_counts_for_as_long_as_if_they_had_been_ours() {
        let (meters, now, date) = (Meters::default(), Instant::now(), Utc::now());
        let one = limits(Some(5), Some(20));
        let talked = |minutes: u32, ago: Duration| SpentCall {
            uuid: Uuid::new_v4(),
            outbound_voice_profile: one.of,
            minute_price: CENT,
            answer_on: date - ago - MINUTE * minutes,
            hangup_on: date - ago,
        };
        let other = SpentCall { outbound_voice_profile: Uuid::from_u128(1), ..talked(100, HOUR / 2) };
        let calls = [talked(100, DAY), talked(10, HOUR * 2), other, talked(3, HOUR / 2), talked(2, Duration::ZERO)];
        meters.restore((now, date), &calls);
        let stop = meters.begin(now, one, CENT).unwrap_err();
        assert_eq!((stop.period, stop.spent), ("hour", CENT.times(5)));
        // Three of them are an hour old.
        let id = meters.begin(now + HOUR / 2, one, CENT).unwrap();
        assert_eq!(meters.meter(one.of).lock().spent(now + HOUR / 2, DAY), CENT.times(15) + CENT.share(1, 2));
        drop(id);
        let daily = limits(None, Some(15));
        assert_eq!(meters.begin(now + HOUR, daily, CENT).unwrap_err().spent, CENT.times(15));
        assert!(meters.begin(now + HOUR * 22, daily, CENT).is_ok());
    }

    #[test]
    fn a_day_of_calls_is_kept_in_minutes() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for second in 0..200_000_u32 {
            let now = start + Duration::from_secs(second.into());
            let id = meter.begin(now, limits(None, None), CENT).unwrap();
            meter.open.get_mut(&id).unwrap().answered = Some(now);
            meter.end(now, id);
            assert!(meter.minutes.len() <= 1_441);
        }
    }
}
