//! What one who answers a `<Dial>` goes through before it is joined: a document from `confirm_url`, run on its leg. At the
//! end of the document it is joined; a `<Hangup>` in it, or no document, refuses the call.

use std::time::Instant;

use opentact_callflow::{Input as FlowInput, Machine, OpResult, Output as FlowOutput};

use crate::call::Call;
use crate::flow::prompt;
use crate::fork::Fork;
use crate::io::*;
use crate::leg::{Direction, LegId};
use crate::q850::Q850;

/// More ids than the flow of one leg can use.
const IDS: u64 = 1 << 32;
const NOT_HERE: &str = "not before the two are joined";

#[derive(Debug)]
pub(crate) enum Confirm {
    Asking { id: u64, until: Option<Instant> },
    Running(Box<Machine>),
}

impl Confirm {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Confirm::Asking { until, .. } => *until,
            Confirm::Running(machine) => machine.deadline(),
        }
    }

    fn machine(&mut self) -> Option<&mut Machine> {
        match self {
            Confirm::Asking { .. } => None,
            Confirm::Running(machine) => Some(machine),
        }
    }
}

impl Fork {
    pub fn confirm_deadline(&self) -> Option<Instant> {
        self.branches.iter().filter_map(|branch| branch.confirm.as_ref()?.deadline()).min()
    }

    fn confirms(&mut self) -> impl Iterator<Item = (LegId, &mut Confirm)> {
        self.branches.iter_mut().filter_map(|branch| Some((branch.leg, branch.confirm.as_mut()?)))
    }
}

impl Call {
    /// Asks for the document of a leg that has answered. False where there is none to ask for: who picks a call up
    /// (RFC 3891) has decided.
    pub(crate) fn start_confirm(&mut self, now: Now, leg: LegId) -> bool {
        let rung = self.fork.as_ref().is_some_and(|fork| fork.is_rung(leg));
        let Some(index) = self.index(leg).filter(|index| rung && self.legs[*index].direction == Direction::Out) else {
            return false;
        };
        let Some(mut request) = self.fork.as_ref().and_then(|fork| fork.spec.confirm.clone()) else { return false };
        request.query.push(("callee".into(), self.legs[index].to.clone()));
        request.query.push(("callee_call".into(), leg.to_string()));
        let id = self.own_id();
        let until = request.timeout.map(|timeout| now.instant + timeout);
        if let Some(branch) = self.fork.iter_mut().flat_map(|fork| &mut fork.branches).find(|branch| branch.leg == leg)
        {
            branch.confirm = Some(Confirm::Asking { id, until });
        }
        self.put(Output::Fetch { id, request });
        true
    }

    /// The answer of a `confirm_url`; false when it is no such answer.
    pub(crate) fn confirm_fetched(&mut self, now: Now, fetch: u64, result: &Result<HttpAnswer, String>) -> bool {
        let asked = |confirm: &Confirm| matches!(confirm, Confirm::Asking { id, .. } if *id == fetch);
        let asks = self.fork.iter_mut().flat_map(Fork::confirms).find(|(_, confirm)| asked(confirm));
        let Some(leg) = asks.map(|(leg, _)| leg) else { return false };
        match result.as_ref().map_err(Clone::clone).and_then(HttpAnswer::document) {
            Err(reason) => self.decline(now, leg, Some(format!("confirm_url: {reason}"))),
            Ok(document) => {
                let mut variables = self.flow.variables().clone();
                variables.set("call", leg.to_string());
                variables.set("direction", Direction::Out.as_str());
                let mut machine = Machine::new(variables, true).numbered_from(self.own_ids(IDS));
                machine.handle(now, FlowInput::Run(document));
                if let Some((_, confirm)) = self.fork.iter_mut().flat_map(Fork::confirms).find(|(of, _)| *of == leg) {
                    *confirm = Confirm::Running(Box::new(machine));
                }
            }
        }
        true
    }

    pub(crate) fn confirm_key(&mut self, now: Now, leg: LegId, digit: char) {
        let of_leg = self.fork.iter_mut().flat_map(Fork::confirms).filter(|(of, _)| *of == leg);
        for machine in of_leg.filter_map(|(_, confirm)| confirm.machine()) {
            machine.handle(now, FlowInput::Key(digit));
        }
    }

    pub(crate) fn confirm_result(&mut self, now: Now, op: u64, result: &OpResult) {
        for machine in self.fork.iter_mut().flat_map(Fork::confirms).filter_map(|(_, confirm)| confirm.machine()) {
            machine.handle(now, FlowInput::Result { op, result: result.clone() });
        }
    }

    pub(crate) fn confirm_tick(&mut self, now: Now) {
        let mut late = Vec::new();
        for (leg, confirm) in self.fork.iter_mut().flat_map(Fork::confirms) {
            match confirm {
                Confirm::Asking { until, .. } if until.is_some_and(|until| until <= now.instant) => late.push(leg),
                Confirm::Asking { .. } => {}
                Confirm::Running(machine) => machine.handle(now, FlowInput::Tick),
            }
        }
        for leg in late {
            self.decline(now, leg, Some("confirm_url: no answer in time".into()));
        }
    }

    /// Does for the flows what they say.
    pub(crate) fn drive_confirms(&mut self, now: Now) {
        while let Some((leg, output)) = self.poll_confirms() {
            self.confirm_output(now, leg, output);
        }
    }

    fn poll_confirms(&mut self) -> Option<(LegId, FlowOutput)> {
        let mut confirms = self.fork.iter_mut().flat_map(Fork::confirms);
        confirms.find_map(|(leg, confirm)| Some((leg, confirm.machine()?.poll()?)))
    }

    fn confirm_output(&mut self, now: Now, leg: LegId, output: FlowOutput) {
        let refused = match output {
            FlowOutput::Play { op, sound, loops, .. } => {
                return self.put(Output::Play { leg, id: op, prompt: prompt(sound), loops });
            }
            FlowOutput::StopPlay { op } => return self.put(Output::StopPlay { leg, id: op }),
            FlowOutput::Listen { op, listen } => return self.put(Output::Listen { leg, id: op, listen }),
            FlowOutput::StopListen { op } => return self.put(Output::StopListen { id: op }),
            FlowOutput::Fetch { op, request } => return self.put(Output::Fetch { id: op, request }),
            FlowOutput::DropFetch { op } => return self.put(Output::DropFetch { id: op }),
            FlowOutput::Step(report) => return self.put(Output::Step { leg, report }),
            FlowOutput::End => {
                self.stop_confirm(now, leg);
                return self.taken(now, leg);
            }
            FlowOutput::Hangup { .. } | FlowOutput::Reject { .. } => return self.decline(now, leg, None),
            FlowOutput::Record { op, .. } => Some((op, OpResult::Recorded(Err(NOT_HERE.into())))),
            FlowOutput::Dial { op, .. } | FlowOutput::Hold { op } | FlowOutput::Unhold { op } => {
                Some((op, OpResult::Alone(NOT_HERE.into())))
            }
            // It is live, and of what was refused there is nothing to stop.
            FlowOutput::Answer | FlowOutput::StopRecord { .. } | FlowOutput::StopDial { .. } => None,
        };
        if let Some((op, result)) = refused {
            self.confirm_result(now, op, &result);
        }
    }

    /// Whoever has answered does not take the call.
    fn decline(&mut self, now: Now, leg: LegId, reason: Option<String>) {
        if let Some(index) = self.index(leg)
            && reason.is_some()
        {
            self.legs[index].reason = reason;
        }
        self.hang_up_dialled(now, leg, Q850::CALL_REJECTED);
    }

    pub(crate) fn stop_confirms(&mut self, now: Now) {
        let legs: Vec<LegId> = self.fork.iter_mut().flat_map(Fork::confirms).map(|(leg, _)| leg).collect();
        legs.into_iter().for_each(|leg| self.stop_confirm(now, leg));
    }

    /// Nothing more is asked of the leg: it is joined, or has ended.
    pub(crate) fn stop_confirm(&mut self, now: Now, leg: LegId) {
        let branches = self.fork.iter_mut().flat_map(|fork| &mut fork.branches);
        let stopped = branches.filter(|branch| branch.leg == leg).find_map(|branch| branch.confirm.take());
        match stopped {
            None => {}
            Some(Confirm::Asking { id, .. }) => self.put(Output::DropFetch { id }),
            Some(Confirm::Running(mut machine)) => {
                machine.handle(now, FlowInput::HungUp);
                while let Some(output) = machine.poll() {
                    match output {
                        FlowOutput::StopPlay { op } => self.put(Output::StopPlay { leg, id: op }),
                        FlowOutput::StopListen { op } => self.put(Output::StopListen { id: op }),
                        FlowOutput::DropFetch { op } => self.put(Output::DropFetch { id: op }),
                        FlowOutput::Step(report) => self.put(Output::Step { leg, report }),
                        _ => {}
                    }
                }
            }
        }
    }
}
