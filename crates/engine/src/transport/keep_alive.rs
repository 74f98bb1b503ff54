//! When a connection has been silent for too long, and what keeps one of ours open (RFC 5626 4.4.1). Knows no socket and no
//! clock.

use std::time::{Duration, Instant};

pub(super) const PING: &[u8] = b"\r\n\r\n";
/// What a ping is answered with.
pub(super) const PONG: &[u8] = b"\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// [`PING`] is to be sent.
    Ping,
    /// The connection is to be closed.
    Idle,
    /// The same: who has answered pings does so no more.
    Gone,
}

/// The silence of one connection.
#[derive(Debug)]
pub(super) struct KeepAlive {
    idle: Duration,
    ping: Option<(Duration, Duration)>,
    /// What is not only the answer to a ping.
    heard: Instant,
    /// Anything at all.
    sign: Instant,
    asked: Option<Instant>,
    answers: bool,
}

impl KeepAlive {
    /// `idle`: silence that ends it. `ping`: silence after which it is pinged, and how long an answer may take; only for
    /// connections that we have made.
    pub(super) fn new(now: Instant, idle: Duration, ping: Option<(Duration, Duration)>) -> Self {
        Self { idle, ping, heard: now, sign: now, asked: None, answers: false }
    }

    pub(super) fn deadline(&self) -> Instant {
        let idle = self.heard + self.idle;
        match (self.ping, self.asked) {
            (Some((_, patience)), Some(asked)) => idle.min(asked + patience),
            (Some((every, _)), None) => idle.min(self.sign + every),
            (None, _) => idle,
        }
    }

    /// Once the deadline has come.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if now >= self.heard + self.idle {
            return Due::Idle;
        }
        let Some((every, patience)) = self.ping else { return Due::Nothing };
        match self.asked {
            Some(asked) if now >= asked + patience => {
                if self.answers {
                    return Due::Gone;
                }
                // It may be one that knows nothing of pings: it is not to be blamed, and the way is kept open all the same.
                (self.asked, self.sign) = (None, now);
                Due::Nothing
            }
            None if now >= self.sign + every => {
                self.asked = Some(now);
                Due::Ping
            }
            _ => Due::Nothing,
        }
    }

    /// Octets have come, between two messages or within one. Returns how many of them are the answer to a ping: two such
    /// answers would look like a ping to who cuts messages.
    pub(super) fn read(&mut self, now: Instant, octets: &[u8], between: bool) -> usize {
        let asked = self.asked.take().is_some();
        let answer = asked && between && octets.starts_with(PONG) && !octets.starts_with(PING);
        let answer = if answer { PONG.len() } else { 0 };
        self.answers |= answer > 0;
        self.sign = now;
        if octets.len() > answer {
            self.heard = now;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(600);
    const EVERY: Duration = Duration::from_secs(30);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn ours(now: Instant) -> KeepAlive {
        KeepAlive::new(now, IDLE, Some((EVERY, PATIENCE)))
    }

    #[test]
    fn who_answers_pings_and_stops_is_gone() {
        let mut now = Instant::now();
        let mut keep_alive = ours(now);
        for _ in 0..3 {
            assert_eq!(keep_alive.due(now + EVERY - Duration::from_millis(1)), Due::Nothing);
            now = keep_alive.deadline();
            assert_eq!(keep_alive.due(now), Due::Ping);
            assert_eq!(keep_alive.read(now, PONG, true), 2);
        }
        now = keep_alive.deadline();
        assert_eq!(keep_alive.due(now), Due::Ping);
        assert_eq!(keep_alive.deadline(), now + PATIENCE);
        assert_eq!(keep_alive.due(now + PATIENCE), Due::Gone);
    }

    #[test]
    fn who_never_answers_is_pinged_until_it_is_idle() {
        let start = Instant::now();
        let mut keep_alive = ours(start);
        let mut pings = 0;
        loop {
            let now = keep_alive.deadline();
            match keep_alive.due(now) {
                Due::Ping => pings += 1,
                Due::Nothing => {}
                end => break assert_eq!((end, now), (Due::Idle, start + IDLE)),
            }
        }
        assert_eq!(pings, 15);
    }

    #[test]
    fn answers_to_pings_do_not_keep_an_unused_connection() {
        let start = Instant::now();
        let mut keep_alive = ours(start);
        assert_eq!(keep_alive.read(start + EVERY / 2, b"SIP/2.0 200 OK\r\n", true), 0);
        let end = start + EVERY / 2 + IDLE;
        let mut now = start;
        while now < end {
            now = keep_alive.deadline();
            match keep_alive.due(now) {
                Due::Ping => assert_eq!(keep_alive.read(now, PONG, true), 2),
                due => assert_eq!((due, now), (Due::Idle, end)),
            }
        }
    }

    #[test]
    fn a_message_is_as_good_as_an_answer() {
        let now = Instant::now();
        let mut keep_alive = ours(now);
        assert_eq!(keep_alive.due(now + EVERY), Due::Ping);
        assert_eq!(keep_alive.read(now + EVERY, PONG, true), 2);
        assert_eq!(keep_alive.due(now + EVERY * 2), Due::Ping);
        assert_eq!(keep_alive.read(now + EVERY * 2 + PATIENCE / 2, b"OPTIONS", true), 0);
        assert_eq!(keep_alive.due(now + EVERY * 2 + PATIENCE), Due::Nothing);
    }

    #[test]
    fn neither_their_own_ping_nor_a_line_of_a_message_is_an_answer() {
        let now = Instant::now();
        for (octets, between) in [(PING, true), (PONG, false)] {
            let mut keep_alive = ours(now);
            assert_eq!(keep_alive.due(now + EVERY), Due::Ping);
            assert_eq!(keep_alive.read(now + EVERY, octets, between), 0);
            assert!(!keep_alive.answers);
        }
    }

    #[test]
    fn connections_of_others_are_not_pinged_and_their_pings_keep_them() {
        let now = Instant::now();
        let mut keep_alive = KeepAlive::new(now, IDLE, None);
        assert_eq!((keep_alive.deadline(), keep_alive.due(now + EVERY)), (now + IDLE, Due::Nothing));
        assert_eq!(keep_alive.read(now + EVERY, PING, true), 0);
        assert_eq!(keep_alive.deadline(), now + EVERY + IDLE);
        assert_eq!(keep_alive.due(now + EVERY + IDLE), Due::Idle);
    }
}
