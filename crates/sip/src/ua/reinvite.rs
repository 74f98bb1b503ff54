//! Offers within an answered call, both ways (RFC 3261 section 14).

use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;

use super::command::{Body, ExtraHeaders};
use super::event::Event;
use super::session::{Phase, Purpose, Received, Session};
use super::timer::granted;
use super::{Owner, SessionId, Ua};
use crate::flow::Flow;
use crate::message::{Method, Name, Refusal, Request, Response};
use crate::transaction::Passed;
use crate::transaction::key::Key;

/// Longest time in seconds the other side is asked to wait with a second offer (RFC 3261 14.2).
const PATIENCE: u32 = 10;

/// For an offer that comes before the last one is answered (RFC 3261 14.2, RFC 3311 5.2).
pub(super) fn later(random: &mut StdRng) -> Refusal {
    let mut refusal = Refusal::new(500, "Request Pending");
    refusal.headers.push((Name::RetryAfter, random.random_range(0..=PATIENCE).to_string()));
    refusal
}

impl Ua {
    /// A re-INVITE of the other side, or an UPDATE with an offer (RFC 3311 5.2: the same glare, no ACK).
    pub(super) fn reinvited(
        &mut self,
        now: Instant,
        key: Key,
        id: SessionId,
        request: Request,
        flow: Flow,
        back: Flow,
    ) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let refusal = match &session.phase {
            // One of ours is on its way, or has our answer and not yet its ACK (RFC 5407 3.1.4).
            Phase::Calling(_) => Some(Refusal::new(491, "Request Pending")),
            Phase::Live(live) if session.offers() || live.unacked.is_some() => {
                Some(Refusal::new(491, "Request Pending"))
            }
            Phase::Live(live) if live.reinvited.is_none() => None,
            _ => Some(later(&mut self.random)),
        };
        if let Some(refusal) = refusal {
            return self.refuse(now, key, &request, flow, back, refusal);
        }
        let method = request.method();
        let transaction = self.transactions.open_server(now, key, None, method, back, Owner::Recalled(id));
        let received = Received { transaction, request: request.clone(), flow };
        if *method == Method::Invite {
            let trying = self.compose_response(&received, None, 100, None, None, &ExtraHeaders::new(), None);
            self.transactions.respond(now, transaction, 100, trying);
        }
        if let Some(live) = self.live_mut(id) {
            live.reinvited = Some(received);
        }
        self.events.push_back(Event::Reinvite { session: id, request });
    }

    /// Offers anew. Where another offer is on its way in either direction this one would meet 491: it fails at once.
    pub(super) fn reinvite(&mut self, now: Instant, id: SessionId, headers: ExtraHeaders, body: Option<Body>) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        match &session.phase {
            Phase::Live(live)
                if live.reinvited.is_none() && live.unacked.is_none() && live.bye.is_none() && !session.offers() =>
            {
                self.send_within(now, id, Purpose::Reinvite, Method::Invite, headers, body, 0, None);
            }
            Phase::Leaving => {}
            _ => self.events.push_back(Event::ReinviteFailed { session: id, code: 491, response: None }),
        }
    }

    /// The final response to a re-INVITE of ours.
    pub(super) fn reinvite_response(
        &mut self,
        now: Instant,
        id: SessionId,
        body: Option<Body>,
        passed: Passed<Owner>,
        response: Response,
    ) {
        let code = response.code();
        if response.is_success()
            && let Some(Session { dialog: Some(dialog), .. }) = self.sessions.get_mut(&id)
        {
            dialog.refresh_by_response(&response);
            self.acknowledge(Some(id), passed, &response);
        }
        if response.is_success()
            && let Some(session) = self.sessions.get_mut(&id)
            && let Phase::Live(live) = &mut session.phase
        {
            // RFC 4028 7.2: it was a refresh as well.
            live.timer = granted(now, &self.config, &response);
            if body.is_some() {
                session.described = body;
            }
            self.rearm(id);
        }
        if self.live_mut(id).is_none_or(|live| live.bye.is_some()) {
            return;
        }
        match code {
            200..=299 => self.events.push_back(Event::ReinviteAnswered { session: id, response }),
            408 | 481 => self.lose(now, id, code),
            _ => self.events.push_back(Event::ReinviteFailed { session: id, code, response: Some(response) }),
        }
    }
}
