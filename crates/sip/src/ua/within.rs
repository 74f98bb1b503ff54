//! Requests within a dialog, other than INVITE, both ways (RFC 3261 12.2, 15).

use std::time::Instant;

use bytes::Bytes;

use super::auth::Auth;
use super::command::{Body, ExtraHeaders};
use super::compose::{Defaults, finish_request, given};
use super::event::Event;
use super::session::{Live, Phase, Purpose, Sent, Session};
use super::timer::write_offer;
use super::{Owner, RequestId, SessionId, Ua};
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::message::{Method, Name, Refusal, Request, Response};
use crate::transaction::key::Key;
use crate::transaction::{Passed, TransactionId};

/// True for requests whose Contact is a new remote target (RFC 3261 12.2.1.1, 3311, 6665, 3515).
pub(super) fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
}

impl Ua {
    /// The session a request of the other side belongs to.
    pub(super) fn find_dialog(&self, request: &Request) -> Option<SessionId> {
        let key = self.keys.dialog(
            request.call_id().unwrap_or_default(),
            request.to_tag().unwrap_or_default(),
            request.from_tag().unwrap_or_default(),
        );
        self.dialogs.get(&key).copied()
    }

    /// A request with a To tag.
    pub(super) fn within_in(&mut self, now: Instant, key: Key, request: Request, flow: Flow, back: Flow) {
        if let Some(id) = self.find_subscription(&request) {
            return self.resubscribed(now, key, id, &request, flow, back);
        }
        let id = self.find_dialog(&request);
        let Some((id, session)) = id.and_then(|id| self.sessions.get_mut(&id).map(|session| (id, session))) else {
            let refusal = Refusal::new(481, "Call/Transaction Does Not Exist");
            return self.refuse(now, key, &request, flow, back, refusal);
        };
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let from = request.from_tag().unwrap_or_default();
        let dialog = session
            .dialog
            .as_deref_mut()
            .into_iter()
            .chain(&mut session.forks)
            .find(|dialog| dialog.remote_tag == from);
        let in_order = dialog.is_some_and(|dialog| {
            dialog.follow(flow);
            dialog.admits(number)
        });
        if !in_order {
            // RFC 3261 12.2.2.
            let refusal = Refusal::new(500, "CSeq out of order");
            return self.refuse(now, key, &request, flow, back, refusal);
        }
        let leaving = matches!(session.phase, Phase::Leaving);
        let calling = matches!(session.phase, Phase::Calling(_));
        let live = matches!(session.phase, Phase::Live(_));
        match request.method() {
            Method::Bye if leaving => self.agree(now, key, &request, flow, back, None),
            // RFC 3261 section 15: the callee does not hang up what it has not answered.
            Method::Bye if calling => {
                let refusal = Refusal::new(481, "Call/Transaction Does Not Exist");
                self.refuse(now, key, &request, flow, back, refusal);
            }
            Method::Bye => {
                self.agree(now, key, &request, flow, back, None);
                self.end(now, id, Some(Event::Bye { session: id, request }));
            }
            _ if leaving => {
                let refusal = Refusal::new(481, "Call/Transaction Does Not Exist");
                self.refuse(now, key, &request, flow, back, refusal);
            }
            Method::Invite => self.reinvited(now, key, id, request, flow, back),
            Method::Update if request.body().is_empty() => self.refreshed(now, key, id, &request, flow, back),
            Method::Prack => self.pracked(now, key, id, request, flow, back),
            Method::Update if live => self.reinvited(now, key, id, request, flow, back),
            Method::Update => self.early_offer(now, key, id, request, flow, back),
            _ => self.asked_in(now, key, request, flow, back, Some(id)),
        }
    }

    /// Hangs up.
    pub(super) fn hang_up(&mut self, now: Instant, id: SessionId, headers: ExtraHeaders) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match &mut session.phase {
            Phase::Leaving => {}
            Phase::Calling(_) => self.cancel(now, id, headers),
            Phase::Called(_) => self.reject(now, id, 480, None, headers),
            // RFC 3261 section 15: the callee waits for the ACK of its answer.
            Phase::Live(live) if live.unacked.as_ref().is_some_and(|unacked| unacked.first) => {
                live.bye.get_or_insert(headers);
            }
            Phase::Live(_) => {
                let tag = session.local_tag.clone();
                let phase = std::mem::replace(&mut session.phase, Phase::Leaving);
                if let Phase::Live(live) = phase
                    && let Live { reinvited: Some(received), .. } = *live
                {
                    self.refuse_received(now, &received, 487, &tag);
                }
                self.send_within(now, id, Purpose::Bye, Method::Bye, headers, None, 0, None);
            }
        }
    }

    pub(super) fn ask_within(
        &mut self,
        now: Instant,
        session: SessionId,
        id: RequestId,
        method: Method,
        headers: ExtraHeaders,
        body: Option<Body>,
    ) {
        let alive = self
            .sessions
            .get(&session)
            .is_some_and(|session| session.dialog.is_some() && !matches!(session.phase, Phase::Leaving));
        // Those have orders of their own, or no transaction.
        let own = matches!(method, Method::Invite | Method::Ack | Method::Bye | Method::Cancel);
        if alive && !own && self.has_room() {
            self.send_within(now, session, Purpose::Other(id), method, headers, body, 0, None);
        } else {
            self.events.push_back(Event::RequestFailed { id, code: if alive { 503 } else { 481 } });
        }
    }

    /// Composes and sends a request within the dialog of a session.
    pub(super) fn send_within(
        &mut self,
        now: Instant,
        id: SessionId,
        purpose: Purpose,
        method: Method,
        headers: ExtraHeaders,
        body: Option<Body>,
        tries: u8,
        fork: Option<Bytes>,
    ) {
        let branch = self.branch();
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut dialogs = session.dialog.as_deref_mut().into_iter().chain(&mut session.forks);
        let found = match &fork {
            Some(tag) => dialogs.find(|dialog| dialog.remote_tag == *tag),
            None => dialogs.next(),
        };
        let Some(dialog) = found else {
            return;
        };
        let contact = refreshes_target(&method).then_some(&session.contact);
        let defaults = Defaults { config: &self.config, contact, allow: method == Method::Invite };
        let auth = session.auth.as_deref_mut();
        let mut builder = dialog.request(method.clone(), &branch, given(&headers, Name::MaxForwards).map(|v| &v[..]));
        if let Some(auth) = auth {
            builder = auth.write(builder, &method, dialog.request_uri().as_str(), body.as_ref(), &mut self.random);
        }
        if purpose == Purpose::Refresh || method == Method::Invite {
            let timer = match &session.phase {
                Phase::Live(live) => live.timer.as_ref(),
                _ => None,
            };
            builder = write_offer(builder, &self.config, timer, 0);
        }
        let request = finish_request(builder, &defaults, &headers, body.as_ref());
        let flow = dialog.flow;
        let transaction = self.send_request(now, flow, request, Owner::Within(id));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.sent.push(Box::new(Sent { transaction, purpose, method, headers, body, tries, fork }));
        }
    }

    /// A BYE of a dialog that no session holds any more.
    pub(super) fn send_bye(
        &mut self,
        now: Instant,
        mut dialog: Dialog,
        headers: &ExtraHeaders,
        auth: Option<&mut Auth>,
    ) {
        let branch = self.branch();
        let mut builder = dialog.request(Method::Bye, &branch, None);
        if let Some(auth) = auth {
            builder = auth.write(builder, &Method::Bye, dialog.request_uri().as_str(), None, &mut self.random);
        }
        let defaults = Defaults { config: &self.config, contact: None, allow: false };
        let request = finish_request(builder, &defaults, headers, None);
        self.send_request(now, dialog.flow, request, Owner::Nobody);
    }

    /// A response to a request of ours within a dialog.
    pub(super) fn within_response(&mut self, now: Instant, id: SessionId, passed: Passed<Owner>, response: Response) {
        let code = response.code();
        let Some(session) = self.sessions.get_mut(&id) else {
            return self.acknowledge_stray(passed, &response);
        };
        if code < 200 {
            let sent = session.sent.iter().find(|sent| sent.transaction == passed.id);
            match sent.map(|sent| sent.purpose) {
                Some(Purpose::Other(id)) => self.events.push_back(Event::Response { id, response }),
                // An INVITE that proceeds has no timer of its own.
                Some(Purpose::Reinvite | Purpose::Refresh) => {
                    self.transactions.limit(passed.id, now + self.config.ring_timeout)
                }
                Some(Purpose::Bye | Purpose::Prack) | None => {}
            }
            return;
        }
        let Some(sent) = session.take_sent(passed.id) else {
            return self.acknowledge_stray(passed, &response);
        };
        let learnt = matches!(code, 401 | 407)
            && session.auth.as_deref_mut().is_some_and(|auth| auth.learn(&response, sent.tries));
        if learnt {
            let Sent { purpose, method, headers, body, tries, fork, .. } = *sent;
            return self.send_within(now, id, purpose, method, headers, body, tries + 1, fork);
        }
        match sent.purpose {
            Purpose::Bye => self.end(now, id, Some(Event::Ended { session: id, code })),
            Purpose::Reinvite => self.reinvite_response(now, id, sent.body, passed, response),
            Purpose::Refresh => self.refresh_response(now, id, &sent.method, passed, response),
            // The call goes on without it, or the other side ends it.
            Purpose::Prack => {}
            Purpose::Other(request) => {
                self.events.push_back(Event::Response { id: request, response });
                // RFC 3261 12.2.1.2.
                if matches!(code, 408 | 481) {
                    self.lose(now, id, code);
                }
            }
        }
    }

    /// The 2xx to a re-INVITE of a session that is over, or of another fork of it.
    fn acknowledge_stray(&mut self, passed: Passed<Owner>, response: &Response) {
        let invite = response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        if invite && response.is_success() {
            self.acknowledge(None, passed, response);
        }
    }

    pub(super) fn within_unanswered(&mut self, now: Instant, id: SessionId, transaction: TransactionId, code: u16) {
        let sent = self.sessions.get_mut(&id).and_then(|session| session.take_sent(transaction));
        match sent.map(|sent| sent.purpose) {
            Some(Purpose::Bye) => self.end(now, id, Some(Event::Ended { session: id, code })),
            Some(Purpose::Reinvite | Purpose::Refresh) => self.lose(now, id, code),
            Some(Purpose::Other(request)) => {
                self.events.push_back(Event::RequestFailed { id: request, code });
                self.lose(now, id, code);
            }
            Some(Purpose::Prack) | None => {}
        }
    }

    /// The dialog of a live session is lost. Unless the other side has just said so, it is told by a BYE.
    pub(super) fn lose(&mut self, now: Instant, id: SessionId, code: u16) {
        let Some(Session { phase: Phase::Live(_), dialog, auth, .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        let (dialog, mut auth) = (dialog.take(), auth.take());
        if let Some(dialog) = dialog {
            self.dialogs.remove(&self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag));
            if code != 481 {
                self.send_bye(now, *dialog, &ExtraHeaders::new(), auth.as_deref_mut());
            }
        }
        self.end(now, id, Some(Event::Ended { session: id, code }));
    }
}
