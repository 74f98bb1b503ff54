//! One SMPP connection, of either role: version 3.4, or 5.0 where the bind asks for it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::pdu::{Bind, BindKind, Deframer, Frame, Malformed, Pdu, ShortMessage, VERSION_3_4, VERSION_5_0};
use super::status::Status;
use super::window::{Queue, Request, Window};

/// How far behind its rate a session may catch up.
const LATE: Duration = Duration::from_millis(100);

/// `congestion_state` from which on we let the peer rest (SMPP 5.0 4.8.4.18: 90 to 99 is nearing congestion).
const CONGESTED: u8 = 90;

/// Which end of the connection this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Binds, sends submit_sm, takes deliver_sm.
    Esme(Bind),
    /// Waits for a bind, takes submit_sm, sends deliver_sm. The system id is at most 15 ASCII characters.
    Smsc { system_id: String },
}

#[derive(Debug, Clone)]
pub struct Config {
    pub role: Role,
    /// Requests of ours that may wait for an answer at once, at least 1.
    pub window: usize,
    /// Requests of ours that may wait for room in the window. One more ends with [`Failure::QueueFull`].
    pub queue: usize,
    /// Requests of ours a second, evenly spread; 0 is any number. The others wait in the queue.
    pub rate: u32,
    /// Requests of ours are data_sm, in place of submit_sm or deliver_sm.
    pub data_sm: bool,
    /// Requests of the peer that may wait for [`Input::Answer`]. One more is answered ESME_RTHROTTLED.
    pub inbound: usize,
    /// How long an answer may take (SMPP 3.4 7.2: response_timer).
    pub response_timeout: Duration,
    /// How long the peer may be silent before enquire_link is sent (enquire_link_timer).
    pub enquire_link: Duration,
    /// How long a bind may take (session_init_timer).
    pub bind_timeout: Duration,
    /// Pause after the first ESME_RTHROTTLED, ESME_RMSGQFUL or congestion_state of 90 or more; doubles while they go on.
    pub throttle_pause: Duration,
    /// Longest such pause.
    pub throttle_pause_max: Duration,
    /// How often one request may be throttled before it ends with [`Failure::Throttled`].
    pub throttle_attempts: u32,
}

impl Config {
    pub fn new(role: Role) -> Config {
        Config {
            role,
            window: 10,
            queue: 1_000,
            rate: 0,
            data_sm: false,
            inbound: 100,
            response_timeout: Duration::from_secs(10),
            enquire_link: Duration::from_secs(30),
            bind_timeout: Duration::from_secs(5),
            throttle_pause: Duration::from_millis(250),
            throttle_pause_max: Duration::from_secs(30),
            throttle_attempts: 8,
        }
    }
}

#[derive(Debug)]
pub enum Input<'a> {
    /// Octets from the connection.
    Received(&'a [u8]),
    /// The connection is gone.
    Disconnected,
    /// Send a message (submit_sm or deliver_sm by role, or data_sm). `id` is the caller's and comes back in [`Event::Ended`].
    Send { id: u64, message: ShortMessage },
    /// Answer an [`Event::Message`] with the id it has here, or a refusal.
    Answer { sequence: u32, result: Result<String, Status> },
    /// Answer an [`Event::Bind`].
    AnswerBind(Result<(), Status>),
    /// Let what is under way be answered, then unbind. What is queued ends with [`Failure::NotSent`].
    Unbind,
    /// [`Session::deadline`] has passed.
    Timeout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Transmit(Bytes),
    /// Close the connection, once what was to be transmitted is.
    Close,
    Event(Event),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// SMSC: somebody wants in. Answer with [`Input::AnswerBind`].
    Bind(Bind),
    /// Messages can flow. `peer` is the other's system id.
    Bound { peer: String, kind: BindKind },
    /// submit_sm, deliver_sm or data_sm of the peer. Answer with [`Input::Answer`].
    Message { sequence: u32, message: ShortMessage },
    /// What became of an [`Input::Send`]: exactly one for each.
    Ended { id: u64, outcome: Outcome },
    /// Nothing comes after it.
    Closed(CloseReason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The peer has it; empty id for deliver_sm.
    Accepted {
        message_id: String,
    },
    /// The peer does not want it.
    Refused(Status),
    Failed(Failure),
}

/// Why a message has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    #[error("the queue of the session is full")]
    QueueFull,
    /// It never left, so sending it elsewhere cannot make two of it.
    #[error("the session ended before it was sent")]
    NotSent,
    /// It left; whether the peer took it is unknown.
    #[error("no answer came")]
    Unanswered,
    /// Refused for now, [`Config::throttle_attempts`] times.
    #[error("throttled too often")]
    Throttled,
    #[error("a field does not fit SMPP")]
    Unencodable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CloseReason {
    #[error("bind refused: {0}")]
    BindRefused(Status),
    #[error("no bind in time")]
    BindTimeout,
    #[error("unbound")]
    Unbound,
    #[error("no answer to enquire_link")]
    PeerSilent,
    #[error("the stream is out of step")]
    OutOfStep,
    #[error("connection lost")]
    Disconnected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// ESME: bind sent. SMSC: waiting for it.
    Opening {
        deadline: Instant,
    },
    /// SMSC: the driver decides on a bind.
    Deciding {
        kind: BindKind,
        sequence: u32,
        deadline: Instant,
    },
    Bound(BindKind),
    /// Unbind asked for; answers are waited for.
    Draining(BindKind),
    /// Unbind sent.
    Unbinding {
        deadline: Instant,
    },
    Closed,
}

/// Counters since the session began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests transmitted, each try counted.
    pub sent: u64,
    /// Requests of the peer passed on.
    pub received: u64,
    /// Answers that said ESME_RTHROTTLED or ESME_RMSGQFUL.
    pub throttled: u64,
    /// Requests of the peer answered ESME_RTHROTTLED here.
    pub refused: u64,
    /// Answers nobody waited for (any more).
    pub stray: u64,
}

/// See the module. Made when the connection is open.
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    deframer: Deframer,
    outputs: VecDeque<Output>,
    next_sequence: u32,
    window: Window,
    queue: Queue,
    /// The peer's requests that wait for an answer, with what would answer them.
    unanswered: BTreeMap<u32, Pdu>,
    bind_sequence: u32,
    /// What both ends speak; before the bind it is what the ESME asks for.
    version: u8,
    last_heard: Instant,
    /// enquire_link is on its way and must be answered by then.
    enquiry: Option<Instant>,
    /// Nothing is sent before that: the peer throttles.
    pause_until: Option<Instant>,
    pauses: u32,
    /// When the next request may be sent, by [`Config::rate`].
    next_send: Instant,
    stats: Stats,
}

impl Session {
    /// An ESME binds at once; an SMSC waits for the bind.
    pub fn new(now: Instant, config: Config) -> Session {
        let mut session = Session {
            state: State::Opening { deadline: now + config.bind_timeout },
            deframer: Deframer::default(),
            outputs: VecDeque::new(),
            next_sequence: 1,
            window: Window::new(config.window),
            queue: Queue::new(config.queue),
            unanswered: BTreeMap::new(),
            bind_sequence: 0,
            version: VERSION_3_4,
            last_heard: now,
            enquiry: None,
            pause_until: None,
            pauses: 0,
            next_send: now,
            stats: Stats::default(),
            config,
        };
        if let Role::Esme(bind) = &session.config.role {
            let bind = bind.clone();
            session.version = bind.version;
            session.bind_sequence = session.sequence();
            let transmitted = session.transmit(&Frame::request(session.bind_sequence, Pdu::Bind(bind)));
            if transmitted.is_err() {
                session.close(CloseReason::BindRefused(Status::BIND_FAILED));
            }
        }
        session
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Received(octets) => {
                self.deframer.push(octets);
                while let Some(next) = self.deframer.next_frame() {
                    if self.state == State::Closed {
                        break;
                    }
                    self.last_heard = now;
                    self.enquiry = None;
                    match next {
                        Ok(frame) => self.received(now, frame),
                        Err(malformed) => self.malformed(malformed),
                    }
                }
            }
            Input::Disconnected => self.close(CloseReason::Disconnected),
            Input::Send { id, message } => self.send(id, message),
            Input::Answer { sequence, result } => self.answer(sequence, result),
            Input::AnswerBind(result) => self.answer_bind(result),
            Input::Unbind => self.unbind(now),
            Input::Timeout => self.timeout(now),
        }
        self.fill_window(now);
        if matches!(self.state, State::Draining(_)) && self.window.is_empty() {
            self.send_unbind(now);
        }
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None` once closed.
    pub fn deadline(&self) -> Option<Instant> {
        let own = match self.state {
            State::Closed => return None,
            State::Opening { deadline } | State::Deciding { deadline, .. } | State::Unbinding { deadline } => deadline,
            State::Bound(_) | State::Draining(_) => {
                self.enquiry.unwrap_or_else(|| self.last_heard + self.config.enquire_link)
            }
        };
        let waits = matches!(self.state, State::Bound(_)) && !self.queue.is_empty() && self.window.has_room();
        let resume = waits.then(|| self.pause_until.map_or(self.next_send, |until| until.max(self.next_send)));
        [Some(own), self.window.deadline(), resume].into_iter().flatten().min()
    }

    pub fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(_))
    }

    /// What both ends speak, once bound: 0x34 or 0x50, or what an older peer says.
    pub fn version(&self) -> u8 {
        self.version
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Requests that wait for their answer or for room in the window.
    pub fn pending(&self) -> usize {
        self.window.len() + self.queue.len()
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn received(&mut self, now: Instant, frame: Frame) {
        let Frame { status, sequence, pdu } = frame;
        match pdu {
            Pdu::EnquireLink => self.reply(Frame::request(sequence, Pdu::EnquireLinkResp)),
            Pdu::EnquireLinkResp => {}
            Pdu::Unbind => {
                self.reply(Frame::request(sequence, Pdu::UnbindResp));
                self.close(CloseReason::Unbound);
            }
            Pdu::UnbindResp => {
                if matches!(self.state, State::Unbinding { .. }) {
                    self.close(CloseReason::Unbound);
                }
            }
            Pdu::BindResp { kind, system_id, version } => {
                self.bind_answered(status, sequence, kind, system_id, version);
            }
            Pdu::Bind(bind) => self.bind_asked(now, sequence, bind),
            Pdu::Submit(message) if matches!(self.config.role, Role::Smsc { .. }) => {
                self.message(sequence, message, Pdu::SubmitResp { message_id: String::new(), congestion: None });
            }
            Pdu::Deliver(message) if matches!(self.config.role, Role::Esme(_)) => {
                self.message(sequence, message, Pdu::DeliverResp);
            }
            Pdu::Data(message) => {
                self.message(sequence, message, Pdu::DataResp { message_id: String::new(), congestion: None });
            }
            Pdu::SubmitResp { message_id, congestion } | Pdu::DataResp { message_id, congestion } => {
                self.answered(now, sequence, status, message_id, congestion);
            }
            Pdu::DeliverResp => self.answered(now, sequence, status, String::new(), None),
            Pdu::GenericNack if sequence == self.bind_sequence && matches!(self.state, State::Opening { .. }) => {
                self.close(CloseReason::BindRefused(status));
            }
            // A nack is never an acceptance, whatever its status says.
            Pdu::GenericNack if status.is_ok() => {
                self.answered(now, sequence, Status::SYSTEM_ERROR, String::new(), None);
            }
            Pdu::GenericNack => self.answered(now, sequence, status, String::new(), None),
            Pdu::Other(command_id) if is_response(command_id) => self.stats.stray += 1,
            Pdu::Submit(_) | Pdu::Deliver(_) | Pdu::Other(_) => {
                self.reply(Frame { status: Status::INVALID_COMMAND_ID, sequence, pdu: Pdu::GenericNack });
            }
        }
    }

    fn malformed(&mut self, malformed: Malformed) {
        match malformed {
            Malformed::Length(_) => {
                let status = Status::INVALID_COMMAND_LENGTH;
                self.reply(Frame { status, sequence: 0, pdu: Pdu::GenericNack });
                self.close(CloseReason::OutOfStep);
            }
            Malformed::Body { command_id, sequence } if is_response(command_id) => match self.window.remove(sequence) {
                Some(request) => self.end(request.id, Outcome::Failed(Failure::Unanswered)),
                None => self.stats.stray += 1,
            },
            Malformed::Body { command_id, sequence } => {
                let pdu = Pdu::Other(command_id | RESPONSE);
                self.reply(Frame { status: Status::INVALID_COMMAND_LENGTH, sequence, pdu });
            }
        }
    }

    fn bind_asked(&mut self, now: Instant, sequence: u32, bind: Bind) {
        let kind = bind.kind;
        let refusal = Pdu::BindResp { kind, system_id: String::new(), version: None };
        match (&self.config.role, self.state) {
            (Role::Smsc { .. }, State::Opening { .. }) => {
                self.state = State::Deciding { kind, sequence, deadline: now + self.config.bind_timeout };
                self.version = bind.version;
                self.event(Event::Bind(bind));
            }
            (Role::Smsc { .. }, _) => self.reply(Frame { status: Status::ALREADY_BOUND, sequence, pdu: refusal }),
            (Role::Esme(_), _) => self.reply(Frame { status: Status::INVALID_COMMAND_ID, sequence, pdu: refusal }),
        }
    }

    fn answer_bind(&mut self, result: Result<(), Status>) {
        let State::Deciding { kind, sequence, .. } = self.state else { return };
        let Role::Smsc { system_id } = &self.config.role else { return };
        // An ESME of a version before TLVs gets none; of what lies between two versions, the lower counts.
        self.version = match self.version {
            ..VERSION_3_4 => self.version,
            VERSION_3_4..VERSION_5_0 => VERSION_3_4,
            VERSION_5_0.. => VERSION_5_0,
        };
        let version = Some(self.version).filter(|version| *version >= VERSION_3_4);
        let pdu = Pdu::BindResp { kind, system_id: system_id.clone(), version };
        match result {
            Ok(()) => {
                self.reply(Frame::request(sequence, pdu));
                self.state = State::Bound(kind);
                self.event(Event::Bound { peer: String::new(), kind });
            }
            Err(status) => {
                self.reply(Frame { status, sequence, pdu });
                self.close(CloseReason::BindRefused(status));
            }
        }
    }

    fn bind_answered(&mut self, status: Status, sequence: u32, kind: BindKind, peer: String, version: Option<u8>) {
        let asked = match &self.config.role {
            Role::Esme(bind) => bind.kind == kind && sequence == self.bind_sequence,
            Role::Smsc { .. } => false,
        };
        if !asked || !matches!(self.state, State::Opening { .. }) {
            self.stats.stray += 1;
        } else if status.is_ok() {
            self.version = self.version.min(version.unwrap_or(VERSION_3_4));
            self.state = State::Bound(kind);
            self.event(Event::Bound { peer, kind });
        } else {
            self.close(CloseReason::BindRefused(status));
        }
    }

    /// A submit_sm, deliver_sm or data_sm of the peer.
    fn message(&mut self, sequence: u32, message: ShortMessage, answer: Pdu) {
        let allowed = match (&self.config.role, self.state) {
            (Role::Esme(_), State::Bound(kind) | State::Draining(kind)) => kind.receives(),
            (Role::Smsc { .. }, State::Bound(kind)) => kind.transmits(),
            _ => false,
        };
        if !allowed {
            self.reply(Frame { status: Status::INVALID_BIND_STATUS, sequence, pdu: answer });
        } else if self.unanswered.len() >= self.config.inbound {
            self.stats.refused += 1;
            self.reply(Frame { status: Status::THROTTLED, sequence, pdu: answer });
        } else if self.unanswered.contains_key(&sequence) {
            // Two requests of one number cannot be told apart by their answers.
            self.reply(Frame { status: Status::SYSTEM_ERROR, sequence, pdu: answer });
        } else {
            self.stats.received += 1;
            self.unanswered.insert(sequence, answer);
            self.event(Event::Message { sequence, message });
        }
    }

    fn answer(&mut self, sequence: u32, result: Result<String, Status>) {
        let congestion = self.congestion();
        let Some(pdu) = self.unanswered.remove(&sequence) else { return };
        let frame = match (result, pdu) {
            (Ok(message_id), Pdu::SubmitResp { .. }) => {
                Frame::request(sequence, Pdu::SubmitResp { message_id, congestion })
            }
            (Ok(message_id), Pdu::DataResp { .. }) => {
                Frame::request(sequence, Pdu::DataResp { message_id, congestion })
            }
            (Ok(_), pdu) => Frame::request(sequence, pdu),
            (Err(status), pdu) => Frame { status, sequence, pdu },
        };
        self.reply(frame);
    }

    /// How many of the requests that may wait for an answer do so, in percent; told to whom it means something.
    fn congestion(&self) -> Option<u8> {
        let load = self.unanswered.len() * 100 / self.config.inbound.max(1);
        (self.version >= VERSION_5_0).then(|| u8::try_from(load.min(100)).unwrap_or(100))
    }

    fn send(&mut self, id: u64, message: ShortMessage) {
        let direction = |kind: BindKind| match self.config.role {
            Role::Esme(_) => kind.transmits(),
            Role::Smsc { .. } => kind.receives(),
        };
        let open = match self.state {
            State::Opening { .. } | State::Deciding { .. } => true,
            State::Bound(kind) => direction(kind),
            State::Draining(_) | State::Unbinding { .. } | State::Closed => false,
        };
        if !open {
            self.end(id, Outcome::Failed(Failure::NotSent));
        } else if self.queue.has_room() {
            self.queue.push(Request { id, message, throttled: 0 });
        } else {
            self.end(id, Outcome::Failed(Failure::QueueFull));
        }
    }

    fn fill_window(&mut self, now: Instant) {
        let State::Bound(kind) = self.state else { return };
        let ours = match self.config.role {
            Role::Esme(_) => kind.transmits(),
            Role::Smsc { .. } => kind.receives(),
        };
        if !ours {
            for request in self.queue.take_all() {
                self.end(request.id, Outcome::Failed(Failure::NotSent));
            }
            return;
        }
        if self.pause_until.is_some_and(|until| now < until) {
            return;
        }
        self.pause_until = None;
        while self.window.has_room() && self.next_send <= now {
            let Some(request) = self.queue.pop() else { break };
            let sequence = self.sequence();
            let pdu = match self.config.role {
                _ if self.config.data_sm => Pdu::Data(request.message.clone()),
                Role::Esme(_) => Pdu::Submit(request.message.clone()),
                Role::Smsc { .. } => Pdu::Deliver(request.message.clone()),
            };
            if self.transmit(&Frame::request(sequence, pdu)).is_err() {
                self.end(request.id, Outcome::Failed(Failure::Unencodable));
                continue;
            }
            self.stats.sent += 1;
            if self.config.rate > 0 {
                // What a late wake-up has missed is made up for, a tenth of a second's worth at most.
                let step = Duration::from_secs(1) / self.config.rate;
                self.next_send = self.next_send.max(now.checked_sub(LATE).unwrap_or(now)) + step;
            }
            self.window.insert(sequence, request, now + self.config.response_timeout);
        }
    }

    fn answered(&mut self, now: Instant, sequence: u32, status: Status, message_id: String, congestion: Option<u8>) {
        let Some(mut request) = self.window.remove(sequence) else {
            self.stats.stray += 1;
            return;
        };
        if status.is_ok() {
            match congestion {
                Some(CONGESTED..) => self.pause(now),
                _ => self.pauses = 0,
            }
            self.end(request.id, Outcome::Accepted { message_id });
        } else if status.is_throttle() {
            self.stats.throttled += 1;
            self.pause(now);
            request.throttled += 1;
            if request.throttled >= self.config.throttle_attempts {
                self.end(request.id, Outcome::Failed(Failure::Throttled));
            } else if matches!(self.state, State::Bound(_)) {
                self.queue.put_back(request);
            } else {
                self.end(request.id, Outcome::Failed(Failure::NotSent));
            }
        } else {
            self.pauses = 0;
            self.end(request.id, Outcome::Refused(status));
        }
    }

    /// Begins a pause, unless one is on: what else was in the window is throttled for the same reason.
    fn pause(&mut self, now: Instant) {
        if self.pause_until.is_some_and(|until| now < until) {
            return;
        }
        let pause = self.config.throttle_pause.saturating_mul(1 << self.pauses.min(16));
        self.pauses += 1;
        self.pause_until = Some(now + pause.min(self.config.throttle_pause_max));
    }

    fn unbind(&mut self, now: Instant) {
        match self.state {
            State::Bound(kind) => {
                for request in self.queue.take_all() {
                    self.end(request.id, Outcome::Failed(Failure::NotSent));
                }
                self.state = State::Draining(kind);
                if self.window.is_empty() {
                    self.send_unbind(now);
                }
            }
            State::Opening { .. } | State::Deciding { .. } => self.close(CloseReason::Unbound),
            State::Draining(_) | State::Unbinding { .. } | State::Closed => {}
        }
    }

    fn send_unbind(&mut self, now: Instant) {
        let sequence = self.sequence();
        self.reply(Frame::request(sequence, Pdu::Unbind));
        self.state = State::Unbinding { deadline: now + self.config.response_timeout };
    }

    fn timeout(&mut self, now: Instant) {
        for request in self.window.take_expired(now) {
            self.end(request.id, Outcome::Failed(Failure::Unanswered));
        }
        match self.state {
            State::Opening { deadline } | State::Deciding { deadline, .. } if deadline <= now => {
                self.close(CloseReason::BindTimeout);
            }
            State::Unbinding { deadline } if deadline <= now => self.close(CloseReason::Unbound),
            State::Bound(_) | State::Draining(_) => match self.enquiry {
                Some(deadline) if deadline <= now => self.close(CloseReason::PeerSilent),
                Some(_) => {}
                None if self.last_heard + self.config.enquire_link <= now => {
                    let sequence = self.sequence();
                    self.reply(Frame::request(sequence, Pdu::EnquireLink));
                    self.enquiry = Some(now + self.config.response_timeout);
                }
                None => {}
            },
            _ => {}
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        for request in self.window.take_all() {
            self.end(request.id, Outcome::Failed(Failure::Unanswered));
        }
        for request in self.queue.take_all() {
            self.end(request.id, Outcome::Failed(Failure::NotSent));
        }
        self.unanswered.clear();
        self.outputs.push_back(Output::Close);
        self.event(Event::Closed(reason));
    }

    /// 1..=0x7fffffff (SMPP 3.4 3.2.4), never one that still waits for its answer.
    fn sequence(&mut self) -> u32 {
        loop {
            let sequence = self.next_sequence;
            self.next_sequence = if sequence >= 0x7fff_ffff { 1 } else { sequence + 1 };
            if !self.window.contains(sequence) {
                return sequence;
            }
        }
    }

    fn transmit(&mut self, frame: &Frame) -> Result<(), super::pdu::Unencodable> {
        self.outputs.push_back(Output::Transmit(frame.encode()?));
        Ok(())
    }

    /// An answer, or a request without fields. What cannot be written (an id of ours longer than 64 octets) is
    /// answered with a system error, so that the peer does not wait.
    fn reply(&mut self, frame: Frame) {
        if self.transmit(&frame).is_err() {
            let bare = Frame { status: Status::SYSTEM_ERROR, ..frame };
            // A header alone always fits.
            let _ = self.transmit(&bare);
        }
    }

    fn end(&mut self, id: u64, outcome: Outcome) {
        self.event(Event::Ended { id, outcome });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

const RESPONSE: u32 = 0x8000_0000;

fn is_response(command_id: u32) -> bool {
    command_id & RESPONSE != 0
}
