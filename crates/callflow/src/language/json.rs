//! The table as JSON, for tools that make or check documents.

use serde_json::{Map, Value, json};

use super::{Attribute, Children, Content, Element, Kind, Name, SSML, language};
use crate::parse::{MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS};

/// The description of the language: limits, elements, attributes, types.
pub fn json() -> Value {
    json!({
        "root": Name::Response.as_str(),
        "limits": { "bytes": MAX_BYTES, "depth": MAX_DEPTH, "elements": MAX_ELEMENTS },
        "ssml": SSML,
        "elements": language().iter().map(describe).collect::<Vec<_>>(),
    })
}

fn describe(element: &Element) -> Value {
    let text = match element.content {
        Content::Nothing => Value::Null,
        Content::Attribute(name) => json!({ "attribute": name, "ssml": false }),
        Content::Speech(name) => json!({ "attribute": name, "ssml": true }),
    };
    let children: Vec<&str> = language().iter().filter(|child| element.takes(child.name)).map(|c| c.text).collect();
    let count = element
        .count
        .as_ref()
        .map(|(name, count)| json!({ "element": name.as_str(), "min": count.start(), "max": count.end() }));
    json!({
        "name": element.text,
        "aliases": element.aliases,
        "doc": element.doc,
        "runs": element.name.runs(),
        "text": text,
        "block": element.children == Children::Block,
        "children": children,
        "one_of": element.one_of,
        "count": count,
        "attributes": element.attributes.iter().map(attribute).collect::<Vec<_>>(),
    })
}

fn attribute(attribute: &Attribute) -> Value {
    json!({
        "name": attribute.name,
        "aliases": attribute.aliases,
        "doc": attribute.doc,
        "required": attribute.required,
        "default": attribute.default,
        "type": kind(&attribute.kind),
    })
}

/// What is more than a name of the type: its range, its words. `expected` is what a fault says.
fn kind(kind: &Kind) -> Value {
    let mut out = Map::new();
    let name = format!("{kind:?}");
    let name = name.split([' ', '(']).next().unwrap_or_default();
    out.insert("name".into(), name.into());
    match kind {
        Kind::Integer { min, max } | Kind::Millis { min, max } => {
            out.insert("min".into(), (*min).into());
            out.insert("max".into(), (*max).into());
        }
        Kind::Word(words) => drop(out.insert("values".into(), json!(words))),
        _ => {}
    }
    out.insert("expected".into(), kind.to_string().into());
    out.into()
}
