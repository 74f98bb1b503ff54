//! MESSAGE (RFC 3428): between SIP users, through to all contacts of the one it is for, or kept until the next
//! registration; and within a call, through to the other side of it.
//!
//! What waits for a user is in the database and is read from there, first things first. For each user at most one message
//! is on its way, so that they come in order; when one cannot be brought, the others wait with it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_messaging::thread_of;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Method, Name, Request, Response};
use opentact_sip::ua::{Body, Command, OutgoingRequest, RequestId, SessionId};
use opentact_sip::uri::NameAddr;
use opentact_store::sip_messages::{Copy, NewSipMessage, SipMessage};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::leg::Role;
use super::negotiate::Headers;
use super::reason::retry_after;
use super::{Core, Message};
use crate::router::{Correspondence, Inquiry, MessageAdmission, Package, party};

/// What a message may be made of; anything else is refused with 415. All of it is text.
pub(super) const TEXTS: &str = "text/plain, text/html, message/cpim, message/imdn+xml, application/im-iscomposing+xml";
/// RFC 3994: somebody types. Of use at once or never.
const COMPOSING: &str = "application/im-iscomposing+xml";
/// Octets of a Content-Type.
const MAX_CONTENT_TYPE: usize = 255;
/// Messages that are checked, written or brought at once, in calls and out of them; a further one is answered 503.
const MAX_UNDER_WAY: usize = 4_096;
/// How long a sender waits for the recipient's phones before it is told that the message is kept. Well below the 32 s
/// after which it would give up (RFC 3261 17.1.2.2).
const PATIENCE: Duration = Duration::from_secs(4);
/// RFC 3261 8.1.1.6.
const MAX_FORWARDS: u8 = 70;

/// What has become of work for a message that was done beside the core.
pub(crate) enum MessageStep {
    Admitted {
        id: RequestId,
        admission: MessageAdmission,
    },
    /// On disk, `None` where too many are there.
    Written {
        id: RequestId,
        recipient: Uuid,
        written: opentact_store::Result<Option<SipMessage>>,
    },
    /// The first that waits for a user.
    Next {
        recipient: Uuid,
        next: opentact_store::Result<Option<SipMessage>>,
    },
    /// What became of one is on disk.
    Settled {
        recipient: Uuid,
        result: opentact_store::Result<()>,
    },
    /// One that waited was given up.
    Expired {
        recipient: Uuid,
    },
    /// The sender has waited long enough.
    Late {
        message: Uuid,
    },
}

/// A message on its way to the phones of a user.
struct Delivery {
    cargo: Cargo,
    /// Phones that have not answered.
    left: usize,
    /// The most telling refusal so far.
    refused: Option<(u16, String)>,
}

enum Cargo {
    /// It is on disk.
    Kept(Box<SipMessage>),
    /// It is not, and goes with the request that brought it.
    Fleeting(RequestId),
}

/// Who waits to hear what became of a message on disk.
struct Waiting {
    id: RequestId,
    recipient: Uuid,
    /// Ends the wait; `None` until phones are asked.
    late: Option<AbortHandle>,
}

/// A MESSAGE within a call, passed on.
struct Passed {
    /// The request it came with.
    id: RequestId,
    /// `None` for what is not kept.
    note: Option<Note>,
}

/// What is written of a message within a call.
struct Note {
    account: Uuid,
    new: NewSipMessage,
}

#[derive(Default)]
pub(super) struct Messages {
    /// Being checked or written.
    arriving: HashMap<RequestId, Request>,
    waiting: HashMap<Uuid, Waiting>,
    /// Users who are being brought what waits for them; true when there is a reason to look once more.
    rounds: HashMap<Uuid, bool>,
    /// Users for whom something waits.
    awaited: HashSet<Uuid>,
    deliveries: HashMap<u64, Delivery>,
    /// Our requests to phones, and of which delivery they are.
    sent: HashMap<RequestId, u64>,
    passed: HashMap<RequestId, Passed>,
    last_delivery: u64,
    /// Of the message taken last.
    position: i64,
}

impl Messages {
    /// What is under way; zero when nothing is, whatever waits on disk.
    pub(super) fn len(&self) -> usize {
        self.arriving.len() + self.waiting.len() + self.rounds.len() + self.deliveries.len() + self.passed.len()
    }

    /// A number above all given before, over restarts too: nanoseconds of the clock, unless it stands still or goes back.
    fn next_position(&mut self) -> i64 {
        let clock = Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        self.position = clock.max(self.position.saturating_add(1));
        self.position
    }
}

impl Core {
    /// What waits since an earlier run is brought to whom it is for.
    pub(crate) fn take_up_messages(&mut self, awaited: Vec<Uuid>) {
        self.messages.awaited = awaited.into_iter().collect();
        for recipient in self.messages.awaited.clone() {
            if self.registered.address(recipient).is_some() {
                self.bring(recipient);
            }
        }
    }

    pub(super) fn on_message_request(&mut self, id: RequestId, request: Request, flow: Flow) {
        if self.draining || self.messages.len() >= MAX_UNDER_WAY || self.drivers.journal.is_full() {
            return self.respond(id, 503, vec![retry_after()]);
        }
        if let Err((code, headers)) = self.check_content(&request) {
            return self.respond(id, code, headers);
        }
        let Some(inquiry) = Inquiry::of(&request, flow) else { return self.respond(id, 400, Vec::new()) };
        self.messages.arriving.insert(id, request);
        let router = self.drivers.router.clone();
        self.spawn(async move {
            Message::Text(MessageStep::Admitted { id, admission: router.admit_message(inquiry).await })
        });
    }

    pub(super) fn on_message_step(&mut self, step: MessageStep) {
        match step {
            MessageStep::Admitted { id, admission } => self.on_message_admitted(id, admission),
            MessageStep::Written { id, recipient, written } => self.on_message_written(id, recipient, written),
            MessageStep::Next { recipient, next } => self.on_next_message(recipient, next),
            MessageStep::Settled { recipient, result } => match result {
                Ok(()) => {
                    self.tell_watchers(Package::MessageSummary, recipient);
                    self.read_next(recipient);
                }
                Err(error) => {
                    // Read again it would be delivered again, and that without end.
                    tracing::error!(%error, "what became of a message is not written");
                    self.end_round(recipient);
                }
            },
            MessageStep::Expired { recipient } => self.tell_watchers(Package::MessageSummary, recipient),
            MessageStep::Late { message } => self.answer_sender(message, 202, None),
        }
    }

    /// What can be said against a message without knowing whom it is from and for.
    fn check_content(&self, request: &Request) -> Result<(), (u16, Headers)> {
        let body = request.body();
        if body.is_empty() {
            return Err((400, Vec::new()));
        }
        if body.len() > self.drivers.mailroom.config.max_octets {
            return Err((413, Vec::new()));
        }
        let known = request.content_type().is_some_and(|content| {
            TEXTS.split(',').any(|text| content.as_bytes().eq_ignore_ascii_case(text.trim().as_bytes()))
        });
        let encoded = request.header(Name::ContentEncoding).is_some_and(|how| !how.eq_ignore_ascii_case(b"identity"));
        let long = request.header(Name::ContentType).is_some_and(|value| value.len() > MAX_CONTENT_TYPE);
        if !known || encoded || long || std::str::from_utf8(body).is_err() {
            let identity = (Bytes::from_static(b"Accept-Encoding"), Bytes::from_static(b"identity"));
            return Err((415, vec![(Bytes::from_static(b"Accept"), TEXTS.into()), identity]));
        }
        Ok(())
    }

    fn on_message_admitted(&mut self, id: RequestId, admission: MessageAdmission) {
        let Some(request) = self.messages.arriving.remove(&id) else { return };
        match admission {
            MessageAdmission::Challenge(values) => {
                let headers = values.into_iter().map(|value| ("Proxy-Authenticate".into(), value.into())).collect();
                self.respond(id, 407, headers);
            }
            MessageAdmission::Refuse(refusal) => {
                let headers = if refusal.code == 503 { vec![retry_after()] } else { Vec::new() };
                self.respond_because(id, refusal.code, Some(refusal.reason.to_owned()), headers);
            }
            MessageAdmission::Deliver(between) if is_fleeting(&request) => self.pass_by(id, &request, &between),
            MessageAdmission::Deliver(between) => {
                let (recipient, account) = (between.recipient, between.account);
                let (new, copy) = self.letter(&request, *between);
                self.messages.arriving.insert(id, request);
                let mailroom = self.drivers.mailroom.clone();
                self.spawn(async move {
                    let written = mailroom.write(account, new, copy).await;
                    Message::Text(MessageStep::Written { id, recipient, written })
                });
            }
        }
    }

    fn letter(&mut self, request: &Request, between: Correspondence) -> (NewSipMessage, Option<Copy>) {
        let keep = self.drivers.mailroom.config.keep;
        let wanted = request.expires().ok().flatten().map(|seconds| Duration::from_secs(seconds.into()));
        let foreign = between.sender_account != between.account;
        // Within the account nobody is hidden from its owner.
        let from = if foreign { between.from } else { between.author.clone() };
        let thread = thread_of(&from, &between.to);
        let copy = foreign.then(|| Copy {
            account: between.sender_account,
            thread: thread_of(&between.author, &between.to),
            from: between.author,
        });
        let new = NewSipMessage {
            sender: (!foreign).then_some(between.sender),
            recipient: Some(between.recipient),
            position: self.messages.next_position(),
            thread,
            from,
            to: between.to,
            content_type: content_type(request),
            message: text(request),
            hops: hops_left(request),
            waits_until: Some(Utc::now() + wanted.map_or(keep, |wanted| wanted.min(keep))),
            reason: None,
        };
        (new, copy)
    }

    fn on_message_written(
        &mut self,
        id: RequestId,
        recipient: Uuid,
        written: opentact_store::Result<Option<SipMessage>>,
    ) {
        self.messages.arriving.remove(&id);
        match written {
            Ok(Some(message)) => {
                self.messages.awaited.insert(recipient);
                self.tell_watchers(Package::MessageSummary, recipient);
                if self.registered.address(recipient).is_none() {
                    return self.respond(id, 202, Vec::new());
                }
                self.messages.waiting.insert(message.uuid, Waiting { id, recipient, late: None });
                let (step, wait) = (MessageStep::Late { message: message.uuid }, tokio::time::sleep(PATIENCE));
                let late = self.spawn(async move {
                    wait.await;
                    Message::Text(step)
                });
                if let Some(waiting) = self.messages.waiting.get_mut(&message.uuid) {
                    waiting.late = Some(late);
                }
                self.bring(recipient);
            }
            Ok(None) => self.respond_because(id, 480, Some("Too Many Messages Waiting".to_owned()), Vec::new()),
            Err(error) => {
                tracing::error!(%error, "a message is not written");
                self.respond(id, 503, vec![retry_after()]);
            }
        }
    }

    /// A user has registered, and may have messages waiting.
    pub(super) fn bring_messages(&mut self, recipient: Uuid) {
        if self.messages.awaited.contains(&recipient) {
            self.bring(recipient);
        }
    }

    /// Brings a user what waits, now or once more after what is being brought.
    fn bring(&mut self, recipient: Uuid) {
        match self.messages.rounds.get_mut(&recipient) {
            Some(again) => *again = true,
            None => {
                self.messages.rounds.insert(recipient, false);
                self.read_next(recipient);
            }
        }
    }

    fn read_next(&self, recipient: Uuid) {
        let mailroom = self.drivers.mailroom.clone();
        self.spawn(async move { Message::Text(MessageStep::Next { recipient, next: mailroom.next(recipient).await }) });
    }

    fn on_next_message(&mut self, recipient: Uuid, next: opentact_store::Result<Option<SipMessage>>) {
        match next {
            Ok(Some(message)) => {
                let hops = u8::try_from(message.hops).unwrap_or(MAX_FORWARDS);
                let headers = vec![max_forwards(hops), date(message.created_on)];
                let (from, to) = (message.from.clone(), message.to.clone());
                let body = (message.content_type.clone().into(), message.message.clone().into());
                if !self.send_to_phones(recipient, &from, &to, headers, body, Cargo::Kept(Box::new(message))) {
                    self.end_round(recipient);
                }
            }
            Ok(None) => {
                if self.messages.rounds.get(&recipient) == Some(&false) {
                    self.messages.awaited.remove(&recipient);
                }
                self.end_round(recipient);
            }
            Err(error) => {
                tracing::error!(%error, "messages that wait cannot be read");
                self.end_round(recipient);
            }
        }
    }

    /// Nothing more is brought for now: who still waits to hear of a message hears that it is kept.
    fn end_round(&mut self, recipient: Uuid) {
        if self.messages.rounds.remove(&recipient) == Some(true) {
            return self.bring(recipient);
        }
        let left = self.messages.waiting.iter().filter(|(_, waiting)| waiting.recipient == recipient);
        let left: Vec<Uuid> = left.map(|(message, _)| *message).collect();
        for message in left {
            self.answer_sender(message, 202, None);
        }
    }

    /// What is not kept: to the phones that are there, or to nobody.
    fn pass_by(&mut self, id: RequestId, request: &Request, between: &Correspondence) {
        let body = (content_type(request).into(), Bytes::copy_from_slice(request.body()));
        let headers = vec![max_forwards(hops_left(request))];
        let cargo = Cargo::Fleeting(id);
        if !self.send_to_phones(between.recipient, &between.from, &between.to, headers, body, cargo) {
            self.respond(id, 480, Vec::new());
        }
    }

    /// Sends a MESSAGE to every contact of a user. False when there is none.
    fn send_to_phones(
        &mut self,
        recipient: Uuid,
        from: &str,
        to: &str,
        headers: Headers,
        body: Body,
        cargo: Cargo,
    ) -> bool {
        // By the user and not the address: who had the login before may still be registered under it.
        let aor = self.registered.address(recipient).unwrap_or_default();
        let bindings = self.registrar.lookup(Instant::now(), aor);
        let requests: Vec<_> = bindings
            .into_iter()
            .map(|binding| {
                let (from, to) = (NameAddr::new(party(from)), NameAddr::new(party(to)));
                OutgoingRequest {
                    route: binding.path.to_vec(),
                    headers: headers.clone(),
                    body: Some(body.clone()),
                    ..OutgoingRequest::new(binding.flow, Method::Message, binding.contact.clone(), from, to)
                }
            })
            .collect();
        if requests.is_empty() {
            return false;
        }
        self.messages.last_delivery += 1;
        let number = self.messages.last_delivery;
        self.messages.deliveries.insert(number, Delivery { cargo, left: requests.len(), refused: None });
        for request in requests {
            let id = self.ua.new_request();
            self.messages.sent.insert(id, number);
            self.command(Command::Request { id, request });
        }
        true
    }

    /// An answer to a request of ours; without a response `code` stands for it.
    pub(super) fn on_message_answered(&mut self, id: RequestId, code: u16, response: Option<&Response>) {
        let reason = || match response {
            Some(response) => response.reason().into_owned(),
            None => opentact_sip::message::reason_phrase(code).to_owned(),
        };
        if code < 200 {
            return;
        }
        if let Some(passed) = self.messages.passed.remove(&id) {
            return self.on_passed_on(passed, code, reason());
        }
        let Some(number) = self.messages.sent.remove(&id) else { return };
        // Another phone was first.
        let Some(delivery) = self.messages.deliveries.get_mut(&number) else { return };
        delivery.left -= 1;
        if code >= 300 && delivery.refused.as_ref().is_none_or(|(known, _)| weight(code) > weight(*known)) {
            delivery.refused = Some((code, reason()));
        }
        if code < 300 || delivery.left == 0 {
            let refused = delivery.refused.take().filter(|_| code >= 300);
            if let Some(Delivery { cargo, .. }) = self.messages.deliveries.remove(&number) {
                self.on_brought(cargo, refused);
            }
        }
    }

    fn on_brought(&mut self, cargo: Cargo, refused: Option<(u16, String)>) {
        let message = match cargo {
            Cargo::Kept(message) => message,
            Cargo::Fleeting(id) => {
                let (code, reason) = refused.map_or((200, None), |(code, reason)| (code, Some(reason)));
                return self.respond_because(id, shown(code), reason, Vec::new());
            }
        };
        let Some(recipient) = message.recipient else { return };
        let reason = match refused {
            // It stays where it is, and what comes after it behind it.
            Some((code, _)) if is_passing(code) => return self.end_round(recipient),
            Some((code, reason)) => {
                self.answer_sender(message.uuid, shown(code), Some(reason.clone()));
                Some(format!("{code} {reason}"))
            }
            None => {
                self.answer_sender(message.uuid, 200, None);
                None
            }
        };
        let mailroom = self.drivers.mailroom.clone();
        self.spawn(async move {
            let result = mailroom.settle(message.uuid, reason.as_deref()).await;
            Message::Text(MessageStep::Settled { recipient, result })
        });
    }

    /// Tells the sender, if that is not done, what became of a message.
    fn answer_sender(&mut self, message: Uuid, code: u16, reason: Option<String>) {
        let Some(Waiting { id, late, .. }) = self.messages.waiting.remove(&message) else { return };
        if let Some(late) = late {
            late.abort();
        }
        self.respond_because(id, code, reason, Vec::new());
    }

    /// A MESSAGE within a call is for the other side of it.
    pub(super) fn on_message_in_call(&mut self, session: SessionId, id: RequestId, request: &Request) {
        if self.messages.len() >= MAX_UNDER_WAY {
            return self.respond(id, 503, vec![retry_after()]);
        }
        if let Err((code, headers)) = self.check_content(request) {
            return self.respond(id, code, headers);
        }
        let Some((other, note)) = self.other_side(session, request) else {
            return self.respond_because(id, 480, Some("Nobody Else In This Call".to_owned()), Vec::new());
        };
        let body = (content_type(request).into(), Bytes::copy_from_slice(request.body()));
        let ours = self.ua.new_request();
        let note = (!is_fleeting(request)).then_some(note);
        self.messages.passed.insert(ours, Passed { id, note });
        self.command(Command::InDialog {
            session: other,
            id: ours,
            method: Method::Message,
            headers: vec![max_forwards(hops_left(request))],
            body: Some(body),
        });
    }

    /// The session of the leg that this one is joined with, which may be of another call, and what is to be written.
    fn other_side(&mut self, session: SessionId, request: &Request) -> Option<(SessionId, Note)> {
        let from = self.legs.get(self.sessions.get(&session)?)?;
        let call = self.calls.get(&from.call)?;
        let to = self.legs.get(&call.call.partner(from.id)?)?;
        let other = match &to.role {
            Role::Inbound(inbound) => inbound.session,
            Role::Outbound(outbound) => outbound.answered?,
        };
        let (author, reader) = (self.party(from)?, self.party(to)?);
        let note = Note {
            account: call.account,
            new: NewSipMessage {
                sender: from.user(),
                recipient: to.user(),
                position: 0,
                thread: thread_of(&author, &reader),
                from: author,
                to: reader,
                content_type: content_type(request),
                message: text(request),
                hops: hops_left(request),
                waits_until: None,
                reason: None,
            },
        };
        Some((other, note))
    }

    fn on_passed_on(&mut self, passed: Passed, code: u16, reason: String) {
        if let Some(Note { account, mut new }) = passed.note {
            new.position = self.messages.next_position();
            new.reason = (code >= 300).then(|| format!("{code} {reason}"));
            let mailroom = self.drivers.mailroom.clone();
            self.drivers.runtime.spawn(async move {
                if let Err(error) = mailroom.write(account, new, None).await {
                    tracing::error!(%error, "a message of a call is not written");
                }
            });
        }
        self.respond_because(passed.id, shown(code), Some(reason), Vec::new());
    }

    pub(super) fn respond_because(&mut self, id: RequestId, code: u16, reason: Option<String>, headers: Headers) {
        self.command(Command::Respond { id, code, reason, headers, body: None });
    }
}

/// RFC 3994, and RFC 3428 section 4 with `Expires: 0`: of use now or not at all.
fn is_fleeting(request: &Request) -> bool {
    request.headers().is_content(COMPOSING) || request.expires() == Ok(Some(0))
}

fn content_type(request: &Request) -> String {
    String::from_utf8_lossy(request.header(Name::ContentType).unwrap_or(b"text/plain")).into_owned()
}

fn text(request: &Request) -> String {
    String::from_utf8_lossy(request.body()).into_owned()
}

fn hops_left(request: &Request) -> u8 {
    request.max_forwards().ok().flatten().map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1))
}

fn max_forwards(hops: u8) -> (Bytes, Bytes) {
    (Bytes::from_static(b"Max-Forwards"), hops.to_string().into())
}

/// When it was written (RFC 3428 section 7), an RFC 1123 date.
fn date(written: DateTime<Utc>) -> (Bytes, Bytes) {
    (Bytes::from_static(b"Date"), written.format("%a, %d %b %Y %H:%M:%S GMT").to_string().into())
}

/// Whether it may go better the next time the recipient is there: nobody answered, or the phone cannot take it now.
fn is_passing(code: u16) -> bool {
    matches!(code, 408 | 430 | 480 | 486 | 500 | 502..=504)
}

/// How much a refusal says, of those of several phones: one that is final more than one that is not.
fn weight(code: u16) -> u8 {
    match code {
        600.. => 3,
        _ if is_passing(code) => 1,
        _ => 2,
    }
}

/// A refusal as its sender may see it: the challenge of a phone is not for them to answer.
fn shown(code: u16) -> u16 {
    if matches!(code, 401 | 407) { 403 } else { code }
}
