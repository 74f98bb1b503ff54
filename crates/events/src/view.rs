//! The JSON objects of the API and of events, made from rows. One place for shapes: the REST API and the
//! engine both call these, so that an object looks the same wherever it is shown.
//!
//! Functions named `…_short` give what stands inside other objects.

mod account;
mod billing;
mod call;
mod messaging;
mod numbers;
mod search;
mod sip;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

pub use account::{account, account_full, account_with_balance, new_token, subscription, token, user};
pub use billing::transaction;
pub(crate) use call::payload_2021;
pub use call::{CallContext, call, call_flow, call_short, command, flow_log};
pub use messaging::{SmsContext, messaging_profile, messaging_profile_short, sip_message, sms};
pub use numbers::{LeaseContext, lease, lease_short, order, order_short, tn, tn_filter, tn_profile, tn_short};
pub use search::found;
pub use sip::{
    DomainContext, SipUserContext, outbound_voice_profile, outbound_voice_profile_short, product, shaken_certificate,
    sip_connection, sip_connection_short, sip_control_app, sip_control_app_short, sip_domain, sip_domain_short,
    sip_switch, sip_user, sip_user_group, sip_user_short,
};

/// ISO 8601, UTC, milliseconds: `2026-11-24T06:15:22.328Z`.
pub fn date(date: DateTime<Utc>) -> Value {
    Value::String(date.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The same, or null.
pub fn date_or_null(when: Option<DateTime<Utc>>) -> Value {
    when.map_or(Value::Null, date)
}

/// Who made or changed something: `{uuid}` or null.
fn author(user: Option<Uuid>) -> Value {
    user.map_or(Value::Null, |uuid| json!({ "uuid": uuid }))
}

/// Puts the members of the second object behind those of the first.
fn extended(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}
