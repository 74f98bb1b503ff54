//! Groups: who of their members can be rung.

use opentact_call::{DialTarget, Input, LegId, NoMembers};
use uuid::Uuid;

use super::{Core, Message};
use crate::router::DialFault;

impl Core {
    pub(super) fn ask_members(&mut self, call: LegId, id: LegId, group: String) {
        let Some(entry) = self.calls.get(&call) else { return };
        let account = entry.book.context().account;
        let router = self.drivers.router.clone();
        self.spawn_near(async move { Message::Members { call, id, result: router.members(account, &group).await } });
    }

    pub(super) fn on_members(&mut self, call: LegId, id: LegId, result: Result<Vec<(Uuid, DialTarget)>, DialFault>) {
        let there = |members: Vec<(Uuid, DialTarget)>| {
            let there = members.into_iter().filter(|(user, _)| self.registered.address(*user).is_some());
            let there: Vec<DialTarget> = there.map(|(_, target)| target).collect();
            match there.is_empty() {
                true => Err(DialFault::new(480, "nobody of the group is registered")),
                false => Ok(there),
            }
        };
        let nobody = |fault: DialFault| NoMembers { sip: fault.sip, q850: fault.q850, reason: fault.reason };
        let result = result.and_then(there).map_err(nobody);
        self.tell_call(call, Input::Members { id, result });
    }
}
