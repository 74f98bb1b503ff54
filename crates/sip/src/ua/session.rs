//! An INVITE session: what the stack holds of one call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::auth::Auth;
use super::command::{Body, ExtraHeaders, OutgoingInvite};
use super::event::Event;
use super::reliable::Reliable;
use super::timer::SessionTimer;
use super::{ENDED, RequestId, SessionId, Ua};
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::message::{Method, Request};
use crate::transaction::{Alarm, TransactionId};
use crate::uri::Uri;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) phase: Phase,
    pub(super) call_id: Bytes,
    pub(super) local_tag: Bytes,
    /// Value of our Contact.
    pub(super) contact: Bytes,
    /// The dialog; of an outgoing call not yet answered the early one that showed last.
    pub(super) dialog: Option<Box<Dialog>>,
    /// Early dialogs of the other forks of an outgoing call.
    pub(super) forks: Vec<Dialog>,
    /// Our requests within the dialog without a final response.
    pub(super) sent: SmallVec<[Box<Sent>; 1]>,
    /// The other's requests within the dialog that the layer above has not answered.
    pub(super) asked: SmallVec<[RequestId; 1]>,
    pub(super) auth: Option<Box<Auth>>,
    /// Our session description in force: a re-INVITE that only refreshes repeats it.
    pub(super) described: Option<Body>,
    /// The other side takes UPDATE.
    pub(super) updates: bool,
    /// We made the call.
    pub(super) made: bool,
    pub(super) alarm: Alarm,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// We call and are not answered.
    Calling(Box<Calling>),
    /// We are called and have not answered.
    Called(Box<Called>),
    Live(Box<Live>),
    /// Our BYE is on its way.
    Leaving,
}

#[derive(Debug)]
pub(super) struct Calling {
    pub(super) invite: OutgoingInvite,
    pub(super) transaction: TransactionId,
    pub(super) cseq: u32,
    pub(super) tries: u8,
    pub(super) cancel: Cancel,
    /// Seconds: the session interval that a 422 wanted at least.
    pub(super) raised: u64,
    /// Times it was sent again for that.
    pub(super) raises: u8,
    /// Set by the first provisional response.
    pub(super) ring_until: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Cancel {
    No,
    /// RFC 3261 9.1: no CANCEL before a provisional response.
    Wanted(ExtraHeaders),
    /// The call will fail with this code, unless the answer is another refusal.
    Sent(u16),
}

/// A request of the other side, and what it takes to answer it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) transaction: TransactionId,
    pub(super) request: Request,
    /// Where it came from.
    pub(super) flow: Flow,
}

#[derive(Debug)]
pub(super) struct Called {
    pub(super) received: Received,
    /// The last 101..199, and when it is to be sent again.
    pub(super) provisional: Option<(u16, Bytes, Instant)>,
    /// Set by the first that goes reliably.
    pub(super) reliable: Option<Box<Reliable>>,
}

#[derive(Debug, Default)]
pub(super) struct Live {
    /// A re-INVITE of the other side that waits for the layer above.
    pub(super) reinvited: Option<Received>,
    /// Our 2xx without its ACK.
    pub(super) unacked: Option<Unacked>,
    /// A BYE that waits for that ACK.
    pub(super) bye: Option<ExtraHeaders>,
    pub(super) timer: Option<SessionTimer>,
}

/// RFC 3261 13.3.1.4: a 2xx is repeated by the user agent, on every transport, until its ACK comes.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) response: Bytes,
    pub(super) flow: Flow,
    pub(super) cseq: u32,
    /// False for the 2xx to a re-INVITE.
    pub(super) first: bool,
    pub(super) interval: Duration,
    pub(super) next: Instant,
    pub(super) until: Instant,
}

/// A request of ours within a dialog, kept until its final response: it may have to be sent again with credentials.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) transaction: TransactionId,
    pub(super) purpose: Purpose,
    pub(super) method: Method,
    pub(super) headers: ExtraHeaders,
    pub(super) body: Option<Body>,
    pub(super) tries: u8,
    /// Remote tag of the early dialog it is for, where that may be another than the session's.
    pub(super) fork: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Bye,
    Reinvite,
    /// A session refresh of ours (RFC 4028).
    Refresh,
    /// Acknowledges a reliable provisional response (RFC 3262).
    Prack,
    Other(RequestId),
}

impl Session {
    pub(super) fn new(phase: Phase, call_id: Bytes, local_tag: Bytes, contact: Bytes) -> Session {
        Session {
            made: matches!(phase, Phase::Calling(_)),
            phase,
            call_id,
            local_tag,
            contact,
            dialog: None,
            forks: Vec::new(),
            sent: SmallVec::new(),
            asked: SmallVec::new(),
            auth: None,
            described: None,
            updates: false,
            alarm: Alarm::default(),
        }
    }

    /// When the session itself, not one of its transactions, has something to do.
    fn due(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Calling(calling) => calling.ring_until,
            Phase::Called(called) => {
                let again = called.provisional.as_ref().map(|(_, _, again)| *again);
                again.into_iter().chain(called.reliable.as_ref().and_then(|reliable| reliable.due())).min()
            }
            Phase::Live(live) => {
                let unacked = live.unacked.as_ref().map(|unacked| unacked.next.min(unacked.until));
                unacked.into_iter().chain(live.timer.as_ref().map(SessionTimer::due)).min()
            }
            Phase::Leaving => None,
        }
    }

    /// The dialogs it is found by.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = &Dialog> {
        self.dialog.as_deref().into_iter().chain(&self.forks)
    }

    /// An offer of ours is on its way.
    pub(super) fn offers(&self) -> bool {
        self.sent.iter().any(|sent| sent.method == Method::Invite)
    }

    pub(super) fn take_sent(&mut self, transaction: TransactionId) -> Option<Box<Sent>> {
        let at = self.sent.iter().position(|sent| sent.transaction == transaction)?;
        Some(self.sent.remove(at))
    }
}

impl Ua {
    /// Sets the session's alarm anew after a change of its phase.
    pub(super) fn rearm(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            let due = session.due();
            self.transactions.wake_user(&mut session.alarm, id.0, due);
        }
    }

    pub(super) fn session_timer(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match &mut session.phase {
            Phase::Calling(_) => self.ring_timeout(now, id),
            Phase::Called(_) => {
                self.refresh_provisional(now, id);
                self.repeat_provisional(now, id);
            }
            Phase::Live(_) => {
                self.repeat_answer(now, id);
                self.watch(now, id);
            }
            Phase::Leaving => {}
        }
        self.rearm(id);
    }

    /// Makes the session findable by its dialogs.
    pub(super) fn index_dialogs(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get(&id) {
            for dialog in session.dialogs() {
                let key = self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
                self.dialogs.insert(key, id);
            }
        }
    }

    pub(super) fn unindex_dialogs(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get(&id) {
            for dialog in session.dialogs() {
                self.dialogs.remove(&self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag));
            }
        }
    }

    /// Ends a session: what it still owes is answered, what it still waits for is given up, and then `last` is told.
    pub(super) fn end(&mut self, now: Instant, id: SessionId, last: Option<Event>) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        for dialog in session.dialogs() {
            let key = self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
            self.dialogs.remove(&key);
            if self.ended.len() == ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back(key);
        }
        for request in session.asked {
            // RFC 3261 15.1.2: whatever is pending when the dialog ends is answered 487.
            self.answer(now, request, 487, None, ExtraHeaders::new(), None);
        }
        match session.phase {
            Phase::Called(called) => self.refuse_received(now, &called.received, 487, &session.local_tag),
            Phase::Live(live) => {
                if let Some(received) = live.reinvited {
                    self.refuse_received(now, &received, 487, &session.local_tag);
                }
            }
            Phase::Calling(_) | Phase::Leaving => {}
        }
        for sent in session.sent {
            match sent.purpose {
                Purpose::Other(request) => self.events.push_back(Event::RequestFailed { id: request, code: 481 }),
                // Its answer is still acknowledged, should one come.
                Purpose::Reinvite | Purpose::Refresh => {
                    self.transactions.limit(sent.transaction, now + self.config.timing.lifetime());
                }
                Purpose::Bye | Purpose::Prack => {}
            }
        }
        if let Some(last) = last {
            self.events.push_back(last);
        }
    }
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Outgoing, not answered.
    Calling,
    /// Incoming, not answered.
    Called,
    /// Answered.
    Live,
    /// BYE sent, its answer outstanding.
    Leaving,
}

/// A look at a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionInfo<'a>(pub(super) &'a Session);

impl<'a> SessionInfo<'a> {
    pub fn state(&self) -> SessionState {
        match self.0.phase {
            Phase::Calling(_) => SessionState::Calling,
            Phase::Called(_) => SessionState::Called,
            Phase::Live(_) => SessionState::Live,
            Phase::Leaving => SessionState::Leaving,
        }
    }

    pub fn call_id(&self) -> &'a [u8] {
        &self.0.call_id
    }

    pub fn local_tag(&self) -> &'a [u8] {
        &self.0.local_tag
    }

    /// `None` before a dialog exists.
    pub fn remote_tag(&self) -> Option<&'a [u8]> {
        self.0.dialog.as_deref().map(|dialog| &dialog.remote_tag[..])
    }

    /// Where the other side wants its requests; `None` before a dialog exists.
    pub fn remote_target(&self) -> Option<&'a Uri> {
        self.0.dialog.as_deref().map(|dialog| &dialog.target)
    }

    /// Our address as a header value, with tag; `None` before a dialog exists.
    pub fn local(&self) -> Option<&'a [u8]> {
        self.0.dialog.as_deref().map(|dialog| &dialog.local[..])
    }

    /// The other's address as a header value, with tag; `None` before a dialog exists.
    pub fn remote(&self) -> Option<&'a [u8]> {
        self.0.dialog.as_deref().map(|dialog| &dialog.remote[..])
    }

    /// The answer to our offer that a reliable provisional response of the dialog that has answered brought: content type
    /// and octets. It counts, and what the 2xx says of media does not (RFC 3261 13.2.1).
    pub fn early_answer(&self) -> Option<&'a (Bytes, Bytes)> {
        self.0.dialog.as_deref().and_then(|dialog| dialog.answer.as_deref())
    }

    /// Where requests within the dialog go; before there is one, where the INVITE went or came from.
    pub fn flow(&self) -> Option<Flow> {
        match &self.0.phase {
            Phase::Called(called) if self.0.dialog.is_none() => Some(called.received.flow),
            Phase::Calling(calling) if self.0.dialog.is_none() => Some(calling.invite.flow),
            _ => self.0.dialog.as_deref().map(|dialog| dialog.flow),
        }
    }
}
