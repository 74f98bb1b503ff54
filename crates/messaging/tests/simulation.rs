//! An ESME and an SMSC over a pipe with latency that breaks, in virtual time, from a seed. Whatever happens, every
//! message ends in exactly one outcome, what was accepted was taken once, and what was not sent was not taken.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_messaging::smpp::{
    Address, Bind, BindKind, Config, Event, Failure, Input, Outcome, Output, Role, Session, ShortMessage, Status,
    VERSION_3_4,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 2_000;
const MESSAGES: u64 = 40;

#[derive(Debug)]
enum Due {
    ToEsme(Bytes),
    ToSmsc(Bytes),
    /// The SMSC's application decides on a submit_sm.
    Decide {
        sequence: u32,
        id: u64,
    },
    Submit {
        id: u64,
    },
    Deliver {
        id: u64,
    },
    Break,
    Unbind,
}

struct World {
    seed: u64,
    random: StdRng,
    now: Instant,
    schedule: BTreeMap<(Instant, u64), Due>,
    order: u64,
    /// When the last octets each way arrive: a stream does not reorder.
    arrival: [Instant; 2],
    broken: bool,
    esme: Session,
    smsc: Session,
    ended: HashMap<u64, Outcome>,
    ended_at_smsc: HashMap<u64, Outcome>,
    /// Ids the SMSC's application accepted, with what it answered.
    taken: HashMap<u64, String>,
    /// Ids of deliver_sm that reached the ESME.
    delivered: HashMap<u64, u32>,
}

fn message(id: u64) -> ShortMessage {
    ShortMessage {
        source: Address::e164(12025550100),
        destination: Address::e164(12125550199),
        body: Bytes::from(id.to_string()),
        ..ShortMessage::default()
    }
}

fn id_of(message: &ShortMessage) -> u64 {
    std::str::from_utf8(&message.body).unwrap().parse().unwrap()
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = StdRng::seed_from_u64(seed);
        let now = Instant::now();
        let kind = match random.random_range(0..10) {
            0 => BindKind::Receiver,
            1 => BindKind::Transmitter,
            _ => BindKind::Transceiver,
        };
        let bind = Bind {
            kind,
            system_id: "esme".into(),
            password: "secret".into(),
            system_type: String::new(),
            version: VERSION_3_4,
        };
        let mut esme = Config::new(Role::Esme(bind));
        esme.window = random.random_range(1..8);
        esme.queue = random.random_range(1..MESSAGES as usize);
        esme.response_timeout = Duration::from_millis(random.random_range(100..2_000));
        esme.enquire_link = Duration::from_millis(random.random_range(200..5_000));
        esme.throttle_attempts = random.random_range(1..6);
        let mut smsc = Config::new(Role::Smsc { system_id: "dev".into() });
        smsc.window = random.random_range(1..8);
        smsc.inbound = random.random_range(1..8);
        smsc.enquire_link = Duration::from_millis(random.random_range(200..5_000));
        let mut world = World {
            seed,
            now,
            schedule: BTreeMap::new(),
            order: 0,
            arrival: [now, now],
            broken: false,
            esme: Session::new(now, esme),
            smsc: Session::new(now, smsc),
            ended: HashMap::new(),
            ended_at_smsc: HashMap::new(),
            taken: HashMap::new(),
            delivered: HashMap::new(),
            random,
        };
        for id in 0..MESSAGES {
            let at = world.after(0..3_000);
            world.at(at, Due::Submit { id });
            let at = world.after(0..3_000);
            world.at(at, Due::Deliver { id: 1_000 + id });
        }
        let at = world.after(0..6_000);
        let due = if world.random.random_bool(0.5) { Due::Break } else { Due::Unbind };
        world.at(at, due);
        world
    }

    fn after(&mut self, milliseconds: std::ops::Range<u64>) -> Instant {
        self.now + Duration::from_millis(self.random.random_range(milliseconds))
    }

    fn at(&mut self, at: Instant, due: Due) {
        self.order += 1;
        self.schedule.insert((at, self.order), due);
    }

    fn carry(&mut self, way: usize, octets: Bytes) {
        // Now and then octets get stuck for longer than any timer is patient.
        let delay = if self.random.random_bool(0.01) { 0..4_000 } else { 0..80 };
        let at = self.after(delay).max(self.arrival[way]);
        self.arrival[way] = at;
        // A stream comes in pieces.
        let cut = self.random.random_range(0..=octets.len());
        for piece in [octets.slice(..cut), octets.slice(cut..)] {
            self.at(at, if way == 0 { Due::ToSmsc(piece) } else { Due::ToEsme(piece) });
        }
    }

    fn drain(&mut self) {
        loop {
            if let Some(output) = self.esme.poll() {
                match output {
                    Output::Transmit(octets) if !self.broken => self.carry(0, octets),
                    Output::Transmit(_) => {}
                    Output::Close => self.broken = true,
                    Output::Event(Event::Ended { id, outcome }) => {
                        let before = self.ended.insert(id, outcome);
                        assert_eq!(before, None, "seed {}: message {id} ended twice", self.seed);
                    }
                    Output::Event(Event::Message { sequence, message }) => {
                        *self.delivered.entry(id_of(&message)).or_default() += 1;
                        let result = if self.random.random_bool(0.9) {
                            Ok(String::new())
                        } else {
                            Err(Status::TEMPORARY_APPLICATION_ERROR)
                        };
                        self.esme.handle(self.now, Input::Answer { sequence, result });
                    }
                    Output::Event(_) => {}
                }
            } else if let Some(output) = self.smsc.poll() {
                match output {
                    Output::Transmit(octets) if !self.broken => self.carry(1, octets),
                    Output::Transmit(_) => {}
                    Output::Close => self.broken = true,
                    Output::Event(Event::Bind(_)) => self.smsc.handle(self.now, Input::AnswerBind(Ok(()))),
                    Output::Event(Event::Message { sequence, message }) => {
                        let at = self.after(0..300);
                        self.at(at, Due::Decide { sequence, id: id_of(&message) });
                    }
                    Output::Event(Event::Ended { id, outcome }) => {
                        let before = self.ended_at_smsc.insert(id, outcome);
                        assert_eq!(before, None, "seed {}: delivery {id} ended twice", self.seed);
                    }
                    Output::Event(_) => {}
                }
            } else {
                return;
            }
        }
    }

    fn step(&mut self, due: Due) {
        match due {
            Due::ToEsme(octets) if !self.broken => self.esme.handle(self.now, Input::Received(&octets)),
            Due::ToSmsc(octets) if !self.broken => self.smsc.handle(self.now, Input::Received(&octets)),
            Due::ToEsme(_) | Due::ToSmsc(_) => {}
            Due::Submit { id } => self.esme.handle(self.now, Input::Send { id, message: message(id) }),
            Due::Deliver { id } => self.smsc.handle(self.now, Input::Send { id, message: message(id) }),
            Due::Decide { sequence, id } => {
                let result = match self.random.random_range(0..10) {
                    0..=1 => Err(Status::THROTTLED),
                    2 => Err(Status::SUBMIT_FAILED),
                    _ => Ok(format!("m{id}")),
                };
                if let Ok(message_id) = &result {
                    let before = self.taken.insert(id, message_id.clone());
                    assert_eq!(before, None, "seed {}: message {id} taken twice", self.seed);
                }
                self.smsc.handle(self.now, Input::Answer { sequence, result });
            }
            Due::Break => self.broken = true,
            Due::Unbind => self.esme.handle(self.now, Input::Unbind),
        }
        self.drain();
        if self.broken {
            self.esme.handle(self.now, Input::Disconnected);
            self.smsc.handle(self.now, Input::Disconnected);
            self.drain();
        }
    }

    fn run(&mut self) {
        self.drain();
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 100_000, "seed {}: no end", self.seed);
            let due = self.schedule.keys().next().map(|(at, _)| *at);
            let timer = [self.esme.deadline(), self.smsc.deadline()].into_iter().flatten().min();
            match (due, timer) {
                (Some(due), timer) if timer.is_none_or(|timer| due <= timer) => {
                    self.now = self.now.max(due);
                    if let Some((_, due)) = self.schedule.pop_first() {
                        self.step(due);
                    }
                }
                (_, Some(timer)) => {
                    self.now = self.now.max(timer);
                    self.esme.handle(self.now, Input::Timeout);
                    self.smsc.handle(self.now, Input::Timeout);
                    self.drain();
                }
                (None, _) | (Some(_), None) => return,
            }
        }
    }

    fn check(&self) {
        let seed = self.seed;
        assert!(self.esme.is_closed() && self.smsc.is_closed(), "seed {seed}");
        assert_eq!((self.esme.pending(), self.smsc.pending()), (0, 0), "seed {seed}");
        for id in 0..MESSAGES {
            let outcome = self.ended.get(&id).unwrap_or_else(|| panic!("seed {seed}: message {id} has no outcome"));
            match outcome {
                Outcome::Accepted { message_id } => assert_eq!(self.taken.get(&id), Some(message_id), "seed {seed}"),
                Outcome::Failed(Failure::Unanswered) => {}
                _ => assert_eq!(self.taken.get(&id), None, "seed {seed}: {id} {outcome:?}, and yet it was taken"),
            }
            let id = 1_000 + id;
            let outcome = self.ended_at_smsc.get(&id).unwrap_or_else(|| panic!("seed {seed}: {id} has no outcome"));
            if matches!(outcome, Outcome::Accepted { .. }) {
                assert_eq!(self.delivered.get(&id), Some(&1), "seed {seed}");
            }
        }
    }
}

#[test]
fn every_message_has_exactly_one_outcome() {
    let mut outcomes: HashMap<String, u64> = HashMap::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.run();
        world.check();
        for outcome in world.ended.values() {
            let name = match outcome {
                Outcome::Accepted { .. } => "accepted".to_owned(),
                other => format!("{other:?}"),
            };
            *outcomes.entry(name).or_default() += 1;
        }
    }
    // The world is rough enough that each of them happens.
    for name in ["accepted", "Refused(Status(69))", "Failed(QueueFull)", "Failed(NotSent)", "Failed(Unanswered)"] {
        assert!(outcomes.contains_key(name), "{name} never happened: {outcomes:?}");
    }
    assert!(outcomes.contains_key("Failed(Throttled)"), "{outcomes:?}");
}
