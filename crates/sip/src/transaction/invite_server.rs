//! The INVITE server transaction (RFC 3261 17.2.1 as changed by RFC 6026).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Fired, Timing, to_keep};

#[derive(Debug)]
pub(super) struct InviteServer {
    state: State,
}

#[derive(Debug)]
enum State {
    Proceeding {
        provisional: Option<Bytes>,
    },
    /// RFC 6026: the user has sent a 2xx and repeats it itself; repeated INVITEs are absorbed until timer L.
    Accepted {
        until: Instant,
    },
    Completed {
        response: Bytes,
        /// Timer G, only on unreliable transports.
        retransmit: Option<(Instant, Duration)>,
        /// Timer H.
        timeout: Instant,
    },
    /// The ACK has come; further ones are absorbed until timer I.
    Confirmed {
        until: Instant,
    },
}

/// What becomes of an ACK that matches the transaction.
pub(super) enum Acknowledgement {
    /// It is for a 2xx: the transaction user's.
    Up,
    Absorbed,
    /// Absorbed, and the transaction is over (timer I is zero on reliable transports).
    Over,
}

impl InviteServer {
    pub(super) fn new() -> InviteServer {
        InviteServer { state: State::Proceeding { provisional: None } }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { .. } => None,
            State::Accepted { until } | State::Confirmed { until } => Some(*until),
            State::Completed { retransmit, timeout, .. } => {
                Some(retransmit.map_or(*timeout, |(at, _)| at.min(*timeout)))
            }
        }
    }

    /// True until a final response has been sent.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// The INVITE came again: what to send again.
    pub(super) fn on_retransmission(&self) -> Option<Bytes> {
        match &self.state {
            State::Proceeding { provisional } => provisional.clone(),
            State::Completed { response, .. } => Some(response.clone()),
            State::Accepted { .. } | State::Confirmed { .. } => None,
        }
    }

    /// The user answers. False: a final response has been sent already, send nothing.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        timing: &Timing,
        reliable: bool,
        code: u16,
        response: &Bytes,
    ) -> bool {
        if !self.is_open() {
            return false;
        }
        self.state = match code {
            100..=199 => State::Proceeding { provisional: Some(response.clone()) },
            200..=299 => State::Accepted { until: now + timing.lifetime() },
            _ => State::Completed {
                response: to_keep(response),
                retransmit: (!reliable).then(|| (now + timing.t1, timing.t1)),
                timeout: now + timing.lifetime(),
            },
        };
        true
    }

    pub(super) fn on_ack(&mut self, now: Instant, timing: &Timing, reliable: bool) -> Acknowledgement {
        match &self.state {
            State::Accepted { .. } => Acknowledgement::Up,
            State::Completed { .. } if reliable => Acknowledgement::Over,
            State::Completed { .. } => {
                self.state = State::Confirmed { until: now + timing.t4 };
                Acknowledgement::Absorbed
            }
            State::Proceeding { .. } | State::Confirmed { .. } => Acknowledgement::Absorbed,
        }
    }

    pub(super) fn on_timer(&mut self, now: Instant, timing: &Timing) -> Fired {
        match &mut self.state {
            State::Accepted { until } | State::Confirmed { until } if *until <= now => Fired::Over,
            // Timer H: no ACK. The user has nothing left to do for a refused call, so it is not told.
            State::Completed { timeout, .. } if *timeout <= now => Fired::Over,
            State::Completed { response, retransmit: Some((at, interval)), .. } if *at <= now => {
                *interval = (*interval * 2).min(timing.t2);
                *at = now + *interval;
                Fired::Retransmit(response.clone())
            }
            _ => Fired::Nothing,
        }
    }
}
