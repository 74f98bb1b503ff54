//! Thousands of calls with random documents and a random world, each from its seed. After every step:
//! states go forward, each is told once; what begins was named before; and in the end every leg is destroyed, the call
//! has finished, and nothing is left playing, fetching or recording.
//!
//! `OPENTACT_SEEDS=n` runs that many. A seed that fails is printed; `SEED=<n> cargo test -p opentact-call --test simulation` runs it alone.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../callflow/tests/documents/mod.rs"]
mod documents;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use opentact_call::*;
use opentact_callflow::{Mode, language, parse};
use rand::prelude::*;
use uuid::Uuid;

const SEEDS: u64 = 500;

#[test]
fn every_call_ends_in_destroyed_exactly_once() {
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = std::env::var("OPENTACT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in only.map_or(0..seeds, |seed: u64| seed..seed + 1) {
        let world = std::panic::catch_unwind(|| Simulation::run(seed));
        assert!(world.is_ok(), "SEED={seed}");
    }
}

/// A simulation that never gets anywhere proves nothing.
#[test]
fn the_seeds_go_everywhere() {
    let log: Vec<String> = (0..3_000).flat_map(Simulation::run).collect();
    for element in language::language().iter().filter(|element| element.name.runs()) {
        let start = format!("{}: success ", element.text);
        assert!(log.iter().any(|line| line.starts_with(&start)), "{start}");
    }
    for part in ["Dialled leg hung up", "[originate] ERR", "Stopped by key", "HTTP 200", "Keys entered", "Replaced by"]
    {
        assert!(log.iter().any(|line| line.contains(part)), "{part}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 77, 4711] {
        assert_eq!(Simulation::run(seed), Simulation::run(seed));
    }
}

struct Simulation {
    random: StdRng,
    call: Call,
    now: Now,
    legs: HashMap<LegId, State>,
    plays: HashSet<u64>,
    fetches: HashSet<u64>,
    records: HashSet<u64>,
    /// Groups whose members are awaited.
    groups: HashSet<LegId>,
    bridged: Option<(LegId, LegId)>,
    used: HashSet<u64>,
    finished: bool,
    next_leg: u64,
    log: Vec<String>,
}

/// A leg of another call.
const OUTSIDE: LegId = LegId(Uuid::from_u128(0xabcd));

#[derive(Debug)]
struct State {
    state: CallState,
    outbound: bool,
    answer_asked: bool,
    closing: bool,
}

fn document(random: &mut StdRng) -> Document {
    let xml = documents::document(random);
    parse(&xml, Mode::Lenient).unwrap_or_else(|faults| panic!("{faults:?} in {xml}"))
}

impl Simulation {
    fn run(seed: u64) -> Vec<String> {
        let mut random = StdRng::seed_from_u64(seed);
        let utc = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let now = Now { instant: Instant::now(), utc };
        let leg = LegId(Uuid::from_u128(u128::from(seed) + 1));
        let timeout = random.random_bool(0.7).then(|| Duration::from_secs(5));
        let request = HttpRequest { timeout, ..HttpRequest::get("https://a.example/") };
        let targets = ["phone@a.example", "12015550123"][..random.random_range(1..3)].iter();
        let targets = targets.map(|target| DialTarget::parse(target).unwrap()).collect();
        let dial = DialSpec::new(targets, Duration::from_secs(random.random_range(1..20)));
        let target = match random.random_range(0..10) {
            0 => Target::Park { timeout: PARK },
            1 => Target::Fetch {
                request,
                fallback: random.random_bool(0.5).then(|| HttpRequest::get("https://b.example/")),
            },
            2 => Target::Bridge { dial },
            _ => Target::Flow(document(&mut random)),
        };
        let max_length = random.random_bool(0.3).then(|| Duration::from_secs(random.random_range(1..30)));
        let (from, to) = ("+12015550100".to_owned(), "12015550199".to_owned());
        let (kind, variables) = (CallType::Sca, Variables::new());
        let call = match random.random_bool(0.7) {
            true => {
                let auto_answer = random.random();
                Call::inbound(now, InboundStart { leg, from, to, kind, target, auto_answer, max_length, variables })
            }
            false => {
                let dial = DialTarget::Number(to);
                let (options, timeout) = (DialOptions::default(), Duration::from_secs(30));
                let record = random.random_bool(0.3).then(|| Record::background(None));
                let detection = [None, None, Some(Detection::Sync), Some(Detection::Async)][random.random_range(0..4)];
                Call::outbound(
                    now,
                    OutboundStart {
                        leg,
                        from,
                        dial,
                        options,
                        timeout,
                        kind,
                        target,
                        max_length,
                        record,
                        detection,
                        variables,
                    },
                )
            }
        };
        let mut world = Simulation {
            random,
            call,
            now,
            legs: HashMap::new(),
            plays: HashSet::new(),
            fetches: HashSet::new(),
            records: HashSet::new(),
            groups: HashSet::new(),
            bridged: None,
            used: HashSet::new(),
            finished: false,
            next_leg: 0,
            log: Vec::new(),
        };
        world.drain();
        let steps = world.random.random_range(1..120);
        for _ in 0..steps {
            world.step();
        }
        world.end();
        world.log
    }

    /// Something happens that could, at a time before the next deadline or at it.
    fn step(&mut self) {
        let ahead = Duration::from_millis(self.random.random_range(0..3000));
        let until = self.now.instant + ahead;
        match self.call.deadline() {
            Some(at) if at <= until => {
                self.go(at);
                self.handle(Input::Tick);
            }
            _ => self.go(until),
        }
        let mut legs: Vec<LegId> = self.legs.keys().copied().collect();
        legs.sort();
        let leg = legs[self.random.random_range(0..legs.len())];
        let input = match self.random.random_range(0..22) {
            0..=7 => return self.leg_step(leg),
            8..=10 => Input::Dtmf {
                leg,
                digit: *['1', '2', '#', '*', 'Z'].choose(&mut self.random).unwrap(),
                duration_ms: 80,
            },
            11..=13 => match self.pick(|world| &mut world.plays) {
                Some(id) => Input::Prompt { id, result: self.maybe(0.8, PromptEnd::Completed) },
                None => return,
            },
            14..=15 => match self.pick(|world| &mut world.fetches) {
                Some(id) => {
                    let body = documents::document(&mut self.random);
                    let body = ["", "no xml", &body, &body, &body].choose(&mut self.random).unwrap().to_string();
                    let status = *[200, 200, 200, 404].choose(&mut self.random).unwrap();
                    Input::Fetched { id, result: self.maybe(0.9, HttpAnswer { status, content_type: None, body }) }
                }
                None => return,
            },
            16 => match self.pick(|world| &mut world.records) {
                Some(id) => {
                    let ended_by = *[RecordingEnd::Full, RecordingEnd::Silence].choose(&mut self.random).unwrap();
                    Input::Recorded {
                        id,
                        result: self
                            .maybe(0.8, Recording { duration_ms: 1, rate: 8000, bytes: 1, ended_by, incomplete: None }),
                    }
                }
                None => return,
            },
            17 if self.random.random_bool(0.3) => Input::Run(document(&mut self.random)),
            18 if self.random.random_bool(0.2) => Input::Hangup { leg, cause: Q850::NORMAL_CLEARING },
            18 if self.random.random_bool(0.5) => {
                self.next_leg += 1;
                Input::Transfer(TransferStart {
                    by: leg,
                    leg: LegId(Uuid::from_u128(0xf000_0000 + u128::from(self.next_leg))),
                    target: DialTarget::parse("carol@a.example").unwrap(),
                    from: "bob@a.example".into(),
                    kind: CallType::User,
                    timeout: Duration::from_secs(10),
                })
            }
            18 if self.random.random_bool(0.5) && self.call.may_replace(leg) => {
                self.next_leg += 1;
                Input::Replace(ReplacementStart {
                    place: leg,
                    leg: LegId(Uuid::from_u128(0xe000_0000 + u128::from(self.next_leg))),
                    from: "dora@a.example".into(),
                    to: "bob@a.example".into(),
                    kind: CallType::User,
                })
            }
            // The engine asks before.
            18 if self.random.random_bool(0.1) && self.call.may_join(leg) => {
                Input::Join { leg, with: OUTSIDE, tells: true }
            }
            18 if self.call.may_transfer(leg) => Input::HandOver { by: leg, with: OUTSIDE, tells: true },
            20..=21 => match self.pick(|world| &mut world.groups) {
                Some(id) => {
                    let members =
                        ["phone@a.example", "a@b.example", "c@b.example"][..self.random.random_range(0..4)].iter();
                    let members = members.map(|member| DialTarget::parse(member).unwrap()).collect();
                    let nobody = |reason| NoMembers { sip: 480, q850: Q850::NO_USER_RESPONSE, reason };
                    Input::Members { id, result: self.maybe(0.8, members).map_err(nobody) }
                }
                None => return,
            },
            19 if self.random.random_bool(0.3) => Input::Detected { answer: "human".into() },
            // What nobody waits for.
            19 => Input::Prompt { id: 1_000_000, result: Ok(PromptEnd::Stopped) },
            _ => Input::Tick,
        };
        self.handle(input);
    }

    fn maybe<T>(&mut self, chance: f64, value: T) -> Result<T, String> {
        if self.random.random_bool(chance) { Ok(value) } else { Err("failed".into()) }
    }

    fn pick<T: Copy + Ord + std::hash::Hash>(&mut self, of: impl Fn(&mut Simulation) -> &mut HashSet<T>) -> Option<T> {
        let mut ids: Vec<T> = of(self).iter().copied().collect();
        ids.sort_unstable();
        let id = *ids.choose(&mut self.random)?;
        of(self).remove(&id);
        Some(id)
    }

    fn leg_step(&mut self, leg: LegId) {
        let hangs_up = self.random.random_bool(0.2);
        let state = &self.legs[&leg];
        let q850 = Q850::USER_BUSY;
        let event = match (state.state, self.random.random_range(0..10)) {
            (CallState::Hangup, _) if state.closing => {
                self.legs.get_mut(&leg).unwrap().closing = false;
                LegEvent::Closed
            }
            (CallState::Hangup | CallState::Destroyed, _) => return,
            (CallState::Init | CallState::Ringing, 0..=1) if state.outbound => LegEvent::Ringing,
            (CallState::Init | CallState::Ringing, 2..=3) if state.outbound => LegEvent::EarlyMedia,
            (CallState::Init | CallState::Ringing, 4..=7) if state.outbound || state.answer_asked => LegEvent::Answered,
            (CallState::Init | CallState::Ringing, 8) if state.outbound => {
                LegEvent::Failed { sip: 486, q850, reason: "Busy Here".into() }
            }
            (_, 9) if hangs_up => LegEvent::HungUp { q850 },
            _ => return,
        };
        self.handle(Input::Leg { leg, event });
    }

    /// The caller hangs up, and the engine does all it still owes.
    fn end(&mut self) {
        let origin = self.call.id();
        self.handle(Input::Leg { leg: origin, event: LegEvent::HungUp { q850: Q850::NORMAL_CLEARING } });
        // Whom a transfer has left behind the API ends by the origin.
        self.handle(Input::Hangup { leg: origin, cause: Q850::NORMAL_CLEARING });
        let mut legs: Vec<LegId> = self.legs.iter().filter(|(_, leg)| leg.closing).map(|(id, _)| *id).collect();
        legs.sort();
        for leg in legs {
            if self.random.random_bool(0.9) {
                self.handle(Input::Leg { leg, event: LegEvent::Closed });
            }
        }
        while let Some(at) = self.call.deadline() {
            self.go(at);
            self.handle(Input::Tick);
            assert!(self.call.deadline().is_none_or(|next| next > at), "a deadline stays");
        }
        assert!(self.finished, "the call goes on for ever");
        assert!(self.legs.values().all(|leg| leg.state == CallState::Destroyed), "a leg is left");
        assert!(self.plays.is_empty(), "something still plays");
        assert!(self.fetches.is_empty(), "something is still fetched");
        assert!(self.bridged.is_none(), "two are still joined");
    }

    fn go(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.instant);
        self.now = Now { instant: self.now.instant + passed, utc: self.now.utc + passed };
    }

    fn handle(&mut self, input: Input) {
        self.log.push(format!("> {}", brief(&input)));
        self.call.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll() {
            assert!(!self.finished, "{output:?} after the end");
            self.check(output);
        }
    }

    fn fresh(&mut self, id: u64) {
        assert!(self.used.insert(id), "{id} is used twice");
    }

    fn up(&self, leg: LegId) {
        let outside = leg == OUTSIDE;
        assert!(outside || self.legs[&leg].state < CallState::Hangup, "a command for a leg that has ended");
    }

    fn check(&mut self, output: Output) {
        match output {
            Output::State { leg } => {
                self.log.push(leg.message());
                let outbound = leg.direction == Direction::Out;
                let state = State { state: leg.state, outbound, answer_asked: false, closing: false };
                match self.legs.get_mut(&leg.leg) {
                    None => {
                        assert_eq!(leg.state, CallState::Init);
                        if let Some(parent) = leg.parent {
                            self.up(parent);
                        }
                        self.legs.insert(leg.leg, state);
                    }
                    Some(known) => {
                        assert!(leg.state > known.state, "{:?} after {:?}", leg.state, known.state);
                        let live_before_hangup =
                            leg.answer_on.is_some() == (known.state == CallState::Live || leg.state == CallState::Live);
                        assert!(leg.state == CallState::Destroyed || live_before_hangup);
                        if leg.state == CallState::Live {
                            assert_eq!(known.state, CallState::Ringing);
                        }
                        if leg.state == CallState::Destroyed {
                            assert_eq!(known.state, CallState::Hangup);
                        }
                        known.closing = leg.state == CallState::Hangup;
                        known.state = leg.state;
                    }
                }
                assert_eq!(leg.q850.is_some(), leg.state >= CallState::Hangup);
                let times = [leg.init_on, leg.ring_on, leg.answer_on, leg.hangup_on, leg.destroy_on];
                let times: Vec<_> = times.into_iter().flatten().collect();
                assert!(times.is_sorted() && times.last() == Some(&leg.modified_on));
            }
            Output::Leg { leg, command } => {
                self.log.push(format!("{command:?}"));
                self.up(leg);
                let state = self.legs.get_mut(&leg).unwrap();
                match command {
                    LegCommand::Dial { .. } => assert!(state.outbound && state.state == CallState::Init),
                    LegCommand::Answer => {
                        assert!(!state.outbound && !state.answer_asked && state.state < CallState::Live);
                        state.answer_asked = true;
                    }
                    LegCommand::Ring | LegCommand::Progress | LegCommand::Reject { .. } => {
                        assert!(
                            !state.outbound
                                && state.state < CallState::Live
                                && !matches!(
                                    (&command, state.answer_asked),
                                    (LegCommand::Ring | LegCommand::Progress, true)
                                )
                        );
                    }
                    LegCommand::Hangup { .. } => {}
                    LegCommand::Hold | LegCommand::Resume => assert_eq!(state.state, CallState::Live),
                }
            }
            Output::Members { id, .. } => assert!(self.groups.insert(id), "asked twice"),
            Output::Play { leg, id, .. } => {
                self.up(leg);
                self.fresh(id);
                self.plays.insert(id);
            }
            Output::StopPlay { id, .. } => _ = self.plays.remove(&id),
            Output::Record { leg, id, .. } => {
                self.up(leg);
                self.fresh(id);
                self.records.insert(id);
            }
            Output::Detect { leg } => self.up(leg),
            Output::Listen { leg, id, .. } => {
                self.up(leg);
                self.fresh(id);
            }
            Output::StopListen { id } => assert!(self.used.contains(&id)),
            Output::StopRecord { id, .. } => assert!(self.used.contains(&id)),
            Output::Fetch { id, .. } => {
                self.fresh(id);
                self.fetches.insert(id);
            }
            Output::DropFetch { id } => _ = self.fetches.remove(&id),
            Output::Bridge { a, b } => {
                self.up(a);
                self.up(b);
                assert_eq!(self.bridged.replace((a, b)), None);
            }
            Output::Unbridge { a, b } => assert_eq!(self.bridged.take(), Some((a, b))),
            Output::Bridged { a, b } => assert_eq!(self.bridged, Some((a, b))),
            Output::Unbridged { .. } => assert_eq!(self.bridged, None),
            Output::Step { report, .. } => {
                self.log.push(report.message());
                assert!(!report.path.is_empty() && !report.reason.is_empty());
                for child in &report.children {
                    assert!(child.path.starts_with(&report.path), "{} in {}", child.path, report.path);
                }
            }
            Output::Recorded { id, .. } => assert!(self.used.contains(&id)),
            Output::Transfer { by, .. } => self.up(by),
            Output::Leave { leg, .. } => assert_eq!(leg, OUTSIDE),
            Output::Finished => self.finished = true,
        }
    }
}

fn brief(input: &Input) -> String {
    let text = format!("{input:?}");
    text.chars().filter(|c| c.is_ascii_graphic()).take(60).collect()
}
