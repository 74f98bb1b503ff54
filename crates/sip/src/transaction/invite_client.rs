//! The INVITE client transaction (RFC 3261 17.1.1 as changed by RFC 6026).

use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Fired, Timing, to_keep};
use crate::flow::Flow;
use crate::message::Request;

/// Different 2xx an INVITE may bring (one a fork); more are ignored.
const MAX_ANSWERS: usize = 16;

#[derive(Debug)]
pub(super) struct InviteClient {
    state: State,
}

#[derive(Debug)]
enum State {
    Calling {
        request: Request,
        /// Timer A, only on unreliable transports.
        retransmit: Option<(Instant, Duration)>,
        /// Timer B.
        timeout: Instant,
        /// Of Proceeding, should a provisional response come yet.
        limit: Option<Instant>,
    },
    Proceeding {
        request: Request,
        /// RFC 3261 9.1: after its CANCEL an INVITE is waited for no longer than 64*T1; so is one whose session has ended.
        limit: Option<Instant>,
    },
    /// RFC 6026: a 2xx came; its retransmissions are answered with the ACK of the transaction user until timer M.
    Accepted { acks: SmallVec<[Acknowledged; 1]>, until: Instant },
    /// A 300..699 came; its retransmissions are answered with the ACK until timer D.
    Completed { ack: Bytes, until: Instant },
}

#[derive(Debug)]
struct Acknowledged {
    /// Hash of the To tag of the 2xx.
    tag: u64,
    flow: Flow,
    ack: Bytes,
}

/// What is to be done with a response.
pub(super) enum Verdict {
    /// To the transaction user.
    Up,
    /// A first 300..699: acknowledge the request with it, then to the user.
    Refused(Request),
    /// Known already: send this again.
    Again(Option<Flow>, Bytes),
    Drop,
}

impl InviteClient {
    pub(super) fn new(now: Instant, timing: &Timing, reliable: bool, request: Request) -> InviteClient {
        InviteClient {
            state: State::Calling {
                request,
                // RFC 3261 17.1.1.2: timer A only on unreliable transports.
                retransmit: (!reliable).then(|| (now + timing.t1, timing.t1)),
                timeout: now + timing.lifetime(),
                limit: None,
            },
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { retransmit, timeout, .. } => Some(retransmit.map_or(*timeout, |(at, _)| at.min(*timeout))),
            State::Proceeding { limit, .. } => *limit,
            State::Accepted { until, .. } | State::Completed { until, .. } => Some(*until),
        }
    }

    /// The request, until a final response has come.
    pub(super) fn request(&self) -> Option<&Request> {
        match &self.state {
            State::Calling { request, .. } | State::Proceeding { request, .. } => Some(request),
            State::Accepted { .. } | State::Completed { .. } => None,
        }
    }

    /// True once a provisional response has come and no final one: the only time a CANCEL may be sent (RFC 3261 9.1).
    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    pub(super) fn on_response(&mut self, now: Instant, timing: &Timing, code: u16, to_tag: u64) -> Verdict {
        match &mut self.state {
            State::Proceeding { .. } if code < 200 => Verdict::Up,
            State::Calling { request, limit, .. } | State::Proceeding { request, limit } => {
                let (request, limit) = (request.clone(), *limit);
                match code {
                    100..=199 => {
                        self.state = State::Proceeding { request, limit };
                        Verdict::Up
                    }
                    200..=299 => {
                        self.state = State::Accepted { acks: SmallVec::new(), until: now + timing.lifetime() };
                        Verdict::Up
                    }
                    _ => Verdict::Refused(request),
                }
            }
            State::Accepted { acks, .. } => match acks.iter().find(|known| known.tag == to_tag) {
                Some(known) if code / 100 == 2 => Verdict::Again(Some(known.flow), known.ack.clone()),
                None if code / 100 == 2 && acks.len() < MAX_ANSWERS => Verdict::Up,
                _ => Verdict::Drop,
            },
            State::Completed { ack, .. } if code >= 300 => Verdict::Again(None, ack.clone()),
            State::Completed { .. } => Verdict::Drop,
        }
    }

    /// Enters Completed with the ACK that answers this and every repeated 300..699. On a reliable transport timer D is
    /// zero and the transaction ends at once: returns false.
    pub(super) fn complete(&mut self, now: Instant, timing: &Timing, reliable: bool, ack: Bytes) -> bool {
        self.state = State::Completed { ack: to_keep(&ack), until: now + timing.linger() };
        !reliable
    }

    /// Keeps the ACK the user has made for the 2xx with this To tag.
    pub(super) fn keep_ack(&mut self, tag: u64, flow: Flow, ack: Bytes) {
        if let State::Accepted { acks, .. } = &mut self.state
            && acks.len() < MAX_ANSWERS
        {
            acks.push(Acknowledged { tag, flow, ack: to_keep(&ack) });
        }
    }

    /// Waits no longer than until then for a final response. (In Calling timer B does that, as long as nothing comes.)
    pub(super) fn limit(&mut self, until: Instant) {
        if let State::Calling { limit, .. } | State::Proceeding { limit, .. } = &mut self.state {
            *limit = Some(until);
        }
    }

    pub(super) fn on_timer(&mut self, now: Instant) -> Fired {
        match &mut self.state {
            State::Calling { timeout: until, .. } | State::Proceeding { limit: Some(until), .. } if *until <= now => {
                Fired::Timeout
            }
            State::Calling { request, retransmit, .. } => match retransmit {
                Some((at, interval)) if *at <= now => {
                    *interval *= 2;
                    *at = now + *interval;
                    Fired::Retransmit(request.bytes().clone())
                }
                _ => Fired::Nothing,
            },
            State::Accepted { until, .. } | State::Completed { until, .. } if *until <= now => Fired::Over,
            _ => Fired::Nothing,
        }
    }
}
