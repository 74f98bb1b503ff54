//! An example for each property and parameter of the document that has none of its own: a name stands for the same
//! everywhere, and so does a format.

use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ArrayItems, Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi as Document, RefOr};

const UUID: &str = "7e8a1ad2-8f3b-4e62-9c1b-3a2b1c4d5e6f";
const NUMBER: u64 = 12_065_550_100;

/// Texts by name; where a format says what a text is, it is the format's.
const TEXTS: &[(&str, &str)] = &[
    ("a2", "US"),
    ("a3", "USA"),
    ("action", "tn_leases_autorenew"),
    ("address1", "1 Main Street"),
    ("address2", "Floor 2"),
    ("allowed_countries", "US"),
    ("amd", "human"),
    ("app_id", "1234567890"),
    ("avatar", "https://example.com/avatar/7e8a1ad2-8f3b-4e62-9c1b-3a2b1c4d5e6f.png"),
    ("brandId", UUID),
    ("call_flow_url", "https://example.com/flow.xml"),
    ("call_flow_url2", "https://backup.example.com/flow.xml"),
    ("call_id", "a84b4c76e66710@192.0.2.7"),
    ("callback_url", "https://example.com/sms"),
    ("callback_url2", "https://backup.example.com/sms"),
    ("campaignId", UUID),
    ("carrier", "dev"),
    ("certificate", "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n"),
    ("city", "Seattle"),
    ("client_id", "1234567890.apps.googleusercontent.com"),
    ("code", "en-US"),
    ("codecs", "PCMU"),
    ("column", "county"),
    ("companyName", "Engines Inc"),
    ("contact", "sip:mobile@192.0.2.9:5060"),
    ("content_type", "text/plain"),
    ("country", "US"),
    ("country_code", "US"),
    ("credential", "Il4eZ9LqXw"),
    ("cursor", "AZr2xQ"),
    ("days", "mon"),
    ("description", "One-time codes for customers who sign in to their account"),
    ("detail", "200 OK"),
    ("did_you_mean", "Play"),
    ("digits", "1234#"),
    ("displayName", "Engines"),
    ("dob", "1990-12-31"),
    ("domain", "home"),
    ("ein", "123456789"),
    ("einIssuingCountry", "US"),
    ("element", "Say"),
    ("email", "ada@example.com"),
    ("encoding", "gsm"),
    ("engine", "festival"),
    ("error", "connection refused"),
    ("expected", "Answer, Hangup"),
    ("failover_url", "https://backup.example.com/told"),
    ("feature", "sms"),
    ("features", "sms"),
    ("file", "7e8a1ad2-8f3b-4e62-9c1b-3a2b1c4d5e6f.png"),
    ("firstName", "Ada"),
    ("first_name", "Ada"),
    ("freeswitch_call_state", "ACTIVE"),
    ("freeswitch_channel_state", "CS_EXECUTE"),
    ("from", "12065550100"),
    ("gender", "female"),
    ("helpKeywords", "HELP"),
    ("helpMessage", "Engines: write to help@example.com. Reply STOP to opt out."),
    ("help_keywords", "HELP"),
    ("help_message", "Engines: write to help@example.com. Reply STOP to opt out."),
    ("hostname", "pbx.example.com"),
    ("id", UUID),
    ("identityStatus", "VERIFIED"),
    ("ip", "192.0.2.7"),
    ("issuer", "CN=Test CA"),
    ("key", "-----BEGIN PRIVATE KEY-----\nMIGH…\n-----END PRIVATE KEY-----\n"),
    ("keyword", "STOP"),
    ("lang", "en-US"),
    ("language", "en-US"),
    ("lastName", "Lovelace"),
    ("last_name", "Lovelace"),
    ("latitude", "47.61"),
    ("line", "01xx"),
    ("login", "mobile"),
    ("longitude", "-122.33"),
    ("message", "Your code is 123456"),
    ("messageFlow", "Customers enter their number on example.com and tick a box"),
    ("meta", "3f0e6a52-6c0b-4bb8-9f63-0d1d6f0ad2c1"),
    ("name", "Main"),
    ("next_cursor", "AZr2xQ"),
    ("note", "ported in"),
    ("npa", "206"),
    ("nxx", "555"),
    ("optinKeywords", "START"),
    ("optinMessage", "Engines: you get messages again. Reply STOP to opt out."),
    ("opt_in_keywords", "START"),
    ("opt_in_message", "Engines: you get messages again. Reply STOP to opt out."),
    ("optoutKeywords", "STOP"),
    ("optoutMessage", "Engines: you get no more messages."),
    ("opt_out_keywords", "STOP"),
    ("opt_out_message", "Engines: you get no more messages."),
    ("pass_headers", "X-Customer"),
    ("password", "correct horse battery"),
    ("payload", "<Response><Answer/><Hangup/></Response>"),
    ("phone", "+12065550100"),
    ("phone_number", "+12065550100"),
    ("postalCode", "98101"),
    ("prefix", "1206"),
    ("prepend", "+"),
    ("privacyPolicyLink", "https://example.com/privacy"),
    ("profile", "Long codes"),
    ("province", "WA"),
    ("q850_cause_string", "NORMAL_CLEARING"),
    ("rateCenter", "SEATTLE"),
    ("rate_center", "SEATTLE"),
    ("ref_type", "tts"),
    ("reason", "Queuing Timeout"),
    ("referenceId", "order-1042"),
    ("reference_id", "order-1042"),
    ("remote_domain", "pbx.example.com"),
    ("sample1", "Engines: your code is 123456"),
    ("sample2", "123456 is your code for example.com"),
    ("sample3", "Sign in to example.com with 123456"),
    ("sample4", "Engines code: 123456, for 10 minutes"),
    ("sample5", "Your code for example.com: 123456"),
    ("scopes", "call:write"),
    ("secret", "Xq0yBv6Lr2TfQm8s"),
    ("serial", "5f3a9c"),
    ("source", "plan"),
    ("sources", "192.0.2.0/24"),
    ("spc", "1234"),
    ("state", "WA"),
    ("status", "ACTIVE"),
    ("stockExchange", "NASDAQ"),
    ("stockSymbol", "ENGN"),
    ("street", "1 Main Street"),
    ("subject", "CN=SHAKEN 1234"),
    ("subscriptions", "sms"),
    ("system_id", "engines"),
    ("tag", "support"),
    ("termsAndConditionsLink", "https://example.com/terms"),
    ("text", "Thank you for calling"),
    ("thread", "0f9c1b2a3d4e5f60718293a4b5c6d7e8"),
    ("time_zone", "America/Los_Angeles"),
    ("tn", "12065550100"),
    ("tn_profile", UUID),
    ("to", "12125550001"),
    ("token", "8kVZ0dXn3bQwT5yRfJ7sLm2pHc9uGa4eKi6oWx1vNzBtDqYr"),
    ("transport", "udp"),
    ("type", "text"),
    ("upload_error", "403 Forbidden"),
    ("url", "https://example.com/told"),
    ("urls", "turn:turn.example.com:3478"),
    ("user_agent", "baresip v3.0"),
    ("username", "engines"),
    ("uuid", UUID),
    ("value", "SEATTLE"),
    ("webhook_secret", "Xq0yBv6Lr2TfQm8s"),
    ("webhook_url", "https://example.com/told"),
    ("website", "https://example.com"),
    ("xml", "<Response><Answer/><Say>Hello</Say><Hangup/></Response>"),
    ("zip_code", "98101"),
];

/// Texts by format.
const FORMATS: &[(&str, &str)] = &[
    ("binary", "…"),
    ("caller-mask", "1900*"),
    ("country", "US"),
    ("date", "2026-01-31"),
    ("date-time", "2026-01-31T12:00:00.000Z"),
    ("dtmf", "1234#"),
    ("email", "ada@example.com"),
    ("hostname", "pbx.example.com"),
    ("ip", "192.0.2.7"),
    ("line", "01xx"),
    ("network", "192.0.2.0/24"),
    ("npa", "206"),
    ("scope", "call:write"),
    ("sip-login", "mobile"),
    ("source", "192.0.2.0/24"),
    ("time-zone", "America/Los_Angeles"),
    ("tn-pattern", "206555*"),
    ("uri", "https://example.com/told"),
    ("uuid", UUID),
];

/// Numbers by name; of what is not here it is the least that is allowed, or 1.
const NUMBERS: &[(&str, f64)] = &[
    ("asr", 0.65),
    ("balance", 99.5),
    ("account_balance_after", 98.5),
    ("account_balance_before", 99.5),
    ("bytes", 160_044.0),
    ("cause", 16.0),
    ("channel_limit", 10.0),
    ("characters", 42.0),
    ("column", 12.0),
    ("confidence", 0.93),
    ("cps", 5.0),
    ("days", 365.0),
    ("duration", 60.0),
    ("duration_max", 600.0),
    ("duration_ms", 10_000.0),
    ("jitter_ms", 0.5),
    ("line", 3.0),
    ("max_length", 3600.0),
    ("mos", 4.2),
    ("port", 5060.0),
    ("q850_cause", 16.0),
    ("round_trip_ms", 20.0),
    ("sample_rate", 8000.0),
    ("size", 160_044.0),
    ("skip", 0.0),
    ("status", 422.0),
    ("take", 10.0),
    ("tech_prefix", 100_001.0),
    ("time_from", 32_400.0),
    ("time_to", 61_200.0),
    ("timeout", 60.0),
    ("ttl", 86_400.0),
    ("failed", 0.0),
    ("packets_lost", 0.0),
    ("failover_codes", 503.0),
];

/// Objects that are whatever a client or the other side makes of them, by name; `{}` where they are not here.
fn object(name: &str) -> Value {
    match name {
        "meta" | "vars" => json!({"name": "Ada"}),
        "payload" => json!({"tn": NUMBER}),
        "fields" => json!({"params.to": {"message": "invalid integer number", "value": "qwerty"}}),
        "country" => json!({"a2": "US"}),
        "request" => json!({"items": [{"tn": NUMBER}]}),
        _ => json!({}),
    }
}

/// Gives an example to what has none.
pub(super) fn describe(document: &mut Document) {
    for (name, schema) in &mut document.components.get_or_insert_default().schemas {
        fill(name, schema);
    }
    for item in document.paths.paths.values_mut() {
        let PathItem { get, post, put, patch, delete, .. } = item;
        for operation in [get, post, put, patch, delete].into_iter().flatten() {
            parameters(operation);
        }
    }
}

fn parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            fill(&parameter.name, schema);
        }
    }
}

fn fill(name: &str, schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            for (name, property) in &mut object.properties {
                fill(name, property);
            }
            if object.example.is_none() && object.examples.is_empty() && object.properties.is_empty() {
                object.examples.extend(example(name, object));
            }
        }
        Schema::Array(list) => {
            if let ArrayItems::RefOrSchema(items) = &mut list.items {
                fill(name, items);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|option| fill(name, option)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|option| fill(name, option)),
        Schema::AllOf(all) => all.items.iter_mut().for_each(|part| fill(name, part)),
        _ => {}
    }
}

fn example(name: &str, object: &Object) -> Option<Value> {
    if let Some(first) = object.enum_values.as_ref().and_then(|words| words.first()) {
        return Some(first.clone());
    }
    let kinds = match &object.schema_type {
        SchemaType::Type(kind) => std::slice::from_ref(kind),
        SchemaType::Array(kinds) => kinds.as_slice(),
        SchemaType::AnyValue => return text(name, None),
    };
    let schema = serde_json::to_value(object).unwrap_or_default();
    let format = schema.get("format").and_then(Value::as_str);
    match kinds.iter().find(|kind| **kind != Type::Null)? {
        Type::String => text(name, format),
        Type::Boolean => Some(json!(true)),
        Type::Integer if format == Some("tn") => Some(json!(NUMBER)),
        kind @ (Type::Integer | Type::Number) => Some(number(name, *kind == Type::Integer, &schema)),
        Type::Object => Some(self::object(name)),
        _ => None,
    }
}

fn text(name: &str, format: Option<&str>) -> Option<Value> {
    let named = |list: &[(&str, &'static str)], wanted: &str| {
        list.iter().find(|(name, _)| *name == wanted).map(|(_, text)| *text)
    };
    // What a URL or an address is for, its name says.
    let of_name = named(TEXTS, name);
    let of_format = format.and_then(|format| named(FORMATS, format));
    let text = if format == Some("uri") { of_name.or(of_format) } else { of_format.or(of_name) };
    text.map(Value::from)
}

fn number(name: &str, whole: bool, schema: &Value) -> Value {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let named = NUMBERS.iter().find(|(one, _)| *one == name).map(|(_, number)| *number);
    let (least, most) = (bound("minimum").unwrap_or(f64::MIN), bound("maximum").unwrap_or(f64::MAX));
    let number = named.unwrap_or(if least > 1.0 { least } else { 1.0 }).max(least).min(most);
    // Within what a schema allows of whole numbers, all of which f64 holds.
    #[allow(clippy::cast_possible_truncation)]
    if whole { json!(number as i64) } else { json!(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fields;
    use crate::shape::Shape;

    /// What of a schema has no example, or one that the schema does not allow.
    fn faults(schema: &Value, at: &str, found: &mut Vec<String>) {
        if schema.get("$ref").is_some() || schema["type"] == "null" {
            return;
        }
        for keyword in ["oneOf", "anyOf", "allOf"] {
            if let Some(parts) = schema[keyword].as_array() {
                parts.iter().for_each(|part| faults(part, at, found));
                return;
            }
        }
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                faults(property, &format!("{at}.{name}"), found);
            }
        } else if schema["items"].is_object() {
            faults(&schema["items"], &format!("{at}[]"), found);
        } else {
            let examples = schema["examples"].as_array().cloned().unwrap_or_default();
            let examples: Vec<Value> = examples.into_iter().chain(schema.get("example").cloned()).collect();
            if examples.is_empty() {
                found.push(format!("{at} has no example"));
            }
            let shape = Shape::new(schema.clone(), serde_json::Map::new());
            for example in examples {
                let mut fields = Fields::default();
                shape.check(&example, at, &mut fields);
                if !fields.is_empty() {
                    found.push(format!("{at}: {example}: {}", serde_json::to_string(&fields).unwrap()));
                }
            }
        }
    }

    #[test]
    fn every_property_and_parameter_has_an_example_that_is_one() {
        let document = serde_json::to_value(crate::openapi("https://test")).unwrap();
        let mut found = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            faults(schema, name, &mut found);
        }
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let all = operation["parameters"].as_array().into_iter().flatten();
                for parameter in all.filter(|parameter| parameter.get("$ref").is_none()) {
                    let at = format!("{method} {path} {}", parameter["name"]);
                    faults(&parameter["schema"], &at, &mut found);
                }
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }
}
