//! The table as text for people.

use std::fmt::Write;

use super::{Attribute, Children, Content, Element, Name, language};

/// The reference part of `docs/call-xml.md`: every element with its attributes, in Markdown.
pub fn reference() -> String {
    let mut out = String::new();
    for element in language() {
        describe(element, &mut out);
    }
    out
}

fn describe(element: &Element, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "### {}\n\n{}", element.text, element.doc);
    if !element.aliases.is_empty() {
        let _ = writeln!(out, "\nAlso written {}.", list(element.aliases.iter().copied()));
    }
    let mut inside: Vec<String> = Vec::new();
    match element.content {
        Content::Nothing => {}
        Content::Attribute(name) => inside.push(format!("a text, which is its `{name}`")),
        Content::Speech(name) => inside.push(format!("a text, which is its `{name}` and may hold SSML marks")),
    }
    match element.children {
        Children::Block => inside.push("any element that runs".into()),
        Children::Only([]) => {}
        Children::Only(names) => inside.push(list(names.iter().map(|name| name.as_str()))),
    }
    if !inside.is_empty() && element.name != Name::Response {
        let _ = writeln!(out, "\nInside: {}.", inside.join("; "));
    }
    if !element.attributes.is_empty() {
        let _ = writeln!(out, "\n| attribute | value | default | |\n| --- | --- | --- | --- |");
        for attribute in element.attributes {
            row(attribute, out);
        }
    }
    out.push('\n');
}

fn row(attribute: &Attribute, out: &mut String) {
    let names = list(std::iter::once(attribute.name).chain(attribute.aliases.iter().copied()));
    let default = match (attribute.default, attribute.required) {
        (Some(""), _) => "empty".into(),
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".into(),
        (None, false) => String::new(),
    };
    let _ = writeln!(out, "| {names} | {} | {default} | {} |", attribute.kind, attribute.doc);
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
