use opentact_store::accounts::Account;
use opentact_store::subscriptions::Subscription;
use opentact_store::tokens::Token;
use opentact_store::users::User;
use serde_json::{Value, json};

use super::{date, date_or_null, extended};

/// An account as it stands in events and inside other objects.
pub fn account(account: &Account) -> Value {
    json!({
        "created_on": date(account.created_on),
        "modified_on": date(account.modified_on),
        "uuid": account.uuid,
        "email": account.email,
        "name": account.name,
        "phone": account.phone,
        "level": account.level,
        "address1": account.address1,
        "address2": account.address2,
        "zip_code": account.zip_code,
        "city": account.city,
        "deleted_on": date_or_null(account.deleted_on),
        "disabled_on": date_or_null(account.disabled_on),
    })
}

/// An account as it stands in a call and in the answer to a sign-in.
pub fn account_with_balance(row: &Account) -> Value {
    extended(account(row), json!({ "balance": row.balance }))
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
pub fn new_token(row: &Token, text: &str) -> Value {
    extended(token(row), json!({ "token": text }))
}

pub fn subscription(subscription: &Subscription) -> Value {
    json!({
        "created_on": date(subscription.created_on),
        "modified_on": date(subscription.modified_on),
        "uuid": subscription.uuid,
        "is_active": subscription.is_active,
        "expired_on": date_or_null(subscription.expired_on),
        "channel": subscription.channel,
        "type": subscription.kind,
    })
}
