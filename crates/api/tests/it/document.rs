//! The OpenAPI document against the router and against every answer of the other tests.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::Method;
use opentact_api::{RateLimit, Settings};
use serde_json::{Map, Value};

use crate::world::{Answer, World};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(opentact_api::openapi("https://test")).unwrap());

/// What answers may tell in headers of the product's own.
const HEADERS: [&str; 8] = [
    "ETag",
    "Idempotent-Replayed",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
];

/// Whether an operation of the document heeds a header.
pub fn heeds(method: &Method, template: &str, header: &str) -> bool {
    let parameters = paths()[template][method.as_str().to_lowercase()]["parameters"].as_array();
    parameters.is_some_and(|all| all.iter().any(|one| resolve(one)["name"] == header && resolve(one)["in"] == "header"))
}

/// Whether an operation of the document wants no credentials.
pub fn is_open(method: &Method, template: &str) -> bool {
    paths()[template][method.as_str().to_lowercase()]["security"] == serde_json::json!([{}])
}

/// Every answer to a documented operation has a documented status and, as JSON, the documented shape.
pub fn check(method: &Method, path: &str, answer: &Answer) {
    if answer.status == 501 {
        return;
    }
    let path = path.split('?').next().unwrap();
    let Some((template, operation)) = operation(method, path) else { return };
    let status = answer.status.as_u16().to_string();
    let response = resolve(&operation["responses"][&status]);
    assert!(response.is_object(), "{method} {template} answers {status}, which is not documented: {}", answer.json);
    for name in HEADERS {
        let documented = response["headers"][name].is_object();
        // Of these it is known when they are there; the others come with what is not always the case.
        let always = ["ETag", "X-Request-Id"].contains(&name);
        let sent = answer.headers.contains_key(name);
        // What is answered again is only what the first answer said.
        let always = always && !(name == "ETag" && answer.headers.contains_key("idempotent-replayed"));
        assert!(documented || !sent, "{method} {template} answers {status} with {name}, which is not documented");
        assert!(sent || !(documented && always), "{method} {template} answers {status} without {name}");
    }
    let schema = &response["content"]["application/json"]["schema"];
    let is_json =
        answer.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if schema.is_object() && is_json {
        let mut faults = Vec::new();
        validate(schema, &answer.json, "", &mut faults);
        assert!(faults.is_empty(), "{method} {template} {status}: {faults:#?}\n{:#}", answer.json);
    }
}

/// The operation of a path; fixed segments win over parameters.
fn operation<'a>(method: &Method, path: &str) -> Option<(&'a str, &'a Value)> {
    let paths = DOCUMENT["paths"].as_object()?;
    let fits = |template: &str| {
        let (mut left, mut right) = (template.split('/'), path.split('/'));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(one), Some(other)) if one == other || one.starts_with('{') => {}
                _ => return false,
            }
        }
    };
    let (template, item) = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count())?;
    let operation = item.get(method.as_str().to_lowercase())?;
    Some((template, operation))
}

fn resolve(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(path) => DOCUMENT.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("no {path}")),
        None => schema,
    }
}

/// Strict, other than the validator of requests: null only where it is promised.
fn validate(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolve(schema);
    for keyword in ["oneOf", "anyOf"] {
        if let Some(options) = schema[keyword].as_array() {
            let fits = options.iter().any(|option| {
                let mut inner = Vec::new();
                validate(option, value, at, &mut inner);
                inner.is_empty()
            });
            if !fits {
                faults.push(format!("{at}: none of {keyword} fits {value}"));
            }
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => kind == "number" || kind == "integer" && (number.is_i64() || number.is_u64()),
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        faults.push(format!("{at}: {value} is not {kinds:?}"));
        return;
    }
    if let Some(options) = schema["enum"].as_array()
        && !options.contains(value)
    {
        faults.push(format!("{at}: {value} is none of {options:?}"));
    }
    match value {
        Value::Object(object) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(name) {
                    faults.push(format!("{at}.{name}: is missing"));
                }
            }
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            for (name, property) in &properties {
                if let Some(value) = object.get(name) {
                    validate(property, value, &format!("{at}.{name}"), faults);
                }
            }
        }
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                validate(&schema["items"], item, &format!("{at}[{index}]"), faults);
            }
        }
        _ => {}
    }
}

fn paths() -> &'static Map<String, Value> {
    DOCUMENT["paths"].as_object().unwrap()
}

/// Each operation of the document, with the template of its path.
pub fn operations() -> impl Iterator<Item = (Method, &'static str)> {
    paths().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(|method| (method.to_uppercase().parse().unwrap(), path.as_str()))
    })
}

#[tokio::test]
async fn the_document_is_served_and_is_openapi_3_1() {
    let world = World::new().await;
    let answer = world.get("/swagger/openapi.json").anonymous().send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["openapi"], "3.1.0");
    let page = world.get("/swagger/").anonymous().send().await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
}

/// `UPDATE_DOCS=1` writes it. The TypeScript client is generated from it.
#[test]
fn the_document_in_the_tree_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let document = serde_json::to_value(opentact_api::openapi("https://127.0.0.1:8443")).unwrap();
    let text = format!("{document:#}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == text, "docs/openapi.json has drifted: UPDATE_DOCS=1 cargo nextest run -p opentact-api --test it");
}

#[test]
fn every_operation_has_a_tag_a_summary_and_an_id_of_its_own() {
    let mut ids = BTreeSet::new();
    for (path, item) in paths() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
            assert!(ids.insert(id), "{id} stands twice");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{id}");
            assert!(operation["summary"].is_string(), "{id} has no summary");
        }
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn walk(value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(path) = object.get("$ref").and_then(Value::as_str) {
                    assert!(DOCUMENT.pointer(path.trim_start_matches('#')).is_some(), "{path} leads nowhere");
                }
                object.values().for_each(walk);
            }
            Value::Array(list) => list.iter().for_each(walk),
            _ => {}
        }
    }
    walk(&DOCUMENT);
}

/// A path with its parameters filled in.
fn filled(template: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        "{domain}" => "home".to_owned(),
        parameter if parameter.starts_with('{') => "7e8a1ad2-8f3b-4e62-9c1b-3a2b1c4d5e6f".to_owned(),
        fixed => fixed.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_documented_operation_is_served() {
    // A stranger may not ask for so much at once elsewhere.
    let rate = RateLimit { address_per_minute: 15_000, ..Settings::default().rate };
    let world = World::with(Settings { rate, ..Settings::default() }).await;
    for (method, path) in operations() {
        let open = is_open(&method, path);
        let answer = world.call(method.clone(), &filled(path)).anonymous().send().await;
        let status = answer.status.as_u16();
        // Of what anybody may read, one that is not there is the operation's own answer.
        let message = answer.json["message"].as_str().unwrap_or_default();
        let missing =
            open && ["Avatar not found", "Certificate not found", "SIP User Invite not found"].contains(&message);
        assert!(missing || ![404, 405, 500, 501].contains(&status), "{method} {path}: {status}");
        assert_eq!(status == 401, !open, "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn what_comes_later_is_501_and_not_in_the_document() {
    let world = World::new().await;
    let mut count = 0;
    for (method, path) in opentact_api::not_implemented() {
        let documented = paths().get(path).is_some_and(|item| item.get(method.as_str().to_lowercase()).is_some());
        assert!(!documented, "{method} {path} is documented");
        let answer = world.call(method.clone(), &filled(path)).send().await;
        assert_eq!(answer.status, 501, "{method} {path}");
        assert_eq!(answer.json["message"], "Not implemented in this version");
        count += 1;
    }
    assert!(count > 10);
    world.get("/rest/account/user").anonymous().expect(401).await;
}

#[tokio::test]
async fn every_operation_of_2021_is_served_or_is_501() {
    let world = World::new().await;
    for line in include_str!("operations-2021.txt").lines() {
        let (method, path) = line.split_once(' ').unwrap();
        let answer = world.call(method.parse().unwrap(), &filled(path)).anonymous().send().await;
        assert_ne!(answer.json["message"], "Path not found", "{line}");
        assert_ne!(answer.status, 405, "{line}");
    }
}
