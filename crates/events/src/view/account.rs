use opentact_store::Money;
use opentact_store::accounts::Account;
use opentact_store::addresses::Address;
use opentact_store::cart::CartEntry;
use opentact_store::office_hours::OfficeHours;
use opentact_store::subscriptions::Subscription;
use opentact_store::tokens::Token;
use opentact_store::users::User;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

use super::date::Date;
use super::{author, date, date_or_null, extended, members, tree};

/// An account as it stands in events and inside other objects.
pub(crate) struct AccountView<'a> {
    row: &'a Account,
    balance: Option<Money>,
}

impl<'a> AccountView<'a> {
    pub(crate) fn new(row: &'a Account) -> Self {
        Self { row, balance: None }
    }

    /// As it stands in a call.
    pub(super) fn with_balance(row: &'a Account) -> Self {
        Self { row, balance: Some(row.balance) }
    }
}

impl Serialize for AccountView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.row;
        let mut map = serializer.serialize_map(None)?;
        members!(map, {
            "created_on": Date(row.created_on),
            "modified_on": Date(row.modified_on),
            "uuid": row.uuid,
            "email": row.email,
            "name": row.name,
            "phone": row.phone,
            "level": row.level,
            "address1": row.address1,
            "address2": row.address2,
            "zip_code": row.zip_code,
            "city": row.city,
            "deleted_on": row.deleted_on.map(Date),
            "disabled_on": row.disabled_on.map(Date),
        });
        if let Some(balance) = self.balance {
            members!(map, { "balance": balance });
        }
        map.end()
    }
}

/// An account as it stands in events and inside other objects.
pub fn account(account: &Account) -> Value {
    tree(&AccountView::new(account))
}

/// An account as it stands in a call and in the answer to a sign-in.
pub fn account_with_balance(row: &Account) -> Value {
    tree(&AccountView::with_balance(row))
}

/// An account as its own users read and change it.
pub fn account_full(row: &Account) -> Value {
    let more = json!({ "time_zone": row.time_zone, "notification": *row.notification });
    extended(account_with_balance(row), more)
}

/// A user; `wss_online` tells whether a websocket of theirs is open.
pub fn user(user: &User, wss_online: bool) -> Value {
    json!({
        "created_on": date(user.created_on),
        "modified_on": date(user.modified_on),
        "uuid": user.uuid,
        "email": user.email,
        "phone_number": user.phone_number,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "wss_online": wss_online,
        "avatar": user.avatar,
        "dob": user.dob,
        "role": user.role,
        "gender": user.gender,
        "deleted_on": date_or_null(user.deleted_on),
    })
}

/// A token, masked.
pub fn token(token: &Token) -> Value {
    json!({
        "created_on": date(token.created_on),
        "modified_on": date(token.modified_on),
        "uuid": token.uuid,
        "name": token.name,
        "token": token.masked,
        "scopes": *token.scopes,
        "expired_on": date_or_null(token.expired_on),
    })
}

/// A token with its text: the answer to its making, and the only time it is shown.
/// With what is shown once: the token, and by what SMPP software binds with it.
pub fn new_token(row: &Token, text: &str, (system_id, password): (String, String)) -> Value {
    extended(token(row), json!({ "token": text, "smpp": { "system_id": system_id, "password": password } }))
}

/// A subscription; one of channel `webhook` with its `secret`.
pub fn subscription(subscription: &Subscription, secret: Option<&str>) -> Value {
    let shown = json!({
        "created_on": date(subscription.created_on),
        "modified_on": date(subscription.modified_on),
        "uuid": subscription.uuid,
        "is_active": subscription.is_active,
        "expired_on": date_or_null(subscription.expired_on),
        "channel": subscription.channel,
        "type": subscription.kind,
    });
    let Some(secret) = secret else { return shown };
    let webhook = json!({
        "url": subscription.url,
        "failover_url": subscription.failover_url,
        "secret": secret,
        "filters": subscription.filters,
    });
    extended(shown, webhook)
}

/// An address; `country` is its entry of the dictionary.
pub fn address(row: &Address, country: Value) -> Value {
    json!({
        "created_on": date(row.created_on),
        "modified_on": date(row.modified_on),
        "uuid": row.uuid,
        "name": row.name,
        "is_physical": row.is_physical,
        "is_billing": row.is_billing,
        "is_shipping": row.is_shipping,
        "address1": row.address1,
        "address2": row.address2,
        "zip_code": row.zip_code,
        "city": row.city,
        "country": country,
        "user": { "uuid": row.user },
        "created_by": author(row.created_by),
        "modified_by": author(row.modified_by),
    })
}

/// Hours in which the office is closed.
pub fn office_hours(row: &OfficeHours) -> Value {
    json!({
        "created_on": date(row.created_on),
        "modified_on": date(row.modified_on),
        "uuid": row.uuid,
        "name": row.name,
        "type": row.kind,
        "dow": row.dow,
        "time_from": row.time_from,
        "time_to": row.time_to,
        "created_by": author(row.created_by),
        "modified_by": author(row.modified_by),
    })
}

/// An entry of a cart.
pub fn cart_entry(row: &CartEntry) -> Value {
    json!({
        "created_on": date(row.created_on),
        "modified_on": date(row.modified_on),
        "uuid": row.uuid,
        "payload": *row.payload,
        "expired_on": date_or_null(row.expired_on),
    })
}
