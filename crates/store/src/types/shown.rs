use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// An object as it is shown, JSON text already: made once, then copied into all that shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Shown(Arc<RawValue>);

impl From<Value> for Shown {
    fn from(object: Value) -> Shown {
        // A tree can always be written; one that could not would be null.
        Shown(to_raw_value(&object).unwrap_or_else(|_| RawValue::NULL.to_owned()).into())
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Shown) -> bool {
        self.0.get() == other.0.get()
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shown, D::Error> {
        Ok(Shown(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}
