//! A few endpoints, the network between them, and the clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Message, Method};
use opentact_sip::ua::{Command, Event, Input, Output, SessionState, UaStats};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::endpoint::{Act, Endpoint, sdp};
use crate::ledger::{Decision, Ledger, Tally};
use crate::network::Network;

/// Everything is over long before.
const LONGEST: Duration = Duration::from_secs(1_800);
/// Steps after which something goes in circles.
const MOST_STEPS: u32 = 50_000;

enum Happening {
    Arrives { at: usize, flow: Flow, message: Bytes },
    Done { by: usize, act: Act },
}

pub struct World {
    start: Instant,
    now: Instant,
    endpoints: Vec<Endpoint>,
    network: Network,
    random: StdRng,
    agenda: BTreeMap<(Instant, u64), Happening>,
    entries: u64,
    ledger: Ledger,
    shown: bool,
    story: Option<String>,
}

impl World {
    pub fn new(seed: u64, shown: bool) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let network = Network::of(&mut random);
        let endpoints: Vec<Endpoint> =
            (0..random.random_range(2..=3)).map(|index| Endpoint::new(index, random.random())).collect();
        let start = Instant::now();
        let mut world = World {
            start,
            now: start,
            endpoints,
            network,
            random,
            agenda: BTreeMap::new(),
            entries: 0,
            ledger: Ledger::new(network.is_perfect()),
            shown,
            story: None,
        };
        world.say(format!("{network:?}"));
        for _ in 0..world.random.random_range(1..=3) {
            let (by, to) = world.two();
            let after = world.soon(10_000);
            world.plan(by, after, Act::Call { to });
        }
        if world.random.random_bool(0.5) {
            let (by, to) = world.two();
            let password = world.random.random_bool(0.8);
            let act = if world.random.random_bool(0.8) { Act::Register { to, password } } else { Act::Options { to } };
            let after = world.soon(10_000);
            world.plan(by, after, act);
        }
        world
    }

    /// Keeps what [`World::story`] returns.
    pub fn keep_story(&mut self) {
        self.story = Some(String::new());
    }

    pub fn story(self) -> String {
        self.story.unwrap_or_default()
    }

    /// What was told so far.
    pub fn tally(self) -> Tally {
        self.ledger.tally
    }

    fn say(&mut self, line: impl AsRef<str>) {
        if !self.shown && self.story.is_none() {
            return;
        }
        let line = format!("{:>8} {}", (self.now - self.start).as_millis(), line.as_ref());
        if self.shown {
            println!("{line}");
        }
        if let Some(story) = &mut self.story {
            story.push_str(&line);
            story.push('\n');
        }
    }

    fn two(&mut self) -> (usize, usize) {
        let one = self.random.random_range(0..self.endpoints.len());
        let other = (one + self.random.random_range(1..self.endpoints.len())) % self.endpoints.len();
        (one, other)
    }

    /// Within so many milliseconds.
    fn soon(&mut self, longest: u64) -> Duration {
        Duration::from_millis(self.random.random_range(0..longest))
    }

    fn plan(&mut self, by: usize, after: Duration, act: Act) {
        self.enter(self.now + after, Happening::Done { by, act });
    }

    fn enter(&mut self, at: Instant, happening: Happening) {
        self.entries += 1;
        self.agenda.insert((at, self.entries), happening);
    }

    /// Lets everything happen, to the end.
    pub fn run(&mut self) -> Result<(), String> {
        for _ in 0..MOST_STEPS {
            let deadline = self.endpoints.iter().filter_map(|endpoint| endpoint.ua.deadline()).min();
            let happening = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = deadline.into_iter().chain(happening).min() else {
                return self.close();
            };
            self.now = self.now.max(next);
            if self.now - self.start > LONGEST {
                return Err(format!("not over after half an hour: {:?}", self.stats()));
            }
            if happening == Some(next) {
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happen(happening)?;
                }
            } else {
                for at in 0..self.endpoints.len() {
                    if self.endpoints[at].ua.deadline().is_some_and(|due| due <= self.now) {
                        self.handle(at, Input::Tick)?;
                    }
                }
            }
        }
        Err("goes in circles".into())
    }

    fn close(&self) -> Result<(), String> {
        self.ledger.balance()?;
        match self.stats().iter().position(|stats| *stats != UaStats::default()) {
            Some(at) => Err(format!("{at} leaks: {:?}", self.stats()[at])),
            None => Ok(()),
        }
    }

    fn stats(&self) -> Vec<UaStats> {
        self.endpoints.iter().map(|endpoint| endpoint.ua.stats()).collect()
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrives { at, flow, message } => self.handle(at, Input::Received { message, flow }),
            Happening::Done { by, act } => self.act(by, act),
        }
    }

    fn handle(&mut self, at: usize, input: Input) -> Result<(), String> {
        let now = self.now;
        self.endpoints[at].ua.handle(now, input);
        let mut answers = Vec::new();
        while let Some(output) = self.endpoints[at].ua.poll() {
            match output {
                Output::Transmit { flow, bytes } => {
                    self.ledger.sent(at, now - self.start, &bytes)?;
                    self.transmit(at, flow, bytes)?;
                }
                Output::Event(event) => {
                    self.say(format!("{at} is told {}", summary(&event)));
                    self.ledger.told(at, &event)?;
                    if let Event::Request { id, request, flow } = &event
                        && *request.method() == Method::Register
                    {
                        let time = now - self.start;
                        answers.push(self.endpoints[at].register(now, time, *id, request, *flow));
                    }
                    for (after, act) in self.endpoints[at].react(now, self.start, &event) {
                        self.plan(at, after, act);
                    }
                }
            }
        }
        for command in answers {
            self.handle(at, Input::Command(command))?;
        }
        Ok(())
    }

    fn transmit(&mut self, from: usize, flow: Flow, message: Bytes) -> Result<(), String> {
        let Some(to) = self.endpoints.iter().position(|endpoint| endpoint.address == flow.remote) else {
            return Err(format!("{from} sends to nobody: {flow:?}"));
        };
        let arrivals = self.network.deliver(self.now - self.start, &mut self.random);
        if self.shown || self.story.is_some() {
            let line = Message::parse(message.clone()).map(|message| first_line(&message)).unwrap_or_default();
            self.say(format!("{from} -> {to} {line}{}", if arrivals.is_empty() { " (lost)" } else { "" }));
        }
        let back = Flow { local: flow.remote, remote: flow.local, ..flow };
        for arrival in arrivals {
            self.enter(self.start + arrival, Happening::Arrives { at: to, flow: back, message: message.clone() });
        }
        Ok(())
    }

    fn act(&mut self, by: usize, act: Act) -> Result<(), String> {
        let time = self.now - self.start;
        self.say(format!("{by} does {act:?}"));
        let none = Vec::new;
        let command = match act {
            Act::Call { to } => {
                let flow = self.endpoints[by].flow(self.network.transport, self.endpoints[to].address);
                let session = self.endpoints[by].ua.new_session();
                self.ledger.called(by, session);
                if self.random.random_bool(0.3) {
                    let after = self.soon(5_000);
                    self.plan(by, after, Act::Cancel { session });
                }
                Command::Invite { session, invite: self.endpoints[by].invite(flow) }
            }
            Act::Register { to, .. } | Act::Options { to } => {
                let flow = self.endpoints[by].flow(self.network.transport, self.endpoints[to].address);
                let (method, password) = match act {
                    Act::Register { password, .. } => (Method::Register, password),
                    _ => (Method::Options, true),
                };
                let id = self.endpoints[by].ua.new_request();
                self.ledger.asked(by, id);
                Command::Request { id, request: self.endpoints[by].request(method, flow, password) }
            }
            Act::Ring { session, code } => {
                let body = (code == 183).then(sdp);
                Command::Provisional { session, code, reason: None, headers: none(), body }
            }
            Act::Accept { session } => {
                self.ledger.decided(by, session, Decision::Accepted);
                Command::Accept { session, headers: none(), body: Some(sdp()), contact: None }
            }
            Act::Reject { session, code } => {
                if code != 488 {
                    self.ledger.decided(by, session, Decision::Rejected(code));
                }
                let headers = match code {
                    407 => self.endpoints[by].challenge("Proxy-Authenticate", false, time),
                    _ => none(),
                };
                Command::Reject { session, code, reason: None, headers }
            }
            Act::Cancel { session } => {
                self.ledger.cancelled(by, session);
                Command::Cancel { session, headers: none() }
            }
            Act::Bye { session } => {
                if let Some(call) = self.endpoints[by].ua.session(session) {
                    self.ledger.hung_up(call.call_id());
                    // Before the answer it is a refusal.
                    if call.state() == SessionState::Called {
                        self.ledger.decided(by, session, Decision::Rejected(480));
                    }
                }
                Command::Bye { session, headers: none() }
            }
            Act::Reinvite { session } => {
                self.ledger.offered_again(by, session);
                Command::Reinvite { session, headers: none(), body: Some(sdp()) }
            }
            Act::Info { session } => {
                let id = self.endpoints[by].ua.new_request();
                self.ledger.asked(by, id);
                Command::InDialog { session, id, method: Method::Info, headers: none(), body: None }
            }
            Act::Respond { id, code } => Command::Respond { id, code, reason: None, headers: none(), body: None },
        };
        self.handle(by, Input::Command(command))
    }
}

fn first_line(message: &Message) -> String {
    let call = String::from_utf8_lossy(message.headers().call_id().unwrap_or_default()).into_owned();
    let call = call.get(..6).unwrap_or(&call).to_owned();
    let cseq = message.headers().cseq().map(|cseq| cseq.to_string()).unwrap_or_default();
    match message {
        Message::Request(request) => format!("{} [{call} {cseq}]", request.method()),
        Message::Response(response) => format!("{} [{call} {cseq}]", response.code()),
    }
}

fn summary(event: &Event) -> String {
    let text = format!("{event:?}");
    text.lines().next().unwrap_or_default().to_owned()
}
