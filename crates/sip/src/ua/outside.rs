//! Requests outside of dialogs, both ways, and the answers of the layer above to those of the others.

use std::time::Instant;

use bytes::Bytes;

use super::auth::Auth;
use super::command::{Body, ExtraHeaders, OutgoingRequest};
use super::compose::{Defaults, finish_request, given};
use super::event::Event;
use super::session::Received;
use super::within::refreshes_target;
use super::{Owner, RequestId, SessionId, Ua};
use crate::dialog::Via;
use crate::flow::Flow;
use crate::message::{CSeq, Method, Name, Request, RequestBuilder, Response};
use crate::transaction::key::Key;

/// A request of ours without a final response.
#[derive(Debug)]
pub(super) struct Asking {
    request: OutgoingRequest,
    call_id: Bytes,
    tag: String,
    cseq: u32,
    tries: u8,
    auth: Option<Auth>,
}

/// A request of the other side without our answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) received: Received,
    session: Option<SessionId>,
    pub(super) to_tag: String,
}

impl Asked {
    /// It carries an offer in a dialog that is not answered yet.
    pub(super) fn offers(&self) -> bool {
        let request = &self.received.request;
        matches!(request.method(), Method::Prack | Method::Update) && !request.body().is_empty()
    }
}

impl Ua {
    pub(super) fn ask(&mut self, now: Instant, id: RequestId, mut request: OutgoingRequest) {
        let own = matches!(request.method, Method::Invite | Method::Ack | Method::Cancel);
        if own || self.asking.contains_key(&id) || !self.has_room() {
            self.events.push_back(Event::RequestFailed { id, code: 503 });
            return;
        }
        let asking = Asking {
            call_id: request.call_id.take().unwrap_or_else(|| (self.token() + &self.token()).into()),
            tag: self.token(),
            cseq: request.cseq.unwrap_or(1),
            tries: 0,
            auth: request.credentials.take().map(Auth::new),
            request,
        };
        self.asking.insert(id, Box::new(asking));
        self.send_asking(now, id);
    }

    fn send_asking(&mut self, now: Instant, id: RequestId) {
        let branch = self.branch();
        let Some(asking) = self.asking.get_mut(&id) else {
            return;
        };
        let request = &asking.request;
        let max_forwards = given(&request.headers, Name::MaxForwards);
        let mut builder = RequestBuilder::new(request.method.clone(), &request.uri)
            .header_display(Name::Via, Via { flow: &request.flow, branch: &branch })
            .header(Name::MaxForwards, max_forwards.map_or(&b"70"[..], |value| value));
        for route in &request.route {
            builder = builder.header(Name::Route, route);
        }
        builder = builder
            .header_display(Name::From, request.from.clone().with_tag(&asking.tag))
            .header_display(Name::To, request.to.clone().without_tag())
            .header(Name::CallId, &asking.call_id)
            .header_display(Name::CSeq, CSeq { number: asking.cseq, method: request.method.clone() });
        if let Some(contact) = &request.contact {
            builder = builder.header_display(Name::Contact, format_args!("<{contact}>"));
        }
        if let Some(seconds) = request.expires {
            builder = builder.header_display(Name::Expires, seconds);
        }
        if let Some(auth) = &mut asking.auth {
            builder =
                auth.write(builder, &request.method, request.uri.as_str(), request.body.as_ref(), &mut self.random);
        }
        let defaults = Defaults { config: &self.config, contact: None, allow: false };
        let composed = finish_request(builder, &defaults, &request.headers, request.body.as_ref());
        let flow = request.flow;
        self.send_request(now, flow, composed, Owner::Asking(id));
    }

    pub(super) fn asking_response(&mut self, now: Instant, id: RequestId, response: Response) {
        let code = response.code();
        let Some(asking) = self.asking.get_mut(&id) else {
            return;
        };
        if matches!(code, 401 | 407)
            && let Some(auth) = &mut asking.auth
            && auth.learn(&response, asking.tries)
        {
            asking.tries += 1;
            asking.cseq += 1;
            return self.send_asking(now, id);
        }
        if code >= 200 {
            self.asking.remove(&id);
        }
        self.events.push_back(Event::Response { id, response });
    }

    /// A request that the layer above answers.
    pub(super) fn asked_in(
        &mut self,
        now: Instant,
        key: Key,
        request: Request,
        flow: Flow,
        back: Flow,
        within: Option<SessionId>,
    ) {
        let id = self.new_request();
        let merge = within.is_none().then(|| self.keys.merge(&request));
        let transaction = self.transactions.open_server(now, key, merge, request.method(), back, Owner::Asked(id));
        let received = Received { transaction, request: request.clone(), flow };
        let asked = Asked { received, session: within, to_tag: self.token() };
        self.asked.insert(id, Box::new(asked));
        match within {
            Some(session) => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.asked.push(id);
                }
                self.events.push_back(Event::InDialog { session, id, request });
            }
            None => self.events.push_back(Event::Request { id, request, flow }),
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Instant,
        id: RequestId,
        code: u16,
        reason: Option<String>,
        headers: ExtraHeaders,
        body: Option<Body>,
    ) {
        let Some(asked) = self.asked.remove(&id) else {
            return;
        };
        let code = code.clamp(100, 699);
        let method = asked.received.request.method();
        let success = (200..300).contains(&code);
        let session = asked.session.and_then(|session| self.sessions.get_mut(&session));
        let mut contact = None;
        if let Some(session) = session {
            if success && refreshes_target(method) {
                contact = Some(session.contact.clone());
            }
            if code >= 200 {
                session.asked.retain(|asked| *asked != id);
            }
        }
        let tag = (code > 100).then_some(asked.to_tag.as_bytes());
        let octets =
            self.compose_response(&asked.received, tag, code, reason, contact.as_ref(), &headers, body.as_ref());
        self.transactions.respond(now, asked.received.transaction, code, octets);
        if success
            && asked.offers()
            && let Some(session) = asked.session
        {
            self.early_answered(session, &asked.received.request, asked.received.flow, body);
        }
        if code < 200 {
            self.asked.insert(id, asked);
        }
    }

    /// The layer above has not answered within the life of the transaction; now nobody waits for it any more.
    pub(super) fn forget_asked(&mut self, id: RequestId) {
        if let Some(asked) = self.asked.remove(&id)
            && let Some(session) = asked.session.and_then(|session| self.sessions.get_mut(&session))
        {
            session.asked.retain(|asked| *asked != id);
        }
    }
}
