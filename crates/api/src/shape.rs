//! The OpenAPI schema of a type as the validator of what clients send for it: what the document promises is what is
//! enforced, and all faults are found in one go.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::error::Fields;

/// Deepest nesting of a body that is looked at.
const MAX_DEPTH: usize = 16;

/// A JSON Schema and what its `$ref`s point to.
#[derive(Debug)]
pub struct Shape {
    root: Value,
    definitions: Map<String, Value>,
}

impl Shape {
    /// The shape of a schema, with what its `$ref`s point to by name.
    #[must_use]
    pub fn new(root: Value, definitions: Map<String, Value>) -> Self {
        Self { root, definitions }
    }

    /// The shape of `T`, made once a process.
    #[must_use]
    pub fn of<T: ToSchema + 'static>() -> Arc<Self> {
        static SHAPES: LazyLock<RwLock<HashMap<TypeId, Arc<Shape>>>> = LazyLock::new(RwLock::default);
        if let Some(shape) = SHAPES.read().get(&TypeId::of::<T>()) {
            return shape.clone();
        }
        let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
        T::schemas(&mut schemas);
        let definitions =
            schemas.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()));
        let shape = Arc::new(Self::new(serde_json::to_value(T::schema()).unwrap_or_default(), definitions.collect()));
        SHAPES.write().entry(TypeId::of::<T>()).or_insert(shape).clone()
    }

    /// Pushes every fault of `value` under `<prefix>.<property>`.
    pub fn check(&self, value: &Value, prefix: &str, fields: &mut Fields) {
        self.check_at(&self.root, value, prefix, fields, 0);
    }

    /// Query strings are text: turns each value into what the schema wants where it can be read as that.
    #[must_use]
    pub fn coerce(&self, pairs: impl IntoIterator<Item = (String, String)>) -> Value {
        let mut object = Map::new();
        let root = self.resolve(&self.root);
        for (name, text) in pairs {
            let schema = root.pointer(&format!("/properties/{name}")).map(|schema| self.resolve(schema));
            match schema {
                Some(schema) if accepts(schema, "array") => {
                    let item = schema.get("items").map_or(&Value::Null, |items| self.resolve(items));
                    let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(list) = list {
                        list.extend(text.split(',').map(|part| coerce_one(item, part)));
                    }
                }
                Some(schema) => {
                    object.insert(name, coerce_one(schema, &text));
                }
                None => {
                    object.insert(name, Value::String(text));
                }
            }
        }
        Value::Object(object)
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.rsplit('/').next())
            .and_then(|name| self.definitions.get(name));
        target.unwrap_or(schema)
    }

    fn check_at(&self, schema: &Value, value: &Value, at: &str, fields: &mut Fields, depth: usize) {
        let schema = self.resolve(schema);
        if depth > MAX_DEPTH {
            fields.push(at, "is nested too deeply", Value::Null);
            return;
        }
        for all in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.check_at(all, value, at, fields, depth + 1);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(options) = schema.get(keyword).and_then(Value::as_array) {
                self.check_one_of(options, value, at, fields, depth);
            }
        }
        if let Some(fault) = type_fault(schema, value).map(str::to_owned).or_else(|| value_fault(schema, value)) {
            fields.push(at, fault, value.clone());
            return;
        }
        match value {
            Value::Object(object) => self.check_object(schema, object, at, fields, depth),
            Value::Array(list) => {
                if let Some(items) = schema.get("items") {
                    for (index, item) in list.iter().enumerate() {
                        self.check_at(items, item, &format!("{at}[{index}]"), fields, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_object(&self, schema: &Value, object: &Map<String, Value>, at: &str, fields: &mut Fields, depth: usize) {
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let key = format!("{at}.{name}");
            match object.get(name) {
                None if required.contains(&name.as_str()) => fields.push(key, "is required", Value::Null),
                None => {}
                Some(Value::Null) if required.contains(&name.as_str()) && !self.takes_null(property) => {
                    fields.push(key, "is required", Value::Null);
                }
                // What may be left out may also be sent as null.
                Some(Value::Null) => {}
                Some(value) => self.check_at(property, value, &key, fields, depth + 1),
            }
        }
        self.check_additional(schema, object, at, fields, depth);
    }

    /// Properties that the schema does not name, where it says what they must be.
    fn check_additional(
        &self,
        schema: &Value,
        object: &Map<String, Value>,
        at: &str,
        fields: &mut Fields,
        depth: usize,
    ) {
        let Some(additional) = schema.get("additionalProperties").filter(|additional| additional.is_object()) else {
            return;
        };
        let named = |name: &str| schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
        for (name, value) in object.iter().filter(|(name, _)| !named(name)) {
            self.check_at(additional, value, &format!("{at}.{name}"), fields, depth + 1);
        }
    }

    fn takes_null(&self, schema: &Value) -> bool {
        let schema = self.resolve(schema);
        schema.get("type").is_none_or(|_| accepts(schema, "null"))
            && ["oneOf", "anyOf"].iter().all(|keyword| {
                schema
                    .get(*keyword)
                    .and_then(Value::as_array)
                    .is_none_or(|options| options.iter().any(|option| self.takes_null(option)))
            })
    }

    /// One option must hold; the faults told are those of the option that fits the value's type best.
    fn check_one_of(&self, options: &[Value], value: &Value, at: &str, fields: &mut Fields, depth: usize) {
        let mut best: Option<Fields> = None;
        for option in options {
            let mut faults = Fields::default();
            self.check_at(option, value, at, &mut faults, depth + 1);
            if faults.is_empty() {
                return;
            }
            let fits = type_fault(self.resolve(option), value).is_none();
            if best.is_none() || fits {
                best = Some(faults);
            }
        }
        if let Some(faults) = best {
            fields.merge(faults);
        }
    }
}

/// Whether the schema's `type` (one or several) includes `name`.
fn accepts(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}

fn coerce_one(schema: &Value, text: &str) -> Value {
    let number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        plain.then(|| serde_json::from_str::<serde_json::Number>(text).ok()).flatten().map(Value::Number)
    };
    let coerced = if accepts(schema, "integer") || accepts(schema, "number") {
        number(text)
    } else if accepts(schema, "boolean") {
        match text {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        }
    } else {
        None
    };
    coerced.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn type_fault(schema: &Value, value: &Value) -> Option<&'static str> {
    let kinds: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let fits = kinds.iter().any(|kind| match (*kind, value) {
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("string", Value::String(_))
        | ("number", Value::Number(_))
        | ("boolean", Value::Bool(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_))
        | ("null", Value::Null) => true,
        _ => false,
    });
    if fits {
        return None;
    }
    Some(match kinds.iter().find(|kind| **kind != "null") {
        Some(&"integer") => "invalid integer number",
        Some(&"number") => "invalid number",
        Some(&"string") => "must be a string",
        Some(&"boolean") => "must be true or false",
        Some(&"array") => "must be a list",
        Some(&"object") => "must be an object",
        _ => "invalid value",
    })
}

/// Faults beyond the type: enumerations, bounds, formats.
fn value_fault(schema: &Value, value: &Value) -> Option<String> {
    if let Some(options) = schema.get("enum").and_then(Value::as_array)
        && !value.is_null()
        && !options.contains(value)
    {
        let list: Vec<String> =
            options.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
        return Some(format!("must be one of {}", list.join(", ")));
    }
    let format = schema.get("format").and_then(Value::as_str);
    match value {
        Value::String(text) => {
            let (min, max) = bounds(schema, "minLength", "maxLength");
            length_fault(text.chars().count(), min, max, "character")
                .or_else(|| format.and_then(|format| crate::types::format_fault(format, text)).map(str::to_owned))
        }
        Value::Array(list) => {
            let (min, max) = bounds(schema, "minItems", "maxItems");
            length_fault(list.len(), min, max, "item")
        }
        Value::Number(number) => {
            if let Some(fault) = format.and_then(|format| crate::types::format_fault(format, &number.to_string())) {
                return Some(fault.to_owned());
            }
            let number = number.as_f64()?;
            let minimum = schema.get("minimum").and_then(Value::as_f64);
            let maximum = schema.get("maximum").and_then(Value::as_f64);
            match (minimum, maximum) {
                (Some(minimum), Some(maximum)) if number < minimum || number > maximum => {
                    Some(format!("must be {minimum} to {maximum}"))
                }
                (Some(minimum), None) if number < minimum => Some(format!("must be at least {minimum}")),
                (None, Some(maximum)) if number > maximum => Some(format!("must be at most {maximum}")),
                _ => None,
            }
        }
        _ => None,
    }
}

fn bounds(schema: &Value, min: &str, max: &str) -> (Option<usize>, Option<usize>) {
    let read = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    (read(min), read(max))
}

fn length_fault(length: usize, min: Option<usize>, max: Option<usize>, unit: &str) -> Option<String> {
    let short = min.is_some_and(|min| length < min);
    let long = max.is_some_and(|max| length > max);
    if !short && !long {
        return None;
    }
    Some(match (min, max) {
        (Some(1), None) => "must not be empty".to_owned(),
        (Some(min), Some(max)) => format!("must be {min} to {max} {unit}s long"),
        (Some(min), None) => format!("must be at least {min} {unit}s long"),
        (None, Some(max)) => format!("must be at most {max} {unit}s long"),
        (None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[derive(ToSchema)]
    #[allow(dead_code)]
    struct Inner {
        #[schema(minimum = 1, maximum = 65535)]
        port: u32,
    }

    #[derive(ToSchema)]
    #[schema(rename_all = "UPPERCASE")]
    #[allow(dead_code)]
    enum Method {
        Get,
        Post,
    }

    #[derive(ToSchema)]
    #[allow(dead_code)]
    struct Sample {
        #[schema(min_length = 1, max_length = 5)]
        name: String,
        app: Option<Uuid>,
        method: Option<Method>,
        inner: Option<Inner>,
        #[schema(min_items = 1)]
        list: Vec<Inner>,
        active: Option<bool>,
    }

    fn faults(value: Value) -> Value {
        let mut fields = Fields::default();
        Shape::of::<Sample>().check(&value, "params", &mut fields);
        serde_json::to_value(fields).unwrap()
    }

    #[test]
    fn a_right_body_has_no_faults() {
        assert_eq!(
            faults(json!({
                "name": "abc", "app": Uuid::new_v4(), "method": "GET", "inner": {"port": 5060},
                "list": [{"port": 1}], "active": null, "unknown": 7,
            })),
            json!({})
        );
    }

    #[test]
    fn all_faults_are_listed_with_their_place() {
        let found = faults(json!({
            "name": "", "app": "qwerty", "method": "PUT", "inner": {"port": 70000},
            "list": [{"port": 1}, {}, {"port": "x"}], "active": "yes",
        }));
        let messages: Vec<(String, String)> = found
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, field)| (key.clone(), field["message"].as_str().unwrap().to_owned()))
            .collect();
        let expected = [
            ("params.active", "must be true or false"),
            ("params.app", "invalid UUID"),
            ("params.inner.port", "must be 1 to 65535"),
            ("params.list[1].port", "is required"),
            ("params.list[2].port", "invalid integer number"),
            ("params.method", "must be one of GET, POST"),
            ("params.name", "must be 1 to 5 characters long"),
        ];
        assert_eq!(messages, expected.map(|(key, message)| (key.to_owned(), message.to_owned())));
        assert_eq!(found["params.app"]["value"], "qwerty");
    }

    #[test]
    fn a_body_that_is_no_object_is_one_fault() {
        assert_eq!(faults(json!([1])), json!({"params": {"message": "must be an object", "value": [1]}}));
    }

    #[test]
    fn null_for_what_is_required_is_missing() {
        assert_eq!(faults(json!({"name": null, "list": [{"port": 1}]}))["params.name"]["message"], "is required");
    }

    #[test]
    fn query_text_becomes_what_the_schema_wants() {
        #[derive(ToSchema)]
        #[allow(dead_code)]
        struct Query {
            take: Option<u32>,
            active: Option<bool>,
            types: Option<Vec<String>>,
        }
        let shape = Shape::of::<Query>();
        let pairs = [("take", "5"), ("active", "true"), ("types", "sms,balance"), ("types", "auth"), ("x", "1")];
        let value = shape.coerce(pairs.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(value, json!({"take": 5, "active": true, "types": ["sms", "balance", "auth"], "x": "1"}));
        assert_eq!(shape.coerce([("take".to_owned(), "1e3".to_owned())]), json!({"take": "1e3"}));
    }
}
