use opentact_store::accounts::Account;
use opentact_store::calls::{CallFlowLog, CallRecord};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::date::Date;
use super::{AccountView, ByUuid, members, tree};

/// What belongs to a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallContext<'a> {
    pub account: Option<&'a Account>,
    pub parent: Option<&'a CallRecord>,
    /// Legs that this one dialled.
    pub children: &'a [&'a CallRecord],
    /// Elements executed so far, in order.
    pub logs: &'a [CallFlowLog],
    /// Recordings, as they are shown.
    pub records: &'a [Value],
}

/// A call: what the API shows and what call events carry as `call`.
#[derive(Debug, Clone, Copy)]
pub struct CallView<'a> {
    pub call: &'a CallRecord,
    pub context: CallContext<'a>,
}

/// The tree of a [`CallView`].
pub fn call(call: &CallRecord, context: CallContext<'_>) -> Value {
    tree(&CallView { call, context })
}

impl Serialize for CallView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { call, context } = self;
        let related = &call.related;
        let mut map = serializer.serialize_map(None)?;
        short(&mut map, call)?;
        match context.parent {
            Some(parent) => members!(map, { "parent": Short(parent) }),
            None => members!(map, { "parent": call.parent.map(by_uuid) }),
        }
        match &related.tn {
            Some(tn) => members!(map, { "tn": tn }),
            None => members!(map, { "tn": call.tn.map(|tn| Number { tn }) }),
        }
        for (name, object, uuid) in [
            ("sip_control_app", &related.sip_control_app, call.sip_control_app),
            ("sip_connection", &related.sip_connection, call.sip_connection),
            ("sip_user", &related.sip_user, call.sip_user),
            ("batch_item", &None, call.batch_item),
        ] {
            match object {
                Some(object) => map.serialize_entry(name, object)?,
                None => map.serialize_entry(name, &uuid.map(by_uuid))?,
            }
        }
        match context.account {
            Some(account) => members!(map, { "account": AccountView::with_balance(account) }),
            None => members!(map, { "account": by_uuid(call.account) }),
        }
        members!(map, {
            "records": context.records,
            "logs": Logs(context.logs),
            "children": Shorts(context.children),
        });
        if !call.meta.is_empty() {
            members!(map, { "meta": call.meta });
        }
        if let Some(stir_shaken) = &related.stir_shaken {
            members!(map, { "stir_shaken": stir_shaken });
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Number {
    tn: opentact_store::Tn,
}

fn by_uuid(uuid: uuid::Uuid) -> ByUuid {
    ByUuid { uuid }
}

/// A call without what belongs to it: as `parent` and in `children`.
struct Short<'a>(&'a CallRecord);

impl Serialize for Short<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        short(&mut map, self.0)?;
        map.end()
    }
}

struct Shorts<'a>(&'a [&'a CallRecord]);

impl Serialize for Shorts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|call| Short(call)))
    }
}

fn short<M: SerializeMap>(map: &mut M, call: &CallRecord) -> Result<(), M::Error> {
    members!(map, {
        "uuid": call.uuid,
        "direction": call.direction,
        "from": call.from,
        "to": call.to,
        "state": call.state,
        "duration": call.duration,
        "type": call.kind,
        "created_on": Date(call.created_on),
        "modified_on": Date(call.modified_on),
    });
    course(map, call)?;
    members!(map, {
        "freeswitch_call_state": call.freeswitch_call_state,
        "freeswitch_channel_state": call.freeswitch_channel_state,
        "stir_shaken_attest_level": call.stir_shaken_attest_level,
        "thread": call.thread,
    });
    if let Some(amd) = &call.related.amd {
        members!(map, { "amd": amd });
    }
    if let Some(media) = &call.related.media {
        members!(map, { "media": media });
    }
    Ok(())
}

/// How far it came, and how it ended.
fn course<M: SerializeMap>(map: &mut M, call: &CallRecord) -> Result<(), M::Error> {
    members!(map, {
        "init_on": call.init_on.map(Date),
        "ring_on": call.ring_on.map(Date),
        "answer_on": call.answer_on.map(Date),
        "hangup_on": call.hangup_on.map(Date),
        "destroy_on": call.destroy_on.map(Date),
        "finished_on": call.finished_on.map(Date),
        "q850_cause": call.q850_cause,
        "q850_cause_string": call.q850_cause_string,
    });
    Ok(())
}

/// The payload of call events: what is new in this form of the API, then what clients of the 2021 form look for.
pub(crate) struct Shape2021<'a> {
    pub(crate) call: &'a CallRecord,
    pub(crate) first: First<'a>,
}

/// How such a payload begins.
pub(crate) enum First<'a> {
    State,
    Command(&'a CallFlowLog),
}

impl Serialize for Shape2021<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = self.call;
        let mut map = serializer.serialize_map(None)?;
        match self.first {
            First::State => members!(map, { "state": call.state, "duration": call.duration }),
            First::Command(log) => members!(map, { "command": Command(log) }),
        }
        members!(map, {
            "uuid": call.uuid,
            "direction": call.direction,
            "from": call.from,
            "to": call.to,
            "type": call.kind,
            "created_on": Date(call.created_on),
        });
        course(&mut map, call)?;
        map.end()
    }
}

/// An executed element as a `call_flow` event carries it.
pub(crate) struct FlowStep<'a>(pub(crate) &'a CallFlowLog);

impl Serialize for FlowStep<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        step(&mut map, self.0)?;
        map.end()
    }
}

fn step<M: SerializeMap>(map: &mut M, log: &CallFlowLog) -> Result<(), M::Error> {
    members!(map, {
        "uuid": log.uuid,
        "success": log.success,
        "state": if log.success { "success" } else { "failed" },
        "reason": log.reason,
        "name": log.name,
        "element": log.element,
        "command": log.command,
    });
    Ok(())
}

/// How an element came out, with what ran inside it.
struct Command<'a>(&'a CallFlowLog);

impl Serialize for Command<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = self.0;
        let mut map = serializer.serialize_map(None)?;
        members!(map, {
            "name": log.name,
            "success": log.success,
            "reason": log.reason,
            "path": log.path,
            "tag": log.tag,
            "children": log.children,
            "error": log.errors,
        });
        map.end()
    }
}

/// An executed element in the call log.
struct Log<'a>(&'a CallFlowLog);

impl Serialize for Log<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = self.0;
        let mut map = serializer.serialize_map(None)?;
        members!(map, { "created_on": Date(log.created_on), "modified_on": Date(log.modified_on) });
        step(&mut map, log)?;
        members!(map, { "response": Command(log) });
        map.end()
    }
}

struct Logs<'a>(&'a [CallFlowLog]);

impl Serialize for Logs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Log))
    }
}

/// An executed element in the call log.
pub fn flow_log(log: &CallFlowLog) -> Value {
    tree(&Log(log))
}
