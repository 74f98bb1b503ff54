//! Transfers: one of two joined legs hands the other on (RFC 3515, 5589), to somebody who is dialled for it or to a leg of
//! another call. Whom it may reach is settled before it comes here.

use std::time::{Duration, Instant};

use opentact_callflow::Input as FlowInput;

use crate::call::Call;
use crate::io::*;
use crate::leg::{CallState, CallType, Direction, Leg, LegId};
use crate::q850::Q850;

/// Somebody is dialled in the place of `by`, for `stays`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    by: LegId,
    pub stays: LegId,
    pub leg: LegId,
    until: Instant,
    rung: bool,
    /// `by` has hung up: there is no way back.
    gone: bool,
    /// How long those that are joined may talk.
    length: Option<Instant>,
}

impl Transfer {
    pub fn deadline(&self) -> Instant {
        self.until
    }
}

/// Two that a transfer has joined, without the flow of the origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed {
    /// One of ours.
    leg: LegId,
    /// The other, ours or of another call.
    with: LegId,
    until: Option<Instant>,
    /// We tell of it; of two calls only one does.
    tells: bool,
}

impl Handed {
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

/// Somebody to dial for a transfer. The engine has found the way there already.
#[derive(Debug, Clone)]
pub struct TransferStart {
    /// The leg that asks.
    pub by: LegId,
    /// The leg to make.
    pub leg: LegId,
    pub target: DialTarget,
    /// Caller shown.
    pub from: String,
    pub kind: CallType,
    /// How long it may ring.
    pub timeout: Duration,
}

impl Call {
    /// Whether this leg is joined with another of the call and may hand it on: one transfer at a time.
    pub fn may_transfer(&self, by: LegId) -> bool {
        let free = self.transfer.is_none() && self.replacement.is_none();
        free && self.partner(by).is_some_and(|partner| self.is_up(partner))
    }

    /// The leg that this one is joined with, which may be of another call.
    pub fn partner(&self, leg: LegId) -> Option<LegId> {
        if let Some(handed) = self.handed {
            let pair = [(handed.leg, handed.with), (handed.with, handed.leg)];
            return pair.into_iter().find(|(one, _)| *one == leg).map(|(_, other)| other);
        }
        let joined = self.fork.as_ref()?.joined()?;
        match leg {
            _ if leg == self.id() => Some(joined),
            _ if leg == joined => Some(self.id()),
            _ => None,
        }
    }

    pub(crate) fn is_up(&self, leg: LegId) -> bool {
        self.index(leg).is_some_and(|index| self.legs[index].is_up())
    }

    /// Dials somebody in the place of the leg that asks.
    pub(crate) fn start_transfer(&mut self, now: Now, start: TransferStart) {
        let TransferStart { by, leg, target, from, kind, timeout } = start;
        let known = self.index(leg).is_some();
        let (Some(stays), Some(index)) = (self.partner(by).filter(|_| self.may_transfer(by) && !known), self.index(by))
        else {
            return self.tell_failure(by, 481);
        };
        let dialled = Leg::new(now, leg, Some(by), Direction::Out, kind, from.clone(), target.to_string());
        let snapshot = dialled.snapshot(now);
        self.legs[index].children.push(leg);
        self.legs.push(dialled);
        let (until, length) = (now.instant + timeout, self.length_until());
        self.transfer = Some(Transfer { by, stays, leg, until, rung: false, gone: false, length });
        self.put(Output::State { leg: snapshot });
        let options = DialOptions::default();
        let command = LegCommand::Dial { target, from: Some(from), timeout, parent: Some(by), options };
        self.put(Output::Leg { leg, command });
    }

    /// What becomes of the leg that is dialled for a transfer; `None` when this is no such leg.
    pub(crate) fn transfer_event(&mut self, now: Now, index: usize, event: &LegEvent) -> Option<()> {
        let leg = self.legs[index].id;
        let transfer = self.transfer.as_mut().filter(|transfer| transfer.leg == leg)?;
        match event {
            LegEvent::Ringing | LegEvent::EarlyMedia => {
                let first = !std::mem::replace(&mut transfer.rung, true);
                let by = transfer.by;
                self.enter(now, index, CallState::Ringing);
                if first {
                    self.tell_referrer(by, TransferProgress::Ringing);
                }
            }
            LegEvent::Answered => {
                self.enter(now, index, CallState::Live);
                self.transferred(now);
            }
            // The end of a leg is the same for all.
            LegEvent::Failed { .. } | LegEvent::HungUp { .. } | LegEvent::Closed => return None,
        }
        Some(())
    }

    /// The third has answered.
    fn transferred(&mut self, now: Now) {
        let Some(Transfer { by, stays, leg, gone, length, .. }) = self.transfer.take() else { return };
        let joined = gone || self.partner(by) == Some(stays);
        if !joined || !self.is_up(stays) {
            // They have parted meanwhile.
            self.drop_leg(now, leg, Q850::NORMAL_CLEARING);
            return self.tell_failure(by, 487);
        }
        if gone {
            return self.join_handed(Handed { leg: stays, with: leg, until: length, tells: true });
        }
        self.tell_referrer(by, TransferProgress::Done);
        self.hand_over(now, by, leg, true);
    }

    /// Joins the partner of `by` with another leg, of this call or another, and hangs `by` up.
    pub(crate) fn hand_over(&mut self, now: Now, by: LegId, with: LegId, tells: bool) {
        let Some(stays) = self.partner(by).filter(|stays| self.is_up(*stays)) else { return };
        if stays == self.id() && self.index(with).is_some() && self.fork.is_some() {
            // The flow of the origin goes on when the one it now talks to has left.
            self.replace_joined(by, with);
            return self.drop_leg(now, by, Q850::NORMAL_CLEARING);
        }
        let until = self.length_until();
        self.unjoin();
        self.join_handed(Handed { leg: stays, with, until, tells });
        match by == self.id() {
            true => self.hang_up(now, Q850::NORMAL_CLEARING),
            false => self.drop_leg(now, by, Q850::NORMAL_CLEARING),
        }
    }

    /// Whether a leg can be joined with one of another call: it is live, and in no transfer; one that was dialled is joined.
    pub fn may_join(&self, leg: LegId) -> bool {
        let live = self.index(leg).is_some_and(|index| self.legs[index].is_live());
        let free = self.transfer.is_none() && self.replacement.is_none();
        live && free && (leg == self.id() || self.partner(leg).is_some())
    }

    /// Joins a leg with one of another call. The flow of an origin ends with that; whoever it talked to is hung up.
    pub(crate) fn join_other(&mut self, now: Now, leg: LegId, with: LegId, tells: bool) {
        if !self.may_join(leg) {
            return;
        }
        if leg == self.id() {
            self.drop_target();
            self.flow.handle(now, FlowInput::Stop);
            self.drive_flow(now);
            self.stop_fork(now);
            self.stop_held(now);
            self.leave_handed(now);
            return self.join_handed(Handed { leg, with, until: None, tells });
        }
        match self.partner(leg) {
            Some(partner) if self.index(partner).is_some() => self.hand_over(now, partner, with, tells),
            Some(partner) => {
                let until = self.length_until();
                self.unjoin();
                self.send_off(now, partner, Q850::NORMAL_CLEARING);
                self.join_handed(Handed { leg, with, until, tells });
            }
            None => {}
        }
    }

    fn join_handed(&mut self, handed: Handed) {
        let Handed { leg: a, with: b, tells, .. } = handed;
        self.handed = Some(handed);
        self.put(Output::Bridge { a, b });
        if tells {
            self.put(Output::Bridged { a, b });
        }
        self.set_bridged(a, true);
        self.set_bridged(b, true);
    }

    /// Takes two that are joined apart and lets both be.
    fn unjoin(&mut self) {
        let (a, b, tells) = match (self.handed.take(), self.fork.take()) {
            (Some(handed), fork) => {
                self.fork = fork;
                (handed.leg, handed.with, handed.tells)
            }
            (None, Some(fork)) => match fork.joined() {
                Some(joined) => (self.id(), joined, true),
                None => {
                    self.fork = Some(fork);
                    return;
                }
            },
            (None, None) => return,
        };
        self.put(Output::Unbridge { a, b });
        if tells {
            self.put(Output::Unbridged { a, b });
        }
        self.set_bridged(a, false);
        self.set_bridged(b, false);
    }

    pub(crate) fn set_bridged(&mut self, leg: LegId, bridged: bool) {
        if let Some(index) = self.index(leg) {
            self.legs[index].bridged = bridged && self.legs[index].is_up();
        }
    }

    /// When those that are joined have talked long enough.
    fn length_until(&self) -> Option<Instant> {
        let joined = self.fork.as_ref().and_then(|fork| fork.joined_until());
        let handed = self.handed.and_then(|handed| handed.until);
        joined.into_iter().chain(handed).chain(self.length_until).min()
    }

    /// A leg has ended. True when a transfer says what follows from it.
    pub(crate) fn leaves(&mut self, now: Now, leg: LegId, cause: Q850, sip: u16) -> bool {
        match self.transfer {
            Some(transfer) if transfer.leg == leg => {
                self.transfer_failed(now, cause, sip);
                return true;
            }
            // Whoever hands on does not wait for the outcome: the other is kept until there is one.
            Some(transfer) if transfer.by == leg && !transfer.gone && self.partner(leg) == Some(transfer.stays) => {
                self.unjoin();
                self.transfer = Some(Transfer { gone: true, ..transfer });
                return true;
            }
            Some(transfer) if transfer.stays == leg => {
                self.transfer = None;
                self.drop_leg(now, transfer.leg, cause);
                self.tell_failure(transfer.by, 487);
            }
            _ => {}
        }
        let Some(Handed { leg: one, with: other, .. }) = self.handed.filter(|h| h.leg == leg || h.with == leg) else {
            return false;
        };
        self.unjoin();
        self.send_off(now, if one == leg { other } else { one }, cause);
        true
    }

    /// Ends a leg, of whichever call.
    fn send_off(&mut self, now: Now, leg: LegId, cause: Q850) {
        match leg {
            _ if leg == self.id() => self.hang_up(now, cause),
            _ if self.index(leg).is_some() => self.drop_leg(now, leg, cause),
            _ => self.put(Output::Leave { leg, cause }),
        }
    }

    fn transfer_failed(&mut self, now: Now, cause: Q850, sip: u16) {
        let Some(Transfer { by, stays, gone, .. }) = self.transfer.take() else { return };
        match gone {
            true => self.send_off(now, stays, cause),
            false => self.tell_failure(by, sip),
        }
    }

    fn tell_failure(&mut self, by: LegId, sip: u16) {
        self.tell_referrer(by, TransferProgress::Failed { sip });
    }

    /// To the one who has asked, who may have left.
    fn tell_referrer(&mut self, by: LegId, progress: TransferProgress) {
        if self.is_up(by) {
            self.put(Output::Transfer { by, progress });
        }
    }

    /// Those who are joined part: there is nobody to be handed on any more.
    pub(crate) fn stop_transfer(&mut self, now: Now) {
        if let Some(Transfer { by, leg, .. }) = self.transfer.take_if(|transfer| !transfer.gone) {
            self.drop_leg(now, leg, Q850::NORMAL_CLEARING);
            self.tell_failure(by, 487);
        }
    }

    /// The origin is to end, which has ended: those it has left behind do.
    pub(crate) fn hang_up_left(&mut self, now: Now, cause: Q850) {
        if let Some(transfer) = self.transfer.take() {
            self.drop_leg(now, transfer.leg, cause);
            self.send_off(now, transfer.stays, cause);
        }
        if let Some(handed) = self.handed {
            self.unjoin();
            self.send_off(now, handed.leg, cause);
            self.send_off(now, handed.with, cause);
        }
    }

    /// A leg is left by its partner of another call, which is not to be told that it has ended.
    pub(crate) fn unjoin_from_other(&mut self, leg: LegId) {
        if self.handed.is_some_and(|handed| handed.leg == leg && self.index(handed.with).is_none()) {
            self.unjoin();
        }
    }

    /// Parts the origin from whom a transfer has given it, for the document that takes its place.
    pub(crate) fn leave_handed(&mut self, now: Now) {
        let origin = self.id();
        if let Some(handed) = self.handed.filter(|handed| handed.leg == origin) {
            self.unjoin();
            self.send_off(now, handed.with, Q850::NORMAL_CLEARING);
        }
    }

    pub(crate) fn transfer_tick(&mut self, now: Now) {
        if let Some(Transfer { leg, rung, until, .. }) = self.transfer
            && until <= now.instant
        {
            self.hang_up_dialled(now, leg, if rung { Q850::NO_ANSWER } else { Q850::NO_USER_RESPONSE });
        }
        if let Some(Handed { leg, until: Some(until), .. }) = self.handed
            && until <= now.instant
        {
            match leg == self.id() {
                true => self.hang_up(now, Q850::NORMAL_CLEARING),
                false => self.hang_up_dialled(now, leg, Q850::NORMAL_CLEARING),
            }
        }
    }
}
