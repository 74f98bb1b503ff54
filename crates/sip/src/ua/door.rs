//! Where messages come in: what is wrong is answered here, what is right goes to whom it belongs.

use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use super::event::Event;
use super::session::Phase;
use super::timer::{TIMER, too_short};
use super::{Owner, SessionId, Ua};
use crate::dialog::of_response;
use crate::flow::{Flow, Transport};
use crate::message::{Message, Method, Name, ParseError, Refusal, Request, Response, Support, validate_with};
use crate::transaction::Arrival;
use crate::transaction::key::Key;

impl Ua {
    pub(super) fn received(&mut self, now: Instant, octets: Bytes, flow: Flow) {
        match Message::parse(octets) {
            Ok(Message::Request(request)) => self.request_in(now, request, flow),
            Ok(Message::Response(response)) => self.response_in(now, response, flow),
            Err(ParseError::KeepAlive) => {}
            Err(_) => self.events.push_back(Event::Unreadable { flow }),
        }
    }

    fn response_in(&mut self, now: Instant, response: Response, flow: Flow) {
        let (true, Ok(via), Ok(cseq)) = (response.is_sound(), response.via(), response.cseq()) else {
            return self.events.push_back(Event::Unreadable { flow });
        };
        let key = self.keys.client(via.branch().unwrap_or_default(), &cseq.method);
        let tag = self.keys.tag(response.to_tag().unwrap_or_default());
        let Some(passed) = self.transactions.receive_response(now, key, tag, &response) else {
            return;
        };
        match passed.owner {
            Owner::Call(session) => self.call_response(now, session, passed, response),
            Owner::Within(session) => self.within_response(now, session, passed, response),
            Owner::Asking(id) => self.asking_response(now, id, response),
            Owner::Notified(id) => self.notified(now, id, passed.id, response.code()),
            Owner::Nobody | Owner::Called(_) | Owner::Recalled(_) | Owner::Asked(_) => {}
        }
    }

    fn request_in(&mut self, now: Instant, request: Request, flow: Flow) {
        // Without a readable Via there is no telling a transaction by, nor a way back.
        let Ok(via) = request.via() else {
            return self.events.push_back(Event::Unreadable { flow });
        };
        let back = of_response(flow, &via);
        let key = self.keys.server(&request, &via);
        let method = request.method().clone();
        match self.transactions.receive_request(now, key, &method, back) {
            Arrival::Absorbed => return,
            Arrival::Ack => return self.acked(now, request),
            Arrival::New if method == Method::Ack => return self.acked(now, request),
            Arrival::New => {}
        }
        if !self.has_room() {
            let refusal = self.overload();
            let octets = self.compose_refusal(&request, flow, &refusal);
            self.transactions.send(back, octets);
            return;
        }
        let mut extensions = SmallVec::<[&str; 4]>::from_slice(self.config.extensions);
        extensions.extend(self.config.session_expires.map(|_| TIMER));
        let support = Support { extensions: &extensions, ..Support::default() };
        let wrong = validate_with(&request, &support)
            .err()
            .or_else(|| self.out_of_place(&request, flow.transport))
            .or_else(|| too_short(&self.config, &request));
        if let Some(refusal) = wrong {
            return self.refuse(now, key, &request, flow, back, refusal);
        }
        match method {
            Method::Cancel => {
                let cancelled = self.keys.cancelled(&request, &via);
                self.cancel_in(now, key, cancelled, request, flow, back);
            }
            _ if request.to_tag().is_some() => self.within_in(now, key, request, flow, back),
            Method::Invite => self.called(now, key, request, flow, back),
            _ => self.asked_in(now, key, request, flow, back, None),
        }
    }

    /// Whether there may be another transaction.
    pub(super) fn has_room(&mut self) -> bool {
        self.transactions.len() < self.config.max_transactions || self.transactions.forget_answered()
    }

    /// What cannot be wrong with a request by itself, only here and now.
    fn out_of_place(&self, request: &Request, transport: Transport) -> Option<Refusal> {
        let method = request.method();
        if *method == Method::Cancel || request.to_tag().is_some() {
            return None;
        }
        if matches!(method, Method::Bye | Method::Prack | Method::Update | Method::Info) {
            return Some(Refusal::new(481, "Call/Transaction Does Not Exist"));
        }
        // RFC 3261 26.2.2: it was to come over TLS all the way. No 416, which would have it asked for again without.
        let sips = request.uri_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"));
        if sips && !transport.is_secure() {
            return Some(Refusal::new(403, "SIPS Over TLS Only"));
        }
        // RFC 3261 16.3: what is for us whatever its Max-Forwards is answered; a call would go on to another leg.
        let ours = matches!(method, Method::Options | Method::Register);
        if !ours && request.max_forwards() == Ok(Some(0)) {
            return Some(Refusal::new(483, "Too Many Hops"));
        }
        // RFC 3261 8.2.2.2.
        if self.transactions.is_merged(self.keys.merge(request)) {
            return Some(Refusal::new(482, "Loop Detected"));
        }
        None
    }

    /// The answer at a limit.
    pub(super) fn overload(&self) -> Refusal {
        let mut refusal = Refusal::new(503, "Service Unavailable");
        refusal.headers.push((Name::RetryAfter, self.config.retry_after.as_secs().max(1).to_string()));
        refusal
    }

    fn compose_refusal(&mut self, request: &Request, flow: Flow, refusal: &Refusal) -> Bytes {
        let mut builder = refusal.reply(request).received(flow.remote).to_tag(self.token());
        if !self.config.product.is_empty() {
            builder = builder.header(Name::Server, &self.config.product);
        }
        builder.build().bytes().clone()
    }

    /// Refuses a request of which nothing else is kept.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        key: Key,
        request: &Request,
        flow: Flow,
        back: Flow,
        refusal: Refusal,
    ) {
        let octets = self.compose_refusal(request, flow, &refusal);
        let transaction = self.transactions.open_server(now, key, None, request.method(), back, Owner::Nobody);
        self.transactions.respond(now, transaction, refusal.code, octets);
    }

    /// RFC 3261 9.2.
    fn cancel_in(&mut self, now: Instant, key: Key, cancelled: Key, request: Request, flow: Flow, back: Flow) {
        let Some((_, owner)) = self.transactions.find(cancelled) else {
            let refusal = Refusal::new(481, "Call/Transaction Does Not Exist");
            return self.refuse(now, key, &request, flow, back, refusal);
        };
        let session = match owner {
            Owner::Called(session) | Owner::Recalled(session) => Some(session),
            _ => None,
        };
        // The tag of the 200 is that of the answers to the INVITE.
        let tag = session.and_then(|id| self.sessions.get(&id)).map(|session| session.local_tag.clone());
        self.agree(now, key, &request, flow, back, tag);
        if let Some(id) = session {
            self.cancelled(now, id, owner, request);
        }
    }

    fn cancelled(&mut self, now: Instant, id: SessionId, owner: Owner, request: Request) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let tag = session.local_tag.clone();
        match &mut session.phase {
            // `end` answers the INVITE with 487.
            Phase::Called(_) => self.end(now, id, Some(Event::Cancelled { session: id, request })),
            Phase::Live(live) if owner == Owner::Recalled(id) => {
                if let Some(received) = live.reinvited.take() {
                    self.refuse_received(now, &received, 487, &tag);
                }
            }
            _ => {}
        }
    }

    /// Answers 200 without asking anybody.
    pub(super) fn agree(
        &mut self,
        now: Instant,
        key: Key,
        request: &Request,
        flow: Flow,
        back: Flow,
        tag: Option<Bytes>,
    ) {
        let tag = tag.unwrap_or_else(|| self.token().into());
        let transaction = self.transactions.open_server(now, key, None, request.method(), back, Owner::Nobody);
        let octets = self.compose_plain(request, flow, 200, &tag);
        self.transactions.respond(now, transaction, 200, octets);
    }
}
