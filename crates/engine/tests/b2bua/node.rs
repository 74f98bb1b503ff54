//! A node without sockets, media and database: the machines of its calls, and what they say told to its user agent.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use opentact_call::*;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Method, Name, Request, Response};
use opentact_sip::ua::{Command, Event, OutgoingInvite, RequestId, SessionId, SessionState, Ua};
use uuid::Uuid;

use crate::phone::{replaces_of, sdp};
use crate::world::{Tally, address};

struct Leg {
    call: LegId,
    session: SessionId,
    inbound: bool,
    answered: bool,
    ended: bool,
}

pub struct Node {
    index: usize,
    calls: BTreeMap<LegId, Call>,
    legs: BTreeMap<LegId, Leg>,
    sessions: HashMap<SessionId, LegId>,
    pending: VecDeque<(LegId, Option<Input>)>,
    /// For the user agent to do.
    pub commands: VecDeque<Command>,
    /// How often each leg was recorded as there and as destroyed.
    records: BTreeMap<LegId, [u32; 2]>,
    /// What each leg was told to be last.
    states: HashMap<LegId, CallState>,
    /// MESSAGEs passed on, with those they came from.
    passed: HashMap<RequestId, RequestId>,
    referrals: HashMap<LegId, SessionId>,
    next: u128,
    pub fault: Option<String>,
}

impl Node {
    pub fn new(index: usize) -> Self {
        Self {
            index,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            sessions: HashMap::new(),
            pending: VecDeque::new(),
            commands: VecDeque::new(),
            records: BTreeMap::new(),
            states: HashMap::new(),
            passed: HashMap::new(),
            referrals: HashMap::new(),
            next: 0,
            fault: None,
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.calls.values().filter_map(Call::deadline).min()
    }

    pub fn tick(&mut self, now: Now, ua: &mut Ua) {
        let due = |call: &Call| call.deadline().is_some_and(|at| at <= now.instant);
        let due: Vec<LegId> = self.calls.iter().filter(|(_, call)| due(call)).map(|(id, _)| *id).collect();
        for call in due {
            self.tell(call, Input::Tick);
        }
        self.settle(now, ua);
    }

    /// Sessions of the legs that are joined.
    pub fn joined(&self) -> Vec<SessionId> {
        let talks = self.legs.values().filter(|leg| leg.answered && !leg.ended);
        talks.map(|leg| leg.session).filter(|session| self.joined_with(*session).is_some()).collect()
    }

    /// The session of the leg that this one's is joined with.
    pub fn joined_with(&self, session: SessionId) -> Option<SessionId> {
        let leg = self.sessions.get(&session)?;
        let partner = self.calls.get(&self.legs.get(leg)?.call)?.partner(*leg)?;
        self.legs.get(&partner).map(|leg| leg.session)
    }

    /// No RTP comes on this leg.
    pub fn hears_nothing(&mut self, now: Now, ua: &mut Ua, session: SessionId) {
        if let Some(&leg) = self.sessions.get(&session) {
            self.leg_event(leg, LegEvent::HungUp { q850: Q850::RECOVERY_ON_TIMER_EXPIRE });
            self.commands.push_back(Command::Bye { session, headers: Vec::new() });
            self.close(leg);
        }
        self.settle(now, ua);
    }

    pub fn on_event(&mut self, now: Now, ua: &mut Ua, event: &Event, tally: &mut Tally) {
        match event {
            Event::Invite { session, request, .. } => self.invited(now, ua, *session, request, tally),
            Event::Progress { session, response } => self.progress(*session, response),
            Event::Answered { session, .. } => {
                let leg = self.sessions.get(session).and_then(|leg| self.legs.get_mut(leg).map(|entry| (*leg, entry)));
                match leg.filter(|(_, leg)| !leg.ended && !leg.answered) {
                    Some((id, leg)) => {
                        leg.answered = true;
                        self.leg_event(id, LegEvent::Answered);
                    }
                    None => {
                        self.sessions.remove(session);
                        self.commands.push_back(Command::Bye { session: *session, headers: Vec::new() });
                    }
                }
            }
            Event::Failed { session, code, .. } => {
                if let Some(leg) = self.sessions.remove(session)
                    && self.legs.get(&leg).is_some_and(|leg| !leg.ended)
                {
                    let q850 = Q850::from_sip(*code);
                    self.leg_event(leg, LegEvent::Failed { sip: *code, q850, reason: String::new() });
                    self.close(leg);
                }
            }
            Event::Cancelled { session, .. } | Event::Bye { session, .. } => {
                self.remote_ended(*session, Q850::NORMAL_CLEARING)
            }
            Event::Ended { session, code } => self.remote_ended(*session, Q850::from_sip(*code)),
            Event::Reinvite { session, .. } => {
                let (session, headers) = (*session, Vec::new());
                let live = self.sessions.get(&session).and_then(|leg| self.legs.get(leg)).is_some_and(|leg| !leg.ended);
                self.commands.push_back(match live {
                    true => Command::Accept { session, headers, body: Some(sdp()), contact: None },
                    false => Command::Reject { session, code: 481, reason: None, headers },
                });
            }
            Event::InDialog { session, id, request } => self.asked(ua, *session, *id, request, tally),
            Event::Response { id, response } if response.code() >= 200 => self.passed_on(*id, response.code()),
            Event::RequestFailed { id, code } => self.passed_on(*id, *code),
            _ => {}
        }
        self.settle(now, ua);
    }

    fn new_leg(&mut self) -> LegId {
        self.next += 1;
        LegId(Uuid::from_u128((self.index as u128) << 64 | self.next))
    }

    fn invited(&mut self, now: Now, ua: &Ua, session: SessionId, request: &Request, tally: &mut Tally) {
        let leg = self.new_leg();
        let inbound = |call| Leg { call, session, inbound: true, answered: false, ended: false };
        let (from, to, kind) = ("caller".to_owned(), "callee".to_owned(), CallType::User);
        if let Some(value) = request.header(Name::Replaces) {
            let place = self.replaced(ua, &String::from_utf8_lossy(value)).filter(|place| {
                let seat = &self.legs[place];
                (seat.answered || !seat.inbound) && self.calls[&seat.call].may_replace(*place)
            });
            let Some(place) = place else {
                return self.commands.push_back(Command::Reject {
                    session,
                    code: 481,
                    reason: None,
                    headers: Vec::new(),
                });
            };
            let seat = &self.legs[&place];
            *tally.entry(if seat.answered { "replaced" } else { "picked up" }).or_default() += 1;
            let call = seat.call;
            self.legs.insert(leg, inbound(call));
            self.sessions.insert(session, leg);
            return self.tell(call, Input::Replace(ReplacementStart { place, leg, from, to, kind }));
        }
        let user = request.uri().ok().and_then(|uri| uri.user().map(str::to_owned)).unwrap_or_default();
        let (ways, flow) = match user.strip_prefix('f') {
            Some(rest) => (rest.to_owned(), true),
            None => (user, false),
        };
        let targets: Vec<String> = ways.chars().map(|digit| format!("sip:{digit}@b.example")).collect();
        let target = match flow {
            true => {
                let to: String = targets.iter().map(|target| format!("<To>{target}</To>")).collect();
                let xml = format!("<Response><Dial sequential='true' timeout='8000'>{to}</Dial><Hangup/></Response>");
                Target::Flow(opentact_callflow::parse(&xml, opentact_callflow::Mode::Lenient).unwrap())
            }
            false => Target::Bridge {
                dial: DialSpec::new(
                    targets.iter().map(|target| DialTarget::parse(target).unwrap()).collect(),
                    std::time::Duration::from_secs(12),
                ),
            },
        };
        self.legs.insert(leg, inbound(leg));
        self.sessions.insert(session, leg);
        let variables = Variables::new();
        let start = InboundStart { leg, from, to, kind, target, auto_answer: false, max_length: None, variables };
        self.calls.insert(leg, Call::inbound(now, start));
        self.pending.push_back((leg, None));
    }

    /// The leg whose dialog a Replaces header names.
    fn replaced(&self, ua: &Ua, value: &str) -> Option<LegId> {
        let (call_id, to_tag, from_tag) = replaces_of(value);
        let session = ua.find_session(call_id.as_bytes(), to_tag.as_bytes(), from_tag.as_bytes())?;
        self.sessions.get(&session).copied().filter(|leg| self.legs.get(leg).is_some_and(|leg| !leg.ended))
    }

    fn progress(&mut self, session: SessionId, response: &Response) {
        let Some(&leg) = self.sessions.get(&session) else { return };
        if self.legs.get(&leg).is_some_and(|leg| !leg.ended) {
            let early = !response.body().is_empty();
            self.leg_event(leg, if early { LegEvent::EarlyMedia } else { LegEvent::Ringing });
        }
    }

    fn asked(&mut self, ua: &mut Ua, session: SessionId, id: RequestId, request: &Request, tally: &mut Tally) {
        let respond = |code| Command::Respond { id, code, reason: None, headers: Vec::new(), body: None };
        let by = self.sessions.get(&session).copied().filter(|leg| self.legs.get(leg).is_some_and(|leg| !leg.ended));
        let Some(by) = by else { return self.commands.push_back(respond(481)) };
        let call = self.legs[&by].call;
        match request.method() {
            Method::Message => {
                let partner = self.calls[&call].partner(by).and_then(|leg| self.legs.get(&leg));
                let Some(partner) = partner.filter(|leg| leg.answered && !leg.ended) else {
                    return self.commands.push_back(respond(480));
                };
                *tally.entry("message passed on").or_default() += 1;
                let (session, ours) = (partner.session, ua.new_request());
                self.passed.insert(ours, id);
                let body = Some(("text/plain".into(), Bytes::copy_from_slice(request.body())));
                let (method, headers) = (Method::Message, Vec::new());
                self.commands.push_back(Command::InDialog { session, id: ours, method, headers, body });
            }
            Method::Refer => {
                if !self.calls[&call].may_transfer(by) || self.referrals.contains_key(&by) {
                    return self.commands.push_back(respond(491));
                }
                self.commands.push_back(respond(202));
                let to = String::from_utf8_lossy(request.header(Name::ReferTo).unwrap_or_default()).into_owned();
                match to.split_once("?Replaces=") {
                    Some((_, value)) => self.join(ua, by, call, value.trim_end_matches('>'), tally),
                    None => {
                        self.referrals.insert(by, session);
                        let target = DialTarget::parse(to.trim_matches(['<', '>'])).unwrap();
                        let (leg, timeout) = (self.new_leg(), std::time::Duration::from_secs(8));
                        let (from, kind) = ("referrer".to_owned(), CallType::User);
                        self.tell(call, Input::Transfer(TransferStart { by, leg, target, from, kind, timeout }));
                    }
                }
            }
            _ => self.commands.push_back(respond(200)),
        }
    }

    /// Two calls of one phone become one.
    fn join(&mut self, ua: &mut Ua, by: LegId, call: LegId, value: &str, tally: &mut Tally) {
        let other = self.replaced(ua, value).map(|leg| (leg, self.legs[&leg].call));
        let Some((other, other_call)) = other.filter(|(leg, of)| *of != call && self.calls[of].may_transfer(*leg))
        else {
            return;
        };
        let partner = |call: LegId, leg| self.calls[&call].partner(leg);
        let (Some(one), Some(another)) = (partner(call, by), partner(other_call, other)) else { return };
        *tally.entry("two calls joined").or_default() += 1;
        self.tell(call, Input::HandOver { by, with: another, tells: true });
        self.tell(other_call, Input::HandOver { by: other, with: one, tells: false });
    }

    fn passed_on(&mut self, id: RequestId, code: u16) {
        if let Some(id) = self.passed.remove(&id) {
            self.commands.push_back(Command::Respond { id, code, reason: None, headers: Vec::new(), body: None });
        }
    }

    fn remote_ended(&mut self, session: SessionId, q850: Q850) {
        let Some(leg) = self.sessions.remove(&session) else { return };
        if self.legs.get(&leg).is_some_and(|leg| !leg.ended) {
            self.leg_event(leg, LegEvent::HungUp { q850 });
            self.close(leg);
        }
    }

    fn tell(&mut self, call: LegId, input: Input) {
        self.pending.push_back((call, Some(input)));
    }

    fn leg_event(&mut self, leg: LegId, event: LegEvent) {
        if let Some(call) = self.legs.get(&leg).map(|leg| leg.call) {
            self.tell(call, Input::Leg { leg, event });
        }
    }

    fn close(&mut self, leg: LegId) {
        if let Some(entry) = self.legs.get_mut(&leg)
            && !std::mem::replace(&mut entry.ended, true)
        {
            self.leg_event(leg, LegEvent::Closed);
        }
    }

    /// Gives the calls what waits for them and does what they say; then everybody agrees who is joined with whom.
    fn settle(&mut self, now: Now, ua: &mut Ua) {
        while let Some((id, input)) = self.pending.pop_front() {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            if let Some(input) = input {
                call.handle(now, input);
            }
            while let Some(output) = self.calls.get_mut(&id).and_then(Call::poll) {
                self.carry_out(id, ua, output);
            }
        }
        for (leg, entry) in &self.legs {
            if !self.calls.contains_key(&entry.call) {
                self.fault.get_or_insert(format!("{leg} is a leg of no call"));
            }
            let Some(partner) = self.calls.get(&entry.call).and_then(|call| call.partner(*leg)) else { continue };
            let back = self
                .legs
                .get(&partner)
                .and_then(|entry| self.calls.get(&entry.call))
                .and_then(|call| call.partner(partner));
            if back != Some(*leg) {
                self.fault.get_or_insert(format!("{leg} is joined with {partner}, which is with {back:?}"));
            }
            if entry.ended {
                self.fault.get_or_insert(format!("{leg} has ended and is joined with {partner}"));
            }
        }
    }

    fn carry_out(&mut self, call: LegId, ua: &mut Ua, output: Output) {
        match output {
            Output::Leg { leg, command } => self.leg_command(call, ua, leg, command),
            Output::State { leg } => {
                let last = self.states.insert(leg.leg, leg.state);
                if last.is_some_and(|last| rank(last) >= rank(leg.state)) {
                    self.fault.get_or_insert(format!("{} is {:?} after {last:?}", leg.leg, leg.state));
                }
                let record = self.records.entry(leg.leg).or_default();
                match leg.state {
                    CallState::Init => record[0] += 1,
                    CallState::Destroyed => {
                        record[1] += 1;
                        let left = self.legs.remove(&leg.leg);
                        if left.is_some_and(|left| !left.ended) {
                            self.fault.get_or_insert(format!("{} is destroyed and has not ended", leg.leg));
                        }
                        self.referrals.remove(&leg.leg);
                    }
                    _ => {}
                }
            }
            Output::Bridge { a, b } => {
                for leg in [a, b] {
                    if self.legs.get(&leg).is_none_or(|leg| leg.ended) {
                        self.fault.get_or_insert(format!("{leg} is joined after its end"));
                    }
                }
            }
            Output::Transfer { by, progress } => {
                let Some(&session) = self.referrals.get(&by) else { return };
                let last = !matches!(progress, TransferProgress::Ringing);
                if last {
                    self.referrals.remove(&by);
                }
                let state = if last { "terminated;reason=noresource" } else { "active;expires=300" };
                let headers = vec![("Event".into(), "refer".into()), ("Subscription-State".into(), state.into())];
                let body = Some(("message/sipfrag".into(), format!("{progress:?}").into()));
                let (id, method) = (ua.new_request(), Method::Notify);
                self.commands.push_back(Command::InDialog { session, id, method, headers, body });
            }
            Output::Leave { leg, cause } => {
                if let Some(call) = self.legs.get(&leg).map(|leg| leg.call) {
                    self.tell(call, Input::Left { leg, cause });
                }
            }
            Output::Play { id, .. } => self.tell(call, Input::Prompt { id, result: Err("no media".into()) }),
            Output::Finished => drop(self.calls.remove(&call)),
            _ => {}
        }
    }

    fn leg_command(&mut self, call: LegId, ua: &mut Ua, id: LegId, command: LegCommand) {
        let headers = Vec::new();
        if let LegCommand::Dial { target, .. } = command {
            let session = ua.new_session();
            let digit = target.to_string().chars().find_map(|digit| digit.to_digit(10)).unwrap_or(0);
            self.legs.insert(id, Leg { call, session, inbound: false, answered: false, ended: false });
            self.sessions.insert(session, id);
            let invite = self.invite(digit as usize);
            return self.commands.push_back(Command::Invite { session, invite });
        }
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.ended) else { return };
        let session = leg.session;
        let provisional = |code, body| Command::Provisional { session, code, reason: None, headers: Vec::new(), body };
        match command {
            LegCommand::Ring => self.commands.push_back(provisional(180, None)),
            LegCommand::Progress => self.commands.push_back(provisional(183, Some(sdp()))),
            LegCommand::Answer => {
                leg.answered = true;
                self.commands.push_back(Command::Accept { session, headers, body: Some(sdp()), contact: None });
                self.leg_event(id, LegEvent::Answered);
            }
            LegCommand::Reject { .. } | LegCommand::Hangup { .. } => {
                let code = match command {
                    LegCommand::Reject { code, .. } => code,
                    _ => 480,
                };
                self.commands.push_back(match (leg.answered, leg.inbound) {
                    (true, _) => Command::Bye { session, headers },
                    (false, true) => Command::Reject { session, code, reason: None, headers },
                    (false, false) => Command::Cancel { session, headers },
                });
                // An answer that waits for a PRACK is taken back.
                let called = ua.session(session).is_some_and(|known| known.state() == SessionState::Called);
                if leg.inbound && (!leg.answered || called) {
                    self.sessions.remove(&session);
                }
                self.close(id);
            }
            LegCommand::Dial { .. } | LegCommand::Hold | LegCommand::Resume => {}
        }
    }

    /// To a phone of ours, or by the other node.
    fn invite(&self, phone: usize) -> OutgoingInvite {
        let (local, remote): (SocketAddr, SocketAddr) = match phone / 2 == self.index {
            true => (address(4 + self.index), address(phone % 4)),
            false => (address(4 + self.index), address(4 + (1 - self.index))),
        };
        OutgoingInvite {
            flow: Flow::udp(local, remote),
            uri: format!("sip:{phone}@{remote}").parse().unwrap(),
            from: format!("<sip:node@{local}>").parse().unwrap(),
            to: format!("<sip:{phone}@{remote}>").parse().unwrap(),
            contact: None,
            call_id: None,
            route: Vec::new(),
            headers: Vec::new(),
            body: Some(sdp()),
            credentials: None,
        }
    }

    /// Nothing is left, and each leg was recorded once.
    pub fn close_books(&self) -> Result<(), String> {
        if let Some((leg, [begun, destroyed])) = self.records.iter().find(|(_, record)| **record != [1, 1]) {
            return Err(format!("{leg} is recorded {begun} and {destroyed} times"));
        }
        let kept = [self.calls.len(), self.legs.len(), self.sessions.len(), self.passed.len(), self.referrals.len()];
        match (kept, self.deadline()) {
            ([0, 0, 0, 0, 0], None) => Ok(()),
            left => {
                Err(format!("node {} keeps calls, legs, sessions, messages, referrals, timers: {left:?}", self.index))
            }
        }
    }
}

/// States in the order there is (domain.md, call states).
fn rank(state: CallState) -> u8 {
    match state {
        CallState::Init => 0,
        CallState::Ringing => 1,
        CallState::Live => 2,
        CallState::Hangup => 3,
        CallState::Destroyed => 4,
    }
}
