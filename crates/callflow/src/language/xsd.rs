//! The table as XML Schema 1.0, for editors: it completes names and marks what is wrong as it is written. Names are those
//! of the convention there; that case does not matter, a schema cannot say, nor how often an element may stand in another.

use std::fmt::Write;

use super::{Attribute, Children, Content, Element, Kind, Name, SSML, language};
use crate::variables::escape;

/// The schema of all documents.
pub fn xsd() -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">\n\
         <xs:element name=\"Response\" type=\"Response\"/>\n\
         <xs:simpleType name=\"variable\"><xs:restriction base=\"xs:string\">\
         <xs:pattern value=\"[\\s\\S]*\\{\\{\\s*[\\p{L}\\p{N}_.\\-]+\\s*\\}\\}[\\s\\S]*\"/></xs:restriction></xs:simpleType>\n\
         <xs:simpleType name=\"nothing\"><xs:restriction base=\"xs:token\"><xs:length value=\"0\"/></xs:restriction></xs:simpleType>\n",
    );
    marks(&mut out);
    out.push_str("<xs:group name=\"block\"><xs:choice>\n");
    for element in language().iter().filter(|element| element.name.runs() || element.name == Name::Error) {
        references(element, &mut out);
    }
    out.push_str("</xs:choice></xs:group>\n");
    for element in language() {
        describe(element, &mut out);
    }
    out.push_str("</xs:schema>\n");
    out
}

// Writing to a String cannot fail; the results below say nothing.

/// SSML inside `<Say>`: what the marks are, not what they mean.
fn marks(out: &mut String) {
    out.push_str("<xs:complexType name=\"mark\" mixed=\"true\"><xs:group ref=\"marks\" minOccurs=\"0\" maxOccurs=\"unbounded\"/>");
    out.push_str("<xs:anyAttribute namespace=\"##any\" processContents=\"skip\"/></xs:complexType>\n<xs:group name=\"marks\"><xs:choice>");
    for mark in SSML {
        let _ = write!(out, "<xs:element name=\"{mark}\" type=\"mark\"/>");
    }
    out.push_str("</xs:choice></xs:group>\n");
}

fn references(element: &Element, out: &mut String) {
    for name in std::iter::once(&element.text).chain(element.aliases) {
        let _ = writeln!(out, "<xs:element name=\"{name}\" type=\"{}\"/>", element.text);
    }
}

fn describe(element: &Element, out: &mut String) {
    if let (Content::Attribute(name), Children::Only([])) = (element.content, element.children) {
        return describe_text(element, name, out);
    }
    let mixed = if element.content == Content::Nothing { "" } else { " mixed=\"true\"" };
    let _ = writeln!(out, "<xs:complexType name=\"{}\"{mixed}>", element.text);
    documentation(element.doc, out);
    match element.children {
        Children::Block => out.push_str("<xs:group ref=\"block\" minOccurs=\"0\" maxOccurs=\"unbounded\"/>\n"),
        Children::Only(names) => {
            out.push_str("<xs:choice minOccurs=\"0\" maxOccurs=\"unbounded\">\n");
            names.iter().for_each(|name| references(name.element(), out));
            if matches!(element.content, Content::Speech(_)) {
                out.push_str("<xs:group ref=\"marks\"/>\n");
            }
            out.push_str("</xs:choice>\n");
        }
    }
    attributes(element, out);
    out.push_str("</xs:complexType>\n");
}

/// An element that holds nothing but a text, which is an attribute's value.
fn describe_text(element: &Element, name: &str, out: &mut String) {
    let text = element.text;
    if let Some(attribute) = element.attribute(name) {
        let _ = write!(out, "<xs:simpleType name=\"{text}Text\"><xs:union memberTypes=\"nothing variable\">");
        kind(&attribute.kind, out);
        out.push_str("</xs:union></xs:simpleType>\n");
    }
    let _ = writeln!(out, "<xs:complexType name=\"{text}\">");
    documentation(element.doc, out);
    let _ = writeln!(out, "<xs:simpleContent><xs:extension base=\"{text}Text\">");
    attributes(element, out);
    out.push_str("</xs:extension></xs:simpleContent></xs:complexType>\n");
}

fn documentation(text: &str, out: &mut String) {
    out.push_str("<xs:annotation><xs:documentation>");
    escape(text, out);
    out.push_str("</xs:documentation></xs:annotation>\n");
}

fn attributes(element: &Element, out: &mut String) {
    for attribute in element.attributes {
        let as_text =
            matches!(element.content, Content::Attribute(name) | Content::Speech(name) if name == attribute.name);
        let required = attribute.required && !as_text && attribute.aliases.is_empty();
        write_attribute(attribute, attribute.name, required, out);
        for alias in attribute.aliases {
            write_attribute(attribute, alias, false, out);
        }
    }
}

fn write_attribute(attribute: &Attribute, name: &str, required: bool, out: &mut String) {
    let required = if required { " use=\"required\"" } else { "" };
    let _ = write!(out, "<xs:attribute name=\"{name}\"{required}>");
    documentation(attribute.doc, out);
    out.push_str("<xs:simpleType><xs:union memberTypes=\"variable\">");
    kind(&attribute.kind, out);
    out.push_str("</xs:union></xs:simpleType></xs:attribute>\n");
}

fn kind(kind: &Kind, out: &mut String) {
    let range = |base: &str, min: &dyn std::fmt::Display, max: &dyn std::fmt::Display| {
        restriction(base, &[("minInclusive", &min.to_string()), ("maxInclusive", &max.to_string())])
    };
    let pattern = |pattern: &str| restriction("xs:token", &[("pattern", pattern)]);
    let letters = r"\p{L}\p{N}_";
    let word = |words: &[&str]| words.iter().map(|word| any_case(word)).collect::<Vec<_>>().join("|");
    let types = match kind {
        Kind::Text => restriction("xs:string", &[]),
        Kind::Flag => pattern(&word(&["true", "false", "yes", "no", "1", "0"])),
        Kind::Integer { min, max } | Kind::Millis { min, max } => range("xs:nonNegativeInteger", min, max),
        Kind::SecondsOrMillis => range("xs:nonNegativeInteger", &1, &600_000),
        Kind::Decibel => range("xs:decimal", &-60, &0) + &pattern(r"-?[0-9]+(\.[0-9]+)?\s?dB"),
        Kind::Url => pattern(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]+\S*"),
        Kind::Sound => pattern(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]+\S*|file:.+|[^/:][^:]*"),
        // The enumeration is what an editor offers.
        Kind::Word(words) => {
            let values: Vec<(&str, &str)> = words.iter().map(|word| ("enumeration", *word)).collect();
            restriction("xs:token", &values) + &pattern(&word(words))
        }
        Kind::Keys => pattern(&format!("[0-9*#A-Da-d]*|{}", word(&["any", "none", "true", "false"]))),
        Kind::Digits => pattern("[0-9*#A-Da-d]{1,32}"),
        Kind::Identifier => pattern(&format!(r"[{letters}.\-]{{1,64}}")),
        Kind::Variable => pattern(&format!(r"[{letters}\-]{{1,64}}")),
        Kind::Label => restriction("xs:token", &[("minLength", "1"), ("maxLength", "255")]),
        Kind::Destination => pattern(&format!(
            r"\s?(([Tt][Ee][Ll]:)?[+]?[0-9*# .()\-]+|[Ss][Ii][Pp][Ss]?:[^\s@]*@?[^\s@]+|\S+@\S+|{}[0-9A-Fa-f\-]{{36}})\s?",
            any_case("group:")
        )),
        Kind::Frequencies => pattern(r"[0-9.,+;xX\s]+"),
        Kind::Durations => pattern(r"[0-9,xX\s]+"),
        Kind::Places => pattern(r"[\p{L} .'\-]{1,64}(,[\p{L} .'\-]{1,64})*"),
        Kind::Weekdays => {
            let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let day = format!("\\s?({})[a-z]*\\s?", word(&days));
            pattern(&format!(r"{day}([,\-]{day})*"))
        }
        Kind::Hours => {
            let time = "[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?";
            pattern(&format!(r"{time}\s?-\s?{time}"))
        }
        Kind::Dates => {
            let date = r"\s?([0-9]{4}-)?[0-9]{2}-[0-9]{2}\s?";
            pattern(&format!("{date}(/{date})?(,{date}(/{date})?)*"))
        }
        Kind::TimeZone => pattern(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*"),
        Kind::HeaderName => pattern("[!#$%&'*+.^_`|~0-9A-Za-z\\-]{1,64}"),
        Kind::HeaderValue => restriction("xs:string", &[("maxLength", "4096")]),
    };
    out.push_str(&types);
}

fn restriction(base: &str, facets: &[(&str, &str)]) -> String {
    let mut out = format!("<xs:simpleType><xs:restriction base=\"{base}\">");
    for (facet, value) in facets {
        let _ = write!(out, "<xs:{facet} value=\"");
        escape(value, &mut out);
        out.push_str("\"/>");
    }
    out.push_str("</xs:restriction></xs:simpleType>");
    out
}

/// `[Aa][Bb]`: a schema has no other way to say so.
fn any_case(word: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    word.chars().map(letter).collect()
}
