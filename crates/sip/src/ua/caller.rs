//! The calling side of a session, from its INVITE to the answer (RFC 3261 13.2, 9.1).

use std::time::Instant;

use bytes::Bytes;

use super::auth::Auth;
use super::command::{ExtraHeaders, OutgoingInvite};
use super::compose::{Defaults, contact_value, finish_request, given};
use super::event::Event;
use super::reliable::RELIABLE;
use super::session::{Calling, Cancel, Live, Phase, Session};
use super::timer::{MAX_RAISES, allows_update, granted, raise, wanted, write_offer};
use super::{Owner, SessionId, Ua};
use crate::dialog::{Dialog, Via};
use crate::flow::Flow;
use crate::message::{CSeq, Method, Name, Request, RequestBuilder, Response};
use crate::transaction::ack::hop_by_hop;
use crate::transaction::{Passed, TransactionId};

/// Early dialogs of one INVITE that are kept; further ones still show their progress but take no requests.
const MAX_FORKS: usize = 16;

impl Ua {
    pub(super) fn call(&mut self, now: Instant, id: SessionId, mut invite: OutgoingInvite) {
        if self.sessions.contains_key(&id) {
            return;
        }
        if self.sessions.len() >= self.config.max_sessions || !self.has_room() {
            self.events.push_back(Event::Failed { session: id, code: 503, response: None });
            return;
        }
        let call_id = invite.call_id.take().unwrap_or_else(|| (self.token() + &self.token()).into());
        let local_tag = Bytes::from(self.token());
        let contact = match &invite.contact {
            Some(uri) => format!("<{uri}>").into(),
            // RFC 3261 8.1.1.8: who is called by SIPS is shown one.
            None => contact_value(invite.from.uri.user(), &invite.flow, invite.uri.scheme()),
        };
        let mut auth = invite.credentials.take().map(|credentials| Box::new(Auth::new(credentials)));

        let request = self.compose_invite(&invite, &call_id, &local_tag, &contact, 1, 0, auth.as_deref_mut());
        let transaction = self.send_request(now, invite.flow, request, Owner::Call(id));
        let described = invite.body.clone();
        let cancel = Cancel::No;
        let calling =
            Calling { invite, transaction, cseq: 1, tries: 0, cancel, raised: 0, raises: 0, ring_until: None };
        let mut session = Session::new(Phase::Calling(Box::new(calling)), call_id, local_tag, contact);
        session.auth = auth;
        session.described = described;
        self.sessions.insert(id, session);
    }

    fn compose_invite(
        &mut self,
        invite: &OutgoingInvite,
        call_id: &[u8],
        local_tag: &[u8],
        contact: &Bytes,
        number: u32,
        raised: u64,
        auth: Option<&mut Auth>,
    ) -> Request {
        let branch = self.branch();
        let tag = String::from_utf8_lossy(local_tag);
        let max_forwards = given(&invite.headers, Name::MaxForwards);
        let mut builder = RequestBuilder::new(Method::Invite, &invite.uri)
            .header_display(Name::Via, Via { flow: &invite.flow, branch: &branch })
            .header(Name::MaxForwards, max_forwards.map_or(&b"70"[..], |value| value));
        for route in &invite.route {
            builder = builder.header(Name::Route, route);
        }
        builder = builder
            .header_display(Name::From, invite.from.clone().with_tag(&tag))
            .header_display(Name::To, invite.to.clone().without_tag())
            .header(Name::CallId, call_id)
            .header_display(Name::CSeq, CSeq { number, method: Method::Invite });
        if let Some(auth) = auth {
            builder = auth.write(builder, &Method::Invite, invite.uri.as_str(), invite.body.as_ref(), &mut self.random);
        }
        if self.knows(RELIABLE) {
            builder = builder.header(Name::Supported, RELIABLE);
        }
        builder = write_offer(builder, &self.config, None, raised);
        let defaults = Defaults { config: &self.config, contact: Some(contact), allow: true };
        finish_request(builder, &defaults, &invite.headers, invite.body.as_ref())
    }

    /// Opens a client transaction for a request that has been composed with a branch of its own.
    pub(super) fn send_request(&mut self, now: Instant, flow: Flow, request: Request, owner: Owner) -> TransactionId {
        let branch = request.via().ok().and_then(|via| via.branch()).unwrap_or_default();
        let key = self.keys.client(branch, request.method());
        self.transactions.open_client(now, key, flow, request, owner)
    }

    /// A response to the INVITE of a call of ours.
    pub(super) fn call_response(&mut self, now: Instant, id: SessionId, passed: Passed<Owner>, response: Response) {
        let code = response.code();
        let calling = match self.sessions.get_mut(&id) {
            Some(Session { phase: Phase::Calling(calling), .. }) if calling.transaction == passed.id => calling,
            // The session has its answer, or is over: this is the answer of another fork.
            _ => {
                if response.is_success() {
                    self.release_fork(now, passed, &response);
                }
                return;
            }
        };
        match code {
            100..=199 => {
                if calling.ring_until.is_none() {
                    calling.ring_until = Some(now + self.config.ring_timeout);
                }
                if matches!(calling.cancel, Cancel::Wanted(_)) {
                    self.send_cancel(now, id);
                }
                self.progress(now, id, passed.flow, response);
                self.rearm(id);
            }
            200..=299 => match calling.cancel {
                Cancel::No => self.answered(now, id, passed, response),
                Cancel::Wanted(_) => self.answered_too_late(now, id, 487, passed, response),
                Cancel::Sent(code) => self.answered_too_late(now, id, code, passed, response),
            },
            _ => {
                let code = match calling.cancel {
                    Cancel::Sent(wanted) if code == 487 => wanted,
                    // Nobody wants to answer the challenge any more.
                    Cancel::Wanted(_) | Cancel::Sent(_) if matches!(code, 401 | 407) => 487,
                    _ => code,
                };
                let again = matches!(code, 401 | 407) || code == 422 && matches!(calling.cancel, Cancel::No);
                if again && self.call_again(now, id, &response) {
                    return;
                }
                self.end(now, id, Some(Event::Failed { session: id, code, response: Some(response) }));
            }
        }
    }

    /// Sends the INVITE again with credentials, if there are any for the challenge, or with a longer session interval.
    fn call_again(&mut self, now: Instant, id: SessionId, response: &Response) -> bool {
        let Some(mut session) = self.sessions.remove(&id) else {
            return false;
        };
        let mut sent = false;
        if let Phase::Calling(calling) = &mut session.phase
            && match response.code() {
                422 => self.raise_interval(calling, response),
                _ => session.auth.as_deref_mut().is_some_and(|auth| auth.learn(response, calling.tries)),
            }
        {
            calling.tries += u8::from(response.code() != 422);
            calling.cseq += 1;
            let request = self.compose_invite(
                &calling.invite,
                &session.call_id,
                &session.local_tag,
                &session.contact,
                calling.cseq,
                calling.raised,
                session.auth.as_deref_mut(),
            );
            calling.transaction = self.send_request(now, calling.invite.flow, request, Owner::Call(id));
            calling.ring_until = None;
            sent = true;
        }
        self.sessions.insert(id, session);
        sent
    }

    /// RFC 4028 7.3: takes the longer interval that a 422 wants.
    fn raise_interval(&self, calling: &mut Calling, response: &Response) -> bool {
        let Some(offered) = wanted(&self.config, calling.raised) else {
            return false;
        };
        if let Some(least) = raise(response, offered).filter(|_| calling.raises < MAX_RAISES) {
            calling.raised = least;
            calling.raises += 1;
            return true;
        }
        false
    }

    fn progress(&mut self, now: Instant, id: SessionId, flow: Flow, response: Response) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let silent = !matches!(&session.phase, Phase::Calling(calling) if matches!(calling.cancel, Cancel::No));
        if silent || response.code() == 100 {
            return;
        }
        if let Some(tag) = response.to_tag() {
            let known = session.dialogs().any(|dialog| dialog.remote_tag == tag);
            if !known
                && session.forks.len() < MAX_FORKS
                && let Some(dialog) = Dialog::outgoing(&response, flow)
            {
                let key = self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
                self.dialogs.insert(key, id);
                if let Some(former) = session.dialog.replace(Box::new(dialog)) {
                    session.forks.push(*former);
                }
            }
        }
        if self.provisional_in(now, id, &response) {
            self.events.push_back(Event::Progress { session: id, response });
        }
    }

    fn answered(&mut self, now: Instant, id: SessionId, passed: Passed<Owner>, response: Response) {
        self.unindex_dialogs(id);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let tag = response.to_tag().unwrap_or_default();
        let early = session
            .dialog
            .take()
            .into_iter()
            .map(|dialog| *dialog)
            .chain(session.forks.drain(..))
            .find(|dialog| dialog.remote_tag == tag);
        let dialog = match early {
            Some(mut dialog) => {
                dialog.confirm(&response, passed.flow);
                Some(dialog)
            }
            None => Dialog::outgoing(&response, passed.flow),
        };
        let timer = granted(now, &self.config, &response);
        session.phase = Phase::Live(Box::new(Live { timer, ..Live::default() }));
        session.updates = allows_update(response.headers());
        session.dialog = dialog.map(Box::new);
        self.acknowledge(Some(id), passed, &response);
        self.index_dialogs(id);
        self.rearm(id);
        self.events.push_back(Event::Answered { session: id, response });
    }

    /// The 2xx has crossed our CANCEL: the call stands for as long as it takes to hang it up.
    fn answered_too_late(&mut self, now: Instant, id: SessionId, code: u16, passed: Passed<Owner>, response: Response) {
        self.release_fork(now, passed, &response);
        self.end(now, id, Some(Event::Failed { session: id, code, response: Some(response) }));
    }

    /// Acknowledges a 2xx nobody wants and hangs up what it has made (RFC 3261 13.2.2.4).
    fn release_fork(&mut self, now: Instant, passed: Passed<Owner>, response: &Response) {
        self.acknowledge(None, passed, response);
        if let Some(dialog) = Dialog::outgoing(response, passed.flow) {
            self.send_bye(now, dialog, &ExtraHeaders::new(), None);
        }
    }

    /// Sends the ACK of a 2xx. Its transaction sends it again for each repetition of the 2xx.
    pub(super) fn acknowledge(&mut self, id: Option<SessionId>, passed: Passed<Owner>, response: &Response) {
        let branch = self.branch();
        let Ok(CSeq { number, .. }) = response.cseq() else {
            return;
        };
        let session = id.and_then(|id| self.sessions.get_mut(&id));
        let made;
        let (dialog, auth) = match session {
            Some(Session { dialog: Some(dialog), auth, .. }) => (&**dialog, auth.as_deref()),
            _ => match Dialog::outgoing(response, passed.flow) {
                Some(dialog) => {
                    made = dialog;
                    (&made, None)
                }
                None => return,
            },
        };
        let mut builder = dialog.ack(number, &branch);
        if let Some(auth) = auth {
            // RFC 3261 13.2.2.4, 22.1: the ACK carries the credentials of its INVITE, as it cannot be challenged.
            builder = auth.repeat(builder);
        }
        let ack = builder.build().bytes().clone();
        let flow = dialog.flow;
        let tag = self.keys.tag(response.to_tag().unwrap_or_default());
        self.transactions.acknowledge(passed.id, tag, flow, ack);
    }

    /// Gives up a call that is not answered.
    pub(super) fn cancel(&mut self, now: Instant, id: SessionId, headers: ExtraHeaders) {
        let Some(Session { phase: Phase::Calling(calling), .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        if !matches!(calling.cancel, Cancel::No) {
            return;
        }
        calling.cancel = Cancel::Wanted(headers);
        if self.transactions.is_proceeding(calling.transaction) {
            self.send_cancel(now, id);
        }
    }

    fn send_cancel(&mut self, now: Instant, id: SessionId) {
        let Some(Session { phase: Phase::Calling(calling), .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        let Cancel::Wanted(headers) = std::mem::replace(&mut calling.cancel, Cancel::Sent(487)) else {
            return;
        };
        calling.ring_until = None;
        let (transaction, flow) = (calling.transaction, calling.invite.flow);
        let Some(invite) = self.transactions.open_invite(transaction) else {
            return;
        };
        let builder = hop_by_hop(invite, Method::Cancel, calling.cseq, None);
        let defaults = Defaults { config: &self.config, contact: None, allow: false };
        let request = finish_request(builder, &defaults, &headers, None);
        self.send_request(now, flow, request, Owner::Nobody);
        self.transactions.limit(transaction, now + self.config.timing.lifetime());
    }

    /// The call has rung for too long.
    pub(super) fn ring_timeout(&mut self, now: Instant, id: SessionId) {
        self.cancel(now, id, ExtraHeaders::new());
        if let Some(Session { phase: Phase::Calling(calling), .. }) = self.sessions.get_mut(&id)
            && matches!(calling.cancel, Cancel::Sent(_))
        {
            calling.cancel = Cancel::Sent(408);
        }
    }

    /// The INVITE had no final response.
    pub(super) fn call_unanswered(&mut self, now: Instant, id: SessionId, transaction: TransactionId, code: u16) {
        let code = match self.sessions.get(&id) {
            Some(Session { phase: Phase::Calling(calling), .. }) if calling.transaction == transaction => {
                match calling.cancel {
                    Cancel::Sent(wanted) => wanted,
                    Cancel::No | Cancel::Wanted(_) => code,
                }
            }
            _ => return,
        };
        self.end(now, id, Some(Event::Failed { session: id, code, response: None }));
    }

    /// Phase of a call that is answered, for the callee too.
    pub(super) fn live_mut(&mut self, id: SessionId) -> Option<&mut Live> {
        match self.sessions.get_mut(&id) {
            Some(Session { phase: Phase::Live(live), .. }) => Some(live),
            _ => None,
        }
    }
}
