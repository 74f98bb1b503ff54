//! What must be true of everything that was sent and told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use opentact_sip::Timing;
use opentact_sip::message::{Message, Method};
use opentact_sip::ua::{Event, RequestId, SessionId};

/// What a callee has said to an INVITE at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Accepted,
    Rejected(u16),
    /// The caller was quicker.
    GivenUp,
}

#[derive(Debug, Default)]
struct Call {
    /// Known once the call has come in or is answered.
    call_id: Bytes,
    outgoing: bool,
    cancelled: bool,
    answered: bool,
    over: bool,
    /// Our re-INVITEs without an outcome.
    reinvites: u32,
}

/// Books of one world. Each entry that does not balance is a fault.
#[derive(Debug, Default)]
pub struct Ledger {
    calls: BTreeMap<(usize, SessionId), Call>,
    /// Requests of an endpoint, and whether they have their outcome.
    requests: BTreeMap<(usize, RequestId), bool>,
    /// By Call-ID and CSeq of the INVITE.
    decisions: BTreeMap<(Bytes, u32), Decision>,
    /// INVITEs that came in, by endpoint and session.
    incoming: BTreeMap<(usize, SessionId), (Bytes, u32)>,
    /// INVITEs whose 200 has gone: it may wait for a PRACK.
    accepted: BTreeSet<(Bytes, u32)>,
    /// The final response of each server transaction, and when it was sent first.
    finals: BTreeMap<(usize, Bytes, String), (Duration, Bytes)>,
    /// Call-IDs of calls that one side has a reason to hang up.
    hung_up: BTreeSet<Bytes>,
    perfect: bool,
    /// How often each kind of event was told.
    pub tally: Tally,
}

pub type Tally = BTreeMap<&'static str, u64>;

/// The kind of an event.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Invite { .. } => "invite",
        Event::Progress { .. } => "progress",
        Event::Answered { .. } => "answered",
        Event::Failed { code: 408, .. } => "failed by timeout",
        Event::Failed { code: 487, response: None, .. } => "cancelled, no answer",
        Event::Failed { code: 487, response: Some(response), .. } if response.is_success() => "cancelled too late",
        Event::Failed { code: 487, .. } => "cancelled in time",
        Event::Failed { .. } => "refused",
        Event::Acked { .. } => "acked",
        Event::Pracked { .. } => "pracked",
        Event::Cancelled { .. } => "callee cancelled",
        Event::Reinvite { .. } => "re-INVITE",
        Event::ReinviteAnswered { .. } => "re-INVITE answered",
        Event::ReinviteFailed { code: 491, response: Some(_), .. } => "re-INVITE met another",
        Event::ReinviteFailed { .. } => "re-INVITE refused",
        Event::Bye { .. } => "hung up by the other",
        Event::Ended { code: 200, .. } => "hung up",
        Event::Ended { code: 408, .. } => "lost",
        Event::Ended { .. } => "forgotten by the other",
        Event::InDialog { .. } => "request within",
        Event::Request { .. } => "request outside",
        Event::Response { response, .. } if response.is_success() => "request answered",
        Event::Response { .. } => "request refused",
        Event::RequestFailed { .. } => "request lost",
        Event::Unreadable { .. } => "unreadable",
        Event::NotifyDue { .. } | Event::SubscriptionRefreshed { .. } | Event::SubscriptionEnded { .. } => {
            "subscription"
        }
    }
}

/// Every kind, so that no world is taken for sound because nothing happens in it.
pub const KINDS: [&str; 23] = [
    "invite",
    "progress",
    "answered",
    "failed by timeout",
    "cancelled, no answer",
    "cancelled too late",
    "cancelled in time",
    "refused",
    "acked",
    "callee cancelled",
    "re-INVITE",
    "re-INVITE answered",
    "re-INVITE met another",
    "re-INVITE refused",
    "hung up by the other",
    "hung up",
    "lost",
    "forgotten by the other",
    "request within",
    "request outside",
    "request answered",
    "request refused",
    "request lost",
];

type Checked = Result<(), String>;

impl Ledger {
    pub fn new(perfect: bool) -> Ledger {
        Ledger { perfect, ..Ledger::default() }
    }

    pub fn is_over(&self, at: usize, session: SessionId) -> bool {
        self.calls.get(&(at, session)).is_none_or(|call| call.over)
    }

    // ---- what is ordered ----

    pub fn called(&mut self, at: usize, session: SessionId) {
        self.calls.insert((at, session), Call { outgoing: true, ..Call::default() });
    }

    pub fn cancelled(&mut self, at: usize, session: SessionId) {
        if let Some(call) = self.calls.get_mut(&(at, session)) {
            call.cancelled |= !call.answered;
        }
    }

    pub fn asked(&mut self, at: usize, id: RequestId) {
        self.requests.insert((at, id), false);
    }

    pub fn offered_again(&mut self, at: usize, session: SessionId) {
        if let Some(call) = self.calls.get_mut(&(at, session)) {
            call.reinvites += 1;
        }
    }

    pub fn hung_up(&mut self, call_id: &[u8]) {
        self.hung_up.insert(Bytes::copy_from_slice(call_id));
    }

    /// The layer above has answered an INVITE. A rejected session is over with it.
    pub fn decided(&mut self, at: usize, session: SessionId, decision: Decision) {
        if self.is_over(at, session) {
            return;
        }
        if let Some(invite) = self.incoming.get(&(at, session)) {
            // An answer that waits for a PRACK can still be taken back.
            if !self.accepted.contains(invite) {
                self.decisions.insert(invite.clone(), decision);
            }
        }
        if let Some(call) = self.calls.get_mut(&(at, session)) {
            match decision {
                Decision::Accepted => call.answered = true,
                _ => call.over = true,
            }
        }
    }

    // ---- what is told ----

    pub fn told(&mut self, at: usize, event: &Event) -> Checked {
        *self.tally.entry(kind(event)).or_default() += 1;
        match event {
            Event::Invite { session, request, .. } => {
                let call_id = Bytes::copy_from_slice(request.call_id().unwrap_or_default());
                let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
                self.incoming.insert((at, *session), (call_id.clone(), number));
                match self.calls.insert((at, *session), Call { call_id, ..Call::default() }) {
                    Some(_) => Err(format!("{session:?} of {at} begins twice")),
                    None => Ok(()),
                }
            }
            Event::Progress { session, .. } => {
                let call = self.live(at, *session, event)?;
                if call.answered { Err(format!("progress after the answer of {session:?} of {at}")) } else { Ok(()) }
            }
            Event::Answered { session, response } => {
                let call = self.live(at, *session, event)?;
                if call.answered || !call.outgoing || call.cancelled {
                    return Err(format!("answer not due: {event:?}"));
                }
                call.answered = true;
                let call_id = Bytes::copy_from_slice(response.call_id().unwrap_or_default());
                call.call_id = call_id.clone();
                let number = response.cseq().map(|cseq| cseq.number).unwrap_or_default();
                match self.decisions.get(&(call_id, number)) {
                    Some(Decision::Accepted) => Ok(()),
                    other => Err(format!("{at} was answered, but the callee {other:?}")),
                }
            }
            Event::Failed { session, code, response } => {
                let perfect = self.perfect;
                let call = self.over(at, *session, event)?;
                if call.answered || !call.outgoing {
                    return Err(format!("failure not due: {event:?}"));
                }
                let cancelled = call.cancelled;
                let Some(response) = response else {
                    let lost = matches!(code, 408 | 487 | 503);
                    return if lost && !perfect { Ok(()) } else { Err(format!("failed out of nothing: {event:?}")) };
                };
                let call_id = Bytes::copy_from_slice(response.call_id().unwrap_or_default());
                let number = response.cseq().map(|cseq| cseq.number).unwrap_or_default();
                match self.decisions.get(&(call_id, number)) {
                    Some(Decision::Rejected(said)) if said == code => Ok(()),
                    // A challenge that nobody wants to answer any more.
                    Some(Decision::Rejected(407)) if cancelled && *code == 487 => Ok(()),
                    // Given up, by the caller or for ringing too long, and the answer came too late.
                    Some(Decision::Accepted) if (cancelled || *code == 408) && response.is_success() => {
                        self.hung_up(response.call_id().unwrap_or_default());
                        Ok(())
                    }
                    Some(Decision::GivenUp) if response.code() == 487 => Ok(()),
                    other => Err(format!("{at} failed with {code}, but the callee {other:?}")),
                }
            }
            Event::Cancelled { session, .. } => {
                let invite = self.incoming.get(&(at, *session)).cloned().unwrap_or_default();
                let accepted = self.accepted.contains(&invite);
                let call = self.over(at, *session, event)?;
                if call.outgoing || accepted {
                    return Err(format!("cancelled, but not ringing: {event:?}"));
                }
                self.decisions.insert(invite, Decision::GivenUp);
                Ok(())
            }
            Event::Acked { session, .. } | Event::Reinvite { session, .. } => {
                let call = self.live(at, *session, event)?;
                if call.answered { Ok(()) } else { Err(format!("not answered: {event:?}")) }
            }
            Event::ReinviteAnswered { session, .. } | Event::ReinviteFailed { session, .. } => {
                let call = self.live(at, *session, event)?;
                match call.reinvites.checked_sub(1) {
                    Some(left) => {
                        call.reinvites = left;
                        Ok(())
                    }
                    None => Err(format!("outcome of no re-INVITE: {event:?}")),
                }
            }
            Event::Bye { session, request } => {
                let call = self.over(at, *session, event)?;
                if !call.answered {
                    return Err(format!("hung up before the answer: {event:?}"));
                }
                if !self.hung_up.contains(request.call_id().unwrap_or_default()) {
                    return Err(format!("hung up without a reason: {event:?}"));
                }
                Ok(())
            }
            Event::Ended { session, code } => {
                let perfect = self.perfect;
                let call = self.over(at, *session, event)?;
                // Nobody has acknowledged that it rings.
                let unheard = !call.outgoing && *code == 408;
                if !(call.answered || unheard) || (perfect && *code == 408) {
                    return Err(format!("end not due: {event:?}"));
                }
                // A side that has lost the other hangs up on its own account.
                let call_id = call.call_id.clone();
                self.hung_up.insert(call_id);
                Ok(())
            }
            Event::InDialog { session, .. } | Event::Pracked { session, .. } => {
                self.live(at, *session, event).map(|_| ())
            }
            Event::Request { .. } => Ok(()),
            Event::Response { id, response } => {
                if response.code() < 200 {
                    return Ok(());
                }
                self.done(at, *id)
            }
            Event::RequestFailed { id, .. } => self.done(at, *id),
            Event::Unreadable { .. } => Err(format!("{at} is sent what nobody can read")),
            Event::NotifyDue { .. } | Event::SubscriptionRefreshed { .. } | Event::SubscriptionEnded { .. } => {
                Err(format!("nobody subscribes, and {at} is told {event:?}"))
            }
        }
    }

    fn live(&mut self, at: usize, session: SessionId, event: &Event) -> Result<&mut Call, String> {
        match self.calls.get_mut(&(at, session)) {
            Some(call) if !call.over => Ok(call),
            Some(_) => Err(format!("told {at} after the end: {event:?}")),
            None => Err(format!("told {at} of an unknown session: {event:?}")),
        }
    }

    fn over(&mut self, at: usize, session: SessionId, event: &Event) -> Result<&mut Call, String> {
        let call = self.live(at, session, event)?;
        call.over = true;
        Ok(call)
    }

    fn done(&mut self, at: usize, id: RequestId) -> Checked {
        match self.requests.insert((at, id), true) {
            Some(false) => Ok(()),
            Some(true) => Err(format!("{id:?} of {at} has two outcomes")),
            None => Err(format!("outcome of {id:?}, which {at} has never asked")),
        }
    }

    // ---- what is sent ----

    /// At most one final response a server transaction: whatever is sent again is the same, octet for octet.
    pub fn sent(&mut self, at: usize, time: Duration, bytes: &Bytes) -> Checked {
        let message = Message::parse(bytes.clone()).map_err(|error| format!("{at} sends what is none: {error}"))?;
        let response = match &message {
            Message::Request(request) => {
                return match opentact_sip::message::validate(request) {
                    Ok(()) => Ok(()),
                    Err(refusal) => Err(format!("{at} sends a wrong request: {refusal:?}\n{request:?}")),
                };
            }
            Message::Response(response) => response,
        };
        if response.code() < 200 {
            let tagged = response.code() == 100 || response.to_tag().is_some();
            return if tagged { Ok(()) } else { Err(format!("a provisional without To tag: {response:?}")) };
        }
        let via = response.via().map_err(|error| error.to_string())?;
        let method = response.cseq().map(|cseq| cseq.method).unwrap_or(Method::Invite);
        if method == Method::Invite {
            let number = response.cseq().map(|cseq| cseq.number).unwrap_or_default();
            let invite = (Bytes::copy_from_slice(response.call_id().unwrap_or_default()), number);
            match response.code() {
                200 => drop(self.accepted.insert(invite)),
                // What it has said before was never acknowledged.
                504 => drop(self.decisions.insert(invite, Decision::Rejected(504))),
                _ => {}
            }
        }
        let branch = Bytes::copy_from_slice(via.branch().unwrap_or_default());
        let first = self.finals.entry((at, branch, method.to_string())).or_insert_with(|| (time, bytes.clone()));
        // A repetition that was so long on its way that the transaction is forgotten begins another one.
        if time - first.0 >= Timing::default().lifetime() {
            *first = (time, bytes.clone());
        }
        if first.1 == bytes { Ok(()) } else { Err(format!("a second final response: {response:?}")) }
    }

    // ---- the end ----

    /// Nothing may be open.
    pub fn balance(&self) -> Checked {
        if let Some(((at, session), call)) = self.calls.iter().find(|(_, call)| !call.over) {
            return Err(format!("{session:?} of {at} never ends: {call:?}"));
        }
        match self.requests.iter().find(|(_, done)| !**done) {
            Some(((at, id), _)) => Err(format!("{id:?} of {at} has no outcome")),
            None => Ok(()),
        }
    }
}
