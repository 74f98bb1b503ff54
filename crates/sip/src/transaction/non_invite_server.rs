//! The non-INVITE server transaction (RFC 3261 17.2.2).

use std::time::Instant;

use bytes::Bytes;

use super::{Fired, Timing, to_keep};

#[derive(Debug)]
pub(super) struct NonInviteServer {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Trying (nothing sent) and Proceeding.
    Open {
        provisional: Option<Bytes>,
        /// RFC 4320: once the peer's timer F has fired an answer is of no use to anybody.
        until: Instant,
    },
    /// Timer J: the final response answers every repeated request.
    Completed { response: Bytes, until: Instant },
}

/// What became of a response of the user.
pub(super) enum Sent {
    Open,
    Completed,
    /// Sent, and the transaction is over (timer J is zero on reliable transports).
    Over,
    /// A final response had been sent already: send nothing.
    Refused,
}

impl NonInviteServer {
    pub(super) fn new(now: Instant, timing: &Timing) -> NonInviteServer {
        NonInviteServer { state: State::Open { provisional: None, until: now + timing.lifetime() } }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open { until, .. } | State::Completed { until, .. } => Some(*until),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    pub(super) fn on_retransmission(&self) -> Option<Bytes> {
        match &self.state {
            State::Open { provisional, .. } => provisional.clone(),
            State::Completed { response, .. } => Some(response.clone()),
        }
    }

    pub(super) fn respond(
        &mut self,
        now: Instant,
        timing: &Timing,
        reliable: bool,
        code: u16,
        response: &Bytes,
    ) -> Sent {
        let State::Open { provisional, .. } = &mut self.state else {
            return Sent::Refused;
        };
        if code < 200 {
            *provisional = Some(response.clone());
            return Sent::Open;
        }
        self.state = State::Completed { response: to_keep(response), until: now + timing.lifetime() };
        if reliable { Sent::Over } else { Sent::Completed }
    }

    pub(super) fn on_timer(&self, now: Instant) -> Fired {
        match &self.state {
            State::Open { until, .. } if *until <= now => Fired::Timeout,
            State::Completed { until, .. } if *until <= now => Fired::Over,
            _ => Fired::Nothing,
        }
    }
}
