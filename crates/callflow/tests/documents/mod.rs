//! Random documents, made of the table: whatever the language has is in them, as it should be and now and then as it
//! should not.
#![allow(dead_code, clippy::unwrap_used)]

use opentact_callflow::language::{Attribute, Children, Content, Element, Kind, Name, language};
use rand::prelude::*;

const DEPTH: u32 = 3;

/// `<Response>…</Response>`.
pub fn document(random: &mut StdRng) -> String {
    let mut out = String::from("<Response>");
    block(random, 0, &mut out);
    out.push_str("</Response>");
    out
}

fn block(random: &mut StdRng, depth: u32, out: &mut String) {
    for _ in 0..random.random_range(0..5) {
        let all = language().iter().filter(|element| element.name.runs()).choose(random).unwrap();
        // What has the most to choose from.
        let element = match random.random_range(0..10) {
            0 | 1 => Name::Gather.element(),
            2 => Name::Switch.element(),
            _ => all,
        };
        // They end what else there was to see.
        if matches!(element.name, Name::Hangup | Name::Reject | Name::Redirect) && random.random_bool(0.8) {
            continue;
        }
        write(random, element, depth, out);
        if random.random_bool(0.2) {
            write(random, Name::Error.element(), depth, out);
        }
        if random.random_bool(0.02) {
            out.push_str("<Wrong x='{{y}}'/>");
        }
    }
}

fn write(random: &mut StdRng, element: &'static Element, depth: u32, out: &mut String) {
    let text = match element.content {
        Content::Nothing => None,
        Content::Attribute(name) | Content::Speech(name) => element.attribute(name),
    };
    out.push_str(&format!("<{}", element.text));
    for attribute in element.attributes {
        let is_text = text.is_some_and(|text| text.name == attribute.name);
        let chance = if attribute.required { 0.98 } else { 0.3 };
        if !is_text && random.random_bool(chance) {
            out.push_str(&format!(" {}='{}'", attribute.name, value(random, attribute)));
        }
    }
    out.push('>');
    if let Some(attribute) = text.filter(|_| random.random_bool(0.95)) {
        out.push_str(&value(random, attribute));
    }
    match element.children {
        _ if depth >= DEPTH && element.count.is_none() => {}
        Children::Block => block(random, depth + 1, out),
        Children::Only([]) => {}
        Children::Only(names) => {
            for _ in 0..random.random_range(0..4) {
                let name = names.choose(random).unwrap();
                write(random, name.element(), depth + 1, out);
            }
        }
    }
    if let Some((name, count)) = &element.count {
        (0..*count.start()).for_each(|_| write(random, name.element(), depth + 1, out));
    }
    out.push_str(&format!("</{}>", element.text));
}

fn value(random: &mut StdRng, attribute: &Attribute) -> String {
    if random.random_bool(0.02) {
        return ["?", "{{meta.a}}", "{{dtmf}}"].choose(random).unwrap().to_string();
    }
    let one_of = |random: &mut StdRng, values: &[&str]| values.choose(random).unwrap().to_string();
    match attribute.kind {
        Kind::Flag => random.random_bool(0.5).to_string(),
        Kind::Integer { min, max } => random.random_range(min..=max.min(min + 3)).to_string(),
        Kind::Millis { min, max } => random.random_range(min..=max.min(min + 5000)).to_string(),
        Kind::SecondsOrMillis => random.random_range(1..20).to_string(),
        Kind::Decibel => "-10".into(),
        Kind::Sound => one_of(random, &["https://a.example/x", "en/x.ogg"]),
        Kind::Url => one_of(random, &["https://a.example/x", "https://a.example/{{from}}"]),
        Kind::Word(words) => one_of(random, words),
        Kind::Keys => one_of(random, &["any", "none", "#", "#1"]),
        Kind::Digits => one_of(random, &["1", "12"]),
        Kind::Identifier if attribute.name == "field" => one_of(random, &["state", "from", "meta.a"]),
        Kind::Identifier if attribute.name == "on" => one_of(random, &["meta.a", "dtmf", "a.b"]),
        Kind::Identifier | Kind::Variable | Kind::Label => one_of(random, &["a", "b"]),
        Kind::Destination => {
            let all = ["12015550123", "a@b.example", "sip:x@y", "group:6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1001", "nobody"];
            one_of(random, &all)
        }
        Kind::Frequencies => one_of(random, &["440", "440,480;1000"]),
        Kind::Durations => "100".into(),
        Kind::Places => "NJ".into(),
        Kind::Weekdays => one_of(random, &["mon-fri", "sun"]),
        Kind::Hours => one_of(random, &["09:00-17:00", "22:00-06:00"]),
        Kind::Dates => one_of(random, &["07-02", "2026-12-25"]),
        Kind::Text if attribute.name == "value" => one_of(random, &["1", "live", "a"]),
        Kind::TimeZone => "America/New_York".into(),
        Kind::HeaderName => "X-A".into(),
        _ => one_of(random, &["1", "live", "hello {{from}}"]),
    }
}
