//! Orders from the API, and the drain.

use opentact_call::q850::Q850;
use opentact_call::{Call, CallState, Input, LegId};
use serde_json::Value;
use uuid::Uuid;

use super::Core;
use super::calls::CallEntry;
use crate::control::ControlRequest;
use crate::ports::{ControlError, Registration};

impl Core {
    pub(super) fn on_control(&mut self, request: ControlRequest) {
        match request {
            ControlRequest::Originate { start, plan, reply } => {
                let _ = reply.send(self.originate(*start, plan));
            }
            ControlRequest::Run { account, call, document, reply } => {
                let _ = reply.send(self.on_live(account, call, |core, origin| {
                    core.tell_call(origin, Input::Run(document));
                }));
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
            ControlRequest::Registrations { sip_user, reply } => {
                let _ = reply.send(self.registrations(sip_user));
            }
            ControlRequest::Drain { drained } => {
                self.draining = true;
                self.drained = Some(drained);
                self.tell_drained();
            }
            ControlRequest::HangUpAll => {
                let origins: Vec<LegId> = self.calls.keys().copied().collect();
                for origin in origins {
                    self.tell_call(origin, Input::Hangup { leg: origin, cause: Q850::TEMPORARY_FAILURE });
                }
            }
        }
    }

    /// Tells the one who drains once no call is left.
    pub(super) fn tell_drained(&mut self) {
        if self.draining
            && self.calls.is_empty()
            && self.arriving.is_empty()
            && let Some(drained) = self.drained.take()
        {
            let _ = drained.send(());
        }
    }

    fn originate(
        &mut self,
        start: opentact_call::OutboundStart,
        plan: Box<crate::router::DialPlan>,
    ) -> Result<Value, ControlError> {
        if self.draining || self.calls.len() >= self.config.max_calls || self.drivers.journal.is_full() {
            let reason = if self.draining { "The node is draining" } else { "Too many calls" };
            let retry_after = std::time::Duration::from_secs(super::RETRY_AFTER.into());
            return Err(ControlError::Unavailable { reason: reason.to_owned(), retry_after });
        }
        let leg = start.leg;
        let context = plan.context.clone();
        let account = context.account;
        self.planned.insert(leg, plan);
        self.start_call(leg, Call::outbound(Self::now(), start), context);
        self.planned.remove(&leg);
        let object = self.find(account, leg).and_then(|(_, entry)| entry.book.object(leg));
        object.ok_or_else(|| ControlError::Unavailable {
            reason: "No media port is free".to_owned(),
            retry_after: std::time::Duration::from_secs(super::RETRY_AFTER.into()),
        })
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

    fn find(&self, account: Uuid, leg: LegId) -> Option<(LegId, &CallEntry)> {
        let origin = self.legs.get(&leg).map_or(leg, |leg| leg.call);
        let entry = self.calls.get(&origin).filter(|entry| entry.account == account)?;
        entry.book.snapshot(leg).map(|_| (origin, entry))
    }

    fn registrations(&self, sip_user: Uuid) -> Vec<Registration> {
        let Some(aor) = self.registered.get(&sip_user) else { return Vec::new() };
        super::register::registrations(&self.registrar, aor)
    }
}
