use opentact_store::accounts::Account;
use opentact_store::apps::SipControlApp;
use opentact_store::connections::SipConnection;
use opentact_store::messaging_profiles::MessagingProfile;
use opentact_store::numbers::{Number, SpecialPrice, TnLease, TnOrder, TnProfile};
use opentact_store::sip_users::SipUser;
use opentact_store::tn_filters::TnFilter;
use serde_json::{Value, json};

use super::{
    account, author, date, date_or_null, extended, messaging_profile_short, sip_connection_short,
    sip_control_app_short, sip_user_short,
};

/// A number inside a call or a message.
pub fn tn_short(number: &Number) -> Value {
    json!({
        "created_on": date(number.created_on),
        "modified_on": date(number.modified_on),
        "tn": number.tn,
        "deleted_on": date_or_null(number.deleted_on),
    })
}

/// A number of the inventory.
pub fn tn(number: &Number) -> Value {
    let more = json!({
        "type": number.kind,
        "country": number.country,
        "state": number.state,
        "city": number.city,
        "rate_center": number.rate_center,
        "features": *number.features,
        "registered": number.registered,
    });
    extended(tn_short(number), more)
}

/// A price profile.
pub fn tn_profile(profile: &TnProfile) -> Value {
    let object = json!({
        "created_on": date(profile.created_on),
        "modified_on": date(profile.modified_on),
        "uuid": profile.uuid,
        "name": profile.name,
        "description": profile.description,
        "is_active": profile.is_active,
        "priority": profile.priority,
        "toll_free": profile.toll_free,
        "country": { "a2": profile.country },
    });
    extended(object, json!(*profile.prices))
}

/// A price profile at what it costs one account.
pub fn special_price(profile: &TnProfile, price: &SpecialPrice) -> Value {
    extended(tn_profile(profile), json!({ "expired_on": date_or_null(price.expired_on) }))
}

/// A filter profile without its lists, which may be long.
pub fn tn_filter(filter: &TnFilter) -> Value {
    json!({
        "created_on": date(filter.created_on),
        "modified_on": date(filter.modified_on),
        "uuid": filter.uuid,
        "name": filter.name,
        "is_active": filter.is_active,
        "on_reject": filter.on_reject,
        "sip_control_app": filter.sip_control_app.map(|uuid| json!({ "uuid": uuid })),
        "whitelist_entries": filter.whitelist.len(),
        "blacklist_entries": filter.blacklist.len(),
        "rejected": filter.rejected,
        "created_by": author(filter.created_by),
        "modified_by": author(filter.modified_by),
    })
}

/// What a lease points at, as far as it is at hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeaseContext<'a> {
    pub number: Option<&'a Number>,
    pub account: Option<&'a Account>,
    pub sip_connection: Option<&'a SipConnection>,
    pub sip_control_app: Option<&'a SipControlApp>,
    pub sip_user: Option<&'a SipUser>,
    pub messaging_profile: Option<&'a MessagingProfile>,
}

/// A lease. What the context lacks stands there as `{uuid}` (or `{tn}`).
pub fn lease(lease: &TnLease, context: LeaseContext<'_>) -> Value {
    let uuid = |uuid| json!({ "uuid": uuid });
    json!({
        "created_on": date(lease.created_on),
        "modified_on": date(lease.modified_on),
        "uuid": lease.uuid,
        "tn": context.number.map_or_else(|| json!({ "tn": lease.tn }), tn),
        "expired_on": date(lease.expired_on),
        "autorenew": lease.autorenew,
        "subscriptions": *lease.subscriptions,
        "sip_connection": lease.sip_connection.map(|id| context.sip_connection.map_or_else(|| uuid(id), sip_connection_short)),
        "sip_control_app": lease.sip_control_app.map(|id| context.sip_control_app.map_or_else(|| uuid(id), sip_control_app_short)),
        "sip_user": lease.sip_user.map(|id| context.sip_user.map_or_else(|| uuid(id), |user| sip_user_short(user, None))),
        "messaging_profile": lease.messaging_profile.map(|id| context.messaging_profile.map_or_else(|| uuid(id), messaging_profile_short)),
        "sms_campaign": lease.sms_campaign.map(uuid),
        "tn_profile": lease.tn_profile.map(uuid),
        "tnorder": lease.tn_order.map(uuid),
        "account": context.account.map_or_else(|| uuid(lease.account), account),
        "created_by": author(lease.created_by),
        "modified_by": author(lease.modified_by),
    })
}

/// A lease inside a message.
pub fn lease_short(lease: &TnLease, profile: Option<&MessagingProfile>) -> Value {
    json!({
        "uuid": lease.uuid,
        "autorenew": lease.autorenew,
        "expired_on": date(lease.expired_on),
        "messaging_profile": profile.map(messaging_profile_short),
    })
}

/// An order as the answer to its making and in lists.
pub fn order_short(order: &TnOrder) -> Value {
    json!({
        "uuid": order.uuid,
        "state": order.state,
        "created_on": date(order.created_on),
        "modified_on": date(order.modified_on),
        "total": order.total,
        "success": order.success,
        "processing": order.processing,
        "failed": order.failed,
    })
}

/// An order with all that came of it; the leases are those of [`lease`].
pub fn order(order: &TnOrder, leases: Vec<Value>) -> Value {
    let more = json!({
        "request": *order.request,
        "items": *order.items,
        "errors": *order.errors,
        "tnleases": leases,
    });
    extended(order_short(order), more)
}
