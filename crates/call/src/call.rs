//! The life of a call: its legs' states, its target, its end.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use opentact_callflow::{Input as FlowInput, Machine, OpResult, RecordEnd};

use crate::fork::Fork;
use crate::hold::Held;
use crate::io::*;
use crate::leg::{CallState, CallType, Direction, Leg, LegId, LegSnapshot};
use crate::q850::Q850;
use crate::replacement::Replacement;
use crate::transfer::{Handed, Transfer};

/// How long a call waits for XML by REST where nothing says otherwise.
pub const PARK: Duration = Duration::from_secs(30);
/// Numbers of the call's own operations start here; those below are the flow's.
const OWN: u64 = 1 << 63;

/// One call: an origin leg, the flow on it, the legs it dials.
///
/// The invariant for the caller: after every [`Call::handle`] drain [`Call::poll`] and do in order what it says; give
/// [`Input::Tick`] at [`Call::deadline`]; after a leg's end give its [`LegEvent::Closed`].
#[derive(Debug)]
pub struct Call {
    /// The origin first; dialled legs until they are destroyed.
    pub(crate) legs: Vec<Leg>,
    pub(crate) flow: Machine,
    pub(crate) fork: Option<Fork>,
    pub(crate) held: Option<Held>,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) handed: Option<Handed>,
    pub(crate) replacement: Option<Replacement>,
    target: Stage,
    auto_answer: bool,
    max_length: Option<Duration>,
    /// To begin when the origin is answered.
    record: Option<Record>,
    /// To begin then too.
    detection: Option<Detection>,
    /// The origin's 200 is asked for.
    pub(crate) answering: bool,
    /// 180 is sent to the origin.
    rung: bool,
    /// When an outbound origin has rung long enough.
    ring_until: Option<Instant>,
    pub(crate) length_until: Option<Instant>,
    pub(crate) recordings: BTreeMap<u64, Pending>,
    /// What the flow plays to the leg on hold: by which operation, to which leg, under which id.
    pub(crate) elsewhere: Vec<(u64, LegId, u64)>,
    next_own: u64,
    next_leg: u64,
    outputs: VecDeque<Output>,
    finished: bool,
}

/// Where the target stands.
#[derive(Debug)]
enum Stage {
    /// Runs once the call is answered.
    Waiting(Target),
    Fetching {
        id: u64,
        until: Option<Instant>,
        fallback: Option<HttpRequest>,
    },
    Parked {
        until: Instant,
    },
    /// A document or a bridge runs, or has run.
    Running,
}

/// A recording that is not stored yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub leg: LegId,
    pub tag: Option<String>,
}

impl Call {
    /// A call that came to us.
    pub fn inbound(now: Now, start: InboundStart) -> Call {
        let InboundStart { leg, from, to, kind, target, auto_answer, max_length, variables } = start;
        let leg = Leg::new(now, leg, None, Direction::In, kind, from, to);
        let mut call = Call::new(now, leg, target, max_length, variables);
        call.auto_answer = auto_answer;
        match &call.target {
            Stage::Waiting(_) if auto_answer => {
                call.enter(now, 0, CallState::Ringing);
                call.answer();
            }
            // It rings when B rings.
            Stage::Waiting(Target::Bridge { .. }) => call.run_target(now),
            _ => {
                call.ring(now);
                call.run_target(now);
            }
        }
        call
    }

    /// A call to make.
    pub fn outbound(now: Now, start: OutboundStart) -> Call {
        let OutboundStart { leg, from, dial, options, timeout, kind, target, max_length, record, variables, .. } =
            start;
        let origin = Leg::new(now, leg, None, Direction::Out, kind, from.clone(), dial.to_string());
        let mut call = Call::new(now, origin, target, max_length, variables);
        call.ring_until = Some(now.instant + timeout);
        (call.record, call.detection) = (record, start.detection);
        let command = LegCommand::Dial { target: dial, from: Some(from), timeout, parent: None, options };
        call.put(Output::Leg { leg, command });
        call
    }

    fn new(now: Now, origin: Leg, target: Target, max_length: Option<Duration>, mut variables: Variables) -> Call {
        for (name, value) in [
            ("from", origin.from.clone()),
            ("to", origin.to.clone()),
            ("call", origin.id.to_string()),
            ("direction", origin.direction.as_str().into()),
            ("type", origin.kind.as_str().into()),
        ] {
            if variables.get(name).is_none() {
                variables.set(name, value);
            }
        }
        let mut call = Call {
            legs: vec![origin],
            flow: Machine::new(variables, false),
            fork: None,
            held: None,
            transfer: None,
            handed: None,
            replacement: None,
            target: Stage::Waiting(target),
            auto_answer: false,
            max_length,
            record: None,
            detection: None,
            answering: false,
            rung: false,
            ring_until: None,
            length_until: None,
            recordings: BTreeMap::new(),
            elsewhere: Vec::new(),
            next_own: OWN,
            next_leg: 0,
            outputs: VecDeque::new(),
            finished: false,
        };
        let leg = call.legs[0].snapshot(now);
        call.put(Output::State { leg });
        call
    }

    /// The origin's id, which is the call's.
    pub fn id(&self) -> LegId {
        self.legs[0].id
    }

    /// A leg as it stands; `None` once a dialled leg is destroyed.
    pub fn leg(&self, now: Now, leg: LegId) -> Option<LegSnapshot> {
        self.legs.iter().find(|l| l.id == leg).map(|l| l.snapshot(now))
    }

    /// The legs that are not destroyed, the origin (always) first.
    pub fn legs(&self) -> impl Iterator<Item = LegId> + '_ {
        self.legs.iter().map(|leg| leg.id)
    }

    pub fn is_live(&self) -> bool {
        self.legs[0].is_live()
    }

    pub fn variables(&self) -> &Variables {
        self.flow.variables()
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Leg { leg, event } => self.leg_event(now, leg, event),
            Input::Prompt { id, result } => {
                self.elsewhere.retain(|(.., play)| *play != id);
                self.ringback_failed(now, id, result.is_err());
                self.op_result(now, id, OpResult::Played(result.map(|_| ())));
            }
            Input::Dtmf { leg, digit, .. } => {
                if leg == self.id() && self.legs[0].is_up() {
                    self.flow.handle(now, FlowInput::Key(digit));
                } else {
                    self.confirm_key(now, leg, digit);
                }
            }
            Input::Fetched { id, result } => {
                if matches!(&self.target, Stage::Fetching { id: awaited, .. } if *awaited == id) {
                    self.fetched(now, result);
                } else if !self.confirm_fetched(now, id, &result) {
                    self.op_result(now, id, OpResult::Fetched(result));
                }
            }
            Input::Recorded { id, result } => self.recorded(now, id, result),
            Input::Speaking { id } => self.op_result(now, id, OpResult::Speaking),
            Input::Said { id, result } => self.op_result(now, id, OpResult::Said(result)),
            Input::Run(document) => self.run(now, document),
            Input::Hangup { leg, cause } => self.hang_up_leg(now, leg, cause),
            Input::Detected { answer } => {
                self.flow.set_variable("amd", answer);
                if self.legs[0].is_live() {
                    self.run_target(now);
                }
            }
            Input::Left { leg, cause } => {
                self.unjoin_from_other(leg);
                self.hang_up_leg(now, leg, cause);
            }
            Input::Members { id, result } => self.members(now, id, result),
            Input::Transfer(start) => self.start_transfer(now, start),
            Input::HandOver { by, with, tells } => self.hand_over(now, by, with, tells),
            Input::Replace(start) => self.start_replacement(now, start),
            Input::Join { leg, with, tells } => self.join_other(now, leg, with, tells),
            Input::Tick => self.tick(now),
        }
        self.drive_confirms(now);
        self.drive_flow(now);
        self.stop_replacement(now);
        self.finish(now);
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn deadline(&self) -> Option<Instant> {
        let target = match &self.target {
            Stage::Fetching { until, .. } => *until,
            Stage::Parked { until } => Some(*until),
            Stage::Waiting(_) | Stage::Running => None,
        };
        let closing = self.legs.iter().filter(|leg| leg.state == CallState::Hangup).filter_map(|leg| leg.close_by);
        let fork = self.fork.as_ref().and_then(Fork::deadline);
        let confirm = self.fork.as_ref().and_then(Fork::confirm_deadline);
        let transfer = self.transfer.as_ref().map(Transfer::deadline);
        let handed = self.handed.as_ref().and_then(Handed::deadline);
        [self.flow.deadline(), fork, confirm, transfer, handed, target, self.ring_until, self.length_until]
            .into_iter()
            .flatten()
            .chain(closing)
            .min()
    }

    pub(crate) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn own_id(&mut self) -> u64 {
        self.own_ids(1)
    }

    /// The first of so many ids.
    pub(crate) fn own_ids(&mut self, count: u64) -> u64 {
        let id = self.next_own;
        self.next_own += count;
        id
    }

    /// Ids are those of one flow, or of nobody any more.
    fn op_result(&mut self, now: Now, op: u64, result: OpResult) {
        self.confirm_result(now, op, &result);
        self.flow.handle(now, FlowInput::Result { op, result });
    }

    /// A version 7 uuid made of the origin's, of the same time: the same call makes the same legs again, and the rows of
    /// a call stand together.
    pub(crate) fn new_leg_id(&mut self) -> LegId {
        self.next_leg += 1;
        let (high, low) = self.id().0.as_u64_pair();
        let words = [mix(high ^ self.next_leg), mix(low.wrapping_add(self.next_leg))];
        let time = high & !0xffff;
        let bytes = (u128::from(time | (words[0] & 0xffff)) << 64 | u128::from(words[1])).to_be_bytes();
        LegId(
            uuid::Builder::from_bytes(bytes)
                .with_variant(uuid::Variant::RFC4122)
                .with_version(uuid::Version::SortRand)
                .into_uuid(),
        )
    }

    pub(crate) fn index(&self, leg: LegId) -> Option<usize> {
        self.legs.iter().position(|l| l.id == leg)
    }

    /// Brings a leg to a state, with an event if it was not there yet.
    pub(crate) fn enter(&mut self, now: Now, index: usize, state: CallState) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        // Who answers has rung: no state is left out on the way to live.
        if state == CallState::Live && leg.enter(now, CallState::Ringing) {
            let leg = leg.snapshot(now);
            self.outputs.push_back(Output::State { leg });
        }
        let leg = &mut self.legs[index];
        if leg.enter(now, state) {
            let leg = leg.snapshot(now);
            self.outputs.push_back(Output::State { leg });
        }
    }

    fn leg_event(&mut self, now: Now, leg: LegId, event: LegEvent) {
        let Some(index) = self.index(leg) else { return };
        if event == LegEvent::Closed {
            if self.legs[index].is_up() {
                // Media that closes under a live call ends it.
                let failure = Q850::TEMPORARY_FAILURE;
                match index {
                    0 => self.hang_up(now, failure),
                    _ => self.hang_up_dialled(now, leg, failure),
                }
            }
            self.legs[index].closed = true;
            return;
        }
        if !self.legs[index].is_up() {
            return;
        }
        if index > 0 {
            return self.dialled_event(now, index, event);
        }
        let outbound = self.legs[0].direction == Direction::Out;
        match event {
            LegEvent::Ringing if outbound => self.enter(now, 0, CallState::Ringing),
            LegEvent::EarlyMedia if outbound => {
                self.legs[0].early = true;
                self.enter(now, 0, CallState::Ringing);
            }
            LegEvent::Answered => self.answered(now),
            LegEvent::Failed { q850, reason, .. } => {
                self.legs[0].reason = Some(reason);
                self.end(now, q850);
            }
            LegEvent::HungUp { q850 } => self.end(now, q850),
            LegEvent::Ringing | LegEvent::EarlyMedia | LegEvent::Closed => {}
        }
    }

    /// The origin is live.
    fn answered(&mut self, now: Now) {
        if self.legs[0].is_live() {
            return;
        }
        self.ring_until = None;
        self.length_until = self.max_length.map(|length| now.instant + length);
        self.enter(now, 0, CallState::Live);
        if let Some(record) = self.record.take() {
            let (leg, id) = (self.id(), self.own_id());
            self.recordings.insert(id, Pending { leg, tag: record.tag.clone() });
            self.put(Output::Record { leg, id, record });
        }
        self.flow.handle(now, FlowInput::Answered);
        let detection = self.detection.take();
        if detection.is_some() {
            let leg = self.id();
            self.put(Output::Detect { leg });
        }
        if detection != Some(Detection::Sync) {
            self.run_target(now);
        }
        self.origin_answered(now);
    }

    /// 200 to the origin.
    pub(crate) fn answer(&mut self) {
        if !self.answering && self.legs[0].state < CallState::Live && self.legs[0].direction == Direction::In {
            self.answering = true;
            let leg = self.id();
            self.put(Output::Leg { leg, command: LegCommand::Answer });
        }
    }

    /// 180 to the origin.
    pub(crate) fn ring(&mut self, now: Now) {
        if self.rung || self.answering || self.legs[0].direction == Direction::Out {
            return;
        }
        self.rung = true;
        let leg = self.id();
        self.put(Output::Leg { leg, command: LegCommand::Ring });
        self.enter(now, 0, CallState::Ringing);
    }

    /// 183 to the origin, so that it hears what is played before the answer.
    pub(crate) fn progress(&mut self, now: Now) {
        let origin = &self.legs[0];
        if origin.early || self.answering || origin.state >= CallState::Live || origin.direction == Direction::Out {
            return;
        }
        self.legs[0].early = true;
        let leg = self.id();
        self.put(Output::Leg { leg, command: LegCommand::Progress });
        self.enter(now, 0, CallState::Ringing);
    }

    fn run_target(&mut self, now: Now) {
        let target = match std::mem::replace(&mut self.target, Stage::Running) {
            Stage::Waiting(target) => target,
            other => {
                self.target = other;
                return;
            }
        };
        match target {
            Target::Flow(document) => self.flow.handle(now, FlowInput::Run(document)),
            Target::Park { timeout } => self.target = Stage::Parked { until: now.instant + timeout },
            Target::Bridge { dial } => self.bridge(now, dial),
            Target::Fetch { request, fallback } => self.ask(now, request, fallback),
        }
        self.drive_flow(now);
    }

    fn ask(&mut self, now: Now, request: HttpRequest, fallback: Option<HttpRequest>) {
        let id = self.own_id();
        let until = request.timeout.map(|timeout| now.instant + timeout);
        self.put(Output::Fetch { id, request });
        self.target = Stage::Fetching { id, until, fallback };
    }

    /// The answer of the target's URL.
    fn fetched(&mut self, now: Now, result: Result<HttpAnswer, String>) {
        let Stage::Fetching { fallback, .. } = std::mem::replace(&mut self.target, Stage::Running) else { return };
        // It has no XML now; it may come by REST.
        let is_empty = |answer: &HttpAnswer| (200..300).contains(&answer.status) && answer.body.trim().is_empty();
        if result.as_ref().is_ok_and(is_empty) {
            self.target = Stage::Parked { until: now.instant + PARK };
            return;
        }
        match (result.and_then(|answer| answer.document()), fallback) {
            (Ok(document), _) => self.flow.handle(now, FlowInput::Run(document)),
            (Err(reason), Some(mut second)) => {
                second.query.push(("error".into(), reason));
                self.ask(now, second, None);
            }
            (Err(reason), None) => {
                self.legs[0].reason = Some(format!("call flow: {reason}"));
                self.hang_up(now, Q850::TEMPORARY_FAILURE);
            }
        }
    }

    fn run(&mut self, now: Now, document: Document) {
        if !self.legs[0].is_up() {
            return;
        }
        let live = self.legs[0].is_live();
        match &mut self.target {
            Stage::Waiting(target) if !live => *target = Target::Flow(document),
            _ => {
                self.drop_target();
                match document.holds() {
                    true => self.part_for_hold(now),
                    false => self.stop_held(now),
                }
                self.stop_bridge(now);
                self.leave_handed(now);
                self.flow.handle(now, FlowInput::Run(document));
            }
        }
    }

    /// What the target waits for is awaited no more.
    pub(crate) fn drop_target(&mut self) {
        if let Stage::Fetching { id, .. } = std::mem::replace(&mut self.target, Stage::Running) {
            self.put(Output::DropFetch { id });
        }
    }

    fn recorded(&mut self, now: Now, id: u64, result: Result<Recording, String>) {
        let Some(pending) = self.recordings.remove(&id) else { return };
        let ended = result.as_ref().map_err(Clone::clone).and_then(|recording| match recording.ended_by {
            RecordingEnd::Stopped => Ok(RecordEnd::Stopped),
            RecordingEnd::Silence => Ok(RecordEnd::Silence),
            RecordingEnd::Full => Ok(RecordEnd::Full),
            RecordingEnd::CutOff => Err(recording.incomplete.clone().unwrap_or_default()),
        });
        if let Ok(recording) = result {
            let Pending { leg, tag } = pending;
            self.put(Output::Recorded { leg, id, tag, recording });
        }
        self.flow.handle(now, FlowInput::Result { op: id, result: OpResult::Recorded(ended) });
    }

    /// Ends a leg from our side; the origin, which may have ended already, with all that depends on it.
    fn hang_up_leg(&mut self, now: Now, leg: LegId, cause: Q850) {
        match leg == self.id() {
            true if self.legs[0].is_up() => self.hang_up(now, cause),
            true => self.hang_up_left(now, cause),
            false => self.hang_up_dialled(now, leg, cause),
        }
    }

    /// Ends the origin from our side.
    pub(crate) fn hang_up(&mut self, now: Now, cause: Q850) {
        if self.legs[0].is_up() {
            let leg = self.id();
            self.put(Output::Leg { leg, command: LegCommand::Hangup { cause } });
            self.end(now, cause);
        }
    }

    /// The origin's signalling has ended, and with it all else.
    pub(crate) fn end(&mut self, now: Now, cause: Q850) {
        self.legs[0].cause = Some(cause);
        (self.ring_until, self.length_until) = (None, None);
        self.enter(now, 0, CallState::Hangup);
        self.drop_target();
        // A transfer may outlive the origin that has asked for it.
        let origin = self.id();
        self.leaves(now, origin, cause, cause.to_sip());
        // The flow sees to its own.
        for id in self.recordings.range(OWN..).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.put(Output::StopRecord { leg: origin, id });
        }
        self.flow.handle(now, FlowInput::HungUp);
        self.drive_flow(now);
        self.stop_fork(now);
        self.stop_held(now);
    }

    fn tick(&mut self, now: Now) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now.instant);
        if due(self.ring_until) {
            let rang = self.legs[0].state >= CallState::Ringing;
            self.hang_up(now, if rang { Q850::NO_ANSWER } else { Q850::NO_USER_RESPONSE });
        }
        if due(self.length_until) {
            self.length_until = None;
            self.legs[0].reason = Some("longest call length reached".into());
            self.hang_up(now, Q850::NORMAL_CLEARING);
        }
        match &self.target {
            Stage::Fetching { id, until, .. } if due(*until) => {
                let id = *id;
                self.put(Output::DropFetch { id });
                self.fetched(now, Err("no answer in time".into()));
            }
            Stage::Parked { until } if due(Some(*until)) => {
                self.target = Stage::Running;
                let live = self.legs[0].is_live();
                self.legs[0].reason = Some("parked, and no call flow came".into());
                self.hang_up(now, if live { Q850::NORMAL_CLEARING } else { Q850::RECOVERY_ON_TIMER_EXPIRE });
            }
            _ => {}
        }
        self.confirm_tick(now);
        self.fork_tick(now);
        self.transfer_tick(now);
        self.flow.handle(now, FlowInput::Tick);
        for leg in self.legs.iter_mut().filter(|leg| leg.state == CallState::Hangup && due(leg.close_by)) {
            leg.closed = true;
            if leg.parent.is_none() {
                self.recordings.clear();
            }
        }
    }

    /// Destroys what is closed.
    fn finish(&mut self, now: Now) {
        for index in (0..self.legs.len()).rev() {
            let leg = &self.legs[index];
            let records = self.recordings.values().any(|pending| pending.leg == leg.id);
            if leg.state == CallState::Hangup && leg.closed && !records {
                self.enter(now, index, CallState::Destroyed);
                if index > 0 {
                    self.legs.remove(index);
                }
            }
        }
        if !self.finished && self.legs.len() == 1 && self.legs[0].state == CallState::Destroyed {
            self.finished = true;
            self.put(Output::Finished);
        }
    }

    pub(crate) fn kind_of(target: &DialTarget) -> CallType {
        match target {
            DialTarget::User { .. } | DialTarget::Group(_) => CallType::User,
            DialTarget::Number(_) | DialTarget::Uri(_) => CallType::Trunk,
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
