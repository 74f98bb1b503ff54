//! Rings several at once and joins the first to answer.

use std::collections::VecDeque;
use std::time::Instant;

use opentact_callflow::{DialEnd, Input as FlowInput, OpResult};

use crate::call::Call;
use crate::confirm::Confirm;
use crate::io::*;
use crate::leg::{CallState, Direction, Leg, LegId};
use crate::q850::Q850;

/// Most destinations rung for one caller.
const MAX_TARGETS: usize = 20;

/// Whose dialling it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A `<Dial>`.
    Flow { op: u64 },
    /// The call's own target: it ends with the bridge.
    Target,
}

#[derive(Debug)]
pub(crate) struct Fork {
    pub owner: Owner,
    pub spec: DialSpec,
    /// Those whose turn comes later.
    later: VecDeque<DialTarget>,
    pub branches: Vec<Branch>,
    /// Those rung now have rung long enough.
    ring_until: Option<Instant>,
    stage: Stage,
    /// The ring-back tone the origin hears.
    ringback: Option<u64>,
    /// The branch whose early media the origin hears.
    early: Option<LegId>,
}

/// One that is rung, or a group whose members are not known yet: that has no leg, only its id.
#[derive(Debug)]
pub(crate) struct Branch {
    pub leg: LegId,
    /// Set once it has failed, with the SIP code if there was an answer.
    failure: Option<(Q850, u16)>,
    /// Why a group has not rung anybody.
    reason: Option<String>,
    /// It has answered, and what it goes through before it is joined.
    pub confirm: Option<Confirm>,
}

impl Branch {
    fn new(leg: LegId) -> Self {
        Self { leg, failure: None, reason: None, confirm: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ringing,
    /// It has answered; the origin's answer is on its way.
    Answering(LegId),
    Joined {
        leg: LegId,
        until: Option<Instant>,
    },
}

impl Fork {
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Ringing => self.ring_until,
            Stage::Answering(_) => None,
            Stage::Joined { until, .. } => until,
        }
    }

    /// Whom the origin is joined with.
    pub fn joined(&self) -> Option<LegId> {
        match self.stage {
            Stage::Joined { leg, .. } => Some(leg),
            Stage::Ringing | Stage::Answering(_) => None,
        }
    }

    /// When those joined have talked long enough.
    pub fn joined_until(&self) -> Option<Instant> {
        match self.stage {
            Stage::Joined { until, .. } => until,
            Stage::Ringing | Stage::Answering(_) => None,
        }
    }

    /// This leg is rung and nobody has answered.
    pub fn is_rung(&self, leg: LegId) -> bool {
        let open = |branch: &Branch| branch.leg == leg && branch.failure.is_none() && branch.confirm.is_none();
        self.stage == Stage::Ringing && self.branches.iter().any(open)
    }

    /// One more who may be the first to answer.
    pub fn also_rings(&mut self, leg: LegId) {
        self.branches.push(Branch::new(leg));
    }

    fn is_alone(&self) -> bool {
        matches!(self.spec.targets.as_slice(), [target] if !matches!(target, DialTarget::Group(_)))
    }
}

impl Call {
    /// Runs the target of a call that is rung through.
    pub(crate) fn bridge(&mut self, now: Now, dial: DialSpec) {
        self.start_fork(now, Owner::Target, dial, false);
    }

    pub(crate) fn start_fork(&mut self, now: Now, owner: Owner, mut spec: DialSpec, sequential: bool) {
        self.stop_fork(now);
        self.stop_held(now);
        spec.targets.truncate(MAX_TARGETS);
        let mut later: VecDeque<DialTarget> = spec.targets.iter().cloned().collect();
        let first: Vec<DialTarget> = later.drain(..if sequential { later.len().min(1) } else { later.len() }).collect();
        self.fork = Some(Fork {
            owner,
            spec,
            later,
            branches: Vec::new(),
            ring_until: None,
            stage: Stage::Ringing,
            ringback: None,
            early: None,
        });
        if self.fork.as_ref().is_some_and(|fork| fork.spec.ring_tone.is_some()) {
            self.progress(now);
            self.start_ringback();
        }
        self.ring_branches(now, first);
    }

    fn ring_branches(&mut self, now: Now, targets: Vec<DialTarget>) {
        for target in targets {
            let leg = self.new_leg_id();
            let Some(fork) = &mut self.fork else { return };
            fork.ring_until = Some(now.instant + fork.spec.timeout);
            fork.branches.push(Branch::new(leg));
            if let DialTarget::Group(group) = target {
                self.put(Output::Members { id: leg, group });
                continue;
            }
            let (from, timeout) = (fork.spec.from.clone(), fork.spec.timeout);
            let options = fork.spec.options.clone();
            let origin = self.id();
            let shown = from.clone().unwrap_or_else(|| self.legs[0].from.clone());
            let dialled =
                Leg::new(now, leg, Some(origin), Direction::Out, Call::kind_of(&target), shown, target.to_string());
            let snapshot = dialled.snapshot(now);
            self.legs[0].children.push(leg);
            self.legs.push(dialled);
            self.put(Output::State { leg: snapshot });
            let command = LegCommand::Dial { target, from, timeout, parent: Some(origin), options };
            self.put(Output::Leg { leg, command });
        }
        self.settle(now);
    }

    /// A group's members are known, and rung with whoever rings already; or there are none.
    pub(crate) fn members(&mut self, now: Now, id: LegId, result: Result<Vec<DialTarget>, NoMembers>) {
        let Some(fork) = self.fork.as_mut().filter(|fork| fork.stage == Stage::Ringing) else { return };
        let rung = fork.branches.len();
        let Some(branch) = fork.branches.iter_mut().find(|branch| branch.leg == id && branch.failure.is_none()) else {
            return;
        };
        match result {
            Ok(mut members) if !members.is_empty() => {
                members.truncate(MAX_TARGETS.saturating_sub(rung - 1).max(1));
                fork.branches.retain(|branch| branch.leg != id);
                self.ring_branches(now, members);
            }
            Ok(_) => {
                branch.failure = Some((Q850::NO_USER_RESPONSE, Q850::NO_USER_RESPONSE.to_sip()));
                self.settle(now);
            }
            Err(NoMembers { sip, q850, reason }) => {
                (branch.failure, branch.reason) = (Some((q850, sip)), Some(reason));
                self.settle(now);
            }
        }
    }

    pub(crate) fn dialled_event(&mut self, now: Now, index: usize, event: LegEvent) {
        let leg = self.legs[index].id;
        let elsewhere = self.transfer_event(now, index, &event).or_else(|| self.replacement_event(now, index, &event));
        if elsewhere.is_some() {
            return;
        }
        match event {
            LegEvent::Ringing => {
                self.enter(now, index, CallState::Ringing);
                self.branch_rings(now);
            }
            LegEvent::EarlyMedia => {
                self.legs[index].early = true;
                self.enter(now, index, CallState::Ringing);
                self.branch_early(now, leg);
            }
            LegEvent::Answered => {
                self.enter(now, index, CallState::Live);
                self.branch_answered(now, leg);
            }
            LegEvent::Failed { sip, q850, reason } => {
                self.legs[index].reason = Some(reason);
                self.branch_ended(now, leg, q850, sip);
            }
            LegEvent::HungUp { q850 } => self.branch_ended(now, leg, q850, q850.to_sip()),
            LegEvent::Closed => {}
        }
    }

    /// Ends a dialled leg from our side.
    pub(crate) fn hang_up_dialled(&mut self, now: Now, leg: LegId, cause: Q850) {
        if self.index(leg).is_some_and(|index| self.legs[index].is_up()) {
            self.put(Output::Leg { leg, command: LegCommand::Hangup { cause } });
            self.branch_ended(now, leg, cause, cause.to_sip());
        }
    }

    fn branch_rings(&mut self, now: Now) {
        let Some(fork) = &self.fork else { return };
        if fork.stage != Stage::Ringing || fork.early.is_some() {
            return;
        }
        match self.legs[0].is_live() || self.legs[0].early {
            true => self.start_ringback(),
            false => self.ring(now),
        }
    }

    /// A ring tone that cannot be played is replaced by that of the callee's country, once somebody rings.
    pub(crate) fn ringback_failed(&mut self, now: Now, id: u64, failed: bool) {
        let Some(fork) = self.fork.as_mut().filter(|fork| failed && fork.ringback == Some(id)) else { return };
        fork.ringback = None;
        if fork.spec.ring_tone.take().is_none() {
            return;
        }
        let branches: Vec<LegId> = fork.branches.iter().map(|branch| branch.leg).collect();
        let rings = |leg| self.index(leg).is_some_and(|index| self.legs[index].state == CallState::Ringing);
        if branches.into_iter().any(rings) {
            self.branch_rings(now);
        }
    }

    /// What a live origin hears while it waits; one that is not live hears its own network's tone after the 180.
    fn start_ringback(&mut self) {
        let id = match &self.fork {
            Some(fork) if fork.ringback.is_none() => self.own_id(),
            _ => return,
        };
        let Some(fork) = &mut self.fork else { return };
        fork.ringback = Some(id);
        // A SIP user has no country; the number that was called has.
        let number = fork.spec.targets.iter().find(|target| matches!(target, DialTarget::Number(_)));
        let callee = number.map_or_else(|| self.legs[0].to.clone(), ToString::to_string);
        let prompt = match &fork.spec.ring_tone {
            Some(url) => Prompt::Url(url.clone()),
            None => Prompt::Tone(Tone::ringback(&callee)),
        };
        let leg = self.id();
        self.put(Output::Play { leg, id, prompt, loops: 0 });
    }

    fn stop_ringback(&mut self) {
        if let Some(id) = self.fork.as_mut().and_then(|fork| fork.ringback.take()) {
            let leg = self.id();
            self.put(Output::StopPlay { leg, id });
        }
    }

    /// A callee that rings alone is heard before it answers; of several nobody is.
    fn branch_early(&mut self, now: Now, leg: LegId) {
        let Some(fork) = &mut self.fork else { return };
        if fork.stage != Stage::Ringing || fork.early.is_some() {
            return;
        }
        if !fork.is_alone() || fork.spec.ring_tone.is_some() || fork.spec.confirm.is_some() {
            return self.branch_rings(now);
        }
        fork.early = Some(leg);
        self.stop_ringback();
        self.progress(now);
        let a = self.id();
        self.put(Output::Bridge { a, b: leg });
    }

    fn branch_answered(&mut self, now: Now, leg: LegId) {
        if !self.start_confirm(now, leg) {
            self.taken(now, leg);
        }
    }

    /// The call is this leg's.
    pub(crate) fn taken(&mut self, now: Now, leg: LegId) {
        let Some(fork) = self.fork.as_mut().filter(|fork| fork.stage == Stage::Ringing) else {
            // Too late: another has the call.
            return self.drop_leg(now, leg, Q850::NON_SELECTED_USER);
        };
        fork.stage = Stage::Answering(leg);
        fork.later.clear();
        let others: Vec<LegId> = fork.branches.iter().map(|branch| branch.leg).filter(|other| *other != leg).collect();
        for other in others {
            // Somebody else has picked up what was heard already.
            self.unhear(other);
            self.drop_leg(now, other, Q850::NON_SELECTED_USER);
        }
        match self.legs[0].is_live() {
            true => self.join(now, leg),
            false => self.answer(),
        }
    }

    /// The origin is live: whoever waits for it is joined.
    pub(crate) fn origin_answered(&mut self, now: Now) {
        if let Some(Stage::Answering(leg)) = self.fork.as_ref().map(|fork| fork.stage) {
            self.join(now, leg);
        }
    }

    fn join(&mut self, now: Now, leg: LegId) {
        self.stop_ringback();
        let a = self.id();
        let Some(fork) = &mut self.fork else { return };
        let until = fork.spec.max_length.map(|length| now.instant + length);
        fork.stage = Stage::Joined { leg, until };
        let (owner, early) = (fork.owner, fork.early);
        if early != Some(leg) {
            self.put(Output::Bridge { a, b: leg });
        }
        self.put(Output::Bridged { a, b: leg });
        for joined in [Some(0), self.index(leg)].into_iter().flatten() {
            self.legs[joined].bridged = true;
        }
        if let Owner::Flow { op } = owner {
            self.flow.handle(now, FlowInput::Result { op, result: OpResult::Joined });
        }
    }

    /// Another takes the place of the one the origin is joined with.
    pub(crate) fn replace_joined(&mut self, former: LegId, leg: LegId) {
        let a = self.id();
        let Some(fork) = &mut self.fork else { return };
        let until = fork.joined_until();
        fork.stage = Stage::Joined { leg, until };
        fork.also_rings(leg);
        self.put(Output::Unbridge { a, b: former });
        self.put(Output::Unbridged { a, b: former });
        self.set_bridged(former, false);
        self.put(Output::Bridge { a, b: leg });
        self.put(Output::Bridged { a, b: leg });
        self.set_bridged(leg, true);
    }

    /// A dialled leg has ended by itself or by the API.
    fn branch_ended(&mut self, now: Now, leg: LegId, cause: Q850, sip: u16) {
        self.end_leg(now, leg, cause);
        self.held_left(now, leg);
        if self.leaves(now, leg, cause, sip) {
            return;
        }
        let Some(fork) = &mut self.fork else { return };
        let Some(branch) = fork.branches.iter_mut().find(|branch| branch.leg == leg) else { return };
        branch.failure.get_or_insert((cause, sip));
        match fork.stage {
            Stage::Joined { leg: joined, .. } if joined == leg => self.part(now, DialEnd::HungUp, cause),
            Stage::Answering(answered) if answered == leg => {
                // It left before the origin's answer was through.
                self.part(now, DialEnd::HungUp, cause);
            }
            Stage::Ringing => {
                self.unhear(leg);
                self.settle(now);
            }
            Stage::Answering(_) | Stage::Joined { .. } => {}
        }
    }

    /// The early media of `leg` is over.
    fn unhear(&mut self, leg: LegId) {
        let a = self.id();
        if let Some(fork) = self.fork.as_mut().filter(|fork| fork.early == Some(leg)) {
            fork.early = None;
            self.put(Output::Unbridge { a, b: leg });
        }
    }

    /// When all rung have failed: rings the next, or ends.
    fn settle(&mut self, now: Now) {
        let Some(fork) = &mut self.fork else { return };
        if fork.stage != Stage::Ringing || fork.branches.iter().any(|branch| branch.failure.is_none()) {
            return;
        }
        if let Some(next) = fork.later.pop_front() {
            return self.ring_branches(now, vec![next]);
        }
        self.stop_ringback();
        let Some(fork) = self.fork.take() else { return };
        let failures: Vec<(Q850, u16)> = fork.branches.iter().filter_map(|branch| branch.failure).collect();
        match fork.owner {
            Owner::Flow { op } => {
                let cause = |branch: &Branch| {
                    branch.reason.clone().or_else(|| branch.failure.map(|(cause, _)| cause.name().to_owned()))
                };
                let causes = fork.branches.iter().filter_map(cause).collect();
                let result = OpResult::Dialled(DialEnd::Failed { causes });
                self.flow.handle(now, FlowInput::Result { op, result });
            }
            Owner::Target => {
                let (cause, code) = best_refusal(&failures);
                match self.legs[0].is_live() {
                    true => self.hang_up(now, cause),
                    false => self.refuse(now, cause, code),
                }
            }
        }
    }

    /// B's refusal is A's.
    fn refuse(&mut self, now: Now, cause: Q850, code: u16) {
        if self.legs[0].is_up() {
            let leg = self.id();
            self.put(Output::Leg { leg, command: LegCommand::Reject { code, cause, reason: None } });
            self.end(now, cause);
        }
    }

    /// The joined part; the dialled leg has ended.
    fn part(&mut self, now: Now, end: DialEnd, cause: Q850) {
        self.stop_ringback();
        let a = self.id();
        let Some(fork) = self.fork.take() else { return };
        self.stop_transfer(now);
        if let Stage::Joined { leg: b, .. } = fork.stage {
            self.legs[0].bridged = false;
            self.put(Output::Unbridge { a, b });
            self.put(Output::Unbridged { a, b });
        } else if let Some(b) = fork.early {
            self.put(Output::Unbridge { a, b });
        }
        match fork.owner {
            Owner::Flow { op } => {
                let result = OpResult::Dialled(end);
                self.flow.handle(now, FlowInput::Result { op, result });
            }
            Owner::Target => self.hang_up(now, cause),
        }
    }

    pub(crate) fn fork_tick(&mut self, now: Now) {
        let Some(fork) = &self.fork else { return };
        if fork.deadline().is_none_or(|at| at > now.instant) {
            return;
        }
        match fork.stage {
            Stage::Ringing => {
                let late: Vec<LegId> =
                    fork.branches.iter().filter(|b| b.failure.is_none()).map(|branch| branch.leg).collect();
                for leg in late {
                    if self.index(leg).is_none() {
                        // Nobody has said who the group's members are.
                        self.members(now, leg, Ok(Vec::new()));
                        continue;
                    }
                    let rang = self.index(leg).is_some_and(|index| self.legs[index].state >= CallState::Ringing);
                    self.hang_up_dialled(now, leg, if rang { Q850::NO_ANSWER } else { Q850::NO_USER_RESPONSE });
                }
            }
            Stage::Joined { leg, .. } => {
                self.drop_leg(now, leg, Q850::NORMAL_CLEARING);
                self.part(now, DialEnd::Limit, Q850::NORMAL_CLEARING);
            }
            Stage::Answering(_) => {}
        }
    }

    /// Ends the bridge that is the call's target, for the flow that takes its place.
    pub(crate) fn stop_bridge(&mut self, now: Now) {
        if self.fork.as_ref().is_some_and(|fork| fork.owner == Owner::Target) {
            self.stop_fork(now);
        }
    }

    /// Ends the dialling and whom it rings or has joined: with the cause of the origin's end, if it has ended.
    pub(crate) fn stop_fork(&mut self, now: Now) {
        self.stop_confirms(now);
        self.stop_ringback();
        let a = self.id();
        let cause = self.legs[0].cause.unwrap_or(Q850::NORMAL_CLEARING);
        let Some(fork) = self.fork.take() else { return };
        self.stop_transfer(now);
        match fork.stage {
            Stage::Joined { leg: b, .. } => {
                self.legs[0].bridged = false;
                self.put(Output::Unbridge { a, b });
                self.put(Output::Unbridged { a, b });
            }
            _ => {
                if let Some(b) = fork.early {
                    self.put(Output::Unbridge { a, b });
                }
            }
        }
        for branch in fork.branches {
            self.drop_leg(now, branch.leg, cause);
        }
    }

    /// Hangs a dialled leg up, and nothing follows from it.
    pub(crate) fn drop_leg(&mut self, now: Now, leg: LegId, cause: Q850) {
        if self.index(leg).is_some_and(|index| self.legs[index].is_up()) {
            self.put(Output::Leg { leg, command: LegCommand::Hangup { cause } });
            self.end_leg(now, leg, cause);
        }
        if let Some(fork) = &mut self.fork {
            for branch in fork.branches.iter_mut().filter(|branch| branch.leg == leg) {
                branch.failure.get_or_insert((cause, cause.to_sip()));
            }
        }
    }

    pub(crate) fn end_leg(&mut self, now: Now, leg: LegId, cause: Q850) {
        if let Some(index) = self.index(leg) {
            if self.legs[index].is_up() {
                self.legs[index].cause = Some(cause);
            }
            self.enter(now, index, CallState::Hangup);
        }
        self.stop_confirm(now, leg);
    }
}

/// The refusal a forking proxy would pass on (RFC 3261 16.7): a 6xx if there is one, else one that tells the caller
/// something, else the lowest.
fn best_refusal(failures: &[(Q850, u16)]) -> (Q850, u16) {
    let rank = |code: u16| match code {
        600.. => 0,
        486 => 1,
        400..=499 => 2,
        _ => 3,
    };
    let refusal = failures.iter().copied().min_by_key(|(_, code)| (rank(*code), *code));
    match refusal {
        Some((cause, code)) if (400..700).contains(&code) => (cause, code),
        // A redirection or nothing at all is no answer to pass on.
        Some((cause, _)) => (cause, cause.to_sip()),
        None => (Q850::TEMPORARY_FAILURE, Q850::TEMPORARY_FAILURE.to_sip()),
    }
}
