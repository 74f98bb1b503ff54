use opentact_store::accounts::Account;
use opentact_store::calls::{CallFlowLog, CallRecord};
use serde_json::{Map, Value, json};

use super::{account_with_balance, date, date_or_null, extended};

/// What belongs to a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallContext<'a> {
    pub account: Option<&'a Account>,
    pub parent: Option<&'a CallRecord>,
    /// Legs that this one dialled.
    pub children: &'a [CallRecord],
    /// Elements executed so far, in order.
    pub logs: &'a [CallFlowLog],
    /// Recordings, as they are shown.
    pub records: &'a [Value],
}

/// A call without what belongs to it: as `parent` and in `children`.
pub fn call_short(call: &CallRecord) -> Value {
    json!({
        "uuid": call.uuid,
        "direction": call.direction,
        "from": call.from,
        "to": call.to,
        "state": call.state,
        "duration": call.duration,
        "type": call.kind,
        "created_on": date(call.created_on),
        "modified_on": date(call.modified_on),
        "init_on": date_or_null(call.init_on),
        "ring_on": date_or_null(call.ring_on),
        "answer_on": date_or_null(call.answer_on),
        "hangup_on": date_or_null(call.hangup_on),
        "destroy_on": date_or_null(call.destroy_on),
        "finished_on": date_or_null(call.finished_on),
        "q850_cause": call.q850_cause,
        "q850_cause_string": call.q850_cause_string,
        "freeswitch_call_state": call.freeswitch_call_state,
        "freeswitch_channel_state": call.freeswitch_channel_state,
        "stir_shaken_attest_level": call.stir_shaken_attest_level,
        "thread": call.thread,
    })
}

/// A call: what the API shows and what call events carry as `call`.
pub fn call(call: &CallRecord, context: CallContext<'_>) -> Value {
    let related = &call.related;
    let parent = match context.parent {
        Some(parent) => call_short(parent),
        None => call.parent.map_or(Value::Null, |uuid| json!({ "uuid": uuid })),
    };
    let mut more = json!({
        "parent": parent,
        "tn": related.tn.clone().or_else(|| call.tn.map(|tn| json!({ "tn": tn }))),
        "sip_control_app": related.sip_control_app.clone().or_else(|| call.sip_control_app.map(by_uuid)),
        "sip_connection": related.sip_connection.clone().or_else(|| call.sip_connection.map(by_uuid)),
        "sip_user": related.sip_user.clone().or_else(|| call.sip_user.map(by_uuid)),
        "batch_item": call.batch_item.map(by_uuid),
        "account": context.account.map_or_else(|| by_uuid(call.account), account_with_balance),
        "records": context.records,
        "logs": context.logs.iter().map(flow_log).collect::<Vec<_>>(),
        "children": context.children.iter().map(call_short).collect::<Vec<_>>(),
    });
    if !call.meta.is_empty() {
        more["meta"] = Value::Object(call.meta.0.clone());
    }
    if let Some(stir_shaken) = &related.stir_shaken {
        more["stir_shaken"] = stir_shaken.clone();
    }
    extended(call_short(call), more)
}

fn by_uuid(uuid: uuid::Uuid) -> Value {
    json!({ "uuid": uuid })
}

/// What clients of the 2021 form look for in the payload of call events.
pub(crate) fn payload_2021(call: &CallRecord) -> Map<String, Value> {
    const KEYS: [&str; 14] = [
        "uuid",
        "direction",
        "from",
        "to",
        "type",
        "created_on",
        "init_on",
        "ring_on",
        "answer_on",
        "hangup_on",
        "destroy_on",
        "finished_on",
        "q850_cause",
        "q850_cause_string",
    ];
    let mut all = call_short(call);
    KEYS.iter().map(|key| ((*key).to_owned(), all[*key].take())).collect()
}

/// An executed element as a `call_flow` event carries it.
pub fn call_flow(log: &CallFlowLog) -> Value {
    json!({
        "uuid": log.uuid,
        "success": log.success,
        "state": if log.success { "success" } else { "failed" },
        "reason": log.reason,
        "name": log.name,
        "element": log.element,
        "command": *log.command,
    })
}

/// How an element came out, with what ran inside it.
pub fn command(log: &CallFlowLog) -> Value {
    json!({
        "name": log.name,
        "success": log.success,
        "reason": log.reason,
        "path": log.path,
        "tag": log.tag,
        "children": *log.children,
        "error": *log.errors,
    })
}

/// An executed element in the call log.
pub fn flow_log(log: &CallFlowLog) -> Value {
    let base = json!({ "created_on": date(log.created_on), "modified_on": date(log.modified_on) });
    extended(extended(base, call_flow(log)), json!({ "response": command(log) }))
}
