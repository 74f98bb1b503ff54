//! A world for one call: it does what the call says as an engine would, and writes down what happened in plain lines.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentact_call::*;
use opentact_callflow::{Mode, parse};
use uuid::Uuid;

pub struct World {
    pub call: Call,
    start: Instant,
    now: Now,
    told: Vec<String>,
    pub steps: Vec<StepReport>,
    pub snapshots: Vec<LegSnapshot>,
    names: HashMap<LegId, String>,
    /// Prompts that play: id, and whether they end by themselves.
    plays: Vec<(u64, bool)>,
    fetches: Vec<(u64, HttpRequest)>,
    records: Vec<u64>,
    /// Groups whose members are awaited.
    groups: Vec<LegId>,
    pub finished: bool,
    /// Whether media closes as soon as a leg has hung up.
    pub closes: bool,
    /// Whether a recording is stored as soon as it is stopped.
    pub stores: bool,
}

pub fn document(inside: &str) -> Document {
    let xml = format!("<Response>{inside}</Response>");
    parse(&xml, Mode::Lenient).unwrap_or_else(|faults| panic!("{faults:?}"))
}

pub const A: LegId = LegId(Uuid::from_u128(0x0a));

fn now() -> (Instant, Now) {
    let instant = Instant::now();
    let utc = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    (instant, Now { instant, utc })
}

impl World {
    /// A call from +12015550100 to 12015550199 that runs `inside`.
    pub fn inbound(inside: &str) -> World {
        World::inbound_to(Target::Flow(document(inside)), false)
    }

    /// The same, already answered, with what led there forgotten.
    pub fn live(inside: &str) -> World {
        let mut world = World::inbound_to(Target::Flow(document(inside)), true);
        world.answer();
        world
    }

    pub fn inbound_to(target: Target, auto_answer: bool) -> World {
        World::inbound_with(target, auto_answer, None)
    }

    pub fn inbound_with(target: Target, auto_answer: bool, max_length: Option<Duration>) -> World {
        let (start, now) = now();
        let start_call = InboundStart {
            leg: A,
            from: "+12015550100".into(),
            to: "12015550199".into(),
            kind: CallType::Sca,
            target,
            auto_answer,
            max_length,
            variables: Variables::new(),
        };
        World::new(Call::inbound(now, start_call), start, now)
    }

    pub fn outbound(target: Target) -> World {
        World::outbound_with(target, None, None)
    }

    /// One that is recorded under a tag.
    pub fn recorded(target: Target, tag: &str) -> World {
        World::outbound_with(target, Some(Record::background(Some(tag.into()))), None)
    }

    /// One whose callee is listened to.
    pub fn detecting(target: Target, detection: Detection) -> World {
        World::outbound_with(target, None, Some(detection))
    }

    fn outbound_with(target: Target, record: Option<Record>, detection: Option<Detection>) -> World {
        let (start, now) = now();
        let start_call = OutboundStart {
            leg: A,
            from: "12015550199".into(),
            dial: DialTarget::Number("12015550123".into()),
            options: DialOptions::default(),
            timeout: Duration::from_secs(60),
            kind: CallType::Sca,
            target,
            max_length: None,
            record,
            detection,
            variables: Variables::new(),
        };
        World::new(Call::outbound(now, start_call), start, now)
    }

    fn new(call: Call, start: Instant, now: Now) -> World {
        let mut world = World {
            call,
            start,
            now,
            told: Vec::new(),
            steps: Vec::new(),
            snapshots: Vec::new(),
            names: HashMap::from([(A, "A".to_owned())]),
            plays: Vec::new(),
            fetches: Vec::new(),
            records: Vec::new(),
            groups: Vec::new(),
            finished: false,
            closes: true,
            stores: true,
        };
        world.drain();
        world
    }

    /// What happened since the last time this was asked, a line each.
    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    #[track_caller]
    pub fn tells(&mut self, lines: &[&str]) -> &mut World {
        let told = self.told();
        assert_eq!(told, lines, "\ntold:\n{}", told.iter().map(|l| format!("        {l:?},\n")).collect::<String>());
        self
    }

    pub fn forget(&mut self) -> &mut World {
        self.told.clear();
        self
    }

    pub fn handle(&mut self, input: Input) -> &mut World {
        self.call.handle(self.now, input);
        self.drain();
        self
    }

    pub fn answer(&mut self) -> &mut World {
        self.leg("A", LegEvent::Answered)
    }

    pub fn leg(&mut self, name: &str, event: LegEvent) -> &mut World {
        let leg = self.id(name);
        self.handle(Input::Leg { leg, event })
    }

    pub fn id(&self, name: &str) -> LegId {
        *self.names.iter().find(|(_, n)| *n == name).unwrap_or_else(|| panic!("no leg {name}")).0
    }

    pub fn fails(&mut self, name: &str, sip: u16) -> &mut World {
        self.leg(name, LegEvent::Failed { sip, q850: Q850::from_sip(sip), reason: format!("SIP {sip}") })
    }

    pub fn hangs_up(&mut self, name: &str) -> &mut World {
        self.leg(name, LegEvent::HungUp { q850: Q850::NORMAL_CLEARING })
    }

    pub fn keys(&mut self, keys: &str) -> &mut World {
        self.keys_of("A", keys)
    }

    pub fn keys_of(&mut self, name: &str, keys: &str) -> &mut World {
        let leg = self.id(name);
        for digit in keys.chars() {
            self.handle(Input::Dtmf { leg, digit, duration_ms: 100 });
        }
        self
    }

    /// A leg as it is now.
    pub fn snapshot(&self, name: &str) -> LegSnapshot {
        self.call.leg(self.now, self.id(name)).unwrap()
    }

    /// The prompts that play run to their end.
    pub fn heard(&mut self) -> &mut World {
        for (id, ends) in self.plays.clone() {
            if ends {
                self.plays.retain(|(play, _)| *play != id);
                self.handle(Input::Prompt { id, result: Ok(PromptEnd::Completed) });
            }
        }
        self
    }

    /// The prompt that plays cannot.
    pub fn mute(&mut self, reason: &str) -> &mut World {
        let (id, _) = self.plays.remove(0);
        self.handle(Input::Prompt { id, result: Err(reason.into()) })
    }

    pub fn fetched(&mut self, status: u16, body: &str) -> &mut World {
        let (id, _) = self.fetches.remove(0);
        let answer = HttpAnswer { status, content_type: Some("application/xml".into()), body: body.into() };
        self.handle(Input::Fetched { id, result: Ok(answer) })
    }

    pub fn unreachable(&mut self, reason: &str) -> &mut World {
        let (id, _) = self.fetches.remove(0);
        self.handle(Input::Fetched { id, result: Err(reason.into()) })
    }

    pub fn request(&self) -> &HttpRequest {
        &self.fetches[0].1
    }

    /// The members of the group that was asked for first.
    pub fn members(&mut self, members: &[&str]) -> &mut World {
        let id = self.groups.remove(0);
        let result = Ok(members.iter().map(|member| DialTarget::parse(member).unwrap()).collect());
        self.handle(Input::Members { id, result })
    }

    pub fn no_members(&mut self, sip: u16, reason: &str) -> &mut World {
        let id = self.groups.remove(0);
        let result = Err(NoMembers { sip, q850: Q850::from_sip(sip), reason: reason.into() });
        self.handle(Input::Members { id, result })
    }

    pub fn stored(&mut self, ended_by: RecordingEnd) -> &mut World {
        let id = self.records.remove(0);
        let recording = Recording { duration_ms: 2000, rate: 8000, bytes: 32_044, ended_by, incomplete: None };
        self.handle(Input::Recorded { id, result: Ok(recording) })
    }

    /// Time passes; the call is told of each deadline in it.
    pub fn pass(&mut self, millis: u64) -> &mut World {
        let until = self.now.instant + Duration::from_millis(millis);
        while let Some(at) = self.call.deadline().filter(|at| *at <= until) {
            self.go(at);
            self.handle(Input::Tick);
            let next = self.call.deadline();
            assert!(next.is_none_or(|next| next > at), "a deadline that stays");
        }
        self.go(until);
        self
    }

    fn go(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.instant);
        self.now = Now { instant: self.now.instant + passed, utc: self.now.utc + passed };
    }

    /// Milliseconds since the call began.
    pub fn millis(&self) -> u128 {
        self.now.instant.duration_since(self.start).as_millis()
    }

    fn drain(&mut self) {
        while let Some(output) = self.call.poll() {
            self.output(output);
        }
    }

    fn name(&mut self, leg: LegId) -> String {
        let next = format!("B{}", self.names.len());
        self.names.entry(leg).or_insert(next).clone()
    }

    /// Who hears it, where it is not the origin.
    fn to(&mut self, leg: LegId) -> String {
        if leg == A { String::new() } else { format!("{}: ", self.name(leg)) }
    }

    fn output(&mut self, output: Output) {
        let line = match output {
            Output::Leg { leg, command } => {
                let name = self.name(leg);
                match command {
                    LegCommand::Dial { target, from, .. } => {
                        format!("{name} dial {target}{}", from.map_or(String::new(), |from| format!(" from {from}")))
                    }
                    LegCommand::Ring => format!("{name} ring"),
                    LegCommand::Progress => format!("{name} progress"),
                    LegCommand::Answer => format!("{name} answer"),
                    LegCommand::Reject { code, .. } => format!("{name} reject {code}"),
                    LegCommand::Hangup { cause } => format!("{name} hangup {}", cause.value()),
                    LegCommand::Hold => format!("{name} hold"),
                    LegCommand::Resume => format!("{name} resume"),
                }
            }
            Output::Members { id, group } => {
                self.groups.push(id);
                format!("members of {group}")
            }
            Output::Play { leg, id, prompt, loops } => {
                self.plays.push((id, loops > 0));
                let times = if loops == 1 { String::new() } else { format!(" x{loops}") };
                let sound = match prompt {
                    Prompt::Say(voice) => format!("say {}", voice.text),
                    Prompt::Url(url) => format!("play {url}"),
                    Prompt::Tone(tone) => format!("tone {:?}", tone.steps[0].hz),
                    Prompt::Recording { tag } => format!("play recording {tag}"),
                };
                format!("{}{sound}{times}", self.to(leg))
            }
            Output::StopPlay { leg, id } => {
                self.plays.retain(|(play, _)| *play != id);
                format!("{}stop", self.to(leg))
            }
            Output::Bridge { a, b } => format!("bridge {} {}", self.name(a), self.name(b)),
            Output::Unbridge { a, b } => format!("unbridge {} {}", self.name(a), self.name(b)),
            Output::Bridged { a, b } => format!("bridged {} {}", self.name(a), self.name(b)),
            Output::Unbridged { a, b } => format!("unbridged {} {}", self.name(a), self.name(b)),
            Output::Record { id, record, .. } => {
                self.records.push(id);
                format!("record {}", record.tag.as_deref().unwrap_or("-"))
            }
            Output::Listen { leg, listen, .. } => format!("{}listen for {}", self.to(leg), listen.hints.join(", ")),
            Output::StopListen { .. } => "stop listening".into(),
            Output::Detect { leg } => format!("detect {}", self.name(leg)),
            Output::StopRecord { .. } => {
                self.told.push("stop record".into());
                if self.stores {
                    self.stored(RecordingEnd::Stopped);
                }
                return;
            }
            Output::Fetch { id, request } => {
                let line = format!("{} {}", request.method.as_str(), request.url);
                self.fetches.push((id, request));
                line
            }
            Output::DropFetch { id } => {
                self.fetches.retain(|(fetch, _)| *fetch != id);
                "drop request".into()
            }
            Output::State { leg } => {
                let name = self.name(leg.leg);
                let hung_up = leg.state == CallState::Hangup;
                let cause = match (hung_up, leg.q850) {
                    (true, Some(cause)) => format!(" {}", cause.value()),
                    _ => String::new(),
                };
                self.told.push(format!("{name} is {}{cause}", leg.state.as_str()));
                let id = leg.leg;
                self.snapshots.push(leg);
                if hung_up && self.closes {
                    // As an engine would: after what was already said is done.
                    self.drain();
                    self.call.handle(self.now, Input::Leg { leg: id, event: LegEvent::Closed });
                }
                return;
            }
            Output::Step { report, .. } => {
                let verdict = if report.success { "ok" } else { "failed" };
                let line = format!("{} {verdict}: {}", report.path, report.reason);
                self.steps.push(report);
                line
            }
            Output::Recorded { tag, .. } => format!("recorded {}", tag.as_deref().unwrap_or("-")),
            Output::Transfer { by, progress } => format!("{} is told {progress:?}", self.name(by)),
            Output::Leave { leg, cause } => format!("{} is to leave {}", self.name(leg), cause.value()),
            Output::Finished => {
                assert!(!self.finished, "finished twice");
                self.finished = true;
                "finished".into()
            }
        };
        self.told.push(line);
    }
}
