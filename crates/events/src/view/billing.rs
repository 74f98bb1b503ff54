use opentact_store::transactions::Transaction;
use serde_json::{Value, json};

use super::date;

/// A transaction; `amount` is signed, charges are negative.
pub fn transaction(transaction: &Transaction) -> Value {
    json!({
        "created_on": date(transaction.created_on),
        "modified_on": date(transaction.modified_on),
        "uuid": transaction.uuid,
        "amount": transaction.amount,
        "account_balance_before": transaction.account_balance_before,
        "account_balance_after": transaction.account_balance_after,
        "ref_type": transaction.ref_type,
        "ref_uuid": transaction.ref_uuid,
        "description": transaction.description,
        "account": { "uuid": transaction.account },
    })
}
