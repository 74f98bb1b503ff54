//! Which events a webhook is told of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// At each path of an event (`payload.state`, `call.direction`) the values of which it must have one. Empty: all events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filters(pub BTreeMap<String, Vec<Value>>);

impl Filters {
    /// Whether an event (its envelope) has what is asked for.
    pub fn admit(&self, event: &Value) -> bool {
        self.0.iter().all(|(path, wanted)| {
            let found = path.split('.').try_fold(event, |value, name| value.get(name));
            found.is_some_and(|found| wanted.contains(found))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_path_must_have_one_of_its_values() {
        let filters: Filters =
            serde_json::from_value(json!({ "payload.state": ["live", "hangup"], "call.direction": ["in"] })).unwrap();
        let event = |state, direction| json!({ "payload": { "state": state }, "call": { "direction": direction } });
        assert!(filters.admit(&event("live", "in")) && filters.admit(&event("hangup", "in")));
        assert!(!filters.admit(&event("live", "out")) && !filters.admit(&event("init", "in")));
        assert!(!filters.admit(&json!({ "payload": { "state": "live" } })));
        assert!(Filters::default().admit(&json!({})));
    }
}
