use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentact_store::Money;

use super::Steps;

/// How long a balance is taken for what it was when it was read: payments, messages and other nodes change it too.
const KEEP: Duration = Duration::from_secs(1);
/// How long before what is held runs out more is asked for: time to read a balance again.
const AHEAD: Duration = Duration::from_secs(2);
/// What is asked for at a time, so that a call is looked at once a minute and not at each step that is charged.
const CHUNK: Duration = Duration::from_secs(60);

/// What an account has, as far as this node knows, and what it holds back of it for its calls.
#[derive(Debug)]
pub(super) struct Purse {
    steps: Steps,
    balance: Money,
    /// When the balance was read or told.
    known: Option<Instant>,
    changes: Changes,
    held: HashMap<u64, Held>,
    /// Sum of what is held.
    sum: Money,
    next: u64,
}

/// What has come to the purse; for before a balance is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Balances that were told after a booking: what was read from the database before is older.
    told: u64,
    /// How often the balance was forgotten: what was read before may be older.
    forgotten: u64,
}

/// For one call, or for speech on one.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Price of a minute.
    minute: Money,
    amount: Money,
    /// How long that lets it talk.
    lasts: Duration,
}

impl Purse {
    pub(super) fn new(steps: Steps) -> Self {
        Self {
            steps,
            balance: Money::ZERO,
            known: None,
            changes: Changes::default(),
            held: HashMap::new(),
            sum: Money::ZERO,
            next: 0,
        }
    }

    /// Whether any call may begin.
    pub(super) fn pays(&self) -> bool {
        self.balance > Money::ZERO && self.free() > Money::ZERO
    }

    pub(super) fn is_known(&self, now: Instant) -> bool {
        self.known.is_some_and(|known| now.saturating_duration_since(known) < KEEP)
    }

    pub(super) fn changes(&self) -> Changes {
        self.changes
    }

    /// The balance may be another than what is known.
    pub(super) fn forget(&mut self) {
        self.changes.forgotten += 1;
        self.known = None;
    }

    /// A booking has left this balance.
    pub(super) fn tell(&mut self, now: Instant, balance: Money) {
        self.changes.told += 1;
        (self.balance, self.known) = (balance, Some(now));
    }

    /// This balance was read; `before`, what had come when that began.
    pub(super) fn read(&mut self, now: Instant, before: Changes, balance: Money) {
        if self.changes == before {
            (self.balance, self.known) = (balance, Some(now));
        } else if self.changes.told == before.told && self.known.is_none() {
            // It may be the one of before what had it forgotten: good for whoever asked before that, for nobody after.
            self.balance = balance;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn free(&self) -> Money {
        self.balance - self.sum
    }

    /// Holds back what a call costs at least.
    pub(super) fn hold(&mut self, minute: Money) -> Option<u64> {
        self.take(Held { minute, amount: self.steps.price(minute, Duration::ZERO), lasts: self.steps.first })
    }

    /// Holds back this much.
    pub(super) fn reserve(&mut self, amount: Money) -> Option<u64> {
        self.take(Held { minute: Money::ZERO, amount, lasts: Duration::ZERO })
    }

    fn take(&mut self, held: Held) -> Option<u64> {
        let amount = held.amount;
        if self.free() < amount || self.balance <= Money::ZERO {
            return None;
        }
        self.next += 1;
        self.sum = self.sum + amount;
        self.held.insert(self.next, held);
        Some(self.next)
    }

    /// When more must be held for a call that was answered `answered`.
    pub(super) fn due(&self, id: u64, answered: Instant) -> Option<Instant> {
        let held = self.held.get(&id)?;
        Some(answered + held.lasts.saturating_sub(AHEAD))
    }

    /// Holds back what the call will cost if it goes on; false when there is not that much.
    pub(super) fn extend(&mut self, id: u64) -> bool {
        let (free, steps) = (self.free(), self.steps);
        let Some(held) = self.held.get_mut(&id) else { return false };
        for longer in [CHUNK, steps.each] {
            let lasts = steps.counted(held.lasts + longer);
            let amount = steps.price(held.minute, lasts);
            let more = amount - held.amount;
            if more <= free {
                *held = Held { amount, lasts, ..*held };
                self.sum = self.sum + more;
                return true;
            }
        }
        false
    }

    /// The call is over and costs this much; it is held back until that is booked.
    pub(super) fn owe(&mut self, id: u64, cost: Money) {
        if let Some(held) = self.held.get_mut(&id) {
            self.sum = self.sum + cost - held.amount;
            held.amount = cost;
        }
    }

    pub(super) fn release(&mut self, id: u64) {
        if let Some(held) = self.held.remove(&id) {
            self.sum = self.sum - held.amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: Money = Money::micros(10_000);

    fn purse(balance: Money) -> Purse {
        let mut purse = Purse::new(Steps::default());
        purse.read(Instant::now(), Changes::default(), balance);
        purse
    }

    #[test]
    fn a_balance_read_before_it_was_forgotten_is_not_known_after() {
        let (mut purse, now) = (Purse::new(Steps::default()), Instant::now());
        let before = purse.changes();
        purse.forget();
        let after = purse.changes();
        purse.read(now, before, CENT);
        assert!(purse.pays() && !purse.is_known(now));
        purse.read(now, after, Money::ZERO);
        assert!(!purse.pays() && purse.is_known(now));
        // Who is late does not undo it.
        purse.read(now, before, CENT);
        assert!(!purse.pays() && purse.is_known(now) && !purse.is_known(now + KEEP));
    }

    #[test]
    fn a_balance_read_before_a_booking_is_not_taken() {
        let (mut purse, now) = (purse(CENT), Instant::now());
        let before = purse.changes();
        purse.tell(now, Money::ZERO);
        purse.read(now, before, CENT);
        assert!(!purse.pays() && purse.is_known(now));
    }

    #[test]
    fn a_balance_for_one_call_lets_one_of_a_hundred_begin() {
        let mut purse = purse(CENT);
        // A minute for a cent is half a cent at least.
        let held: Vec<u64> = (0..100).filter_map(|_| purse.hold(CENT)).collect();
        assert_eq!(held.len(), 2);
        purse.release(held[0]);
        assert!(purse.hold(CENT).is_some());
        assert!(purse.hold(CENT).is_none());
    }

    #[test]
    fn what_talks_longer_needs_more() {
        let (mut purse, start) = (purse(CENT.times(2)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let id = purse.hold(CENT).unwrap();
        assert_eq!(purse.due(id, start), Some(at(28)));
        assert!(purse.extend(id));
        assert_eq!(purse.due(id, start), Some(at(88)));
        // A cent and a half is held; half a cent is left: five steps, one at a time.
        for steps in 1..=5 {
            assert!(purse.extend(id), "{steps}");
            assert_eq!(purse.due(id, start), Some(at(88 + 6 * steps)));
        }
        assert!(!purse.extend(id));
        assert_eq!(purse.sum, CENT.times(2));
    }

    #[test]
    fn what_is_owed_is_held_until_it_is_booked() {
        let mut purse = purse(CENT);
        let id = purse.hold(CENT).unwrap();
        assert!(purse.extend(id) || purse.sum == CENT.share(1, 2));
        purse.owe(id, CENT);
        assert!(purse.hold(CENT).is_none());
        purse.tell(Instant::now(), Money::ZERO);
        purse.release(id);
        assert_eq!((purse.sum, purse.is_empty()), (Money::ZERO, true));
        assert!(purse.hold(CENT).is_none());
        assert!(purse.hold(Money::ZERO).is_none(), "an empty account calls nobody, however cheap");
    }

    #[test]
    fn random_calls_leave_nothing_held() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};
        let (mut random, mut purse) = (StdRng::seed_from_u64(1), purse(CENT.times(50)));
        let mut calls = Vec::new();
        for _ in 0..20_000 {
            match random.random_range(0..4) {
                0 | 1 => calls.extend(purse.hold(CENT.times(random.random_range(0..3)))),
                2 if !calls.is_empty() => drop(purse.extend(calls[random.random_range(0..calls.len())])),
                3 if !calls.is_empty() => purse.release(calls.swap_remove(random.random_range(0..calls.len()))),
                _ => {}
            }
            assert!(purse.sum <= purse.balance);
        }
        calls.into_iter().for_each(|id| purse.release(id));
        assert_eq!((purse.sum, purse.is_empty()), (Money::ZERO, true));
    }
}
