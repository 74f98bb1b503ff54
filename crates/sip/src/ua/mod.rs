//! The user agent of one shard: transactions, dialogs and INVITE sessions behind one pair of verbs.
//!
//! [`Ua::handle`] takes a message, a failure of a transport, an order or the passing of time; [`Ua::poll`] gives what is
//! to be sent and what has happened, and is to be drained after every `handle`; [`Ua::deadline`] says when the next
//! `handle` is due at the latest. A `Ua` knows no socket and no clock. All messages of one Call-ID must reach the same
//! `Ua`; beyond that any number of them run side by side and share nothing.
//!
//! What the RFCs leave no choice in is done here: retransmission, tags, ACK of each 2xx, digest, glare, and the answer to
//! every request that is wrong. What is policy comes up as an [`Event`] and is answered by a [`Command`].

mod auth;
mod callee;
mod caller;
mod command;
mod compose;
mod config;
mod door;
mod event;
mod outside;
mod reinvite;
mod reliable;
mod session;
mod subscription;
mod timer;
mod within;

use std::collections::VecDeque;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use self::command::{Body, Command, ExtraHeaders, Input, OutgoingInvite, OutgoingRequest};
pub use self::config::UaConfig;
pub use self::event::{Event, Output};
use self::outside::{Asked, Asking};
use self::session::Session;
pub use self::session::{SessionInfo, SessionState};
pub use self::subscription::EndReason;
use self::subscription::Subscription;
use crate::flow::Flow;
use crate::transaction::key::{Key, KeyMaker, KeyMap};
use crate::transaction::{Rang, TransactionId, Transactions};

/// One INVITE session, from its INVITE to its end. Unique within its [`Ua`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One request that is no INVITE, sent or received. Unique within its [`Ua`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One subscription to what we know. Unique within its [`Ua`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// What is alive in a [`Ua`]. All zero when nothing goes on and the last timer has run out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UaStats {
    /// Transactions, tombstones included.
    pub transactions: usize,
    /// INVITE sessions from INVITE to end.
    pub sessions: usize,
    /// Requests other than INVITE that wait for an answer of the other side or of the layer above.
    pub requests: usize,
    /// Subscriptions of the other sides to what we know.
    pub subscriptions: usize,
}

/// Whose a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Nobody waits for its outcome.
    Nobody,
    /// Our INVITE that makes a session.
    Call(SessionId),
    /// A request of ours within a dialog; the session knows which.
    Within(SessionId),
    /// A request of ours outside of dialogs.
    Asking(RequestId),
    /// The INVITE that made an incoming session.
    Called(SessionId),
    /// A re-INVITE of the other side.
    Recalled(SessionId),
    /// Any other request of the other side.
    Asked(RequestId),
    /// Our NOTIFY.
    Notified(SubscriptionId),
}

/// Dialogs that are remembered after their end; the oldest is forgotten for a further one.
pub const ENDED: usize = 4_096;

/// A SIP user agent: any number of calls, in both roles, and requests outside of them.
#[derive(Debug)]
pub struct Ua {
    config: UaConfig,
    random: StdRng,
    keys: KeyMaker,
    transactions: Transactions<Owner>,
    sessions: KeyMap<SessionId, Session>,
    dialogs: KeyMap<Key, SessionId>,
    /// Our requests outside of dialogs without a final response.
    asking: KeyMap<RequestId, Box<Asking>>,
    /// The others' requests without our answer, within dialogs or not.
    asked: KeyMap<RequestId, Box<Asked>>,
    subscriptions: KeyMap<SubscriptionId, Box<Subscription>>,
    subscription_dialogs: KeyMap<Key, SubscriptionId>,
    /// Dialogs that have ended, the latest at the back.
    ended: VecDeque<Key>,
    events: VecDeque<Event>,
    last_id: u64,
}

impl Ua {
    /// `seed` makes tags, branches and keys: unpredictable ones in production, the same ones for the same seed in a test.
    pub fn new(config: UaConfig, seed: u64) -> Ua {
        let mut random = StdRng::seed_from_u64(seed);
        Ua {
            keys: KeyMaker::new([random.random(), random.random()]),
            transactions: Transactions::new(config.timing),
            config,
            random,
            sessions: KeyMap::default(),
            dialogs: KeyMap::default(),
            asking: KeyMap::default(),
            asked: KeyMap::default(),
            subscriptions: KeyMap::default(),
            subscription_dialogs: KeyMap::default(),
            ended: VecDeque::new(),
            events: VecDeque::new(),
            last_id: 0,
        }
    }

    /// A number for a call to make with [`Command::Invite`].
    pub fn new_session(&mut self) -> SessionId {
        self.last_id += 1;
        SessionId(self.last_id)
    }

    /// A number for a request to send with [`Command::Request`] or [`Command::InDialog`].
    pub fn new_request(&mut self) -> RequestId {
        self.last_id += 1;
        RequestId(self.last_id)
    }

    /// Takes what happened at `now`. Time never goes back.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.run_timers(now);
        match input {
            Input::Received { message, flow } => self.received(now, message, flow),
            Input::Tick => {}
            Input::TransportFailed { flow } => {
                for (id, owner) in self.transactions.fail_flow(&flow) {
                    self.unanswered(now, id, owner, 503);
                }
            }
            Input::Command(command) => self.command(now, command),
        }
    }

    /// What is to be done next; `None` when all is said.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(transmit) = self.transactions.poll_transmit() {
            return Some(Output::Transmit { flow: transmit.flow, bytes: transmit.bytes });
        }
        self.events.pop_front().map(Output::Event)
    }

    /// When `handle` is due at the latest. It may turn out that there was nothing to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.transactions.deadline()
    }

    /// A live session.
    pub fn session(&self, id: SessionId) -> Option<SessionInfo<'_>> {
        self.sessions.get(&id).map(SessionInfo)
    }

    /// Whence a request came that waits for [`Command::Respond`].
    pub fn asked(&self, id: RequestId) -> Option<Flow> {
        self.asked.get(&id).map(|asked| asked.received.flow)
    }

    /// The session with this dialog, as our side knows it: a Replaces header names one so (RFC 3891 section 3).
    pub fn find_session(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Option<SessionId> {
        self.dialogs.get(&self.keys.dialog(call_id, local_tag, remote_tag)).copied()
    }

    /// Whether this was the dialog of a session that has ended, as far back as the latest [`ENDED`] dialogs.
    pub fn has_ended(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> bool {
        self.ended.contains(&self.keys.dialog(call_id, local_tag, remote_tag))
    }

    pub fn stats(&self) -> UaStats {
        UaStats {
            transactions: self.transactions.len(),
            sessions: self.sessions.len(),
            requests: self.asking.len() + self.asked.len(),
            subscriptions: self.subscriptions.len(),
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Invite { session, invite } => self.call(now, session, invite),
            Command::Provisional { session, code, reason, headers, body } => {
                self.send_provisional(now, session, code, reason, headers, body);
            }
            Command::Accept { session, headers, body, contact } => self.accept(now, session, headers, body, contact),
            Command::Reject { session, code, reason, headers } => self.reject(now, session, code, reason, headers),
            Command::Cancel { session, headers } => self.cancel(now, session, headers),
            Command::Bye { session, headers } => self.hang_up(now, session, headers),
            Command::Reinvite { session, headers, body } => self.reinvite(now, session, headers, body),
            Command::InDialog { session, id, method, headers, body } => {
                self.ask_within(now, session, id, method, headers, body);
            }
            Command::Request { id, request } => self.ask(now, id, request),
            Command::AcceptSubscription { id, subscription, seconds } => {
                self.accept_subscription(now, id, subscription, seconds);
            }
            Command::SubscriptionChanged { subscription } => self.subscription_changed(now, subscription),
            Command::Notify { subscription, body } => self.notify(now, subscription, body),
            Command::EndSubscription { subscription, reason } => self.end_subscription(now, subscription, reason),
            Command::Respond { id, code, reason, headers, body } => self.answer(now, id, code, reason, headers, body),
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(rang) = self.transactions.fire(now) {
            match rang {
                Rang::Timeout { id, owner } => self.unanswered(now, id, owner, 408),
                Rang::User { number, at } => {
                    let id = SessionId(number);
                    let rings = self
                        .sessions
                        .get_mut(&id)
                        .is_some_and(|session| self.transactions.user_rings(now, at, &mut session.alarm, number));
                    if rings {
                        self.session_timer(now, id);
                    } else {
                        self.subscription_timer(now, number, at);
                    }
                }
            }
        }
    }

    /// A client transaction has ended without a response (408 or 503 take its place), or the layer above has never
    /// answered a request.
    fn unanswered(&mut self, now: Instant, transaction: TransactionId, owner: Owner, code: u16) {
        match owner {
            Owner::Call(session) => self.call_unanswered(now, session, transaction, code),
            Owner::Within(session) => self.within_unanswered(now, session, transaction, code),
            Owner::Asking(id) => {
                if self.asking.remove(&id).is_some() {
                    self.events.push_back(Event::RequestFailed { id, code });
                }
            }
            Owner::Asked(id) => self.forget_asked(id),
            Owner::Notified(id) => self.notified(now, id, transaction, code),
            Owner::Nobody | Owner::Called(_) | Owner::Recalled(_) => {}
        }
    }

    /// 64 random bits as a tag or client nonce.
    fn token(&mut self) -> String {
        format!("{:016x}", self.random.random::<u64>())
    }

    /// A branch that nobody has used (RFC 3261 8.1.1.7).
    fn branch(&mut self) -> String {
        format!("z9hG4bK{:024x}", self.random.random::<u128>() >> 32)
    }
}

#[cfg(test)]
mod tests;
