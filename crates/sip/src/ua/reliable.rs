//! Reliable provisional responses (RFC 3262), both roles, and the offers they make room for before the answer: in PRACK
//! and in UPDATE (RFC 3311).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;

use super::command::{Body, ExtraHeaders};
use super::event::Event;
use super::reinvite::later;
use super::session::{Called, Phase, Purpose, Session};
use super::{SessionId, Ua};
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::message::{Headers, Method, Name, Refusal, Request, Response};
use crate::transaction::key::Key;
use crate::uri::Uri;

/// The option tag.
pub(super) const RELIABLE: &str = "100rel";
/// Provisional responses of one call that wait for the PRACK of the one before; what else would ring is not told.
const MAX_WAITING: usize = 8;

/// What an incoming call has said reliably before its answer.
#[derive(Debug)]
pub(super) struct Reliable {
    /// RSeq of the last one.
    rseq: u32,
    /// The one without its PRACK.
    open: Option<Open>,
    waiting: VecDeque<Waiting>,
    /// The answer that waits for that PRACK.
    accept: Option<Accept>,
    described: Described,
}

/// How far offer and answer are before the 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Described {
    No,
    /// Our answer is on its way.
    Answered,
    /// Our offer is on its way.
    Offered,
    /// Both sides have both: the 2xx says nothing more (RFC 6337 3.1.1).
    Agreed,
}

#[derive(Debug)]
struct Open {
    code: u16,
    response: Bytes,
    interval: Duration,
    next: Instant,
    until: Instant,
}

#[derive(Debug)]
struct Waiting {
    code: u16,
    reason: Option<String>,
    headers: ExtraHeaders,
    body: Option<Body>,
}

#[derive(Debug)]
struct Accept {
    headers: ExtraHeaders,
    body: Option<Body>,
    contact: Option<Uri>,
}

impl Reliable {
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.next.min(open.until))
    }

    /// Whether the 2xx is to say nothing of media any more.
    pub(super) fn is_agreed(&self) -> bool {
        self.described == Described::Agreed
    }
}

/// How a reliable provisional response stands to those before it.
enum Order {
    Next,
    /// A repetition, or one whose predecessor is missing (RFC 3262 section 4).
    Other,
}

/// RSeq of a response that wants a PRACK.
fn rseq(response: &Response) -> Option<u32> {
    let headers = response.headers();
    if !headers.lists(Name::Require, RELIABLE) {
        return None;
    }
    headers.number(Name::RSeq, u64::from(u32::MAX)).ok().flatten().map(|number| number as u32)
}

/// RAck: the RSeq, and the CSeq number and method of the response it is for.
fn rack(headers: &Headers) -> Option<(u32, u32, Method)> {
    let value = std::str::from_utf8(headers.get(Name::RAck)?).ok()?;
    let mut parts = value.split_ascii_whitespace();
    let rack = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, Method::parse(parts.next()?.as_bytes())?);
    parts.next().is_none().then_some(rack)
}

/// Takes a reliable provisional response into its early dialog.
fn order(dialog: &mut Dialog, number: u32) -> Order {
    match dialog.rseq {
        Some(last) if last.checked_add(1) != Some(number) => Order::Other,
        _ => {
            dialog.rseq = Some(number);
            Order::Next
        }
    }
}

impl Ua {
    // ---- the calling side ----

    /// A provisional response to a call of ours: acknowledged where it wants that. False when the layer above is not to
    /// see it.
    pub(super) fn provisional_in(&mut self, now: Instant, id: SessionId, response: &Response) -> bool {
        let Some(number) = rseq(response) else {
            return true;
        };
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        let tag = response.to_tag().unwrap_or_default();
        let mut dialogs = session.dialog.as_deref_mut().into_iter().chain(&mut session.forks);
        // One without a dialog cannot be acknowledged, which ends it at the other side.
        let Some(dialog) = dialogs.find(|dialog| dialog.remote_tag == tag) else {
            return true;
        };
        if matches!(order(dialog, number), Order::Other) {
            return false;
        }
        if !response.body().is_empty() && dialog.answer.is_none() {
            let content = response.header(Name::ContentType).unwrap_or_default();
            let body = (Bytes::copy_from_slice(content), Bytes::copy_from_slice(response.body()));
            dialog.answer = Some(Box::new(body));
        }
        let fork = dialog.remote_tag.clone();
        let cseq = response.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let headers = vec![("RAck".into(), format!("{number} {cseq} INVITE").into())];
        self.send_within(now, id, Purpose::Prack, Method::Prack, headers, None, 0, Some(fork));
        true
    }

    // ---- the called side ----

    /// Whether a provisional response to this call goes reliably: always where the caller asks for it, and where it can
    /// when it tells of media.
    pub(super) fn is_reliable(&self, called: &Called, describes: bool) -> bool {
        let headers = called.received.request.headers();
        self.knows(RELIABLE)
            && (headers.lists(Name::Require, RELIABLE) || describes && headers.lists(Name::Supported, RELIABLE))
    }

    /// Sends a provisional response until its PRACK comes, or has it wait for the PRACK of the one before.
    pub(super) fn send_reliably(
        &mut self,
        now: Instant,
        id: SessionId,
        code: u16,
        reason: Option<String>,
        mut headers: ExtraHeaders,
        body: Option<Body>,
    ) {
        let first = self.random.random_range(1..=0x7fff_ffff - u32::from(u16::MAX));
        let Some(Session { phase: Phase::Called(called), .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        let offered = !called.received.request.body().is_empty();
        let reliable = called.reliable.get_or_insert_with(|| {
            let (waiting, described) = (VecDeque::new(), Described::No);
            Box::new(Reliable { rseq: first, open: None, waiting, accept: None, described })
        });
        if reliable.open.is_some() {
            if reliable.waiting.len() < MAX_WAITING {
                reliable.waiting.push_back(Waiting { code, reason, headers, body });
            }
            return;
        }
        // What was said is said: no description follows an answer that was reliable.
        let body = body.filter(|_| reliable.described == Described::No);
        if body.is_some() {
            reliable.described = if offered { Described::Answered } else { Described::Offered };
        }
        reliable.rseq += 1;
        headers.push(("Require".into(), RELIABLE.into()));
        headers.push(("RSeq".into(), reliable.rseq.to_string().into()));
        let response = self.say_provisional(now, id, code, reason, &headers, body);
        let timing = self.config.timing;
        if let Some(response) = response
            && let Some(reliable) = self.reliable_mut(id)
        {
            let (interval, until) = (timing.t1, now + timing.lifetime());
            reliable.open = Some(Open { code, response, interval, next: now + interval, until });
        }
        self.rearm(id);
    }

    fn reliable_mut(&mut self, id: SessionId) -> Option<&mut Reliable> {
        match self.sessions.get_mut(&id) {
            Some(Session { phase: Phase::Called(called), .. }) => called.reliable.as_deref_mut(),
            _ => None,
        }
    }

    /// Sends the one without its PRACK again (RFC 3262 section 3: at intervals that double), or gives the call up.
    pub(super) fn repeat_provisional(&mut self, now: Instant, id: SessionId) {
        let Some(Session { phase: Phase::Called(called), .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(open) = called.reliable.as_deref_mut().and_then(|reliable| reliable.open.as_mut()) else {
            return;
        };
        if open.until <= now {
            let event = Event::Ended { session: id, code: 408 };
            return self.end_called(now, id, 504, event);
        }
        if open.next <= now {
            open.interval *= 2;
            open.next = now + open.interval;
            self.transactions.respond(now, called.received.transaction, open.code, open.response.clone());
        }
    }

    /// Refuses a call that nobody can go on with.
    fn end_called(&mut self, now: Instant, id: SessionId, code: u16, event: Event) {
        if let Some(Session { phase: Phase::Called(called), local_tag, .. }) = self.sessions.get(&id) {
            let none = ExtraHeaders::new();
            let octets = self.compose_response(&called.received, Some(local_tag), code, None, None, &none, None);
            let transaction = called.received.transaction;
            self.transactions.respond(now, transaction, code, octets);
        }
        self.end(now, id, Some(event));
    }

    /// Keeps an answer back that would overtake a reliable provisional response (RFC 3262 section 3).
    pub(super) fn holds_answer(
        &mut self,
        id: SessionId,
        headers: &ExtraHeaders,
        body: Option<&Body>,
        contact: Option<&Uri>,
    ) -> bool {
        let Some(reliable) = self.reliable_mut(id).filter(|reliable| reliable.open.is_some()) else {
            return false;
        };
        reliable.waiting.clear();
        reliable.accept = Some(Accept { headers: headers.clone(), body: body.cloned(), contact: contact.cloned() });
        true
    }

    /// A PRACK within a dialog.
    pub(super) fn pracked(&mut self, now: Instant, key: Key, id: SessionId, request: Request, flow: Flow, back: Flow) {
        let wanted = match self.sessions.get(&id) {
            Some(Session { phase: Phase::Called(called), .. }) => called.awaited(),
            _ => None,
        };
        if wanted.is_none() || rack(request.headers()) != wanted {
            let refusal = Refusal::new(481, "Call/Transaction Does Not Exist");
            return self.refuse(now, key, &request, flow, back, refusal);
        }
        let mut offers = false;
        let mut answers = false;
        if let Some(reliable) = self.reliable_mut(id) {
            reliable.open = None;
            let brings = !request.body().is_empty();
            match reliable.described {
                Described::Answered => {
                    reliable.described = Described::Agreed;
                    offers = brings;
                }
                Described::Offered => {
                    reliable.described = Described::Agreed;
                    answers = true;
                }
                Described::Agreed => offers = brings,
                Described::No => {}
            }
        }
        if offers {
            self.early_offer(now, key, id, request, flow, back);
        } else {
            self.agree(now, key, &request, flow, back, None);
            if answers {
                self.events.push_back(Event::Pracked { session: id, request });
            }
        }
        self.say_next(now, id);
        self.rearm(id);
    }

    /// What has waited for a PRACK.
    fn say_next(&mut self, now: Instant, id: SessionId) {
        let Some(reliable) = self.reliable_mut(id) else {
            return;
        };
        if let Some(Accept { headers, body, contact }) = reliable.accept.take() {
            return self.accept(now, id, headers, body, contact);
        }
        if let Some(Waiting { code, reason, headers, body }) = reliable.waiting.pop_front() {
            self.send_reliably(now, id, code, reason, headers, body);
        }
    }

    // ---- both ----

    /// An offer of the other side before the call is answered, in a PRACK or UPDATE. The layer above answers it as it
    /// does any other request within a dialog.
    pub(super) fn early_offer(
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
        let from = request.from_tag().unwrap_or_default();
        let pending = Refusal::new(491, "Request Pending");
        let refusal = match &session.phase {
            Phase::Calling(_) => {
                let agreed = session.dialogs().any(|dialog| dialog.remote_tag == from && dialog.answer.is_some());
                (!agreed).then_some(pending)
            }
            Phase::Called(called) => match called.reliable.as_ref().map_or(Described::No, |told| told.described) {
                Described::Agreed => None,
                Described::Offered => Some(pending),
                Described::No | Described::Answered => Some(later(&mut self.random)),
            },
            Phase::Live(_) | Phase::Leaving => None,
        };
        // RFC 3311 5.2: one after the other.
        let busy = session.asked.iter().any(|asked| self.asked.get(asked).is_some_and(|asked| asked.offers()));
        let refusal = refusal.or_else(|| busy.then(|| later(&mut self.random)));
        match refusal {
            Some(refusal) => self.refuse(now, key, &request, flow, back, refusal),
            None => self.asked_in(now, key, request, flow, back, Some(id)),
        }
    }

    /// Whether requests may require this extension.
    pub(super) fn knows(&self, extension: &str) -> bool {
        self.config.extensions.contains(&extension)
    }

    /// The outcome of an offer in an early dialog: what we have said stands, and where the other side is now.
    pub(super) fn early_answered(&mut self, id: SessionId, request: &Request, flow: Flow, body: Option<Body>) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if body.is_some() {
            session.described = body;
        }
        if *request.method() == Method::Update {
            let from = request.from_tag().unwrap_or_default();
            let mut dialogs = session.dialog.as_deref_mut().into_iter().chain(&mut session.forks);
            if let Some(dialog) = dialogs.find(|dialog| dialog.remote_tag == from) {
                dialog.refresh_by_request(request, flow);
            }
        }
    }
}

impl Called {
    /// The RAck that would acknowledge what is open.
    fn awaited(&self) -> Option<(u32, u32, Method)> {
        let reliable = self.reliable.as_ref().filter(|reliable| reliable.open.is_some())?;
        Some((reliable.rseq, self.received.request.cseq().ok()?.number, Method::Invite))
    }
}
