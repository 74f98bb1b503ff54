//! Orders from the API, and the drain.

use opentact_call::q850::Q850;
use opentact_call::{Call, CallState, Input, LegId};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Core;
use super::calls::CallEntry;
use crate::control::{CallEnd, ControlRequest};
use crate::ports::{ControlError, Registration};

impl Core {
    pub(super) fn on_control(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::Originate { start, plan, amd, ended, reply } => {
                let _ = reply.send(self.originate(*start, plan, amd, ended));
            }
            ControlRequest::Run { account, call, document, reply } => {
                let _ = reply.send(self.run_document(account, call, document));
            }
            ControlRequest::Bridge { account, calls, reply } => {
                let _ = reply.send(self.bridge_calls(account, calls));
            }
            ControlRequest::Hangup { account, call, cause, reply } => {
                let _ = reply.send(self.on_live(account, call, |core, origin| {
                    core.tell_call(origin, Input::Hangup { leg: call, cause });
                }));
            }
            ControlRequest::Online { account, reply } => {
                let entries = self.calls.values().filter(|entry| entry.account == account);
                let objects = entries.flat_map(|entry| entry.book.open().filter_map(|leg| entry.book.object(leg)));
                let _ = reply.send(objects.collect());
            }
            ControlRequest::Get { account, call, reply } => {
                let _ = reply.send(self.find(account, call).and_then(|(_, entry)| entry.book.object(call)));
            }
            ControlRequest::Trace { account, call, reply } => {
                let _ = reply.send(self.trace.messages(account, call.0));
            }
            ControlRequest::Quality { account, call, reply } => {
                let _ = reply.send(self.measure(account, call));
            }
            ControlRequest::Registrations { sip_user, reply } => {
                let _ = reply.send(self.registrations(sip_user));
            }
            ControlRequest::Stats { reply } => {
                let _ = reply.send(self.stats());
            }
            ControlRequest::Drain { drained, quiet } => {
                self.end_trunks();
                self.draining = true;
                self.end_subscriptions();
                self.drained = Some(drained);
                self.quiet = Some(quiet);
            }
            #[cfg(test)]
            ControlRequest::Meddle(act) => act(self),
            ControlRequest::HangUpAll => {
                self.refuse_arriving();
                let origins: Vec<LegId> = self.calls.keys().copied().collect();
                for origin in origins {
                    self.tell_call(origin, Input::Hangup { leg: origin, cause: Q850::TEMPORARY_FAILURE });
                }
            }
        }
    }

    /// Tells the one who drains once no call is left, and once no BYE of theirs is unanswered.
    pub(super) fn tell_drained(&mut self) {
        if !self.draining || !self.calls.is_empty() || !self.arriving.is_empty() {
            return;
        }
        if let Some(drained) = self.drained.take() {
            let _ = drained.send(());
        }
        if self.ua.stats().sessions == 0
            && let Some(quiet) = self.quiet.take()
        {
            let _ = quiet.send(());
        }
    }

    fn originate(
        &mut self,
        start: opentact_call::OutboundStart,
        plan: Box<crate::router::DialPlan>,
        amd: Option<opentact_media::amd::Settings>,
        ended: Option<oneshot::Sender<CallEnd>>,
    ) -> Result<Value, ControlError> {
        let unavailable = |reason: &str| ControlError::Unavailable {
            reason: reason.to_owned(),
            retry_after: std::time::Duration::from_secs(super::RETRY_AFTER.into()),
        };
        if self.draining {
            return Err(unavailable("The node is draining"));
        }
        if self.is_full() {
            return Err(unavailable("Too many calls"));
        }
        if self.drivers.media.stats().ports_free == 0 {
            return Err(unavailable("No media port is free"));
        }
        if let Some(reason) = self.limited(&plan) {
            return Err(unavailable(&reason));
        }
        let leg = start.leg;
        let context = plan.context.clone();
        self.planned.insert(leg, plan);
        let enrolled = self.enrol(leg, context, || Call::outbound(Self::now(), start));
        // As it is in `init`: it may be over before this returns, and the events tell that.
        let object = self.calls.get(&leg).and_then(|entry| entry.book.object(leg));
        if let Some(entry) = self.calls.get_mut(&leg) {
            (entry.amd, entry.ended) = (amd, ended);
        }
        if enrolled {
            self.settle();
        }
        self.planned.remove(&leg);
        object.ok_or_else(|| ControlError::Internal("the call could not be started".to_owned()))
    }

    /// A document runs on an origin leg. A leg that was dialled runs nothing of its own.
    fn run_document(
        &mut self,
        account: Uuid,
        call: LegId,
        document: opentact_call::Document,
    ) -> Result<Value, ControlError> {
        if let Some((origin, _)) = self.find(account, call)
            && origin != call
        {
            return Err(ControlError::Conflict(format!("Call was dialled by call {origin}, whose flow it follows")));
        }
        self.on_live(account, call, |core, origin| core.tell_call(origin, Input::Run(document)))
    }

    /// Joins two legs, each the origin of its call or joined with that.
    fn bridge_calls(&mut self, account: Uuid, [one, other]: [LegId; 2]) -> Result<Value, ControlError> {
        let (call, with) = (self.joinable(account, one)?, self.joinable(account, other)?);
        if call == with {
            return Err(ControlError::Conflict(format!("Both belong to call {call}")));
        }
        self.tell_call(call, Input::Join { leg: one, with: other, tells: true });
        self.tell_call(with, Input::Join { leg: other, with: one, tells: false });
        let object = self.find(account, one).and_then(|(_, entry)| entry.book.object(one));
        object.ok_or(ControlError::NotFound("Call"))
    }

    /// The call of a leg that can be joined with one of another call.
    fn joinable(&self, account: Uuid, leg: LegId) -> Result<LegId, ControlError> {
        let (origin, entry) = self.find(account, leg).ok_or(ControlError::NotFound("Call"))?;
        if entry.book.snapshot(leg).is_none_or(|snapshot| snapshot.state != CallState::Live) {
            return Err(ControlError::Conflict("Call is not live".to_owned()));
        }
        if !entry.call.may_join(leg) {
            return Err(ControlError::Conflict(format!("Call {leg} is on hold or in a transfer")));
        }
        Ok(origin)
    }

    /// Does something to a live call and gives its object as it then is.
    fn on_live(
        &mut self,
        account: Uuid,
        call: LegId,
        act: impl FnOnce(&mut Self, LegId),
    ) -> Result<Value, ControlError> {
        let not_live = || ControlError::Conflict("Call is not live".to_owned());
        let Some((origin, entry)) = self.find(account, call) else { return Err(ControlError::NotFound("Call")) };
        let over = entry.book.snapshot(call).is_none_or(|snapshot| snapshot.state >= CallState::Hangup);
        if over {
            return Err(not_live());
        }
        let before = entry.book.object(call);
        act(self, origin);
        let after = self.find(account, call).and_then(|(_, entry)| entry.book.object(call));
        after.or(before).ok_or_else(not_live)
    }

    pub(super) fn find(&self, account: Uuid, leg: LegId) -> Option<(LegId, &CallEntry)> {
        let origin = self.legs.get(&leg).map_or(leg, |leg| leg.call);
        let entry = self.calls.get(&origin).filter(|entry| entry.account == account)?;
        entry.book.snapshot(leg).map(|_| (origin, entry))
    }

    fn registrations(&self, sip_user: Uuid) -> Vec<Registration> {
        let Some(aor) = self.registered.address(sip_user) else { return Vec::new() };
        super::register::registrations(&self.registrar, aor)
    }
}
