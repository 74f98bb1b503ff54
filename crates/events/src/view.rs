//! The JSON objects of the API and of events, made from rows. One place for shapes: the REST API and the
//! engine both call these, so that an object looks the same wherever it is shown.
//!
//! Functions named `…_short` give what stands inside other objects. What the events of a call hold is written straight to
//! text, by types that implement `Serialize`; the rest are trees.

mod account;
mod batch;
mod billing;
mod call;
mod date;
mod messaging;
mod numbers;
mod record;
mod search;
mod sip;
mod tcr;
mod webhook;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use account::AccountView;
pub use account::{
    account, account_full, account_with_balance, address, cart_entry, new_token, office_hours, subscription, token,
    user,
};
pub use batch::{batch, batch_full};
pub use billing::transaction;
pub use call::{CallContext, CallView, call, flow_log};
pub(crate) use call::{First, FlowStep, Shape2021};
pub(crate) use date::Date;
pub use messaging::{SmsContext, messaging_profile, messaging_profile_short, opt_out, sip_message, sms};
pub use numbers::{
    LeaseContext, lease, lease_short, order, order_short, special_price, tn, tn_filter, tn_profile, tn_short,
};
pub use record::{record, transcript};
pub use search::found;
pub use sip::{
    DomainContext, SipUserContext, outbound_voice_profile, outbound_voice_profile_short, product, shaken_certificate,
    sip_connection, sip_connection_short, sip_control_app, sip_control_app_short, sip_domain, sip_domain_short,
    sip_invite, sip_switch, sip_user, sip_user_group, sip_user_short,
};
pub use tcr::{campaign_status, identity_status, tcr_brand, tcr_campaign};
pub use webhook::{webhook_delivery, webhook_delivery_log};

/// ISO 8601, UTC, milliseconds: `2026-11-24T06:15:22.328Z`.
pub fn date(date: DateTime<Utc>) -> Value {
    Value::String(Date(date).with(str::to_owned))
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

/// The tree of what is otherwise written straight to text. No shape here can fail: keys are text, numbers finite.
fn tree(shape: &impl Serialize) -> Value {
    serde_json::to_value(shape).unwrap_or_default()
}

/// Writes members of an object, in this order.
macro_rules! members {
    ($map:expr, { $($key:literal: $value:expr),+ $(,)? }) => {{
        $($map.serialize_entry($key, &$value)?;)+
    }};
}
pub(crate) use members;

/// An object that is told by its name only.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ByUuid {
    pub(crate) uuid: Uuid,
}
