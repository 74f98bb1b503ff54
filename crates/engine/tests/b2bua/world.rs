//! Phones 0 and 1 at node 4, phones 2 and 3 at node 5, the network between them, and the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_call::Now;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Message, Method};
use opentact_sip::ua::{Command, Event, Input, OutgoingInvite, Output, SessionId, SessionState, Ua, UaConfig, UaStats};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::ledger::{Decision, Ledger};
use crate::network::Network;
use crate::node::Node;
use crate::phone::{Act, react, replaces, sdp};

pub type Tally = BTreeMap<&'static str, u64>;

const PHONES: usize = 4;
/// Everything is over long before.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Steps after which something goes in circles.
const MOST_STEPS: u32 = 100_000;
/// More than there can be one after the other.
const MOST_LEGS: usize = 64;
/// When the last phone has hung up long ago.
const SILENCE: Duration = Duration::from_secs(600);

/// Who has sent an INVITE, its Call-ID and CSeq.
type Transaction = (usize, Bytes, u32);

enum Happening {
    Arrives {
        at: usize,
        flow: Flow,
        message: Bytes,
    },
    Done {
        by: usize,
        act: Act,
    },
    /// Long after everybody has hung up: who is joined still hears nothing.
    Silence,
}

pub struct World {
    start: Instant,
    now: Instant,
    uas: Vec<Ua>,
    nodes: [Node; 2],
    network: Network,
    random: StdRng,
    agenda: BTreeMap<(Instant, u64), Happening>,
    entries: u64,
    events: VecDeque<(usize, Event)>,
    /// Live or ringing sessions of the phones.
    sessions: Vec<BTreeSet<SessionId>>,
    ledger: Ledger,
    tally: Tally,
    /// INVITEs with a final answer, and those with an ACK.
    answered: BTreeSet<Transaction>,
    acknowledged: BTreeSet<Transaction>,
    shown: bool,
}

pub fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + index as u8], 5060))
}

fn node_of(phone: usize) -> usize {
    PHONES + phone / 2
}

impl World {
    pub fn new(seed: u64, shown: bool) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let network = Network::of(&mut random);
        // Without them nobody learns of a BYE that an outage has swallowed.
        let config = UaConfig { session_expires: Some(Duration::from_secs(90)), ..UaConfig::default() };
        let uas = (0..PHONES + 2).map(|_| Ua::new(config.clone(), random.random())).collect();
        let start = Instant::now();
        let mut world = World {
            start,
            now: start,
            uas,
            nodes: [Node::new(0), Node::new(1)],
            network,
            random,
            agenda: BTreeMap::new(),
            entries: 0,
            events: VecDeque::new(),
            sessions: vec![BTreeSet::new(); PHONES],
            ledger: Ledger::new(network.is_perfect()),
            tally: Tally::new(),
            answered: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            shown,
        };
        for _ in 0..world.random.random_range(1..=4) {
            let by = world.random.random_range(0..PHONES);
            let mut to: String = if world.random.random_bool(0.2) { "f".into() } else { String::new() };
            for _ in 0..world.random.random_range(1..=3) {
                let other = (by + world.random.random_range(1..PHONES)) % PHONES;
                to.push_str(&other.to_string());
            }
            world.plan(by, 15_000, Act::Call { to });
        }
        for _ in 0..world.random.random_range(0..=3) {
            let by = world.random.random_range(0..PHONES);
            world.plan(by, 25_000, Act::TakePlace);
        }
        world.enter(start + SILENCE, Happening::Silence);
        world
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if self.shown {
            println!("{:>8} {}", (self.now - self.start).as_millis(), line());
        }
    }

    /// Within so many milliseconds.
    fn plan(&mut self, by: usize, longest: u64, act: Act) {
        let at = self.now + Duration::from_millis(self.random.random_range(0..longest));
        self.enter(at, Happening::Done { by, act });
    }

    fn enter(&mut self, at: Instant, happening: Happening) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), happening);
    }

    fn both(&self) -> Now {
        let passed = self.now - self.start;
        let utc: DateTime<Utc> = DateTime::from_timestamp(1_700_000_000, 0).unwrap() + passed;
        Now { instant: self.now, utc }
    }

    /// Lets everything happen, to the end.
    pub fn run(mut self) -> Result<Tally, String> {
        for _ in 0..MOST_STEPS {
            let timers = self.uas.iter().filter_map(Ua::deadline).chain(self.nodes.iter().filter_map(Node::deadline));
            let happening = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = timers.chain(happening).min() else { return self.close() };
            self.now = self.now.max(next);
            if self.now - self.start > LONGEST {
                return Err("not over after an hour".into());
            }
            if happening == Some(next) {
                match self.agenda.pop_first() {
                    Some((_, Happening::Arrives { at, flow, message })) => {
                        self.handle(at, Input::Received { message, flow })?;
                    }
                    Some((_, Happening::Done { by, act })) => self.act(by, act)?,
                    Some((_, Happening::Silence)) => self.fall_silent()?,
                    None => {}
                }
            } else {
                for at in 0..self.uas.len() {
                    if self.uas[at].deadline().is_some_and(|due| due <= self.now) {
                        self.handle(at, Input::Tick)?;
                    }
                }
                for index in 0..2 {
                    let now = self.both();
                    self.nodes[index].tick(now, &mut self.uas[PHONES + index]);
                    self.order(index)?;
                }
            }
            self.settle()?;
        }
        Err("goes in circles".into())
    }

    /// Nobody is left but legs in rings: their RTP stops, which ends them.
    fn fall_silent(&mut self) -> Result<(), String> {
        let joined = |index: usize| self.nodes[index].joined().into_iter().map(move |session| (index, session));
        let joined: Vec<(usize, SessionId)> = (0..2).flat_map(joined).collect();
        for &(index, session) in &joined {
            match self.other_end(index, session) {
                None => *self.tally.entry("leg of a ring without a phone").or_default() += 1,
                Some(end) => return Err(format!("node {index} keeps a leg joined that leads to {end}")),
            }
        }
        for (index, session) in joined {
            let now = self.both();
            self.nodes[index].hears_nothing(now, &mut self.uas[PHONES + index], session);
            self.order(index)?;
        }
        Ok(())
    }

    /// Who is at the far end of a joined leg, from dialog to dialog through the nodes; `None` where that leads back to itself,
    /// because phones have handed each other on and left.
    fn other_end(&self, index: usize, first: SessionId) -> Option<String> {
        let (mut at, mut session) = (index, first);
        for _ in 0..MOST_LEGS {
            let Some(known) = self.uas[PHONES + at].session(session) else { return Some("nobody".into()) };
            let (id, theirs, ours) = (known.call_id(), known.remote_tag().unwrap_or_default(), known.local_tag());
            let peers = self.uas.iter().enumerate().filter(|(peer, _)| *peer != PHONES + at);
            let found = peers.filter_map(|(peer, ua)| Some((peer, ua.find_session(id, theirs, ours)?))).next();
            let Some((peer, there)) = found else { return Some("nobody".into()) };
            let Some(node) = peer.checked_sub(PHONES) else { return Some(format!("phone {peer}")) };
            let Some(partner) = self.nodes[node].joined_with(there) else {
                return Some(format!("a leg of node {node} that is joined with nobody"));
            };
            if (node, partner) == (index, first) {
                return None;
            }
            (at, session) = (node, partner);
        }
        Some("a circle that it is not part of".into())
    }

    fn close(self) -> Result<Tally, String> {
        self.ledger.balance()?;
        for (at, ua) in self.uas.iter().enumerate() {
            if ua.stats() != UaStats::default() {
                return Err(format!("{at} leaks: {:?}", ua.stats()));
            }
        }
        for node in &self.nodes {
            node.close_books()?;
        }
        if self.network.is_perfect() && self.answered != self.acknowledged {
            return Err("an answer has no ACK".into());
        }
        let mut tally = self.tally;
        tally.extend(self.ledger.tally);
        Ok(tally)
    }

    fn handle(&mut self, at: usize, input: Input) -> Result<(), String> {
        self.uas[at].handle(self.now, input);
        while let Some(output) = self.uas[at].poll() {
            match output {
                Output::Transmit { flow, bytes } => self.transmit(at, flow, bytes)?,
                Output::Event(event) => self.events.push_back((at, event)),
            }
        }
        Ok(())
    }

    /// Everybody hears of what has happened and does what follows at once.
    fn settle(&mut self) -> Result<(), String> {
        while let Some((at, event)) = self.events.pop_front() {
            self.say(|| format!("{at} is told {}", format!("{event:?}").lines().next().unwrap_or_default()));
            self.ledger.told(at, &event)?;
            if let Some(index) = at.checked_sub(PHONES) {
                let now = self.both();
                self.nodes[index].on_event(now, &mut self.uas[at], &event, &mut self.tally);
                self.order(index)?;
                continue;
            }
            match &event {
                Event::Invite { session, .. } => drop(self.sessions[at].insert(*session)),
                Event::Bye { session, .. }
                | Event::Ended { session, .. }
                | Event::Failed { session, .. }
                | Event::Cancelled { session, .. } => drop(self.sessions[at].remove(session)),
                Event::InDialog { request, .. } if *request.method() == Method::Notify => {
                    let done = request.body() == b"Done";
                    if done || request.body().starts_with(b"Failed") {
                        *self.tally.entry(if done { "transfer done" } else { "transfer failed" }).or_default() += 1;
                    }
                }
                _ => {}
            }
            for (after, act) in react(&mut self.random, &event) {
                self.enter(self.now + after, Happening::Done { by: at, act });
            }
        }
        match self.nodes.iter_mut().find_map(|node| node.fault.take()) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// What the calls of a node want done.
    fn order(&mut self, index: usize) -> Result<(), String> {
        while let Some(command) = self.nodes[index].commands.pop_front() {
            self.command(PHONES + index, command)?;
        }
        Ok(())
    }

    fn command(&mut self, at: usize, command: Command) -> Result<(), String> {
        let state = |session| self.uas[at].session(session).map(|session| session.state());
        match &command {
            Command::Invite { session, .. } => self.ledger.called(at, *session),
            Command::Accept { session, .. } if state(*session) == Some(SessionState::Called) => {
                self.ledger.decided(at, *session, Decision::Accepted);
            }
            Command::Reject { session, code, .. } if state(*session) == Some(SessionState::Called) => {
                self.ledger.decided(at, *session, Decision::Rejected(*code));
            }
            Command::Cancel { session, .. } => self.ledger.cancelled(at, *session),
            Command::Bye { session, .. } => {
                match state(*session) {
                    Some(SessionState::Called) => self.ledger.decided(at, *session, Decision::Rejected(480)),
                    Some(SessionState::Calling) => self.ledger.cancelled(at, *session),
                    _ => {}
                }
                if let Some(session) = self.uas[at].session(*session) {
                    self.ledger.hung_up(session.call_id());
                }
            }
            Command::Reinvite { session, .. } => self.ledger.offered_again(at, *session),
            Command::InDialog { id, .. } => self.ledger.asked(at, *id),
            _ => {}
        }
        self.handle(at, Input::Command(command))
    }

    fn transmit(&mut self, from: usize, flow: Flow, message: Bytes) -> Result<(), String> {
        self.ledger.sent(from, self.now - self.start, &message)?;
        let Some(to) = (0..self.uas.len()).find(|index| address(*index) == flow.remote) else {
            return Err(format!("{from} sends to nobody: {flow:?}"));
        };
        let parsed = Message::parse(message.clone()).map_err(|error| error.to_string())?;
        if let (Some(call_id), Ok(cseq)) = (parsed.headers().call_id(), parsed.headers().cseq()) {
            // Both sides count by themselves: it is the INVITE's sender whose number it is.
            let transaction = |by| (by, Bytes::copy_from_slice(call_id), cseq.number);
            match &parsed {
                Message::Request(request) if *request.method() == Method::Ack => {
                    let again = !self.acknowledged.insert(transaction(from));
                    if again && self.network.is_perfect() {
                        return Err(format!("{from} acknowledges twice"));
                    }
                }
                Message::Response(response) if response.code() >= 200 && cseq.method == Method::Invite => {
                    self.answered.insert(transaction(to));
                }
                _ => {}
            }
        }
        let arrivals = self.network.deliver(self.now - self.start, &mut self.random);
        self.say(|| {
            let line = String::from_utf8_lossy(&message).lines().next().unwrap_or_default().to_owned();
            format!("{from} -> {to} {line}{}", if arrivals.is_empty() { " (lost)" } else { "" })
        });
        let back = Flow { local: flow.remote, remote: flow.local, ..flow };
        for arrival in arrivals {
            self.enter(self.start + arrival, Happening::Arrives { at: to, flow: back, message: message.clone() });
        }
        Ok(())
    }

    fn call(&mut self, by: usize, to: &str, replaces: Option<String>) -> Result<(), String> {
        let (local, remote) = (address(by), address(node_of(by)));
        let session = self.uas[by].new_session();
        if self.random.random_bool(0.3) {
            self.plan(by, 8_000, Act::Cancel { session });
        }
        let headers = replaces.map(|value| ("Replaces".into(), value.into())).into_iter().collect();
        let invite = OutgoingInvite {
            flow: Flow::udp(local, remote),
            uri: format!("sip:{to}@{remote}").parse().unwrap(),
            from: format!("<sip:{by}@{local}>").parse().unwrap(),
            to: format!("<sip:{to}@{remote}>").parse().unwrap(),
            contact: None,
            call_id: None,
            route: Vec::new(),
            headers,
            body: Some(sdp()),
            credentials: None,
        };
        self.sessions[by].insert(session);
        self.command(by, Command::Invite { session, invite })
    }

    fn act(&mut self, by: usize, act: Act) -> Result<(), String> {
        self.say(|| format!("{by} does {act:?}"));
        let headers = Vec::new();
        let command = match act {
            Act::Call { to } => return self.call(by, &to, None),
            Act::TakePlace => {
                let at_node = (0..PHONES).filter(|phone| *phone != by && node_of(*phone) == node_of(by));
                let places =
                    at_node.flat_map(|phone| self.sessions[phone].iter().map(move |session| (phone, *session)));
                let places: Vec<String> =
                    places.filter_map(|(phone, session)| replaces(&self.uas[phone], session)).collect();
                let Some(place) = places.choose(&mut self.random).cloned() else { return Ok(()) };
                return self.call(by, "9", Some(place));
            }
            Act::Ring { session, code } => {
                let body = (code == 183).then(sdp);
                Command::Provisional { session, code, reason: None, headers, body }
            }
            Act::Accept { session } => Command::Accept { session, headers, body: Some(sdp()), contact: None },
            Act::Reject { session, code } => Command::Reject { session, code, reason: None, headers },
            Act::Cancel { session } => Command::Cancel { session, headers },
            Act::Bye { session } => Command::Bye { session, headers },
            Act::Hold { session } => Command::Reinvite { session, headers, body: Some(sdp()) },
            Act::Respond { id } => Command::Respond { id, code: 200, reason: None, headers, body: None },
            Act::Say { session } => {
                let (id, method) = (self.uas[by].new_request(), Method::Message);
                Command::InDialog { session, id, method, headers, body: Some(("text/plain".into(), "hello".into())) }
            }
            Act::HandOn { session, to } => self.refer(by, session, format!("<sip:{to}@b.example>")),
            Act::Join { session } => {
                let others = self.sessions[by].iter().filter(|other| **other != session);
                let others: Vec<String> = others.filter_map(|other| replaces(&self.uas[by], *other)).collect();
                let Some(other) = others.choose(&mut self.random) else { return Ok(()) };
                let to = format!("<sip:x@b.example?Replaces={other}>");
                self.refer(by, session, to)
            }
        };
        self.command(by, command)
    }

    fn refer(&mut self, by: usize, session: SessionId, to: String) -> Command {
        let headers = vec![("Refer-To".into(), to.into())];
        Command::InDialog { session, id: self.uas[by].new_request(), method: Method::Refer, headers, body: None }
    }
}
