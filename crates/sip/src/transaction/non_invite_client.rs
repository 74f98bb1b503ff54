//! The non-INVITE client transaction (RFC 3261 17.1.2).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Fired, Timing};

#[derive(Debug)]
pub(super) struct NonInviteClient {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Trying and Proceeding: they differ in the interval only.
    Open {
        request: Bytes,
        /// Timer E, only on unreliable transports.
        retransmit: Option<(Instant, Duration)>,
        /// Timer F.
        timeout: Instant,
    },
    /// Timer K absorbs repeated final responses.
    Completed { until: Instant },
}

/// What is to be done with a response.
pub(super) enum Verdict {
    Up,
    /// To the user, and the transaction is over (timer K is zero on reliable transports).
    UpAndOver,
    Drop,
}

impl NonInviteClient {
    pub(super) fn new(now: Instant, timing: &Timing, reliable: bool, request: Bytes) -> NonInviteClient {
        NonInviteClient {
            state: State::Open {
                request,
                retransmit: (!reliable).then(|| (now + timing.t1, timing.t1)),
                timeout: now + timing.lifetime(),
            },
        }
    }

    /// True until a final response has come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open { retransmit, timeout, .. } => Some(retransmit.map_or(*timeout, |(at, _)| at.min(*timeout))),
            State::Completed { until } => Some(*until),
        }
    }

    pub(super) fn on_response(&mut self, now: Instant, timing: &Timing, reliable: bool, code: u16) -> Verdict {
        match &mut self.state {
            State::Open { retransmit, .. } if code < 200 => {
                // RFC 3261 17.1.2.2: in Proceeding timer E runs at T2. The pending one is left to fire as set.
                if let Some((_, interval)) = retransmit {
                    *interval = timing.t2;
                }
                Verdict::Up
            }
            State::Open { .. } => {
                self.state = State::Completed { until: now + timing.t4 };
                if reliable { Verdict::UpAndOver } else { Verdict::Up }
            }
            State::Completed { .. } => Verdict::Drop,
        }
    }

    pub(super) fn on_timer(&mut self, now: Instant, timing: &Timing) -> Fired {
        match &mut self.state {
            State::Open { timeout, .. } if *timeout <= now => Fired::Timeout,
            State::Open { request, retransmit: Some((at, interval)), .. } if *at <= now => {
                *interval = (*interval * 2).min(timing.t2);
                *at = now + *interval;
                Fired::Retransmit(request.clone())
            }
            State::Completed { until } if *until <= now => Fired::Over,
            _ => Fired::Nothing,
        }
    }
}
