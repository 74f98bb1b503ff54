//! The other leg on hold: parted from the origin, it waits for the flow to take it back.

use opentact_callflow::{Input as FlowInput, OpResult};

use crate::call::Call;
use crate::fork::{Fork, Owner};
use crate::io::*;
use crate::leg::LegId;
use crate::q850::Q850;

const LEFT: &str = "Other leg hung up";

/// A leg that was joined with the origin and is to be again.
#[derive(Debug)]
pub(crate) struct Held {
    pub leg: LegId,
    /// As it was when they parted.
    fork: Fork,
    /// The `<Hold>` that lasts.
    op: Option<u64>,
}

impl Call {
    /// Parts the two that are joined, for a document that is about the other leg.
    pub(crate) fn part_for_hold(&mut self, now: Now) {
        let Some(leg) = self.fork.as_ref().and_then(Fork::joined) else { return };
        self.stop_transfer(now);
        let Some(fork) = self.fork.take() else { return };
        let a = self.id();
        self.put(Output::Unbridge { a, b: leg });
        self.put(Output::Unbridged { a, b: leg });
        self.set_bridged(a, false);
        self.set_bridged(leg, false);
        self.held = Some(Held { leg, fork, op: None });
    }

    pub(crate) fn hold(&mut self, now: Now, op: u64) {
        let Some(held) = &mut self.held else { return self.alone(now, op, "there is no other leg") };
        held.op = Some(op);
        let leg = held.leg;
        self.set_held(leg, true);
        self.flow.handle(now, FlowInput::Result { op, result: OpResult::Held });
    }

    pub(crate) fn unhold(&mut self, now: Now, op: u64) {
        let Some(Held { leg, mut fork, .. }) = self.held.take() else {
            return self.alone(now, op, "there is no other leg");
        };
        fork.owner = Owner::Flow { op };
        self.fork = Some(fork);
        self.set_held(leg, false);
        let a = self.id();
        self.put(Output::Bridge { a, b: leg });
        self.put(Output::Bridged { a, b: leg });
        self.set_bridged(a, true);
        self.set_bridged(leg, true);
        self.flow.handle(now, FlowInput::Result { op, result: OpResult::Joined });
    }

    /// A leg has ended; where it was on hold there is nobody to take back.
    pub(crate) fn held_left(&mut self, now: Now, leg: LegId) {
        let Some(Held { op, .. }) = self.held.take_if(|held| held.leg == leg) else { return };
        for (op, leg, id) in std::mem::take(&mut self.elsewhere) {
            self.put(Output::StopPlay { leg, id });
            if id == op {
                let result = OpResult::Played(Err(LEFT.into()));
                self.flow.handle(now, FlowInput::Result { op, result });
            }
        }
        if let Some(op) = op {
            self.alone(now, op, LEFT);
        }
    }

    /// Nobody will take it back.
    pub(crate) fn stop_held(&mut self, now: Now) {
        if let Some(Held { leg, .. }) = self.held.take() {
            let cause = self.legs[0].cause.unwrap_or(Q850::NORMAL_CLEARING);
            self.drop_leg(now, leg, cause);
        }
    }

    fn alone(&mut self, now: Now, op: u64, reason: &str) {
        self.flow.handle(now, FlowInput::Result { op, result: OpResult::Alone(reason.into()) });
    }

    fn set_held(&mut self, leg: LegId, held: bool) {
        let Some(index) = self.index(leg).filter(|index| self.legs[*index].held != held) else { return };
        self.legs[index].held = held;
        let command = if held { LegCommand::Hold } else { LegCommand::Resume };
        self.put(Output::Leg { leg, command });
    }
}
