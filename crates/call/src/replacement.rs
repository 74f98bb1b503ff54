//! A call from outside takes the place of a leg (RFC 3891): of one that rings, as whoever picks a call up does, or of one
//! that is joined. Whose place somebody may take is settled before it comes here.

use crate::call::Call;
use crate::io::*;
use crate::leg::{CallState, CallType, Direction, Leg, LegId};
use crate::q850::Q850;

/// Somebody is being answered in the place of one of two that are joined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement {
    place: LegId,
    stays: LegId,
    leg: LegId,
}

/// A call that came to us to take the place of a leg. The engine has sent 100 and nothing else.
#[derive(Debug, Clone)]
pub struct ReplacementStart {
    /// The leg to be replaced: see [`Call::may_replace`].
    pub place: LegId,
    /// The new one.
    pub leg: LegId,
    pub from: String,
    /// Whom it will talk to.
    pub to: String,
    pub kind: CallType,
}

impl Call {
    /// Whether another may take the place of this leg: it rings, or is joined with another of the call. One at a time, and
    /// not while a transfer is under way.
    pub fn may_replace(&self, place: LegId) -> bool {
        self.replacement.is_none() && (self.is_rung(place) || self.may_transfer(place))
    }

    /// Whom a leg talks to, or will when it answers.
    pub fn faces(&self, leg: LegId) -> Option<LegId> {
        let dialled = || self.fork.as_ref().filter(|fork| fork.is_rung(leg)).map(|_| self.id());
        let handed_to = || self.transfer.filter(|transfer| transfer.leg == leg).map(|transfer| transfer.stays);
        self.partner(leg).or_else(dialled).or_else(handed_to)
    }

    /// It is dialled and nobody has answered.
    fn is_rung(&self, leg: LegId) -> bool {
        let dialled = self.fork.as_ref().is_some_and(|fork| fork.is_rung(leg));
        self.is_up(leg) && (dialled || self.transfer.is_some_and(|transfer| transfer.leg == leg))
    }

    /// Answers somebody who takes the place of a leg.
    pub(crate) fn start_replacement(&mut self, now: Now, start: ReplacementStart) {
        let ReplacementStart { place, leg, from, to, kind } = start;
        if self.index(leg).is_some() {
            return;
        }
        let allowed = self.may_replace(place);
        let parent = self.index(place).unwrap_or(0);
        let newcomer = Leg::new(now, leg, Some(self.legs[parent].id), Direction::In, kind, from, to);
        let snapshot = newcomer.snapshot(now);
        self.legs[parent].children.push(leg);
        self.legs.push(newcomer);
        self.put(Output::State { leg: snapshot });
        if !allowed {
            let cause = Q850::NORMAL_CLEARING;
            self.put(Output::Leg { leg, command: LegCommand::Reject { code: 481, cause, reason: None } });
            return self.end_leg(now, leg, cause);
        }
        if let Some(fork) = self.fork.as_mut().filter(|fork| fork.is_rung(place)) {
            // The first to answer has the call, as always.
            fork.also_rings(leg);
        } else if let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.leg == place) {
            transfer.leg = leg;
            self.drop_leg(now, place, Q850::NON_SELECTED_USER);
        } else if let Some(stays) = self.partner(place) {
            self.replacement = Some(Replacement { place, stays, leg });
        }
        self.put(Output::Leg { leg, command: LegCommand::Answer });
    }

    /// What becomes of the leg that is to take the place of one that is joined; `None` when this is no such leg.
    pub(crate) fn replacement_event(&mut self, now: Now, index: usize, event: &LegEvent) -> Option<()> {
        let leg = self.legs[index].id;
        let answered = *event == LegEvent::Answered;
        let Replacement { place, .. } = self.replacement.take_if(|replacement| answered && replacement.leg == leg)?;
        self.enter(now, index, CallState::Live);
        // That they are joined still, `stop_replacement` sees to.
        self.hand_over(now, place, leg, true);
        Some(())
    }

    /// The two whom a replacement is about have parted, or it has left: nobody is replaced.
    pub(crate) fn stop_replacement(&mut self, now: Now) {
        let Some(Replacement { place, stays, leg }) = self.replacement else { return };
        if self.partner(place) != Some(stays) || !self.is_up(leg) {
            self.replacement = None;
            self.drop_leg(now, leg, Q850::NORMAL_CLEARING);
        }
    }
}
