//! What happened, before it is numbered and written: one constructor for each type of event.

use std::fmt;

use chrono::{DateTime, Utc};
use opentact_store::accounts::Account;
use opentact_store::calls::{CallFlowLog, CallRecord};
use opentact_store::numbers::TnOrder;
use opentact_store::sip_messages::SipMessage;
use opentact_store::sms::Sms;
use opentact_store::types::EventType;
use opentact_store::users::User;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::view;

/// An event to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub account: Uuid,
    pub kind: EventType,
    pub message: String,
    pub payload: Value,
    /// Uuid of the object it tells of.
    pub ref_id: Option<Uuid>,
    /// Members of the envelope besides those that every event has: `call`, `call_flow`, ...
    pub extra: Map<String, Value>,
}

impl NewEvent {
    /// A leg reached a state. `call` is [`view::call`]'s object of it.
    pub fn call_state(record: &CallRecord, call: Value) -> NewEvent {
        let mut payload = Map::new();
        payload.insert("state".to_owned(), json!(record.state));
        payload.insert("duration".to_owned(), json!(record.duration));
        payload.extend(view::payload_2021(record));
        NewEvent {
            account: record.account,
            kind: EventType::CallState,
            message: format!("{} {} {} > {} - {}", record.kind, record.direction, record.from, record.to, record.state),
            payload: Value::Object(payload),
            ref_id: Some(record.uuid),
            extra: extra([("call", call)]),
        }
    }

    /// An element of a call flow ended. `call` holds the logs so far.
    pub fn call_flow(record: &CallRecord, log: &CallFlowLog, call: Value) -> NewEvent {
        let mut payload = Map::new();
        payload.insert("command".to_owned(), view::command(log));
        payload.extend(view::payload_2021(record));
        NewEvent {
            account: record.account,
            kind: EventType::CallFlow,
            message: format!("{}: success {}, reason: {}", log.name, log.success, log.reason),
            payload: Value::Object(payload),
            ref_id: Some(record.uuid),
            extra: extra([
                ("success", json!(log.success)),
                ("command", json!(log.name)),
                ("call", call),
                ("call_flow", view::call_flow(log)),
            ]),
        }
    }

    /// Two legs were joined (`true`) or parted. `call` is the object of the first.
    pub fn call_bridge(account: Uuid, calls: [Uuid; 2], bridged: bool, call: Value) -> NewEvent {
        let state = if bridged { "bridged" } else { "unbridged" };
        NewEvent {
            account,
            kind: EventType::CallBridge,
            message: format!("Calls {state}: {}, {}", calls[0], calls[1]),
            payload: json!({ "state": state, "calls": calls }),
            ref_id: Some(calls[0]),
            extra: extra([("call", call)]),
        }
    }

    /// A recording is readable.
    pub fn call_record(recording: &Recording, call: Value) -> NewEvent {
        NewEvent {
            account: recording.account,
            kind: EventType::CallRecord,
            message: format!("Call record: {}", recording.tag.as_deref().unwrap_or("untagged")),
            payload: recording.view(),
            ref_id: Some(recording.uuid),
            extra: extra([("call", call)]),
        }
    }

    /// A message was made, changed state or was delivered. `view` is [`view::sms`]'s object of it.
    pub fn sms(sms: &Sms, view: Value) -> NewEvent {
        NewEvent {
            account: sms.account,
            kind: EventType::Sms,
            message: format!("SMS: type: {}, state: {}", sms.kind, sms.state),
            payload: view,
            ref_id: Some(sms.uuid),
            extra: Map::new(),
        }
    }

    /// A message between SIP users was taken, delivered or given up: an event of type `sms`, told apart by the payload's
    /// `type`, which is `sip`.
    pub fn sip_message(message: &SipMessage) -> NewEvent {
        NewEvent {
            account: message.account,
            kind: EventType::Sms,
            message: format!("SMS: type: sip, state: {}", message.state),
            payload: view::sip_message(message, None),
            ref_id: Some(message.uuid),
            extra: Map::new(),
        }
    }

    /// A trunk is up or down, or our registration with it is another: `state` says which.
    pub fn sip_connection(account: Uuid, trunk: Uuid, name: &str, state: &str, payload: Value) -> NewEvent {
        NewEvent {
            account,
            kind: EventType::SipConnection,
            message: format!("SIP connection {name} - {state}"),
            payload,
            ref_id: Some(trunk),
            extra: Map::new(),
        }
    }

    /// The calls of an outbound voice profile have cost as much as they may: no more go out until some time has passed.
    pub fn spend_limit(account: Uuid, profile: Uuid, name: &str, payload: Value) -> NewEvent {
        NewEvent {
            account,
            kind: EventType::SpendLimit,
            message: format!("Outbound voice profile {name} - spend limit reached"),
            payload,
            ref_id: Some(profile),
            extra: Map::new(),
        }
    }

    /// Somebody calls for help: `state` is `routed` or `no_route`.
    pub fn emergency_call(account: Uuid, number: &str, from: &str, state: &str, payload: Value) -> NewEvent {
        NewEvent {
            account,
            kind: EventType::EmergencyCall,
            message: format!("Emergency call {from} > {number} - {state}"),
            payload,
            ref_id: None,
            extra: Map::new(),
        }
    }

    /// An order changed state. `view` is [`view::order`]'s object of it.
    pub fn tn_order(order: &TnOrder, view: Value) -> NewEvent {
        NewEvent {
            account: order.account,
            kind: EventType::TnOrder,
            message: format!("TN order: state: {}", order.state),
            payload: view,
            ref_id: Some(order.uuid),
            extra: Map::new(),
        }
    }

    /// The balance changed by `source_action`; `None` when the account does not want to hear of it.
    pub fn balance(account: &Account, balance: opentact_store::Money, source_action: &str) -> Option<NewEvent> {
        account.notification.balance.then(|| NewEvent {
            account: account.uuid,
            kind: EventType::Balance,
            message: format!("New balance is {balance}"),
            payload: json!(balance),
            ref_id: Some(account.uuid),
            extra: extra([("source_action", json!(source_action))]),
        })
    }
}

/// A recording whose file is readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    pub uuid: Uuid,
    pub account: Uuid,
    pub call: Uuid,
    pub tag: Option<String>,
    /// Milliseconds; shown in whole seconds.
    pub duration_ms: u64,
    /// Octets.
    pub size: u64,
    /// `wav` or `mp3`.
    pub format: String,
    pub channels: u8,
    pub url: String,
    pub created_on: DateTime<Utc>,
}

impl Recording {
    /// The object in `call_record` events and in a call's `records`.
    pub fn view(&self) -> Value {
        json!({
            "uuid": self.uuid,
            "tag": self.tag,
            "call": self.call,
            "duration": self.duration_ms / 1000,
            "size": self.size,
            "format": self.format,
            "channels": self.channels,
            "url": self.url,
            "created_on": view::date(self.created_on),
        })
    }
}

/// An event as it is stored and sent. Displayed as JSON.
pub(crate) struct Envelope<'a> {
    pub(crate) uuid: Uuid,
    pub(crate) created_on: DateTime<Utc>,
    pub(crate) seq: i64,
    pub(crate) account: &'a Value,
    pub(crate) event: &'a NewEvent,
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { uuid, created_on, seq, account, event } = self;
        let date = view::date(*created_on);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uuid", uuid)?;
        map.serialize_entry("created_on", &date)?;
        map.serialize_entry("modified_on", &date)?;
        map.serialize_entry("timestamp", &date)?;
        map.serialize_entry("seq", seq)?;
        map.serialize_entry("type", &event.kind)?;
        map.serialize_entry("message", &event.message)?;
        map.serialize_entry("payload", &event.payload)?;
        map.serialize_entry("ref_id", &event.ref_id)?;
        map.serialize_entry("account", account)?;
        map.serialize_entry("delivery_report", &[(); 0])?;
        for (name, member) in &event.extra {
            map.serialize_entry(name, member)?;
        }
        map.end()
    }
}

impl fmt::Display for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// The answer to a websocket's `auth` frame. It has no place in the log and no number.
pub fn auth(connection: Uuid, ip: std::net::IpAddr, user: &User, account: &Account, now: DateTime<Utc>) -> Value {
    let shown = view::account(account);
    json!({
        "uuid": Uuid::new_v4(),
        "created_on": view::date(now),
        "modified_on": view::date(now),
        "timestamp": view::date(now),
        "type": EventType::Auth,
        "message": format!("WSS connection {connection}@{ip} - success auth {}", user.email),
        "payload": {
            "uuid": connection,
            "ip": ip.to_string(),
            "user": view::user(user, true),
            "account": shown.clone(),
        },
        "account": shown,
    })
}

fn extra<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
