//! The client side of a registration (RFC 3261 10.2): registers, refreshes in time, tries again later when it fails, and
//! unregisters. Digest is the user agent's; this machine says when a REGISTER is due and what its outcome means.

use std::time::{Duration, Instant};

/// Before the second attempt; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest time between attempts, unless the registrar wants more.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The longest time a registrar may make us wait (Retry-After).
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// The longest registration, seconds: a registrar that wants longer ones (423) is not followed beyond it.
const LONGEST_EXPIRES: u32 = 86_400;
/// Room for the requests that answer challenges within one attempt.
const CSEQ_STEP: u32 = 16;

/// How the registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is known yet.
    Trying,
    Registered {
        until: Instant,
    },
    /// The registrar has said no, with this code.
    Refused(u16),
    /// The registrar does not answer.
    Unreachable,
}

/// A REGISTER to be sent. Its Call-ID is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    pub cseq: u32,
    /// Seconds; 0 unregisters.
    pub expires: u32,
}

/// What the registrar has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// Seconds granted to our contact.
    pub granted: Option<u32>,
    /// Min-Expires of a 423.
    pub min_expires: Option<u32>,
    /// Seconds of Retry-After.
    pub retry_after: Option<u32>,
}

#[derive(Debug)]
pub struct Registration {
    state: State,
    /// Seconds asked for.
    expires: u32,
    cseq: u32,
    /// When the next REGISTER is due; `None` while one is on its way.
    due: Option<Instant>,
    failures: u32,
}

impl Registration {
    /// The first REGISTER is due at once.
    pub fn new(now: Instant, expires: u32) -> Self {
        Self { state: State::Trying, expires: expires.clamp(60, LONGEST_EXPIRES), cseq: 1, due: Some(now), failures: 0 }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The REGISTER that is due, if one is.
    pub fn poll(&mut self, now: Instant) -> Option<Register> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        Some(self.register(self.expires))
    }

    /// Takes the final answer; `None` when there was none.
    pub fn answered(&mut self, now: Instant, answer: Option<Answer>) {
        let Some(answer) = answer else {
            self.fail(now, State::Unreachable, None);
            return;
        };
        match answer.code {
            200..=299 => {
                let granted = answer.granted.unwrap_or(self.expires).clamp(1, LONGEST_EXPIRES);
                let time = Duration::from_secs(granted.into());
                self.failures = 0;
                self.state = State::Registered { until: now + time };
                // Early enough for a lost request and another try, late enough not to be a burden.
                self.due = Some(now + (time / 2).max(time.saturating_sub(Duration::from_secs(60))));
            }
            423 if answer.min_expires.is_some_and(|min| min > self.expires && min <= LONGEST_EXPIRES) => {
                self.expires = answer.min_expires.unwrap_or(self.expires);
                self.due = Some(now);
            }
            code => self.fail(now, State::Refused(code), answer.retry_after),
        }
    }

    /// The REGISTER that ends it. Whatever comes of it is of no interest.
    pub fn end(mut self) -> Option<Register> {
        let known = matches!(self.state, State::Registered { .. }) || self.due.is_none();
        known.then(|| self.register(0))
    }

    fn register(&mut self, expires: u32) -> Register {
        let cseq = self.cseq;
        self.cseq = self.cseq.wrapping_add(CSEQ_STEP) & 0x7fff_ffff;
        Register { cseq, expires }
    }

    fn fail(&mut self, now: Instant, state: State, retry_after: Option<u32>) {
        // While the binding stands calls still come, whatever a refresh was answered.
        let stands = matches!(self.state, State::Registered { until } if until > now);
        if !stands || matches!(state, State::Refused(_)) {
            self.state = state;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        let asked = Duration::from_secs(retry_after.unwrap_or(0).into()).min(LONGEST_RETRY_AFTER);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait.max(asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn answer(code: u16) -> Answer {
        Answer { code, granted: None, min_expires: None, retry_after: None }
    }

    #[test]
    fn it_is_refreshed_before_it_ends() {
        let start = Instant::now();
        let mut client = Registration::new(start, 3_600);
        let first = client.poll(start).unwrap();
        assert_eq!((first.expires, client.poll(start), client.deadline()), (3_600, None, None));
        client.answered(start, Some(Answer { granted: Some(600), ..answer(200) }));
        assert_eq!(*client.state(), State::Registered { until: start + seconds(600) });
        assert_eq!(client.deadline(), Some(start + seconds(540)));
        assert_eq!(client.poll(start + seconds(539)), None);
        let next = client.poll(start + seconds(540)).unwrap();
        assert!(next.cseq > first.cseq + 6, "room for answers to challenges");
        client.answered(start + seconds(540), Some(Answer { granted: Some(20), ..answer(200) }));
        assert_eq!(client.deadline(), Some(start + seconds(550)), "a short one at half its time");
    }

    #[test]
    fn failures_wait_longer_each_time_and_as_long_as_the_registrar_says() {
        let mut now = Instant::now();
        let mut client = Registration::new(now, 3_600);
        for wait in [30, 60, 120, 240, 480, 600, 600] {
            client.poll(now).unwrap();
            client.answered(now, None);
            assert_eq!(*client.state(), State::Unreachable);
            assert_eq!(client.deadline(), Some(now + seconds(wait)));
            now += seconds(wait);
        }
        client.poll(now).unwrap();
        client.answered(now, Some(Answer { retry_after: Some(900), ..answer(503) }));
        assert_eq!((client.state(), client.deadline()), (&State::Refused(503), Some(now + seconds(900))));
        now += seconds(900);
        client.poll(now).unwrap();
        client.answered(now, Some(Answer { retry_after: Some(u32::MAX), ..answer(503) }));
        assert_eq!(client.deadline(), Some(now + seconds(3_600)), "but not for ever");
        now += seconds(3_600);
        client.poll(now).unwrap();
        client.answered(now, Some(answer(200)));
        client.poll(now + seconds(3_540)).unwrap();
        client.answered(now + seconds(3_540), None);
        assert!(matches!(client.state(), State::Registered { .. }), "the binding still stands");
        assert_eq!(client.deadline(), Some(now + seconds(3_570)), "a success forgets the failures before");
    }

    #[test]
    fn a_registrar_may_want_longer_registrations() {
        let now = Instant::now();
        let mut client = Registration::new(now, 60);
        client.poll(now).unwrap();
        client.answered(now, Some(Answer { min_expires: Some(1_800), ..answer(423) }));
        assert_eq!(client.poll(now).unwrap().expires, 1_800);
        // The same again would be a loop.
        client.answered(now, Some(Answer { min_expires: Some(1_800), ..answer(423) }));
        assert_eq!(client.poll(now), None);
        assert_eq!(*client.state(), State::Refused(423));
    }

    #[test]
    fn only_what_may_be_registered_is_unregistered() {
        let now = Instant::now();
        assert_eq!(Registration::new(now, 60).end(), None);
        let mut client = Registration::new(now, 60);
        client.poll(now).unwrap();
        assert_eq!(client.end().unwrap().expires, 0, "its REGISTER may have come through");
        let mut client = Registration::new(now, 60);
        client.poll(now).unwrap();
        client.answered(now, Some(answer(403)));
        assert_eq!(client.end(), None);
    }
}
