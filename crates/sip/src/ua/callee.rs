//! The called side of a session, from the INVITE to the ACK of our answer (RFC 3261 13.3).

use std::time::Instant;

use bytes::Bytes;

use super::command::{Body, ExtraHeaders};
use super::compose::{Defaults, contact_scheme, contact_value, response};
use super::event::Event;
use super::session::{Called, Phase, Received, Session, Unacked};
use super::timer::{allows_update, grant};
use super::{Owner, SessionId, Ua};
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::message::{Method, Refusal, Request};
use crate::transaction::key::Key;
use crate::uri::Uri;

impl Ua {
    /// An INVITE that makes a new session.
    pub(super) fn called(&mut self, now: Instant, key: Key, request: Request, flow: Flow, back: Flow) {
        if self.sessions.len() >= self.config.max_sessions {
            self.refuse(now, key, &request, flow, back, self.overload());
            return;
        }
        let tag = self.token();
        let Some(dialog) = Dialog::incoming(&request, tag.as_bytes(), flow) else {
            self.refuse(now, key, &request, flow, back, Refusal::new(400, "Missing Contact header"));
            return;
        };
        let id = self.new_session();
        let merge = self.keys.merge(&request);
        let owner = Owner::Called(id);
        let transaction = self.transactions.open_server(now, key, Some(merge), &Method::Invite, back, owner);
        let received = Received { transaction, request: request.clone(), flow };
        let trying = self.compose_response(&received, None, 100, None, None, &ExtraHeaders::new(), None);
        self.transactions.respond(now, transaction, 100, trying);

        let uri = received.request.uri().ok();
        let contact = contact_value(uri.as_ref().and_then(Uri::user), &flow, contact_scheme(&received.request, &flow));
        let called = Called { received, provisional: None, reliable: None };
        let phase = Phase::Called(Box::new(called));
        let mut session = Session::new(phase, dialog.call_id.clone(), dialog.local_tag.clone(), contact);
        session.dialog = Some(Box::new(dialog));
        session.updates = allows_update(request.headers());
        self.sessions.insert(id, session);
        self.index_dialogs(id);
        self.events.push_back(Event::Invite { session: id, request, flow });
    }

    /// A response to something received. With a contact it is one that makes or refreshes a dialog.
    pub(super) fn compose_response(
        &self,
        received: &Received,
        to_tag: Option<&[u8]>,
        code: u16,
        reason: Option<String>,
        contact: Option<&Bytes>,
        headers: &ExtraHeaders,
        body: Option<&Body>,
    ) -> Bytes {
        // RFC 3261 13.3.1.4, 11.2, 8.2.1.
        let told = matches!(received.request.method(), Method::Invite | Method::Options);
        let allow = told && (200..300).contains(&code) || code == 405;
        let defaults = Defaults { config: &self.config, contact, allow };
        response(&received.request, received.flow.remote, code, reason, to_tag, &defaults, headers, body)
    }

    /// A response that says nothing but its code.
    pub(super) fn compose_plain(&self, request: &Request, flow: Flow, code: u16, to_tag: &[u8]) -> Bytes {
        let defaults = Defaults { config: &self.config, contact: None, allow: false };
        response(request, flow.remote, code, None, Some(to_tag), &defaults, &ExtraHeaders::new(), None)
    }

    pub(super) fn send_provisional(
        &mut self,
        now: Instant,
        id: SessionId,
        code: u16,
        reason: Option<String>,
        headers: ExtraHeaders,
        body: Option<Body>,
    ) {
        let Some(Session { phase: Phase::Called(called), .. }) = self.sessions.get(&id) else {
            return;
        };
        // 100 has been sent; anything but 101..=199 is no provisional response.
        if !(101..=199).contains(&code) {
            return;
        }
        if self.is_reliable(called, body.is_some()) {
            return self.send_reliably(now, id, code, reason, headers, body);
        }
        self.say_provisional(now, id, code, reason, &headers, body);
        self.rearm(id);
    }

    /// Sends a provisional response and keeps it. Returns its octets.
    pub(super) fn say_provisional(
        &mut self,
        now: Instant,
        id: SessionId,
        code: u16,
        reason: Option<String>,
        headers: &ExtraHeaders,
        body: Option<Body>,
    ) -> Option<Bytes> {
        let Some(Session { phase: Phase::Called(called), local_tag, contact, .. }) = self.sessions.get(&id) else {
            return None;
        };
        let received = &called.received;
        let octets =
            self.compose_response(received, Some(local_tag), code, reason, Some(contact), headers, body.as_ref());
        let transaction = received.transaction;
        self.transactions.respond(now, transaction, code, octets.clone());
        let again = now + self.config.provisional_refresh;
        if let Some(Session { phase: Phase::Called(called), described, .. }) = self.sessions.get_mut(&id) {
            if body.is_some() {
                *described = body;
            }
            called.provisional = Some((code, octets.clone(), again));
        }
        Some(octets)
    }

    /// RFC 3261 13.3.1.1: so that no proxy on the way gives up a call that rings for long.
    pub(super) fn refresh_provisional(&mut self, now: Instant, id: SessionId) {
        if let Some(Session { phase: Phase::Called(called), .. }) = self.sessions.get_mut(&id)
            && let Some((code, octets, again)) = &mut called.provisional
            && *again <= now
        {
            *again = now + self.config.provisional_refresh;
            self.transactions.respond(now, called.received.transaction, *code, octets.clone());
        }
    }

    /// Answers a call, a re-INVITE or an UPDATE with an offer.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        id: SessionId,
        mut headers: ExtraHeaders,
        mut body: Option<Body>,
        contact: Option<Uri>,
    ) {
        if self.holds_answer(id, &headers, body.as_ref(), contact.as_ref()) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let first = matches!(session.phase, Phase::Called(_));
        let received = match &mut session.phase {
            Phase::Called(_) => match std::mem::replace(&mut session.phase, Phase::Live(Box::default())) {
                Phase::Called(called) => {
                    body = body.filter(|_| called.reliable.as_ref().is_none_or(|told| !told.is_agreed()));
                    called.received
                }
                _ => return,
            },
            Phase::Live(live) => match live.reinvited.take() {
                Some(received) => received,
                None => return,
            },
            Phase::Calling(_) | Phase::Leaving => return,
        };
        if let Some(uri) = &contact {
            session.contact = format!("<{uri}>").into();
        }
        if let Some(dialog) = session.dialog.as_deref_mut().filter(|_| !first) {
            dialog.refresh_by_request(&received.request, received.flow);
        }
        if body.is_some() {
            session.described.clone_from(&body);
        }
        if let Some((timer, told)) = grant(now, &self.config, &received.request)
            && let Phase::Live(live) = &mut session.phase
        {
            live.timer = Some(timer);
            headers.extend(told);
        }
        let (contact, tag) = (session.contact.clone(), session.local_tag.clone());
        let octets = self.compose_response(&received, Some(&tag), 200, None, Some(&contact), &headers, body.as_ref());
        let back = self.transactions.flow(received.transaction).unwrap_or(received.flow);
        self.transactions.respond(now, received.transaction, 200, octets.clone());

        if *received.request.method() == Method::Update {
            // Nothing acknowledges its 2xx.
            return self.rearm(id);
        }
        let timing = self.config.timing;
        let cseq = received.request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if let Some(live) = self.live_mut(id) {
            live.unacked = Some(Unacked {
                response: octets,
                flow: back,
                cseq,
                first,
                interval: timing.t1,
                next: now + timing.t1,
                until: now + timing.lifetime(),
            });
        }
        self.rearm(id);
    }

    /// Sends our 2xx again, or gives up waiting for its ACK.
    pub(super) fn repeat_answer(&mut self, now: Instant, id: SessionId) {
        let timing = self.config.timing;
        let Some(Session { phase: Phase::Live(live), .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(unacked) = &mut live.unacked else {
            return;
        };
        if unacked.until <= now {
            // RFC 3261 13.3.1.4: the dialog is confirmed, but the session is to be ended.
            self.lose(now, id, 408);
            return;
        }
        if unacked.next <= now {
            unacked.interval = (unacked.interval * 2).min(timing.t2);
            unacked.next = now + unacked.interval;
            let (flow, octets) = (unacked.flow, unacked.response.clone());
            self.transactions.send(flow, octets);
        }
    }

    /// The ACK of a 2xx. One that nobody waits for has been repeated, or is too late.
    pub(super) fn acked(&mut self, now: Instant, request: Request) {
        let Some(id) = self.find_dialog(&request) else {
            return;
        };
        let number = request.cseq().map(|cseq| cseq.number).ok();
        let Some(live) = self.live_mut(id) else {
            return;
        };
        match &live.unacked {
            Some(unacked) if Some(unacked.cseq) == number => live.unacked = None,
            _ => return,
        }
        let bye = live.bye.take();
        self.rearm(id);
        match bye {
            Some(headers) => self.hang_up(now, id, headers),
            None => self.events.push_back(Event::Acked { session: id, request }),
        }
    }

    /// Refuses a call or a re-INVITE.
    pub(super) fn reject(
        &mut self,
        now: Instant,
        id: SessionId,
        code: u16,
        reason: Option<String>,
        headers: ExtraHeaders,
    ) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let code = code.clamp(300, 699);
        let received = match &session.phase {
            Phase::Called(called) => &called.received,
            Phase::Live(live) => match &live.reinvited {
                Some(received) => received,
                None => return,
            },
            Phase::Calling(_) | Phase::Leaving => return,
        };
        let transaction = received.transaction;
        let octets = self.compose_response(received, Some(&session.local_tag), code, reason, None, &headers, None);
        self.transactions.respond(now, transaction, code, octets);
        match self.live_mut(id) {
            Some(live) => live.reinvited = None,
            None => self.end(now, id, None),
        }
    }

    /// Refuses an INVITE on our own account.
    pub(super) fn refuse_received(&mut self, now: Instant, received: &Received, code: u16, to_tag: &[u8]) {
        if self.transactions.is_open(received.transaction) {
            let octets = self.compose_response(received, Some(to_tag), code, None, None, &ExtraHeaders::new(), None);
            self.transactions.respond(now, received.transaction, code, octets);
        }
    }
}
