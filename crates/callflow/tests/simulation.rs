//! Random documents, and whatever may happen to a call, each from its seed. After every step: what is begun was never begun
//! before; of sounds, requests and dialled legs one at most is under way; something is awaited where a document runs. In
//! the end: every element that has begun has ended with one report, every recording was stopped or has ended, and nothing
//! is left.
//!
//! `OPENTACT_SEEDS=n` runs that many. A seed that fails is printed; `SEED=<n> cargo test -p opentact-callflow --test
//! simulation` runs it alone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use opentact_callflow::{
    DialEnd, HttpAnswer, Input, Machine, Mode, Now, OpResult, Output, RecordEnd, Utterance, Variables, parse,
};
use rand::prelude::*;

const SEEDS: u64 = 500;

#[test]
fn every_element_that_begins_ends_once() {
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = std::env::var("OPENTACT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in only.map_or(0..seeds, |seed: u64| seed..seed + 1) {
        let world = std::panic::catch_unwind(|| World::run(seed));
        assert!(world.is_ok(), "SEED={seed}");
    }
}

/// A simulation that never gets anywhere proves nothing.
#[test]
fn the_seeds_go_everywhere() {
    let log: BTreeSet<String> = (0..400).flat_map(World::run).collect();
    for element in opentact_callflow::language::language() {
        let reported = element.name.runs() || matches!(element.text, "DTMF" | "Default" | "Case" | "Error");
        let begins = format!("{} ", element.text);
        assert!(!reported || log.iter().any(|line| line.starts_with(&begins)), "{}", element.text);
    }
    for part in [
        "Call hangup",
        "Replaced by",
        "Stopped by key",
        "HTTP 200",
        "HTTP 404",
        "no answer in",
        "Keys entered",
        "Said: ",
    ] {
        assert!(log.iter().any(|line| line.contains(part)), "{part}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [1, 77, 4711] {
        assert_eq!(World::run(seed), World::run(seed));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Sound,
    Request,
    Dial { joined: bool },
    Hold { held: bool },
    Record { stopped: bool },
    Listen { speaking: bool },
}

struct World {
    random: StdRng,
    machine: Machine,
    now: Now,
    live: bool,
    answering: bool,
    open: BTreeMap<u64, Op>,
    used: HashSet<u64>,
    reported: u32,
    over: bool,
    log: Vec<String>,
}

impl World {
    /// What its elements came to: `Name ok: reason`.
    fn run(seed: u64) -> Vec<String> {
        let mut random = StdRng::seed_from_u64(seed);
        let now = Now { instant: Instant::now(), utc: "2026-07-02T12:00:00Z".parse().unwrap() };
        let mut variables = Variables::new();
        for (name, value) in [("from", "+12015550100"), ("to", "12015550199"), ("call", "c"), ("geo.state", "NJ")] {
            variables.set(name, value);
        }
        let live = random.random_bool(0.7);
        let machine = Machine::new(variables, live);
        let (open, used, log) = (BTreeMap::new(), HashSet::new(), Vec::new());
        let mut world =
            World { random, machine, now, live, answering: false, open, used, reported: 0, over: false, log };
        let input = world.document();
        world.handle(input);
        for _ in 0..world.random.random_range(1..100) {
            if !world.over {
                world.step();
            }
        }
        world.end();
        world.log
    }

    fn document(&mut self) -> Input {
        let xml = documents::document(&mut self.random);
        Input::Run(parse(&xml, Mode::Lenient).unwrap_or_else(|faults| panic!("{faults:?} in {xml}")))
    }

    /// Something happens that could, at a time before the next deadline or at it.
    fn step(&mut self) {
        let until = self.now.instant + Duration::from_millis(self.random.random_range(0..2000));
        match self.machine.deadline() {
            Some(at) if at <= until => {
                self.go(at);
                self.handle(Input::Tick);
            }
            _ => self.go(until),
        }
        if self.over {
            return;
        }
        let input = match self.random.random_range(0..20) {
            0..=3 => Input::Key(*['1', '2', '#', '*', 'Z'].choose(&mut self.random).unwrap()),
            4 if self.answering => {
                (self.answering, self.live) = (false, true);
                Input::Answered
            }
            5 if self.random.random_bool(0.1) => self.document(),
            6 if self.random.random_bool(0.05) => {
                self.over = true;
                Input::HungUp
            }
            // What nobody waits for.
            7 => Input::Result { op: 1_000_000, result: OpResult::Played(Ok(())) },
            8 => Input::Tick,
            9..=18 => {
                let ops: Vec<u64> = self.open.keys().copied().collect();
                let Some(&op) = ops.choose(&mut self.random) else { return };
                let Some(result) = self.result(op) else { return };
                Input::Result { op, result }
            }
            _ => return,
        };
        self.handle(input);
    }

    fn result(&mut self, op: u64) -> Option<OpResult> {
        let good = self.random.random_bool(0.7);
        let failed = || "failed".to_owned();
        let kind = self.open[&op];
        let result = match kind {
            Op::Sound => OpResult::Played(good.then_some(()).ok_or_else(failed)),
            Op::Request => OpResult::Fetched(match self.random.random_bool(0.9) {
                true => {
                    let body = match self.random.random_range(0..4) {
                        0 => r#"{"a":{"b":[1,"x"]},"state":"live"}"#.to_owned(),
                        1 => String::new(),
                        _ => documents::document(&mut self.random),
                    };
                    Ok(HttpAnswer { status: if good { 200 } else { 404 }, content_type: None, body })
                }
                false => Err(failed()),
            }),
            Op::Dial { joined: false } if good => {
                self.open.insert(op, Op::Dial { joined: true });
                return Some(OpResult::Joined);
            }
            Op::Dial { joined: true } => OpResult::Dialled(if good { DialEnd::HungUp } else { DialEnd::Limit }),
            Op::Dial { joined: false } => OpResult::Dialled(DialEnd::Failed { causes: vec!["USER_BUSY".into()] }),
            Op::Hold { held: false } if good => {
                self.open.insert(op, Op::Hold { held: true });
                return Some(OpResult::Held);
            }
            // It may last.
            Op::Hold { held: true } if good => return None,
            Op::Hold { .. } => OpResult::Alone("Other leg hung up".into()),
            Op::Listen { speaking: false } if good => {
                self.open.insert(op, Op::Listen { speaking: true });
                return Some(OpResult::Speaking);
            }
            Op::Listen { .. } => OpResult::Said(match self.random.random_range(0..4) {
                0 => Err(failed()),
                n => Ok(Utterance { text: ["", "a", "1 live"][n - 1].to_owned(), confidence: None }),
            }),
            Op::Record { .. } => OpResult::Recorded(good.then_some(RecordEnd::Silence).ok_or_else(failed)),
        };
        self.open.remove(&op);
        Some(result)
    }

    /// The call is hung up; files that are being stored come.
    fn end(&mut self) {
        self.handle(Input::HungUp);
        assert!(!self.machine.is_running() && self.machine.deadline().is_none(), "it runs on");
        // What RecordStart has begun ends with the call.
        let left: Vec<_> = self.open.values().filter(|op| !matches!(op, Op::Record { .. })).collect();
        assert!(left.is_empty(), "{left:?} left");
        assert_eq!(self.machine.begun(), self.reported, "elements begun and reported");
        let late: Vec<u64> = self.used.iter().copied().collect();
        late.into_iter().for_each(|op| self.handle(Input::Result { op, result: OpResult::Played(Ok(())) }));
        let input = self.document();
        self.handle(input);
        assert!(!self.machine.is_running(), "a document runs on a call that is over");
    }

    fn go(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.instant);
        self.now = Now { instant: self.now.instant + passed, utc: self.now.utc + passed };
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        while let Some(output) = self.machine.poll() {
            self.output(output);
        }
        let exclusive = |op: &&Op| matches!(op, Op::Sound | Op::Request | Op::Dial { .. });
        let under_way = self.open.values().filter(exclusive).count();
        assert!(under_way <= 1, "at once: {:?}", self.open);
        let awaited = !self.open.is_empty() || self.answering || self.machine.deadline().is_some();
        assert!(awaited || !self.machine.is_running(), "stuck");
        assert!(self.machine.deadline().is_none_or(|at| at >= self.now.instant), "a deadline that has passed");
    }

    fn begins(&mut self, op: u64, kind: Op) {
        assert!(!self.over, "{kind:?} on a call that is over");
        assert!(self.used.insert(op), "{op} twice");
        self.open.insert(op, kind);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Answer => {
                assert!(!self.live && !self.over);
                self.answering = true;
            }
            Output::Play { op, .. } => self.begins(op, Op::Sound),
            Output::Fetch { op, .. } => self.begins(op, Op::Request),
            Output::Dial { op, .. } | Output::Unhold { op } => self.begins(op, Op::Dial { joined: false }),
            Output::Hold { op } => self.begins(op, Op::Hold { held: false }),
            Output::Record { op, .. } => self.begins(op, Op::Record { stopped: false }),
            Output::Listen { op, .. } => {
                assert!(!self.open.values().any(|op| matches!(op, Op::Listen { .. })), "two listen");
                self.begins(op, Op::Listen { speaking: false });
            }
            Output::StopListen { op } => assert!(matches!(self.open.remove(&op), Some(Op::Listen { .. }))),
            Output::StopPlay { op } => assert_eq!(self.open.remove(&op), Some(Op::Sound)),
            Output::DropFetch { op } => assert_eq!(self.open.remove(&op), Some(Op::Request)),
            Output::StopDial { op } => assert!(matches!(self.open.remove(&op), Some(Op::Dial { .. }))),
            Output::StopRecord { op } => {
                // It may have ended by itself.
                let open = self.open.get_mut(&op);
                assert!(
                    self.used.contains(&op) && open.as_deref().is_none_or(|op| *op == Op::Record { stopped: false })
                );
                open.into_iter().for_each(|op| *op = Op::Record { stopped: true });
            }
            Output::Hangup { .. } | Output::Reject { .. } | Output::End => {
                assert!(!self.machine.is_running());
                self.over = true;
            }
            Output::Step(step) => {
                self.reported += 1;
                if step.name == "Hold" {
                    // Nothing stops it but the end of its element.
                    self.open.retain(|_, kind| !matches!(kind, Op::Hold { .. }));
                }
                assert!(!step.path.is_empty() && !step.reason.is_empty());
                let inside = step.children.iter().chain(&step.error).all(|child| {
                    // An error block may stand after its element.
                    child.path.starts_with(&step.path) || child.name == "Error"
                });
                assert!(inside, "{step:?}");
                let verdict = if step.success { "ok" } else { "failed" };
                self.log.push(format!("{} {verdict}: {}", step.name, step.reason));
            }
            #[allow(unreachable_patterns)]
            _ => {}
        }
    }
}
