use opentact_store::Found;
use serde_json::{Map, Value, json};

/// The payload of a search.
pub fn found(found: Found<Value>) -> Value {
    let order: Map<String, Value> = found.order.iter().map(|(field, sort)| (field.clone(), json!(sort))).collect();
    let mut payload = Map::new();
    payload.insert("take".to_owned(), json!(found.take));
    payload.insert("skip".to_owned(), json!(found.skip));
    payload.insert("mode".to_owned(), json!(found.mode));
    payload.insert("order".to_owned(), Value::Object(order));
    if let Some(total) = found.total {
        payload.insert("total".to_owned(), json!(total));
    }
    if let Some(cursor) = found.next_cursor {
        payload.insert("next_cursor".to_owned(), Value::String(cursor));
    }
    payload.insert("data".to_owned(), Value::Array(found.data));
    Value::Object(payload)
}
