//! The language as data. One table ([`table::ELEMENTS`]) says which elements there are, what attributes they take, of
//! which type and with which default, and what may stand inside; the parser, the machine, the documentation, the XML Schema and the JSON
//! description read it.

mod json;
mod reference;
mod table;
mod value;
mod xsd;

pub use json::json;
pub use reference::reference;
pub(crate) use value::Value;
pub use value::{Keys, Kind};
pub use xsd::xsd;

/// The elements of the language that this version runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    Response,
    Answer,
    Say,
    Play,
    Tone,
    Pause,
    Gather,
    Dial,
    To,
    Record,
    RecordStart,
    RecordStop,
    RecordWait,
    Callback,
    Redirect,
    Reject,
    Hangup,
    Meta,
    Error,
    Dtmf,
    Default,
    Switch,
    Case,
    Call,
    Geo,
    Schedule,
    Curl,
    Header,
    Body,
    Hold,
    Unhold,
}

/// One element of the language.
#[derive(Debug)]
pub struct Element {
    pub name: Name,
    /// As it is written by convention; case does not matter.
    pub text: &'static str,
    pub aliases: &'static [&'static str],
    pub doc: &'static str,
    pub attributes: &'static [Attribute],
    pub content: Content,
    pub children: Children,
    /// At least one of these attributes must be there.
    pub one_of: &'static [&'static str],
    /// How many children of one name there must be.
    pub count: Option<(Name, std::ops::RangeInclusive<usize>)>,
}

/// One attribute of an element.
#[derive(Debug)]
pub struct Attribute {
    pub name: &'static str,
    /// Spellings of the other generation.
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    pub default: Option<&'static str>,
    pub required: bool,
    pub doc: &'static str,
}

/// What the text inside an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Not allowed.
    Nothing,
    /// The value of this attribute, where the attribute itself is not there.
    Attribute(&'static str),
    /// The same, with the SSML elements of [`SSML`] allowed in it.
    Speech(&'static str),
}

/// What may stand inside an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    /// Any element that runs; an `Error` belongs to the element before it.
    Block,
    Only(&'static [Name]),
}

/// Marks of SSML 1.1 that `<Say>` may hold; [`crate::spans`] tells which of them are heard.
pub const SSML: &[&str] =
    &["speak", "p", "s", "break", "emphasis", "prosody", "say-as", "sub", "phoneme", "voice", "lang", "mark"];

/// Every element this version runs, in the order of the documentation.
pub fn language() -> &'static [Element] {
    table::ELEMENTS
}

impl Name {
    pub fn element(self) -> &'static Element {
        // The table is in the order of the enum; a test holds it there.
        &table::ELEMENTS[self as usize]
    }

    pub fn as_str(self) -> &'static str {
        self.element().text
    }

    /// Whether it runs by itself in a block, as opposed to being a part of its parent.
    pub fn runs(self) -> bool {
        !matches!(
            self,
            Name::Response
                | Name::To
                | Name::Error
                | Name::Dtmf
                | Name::Default
                | Name::Case
                | Name::Header
                | Name::Body
        )
    }
}

/// What a written element name stands for.
pub(crate) enum Lookup {
    Known(&'static Element),
    /// Of the language, but not run by this version.
    Later(&'static str),
    Unknown,
}

pub(crate) fn lookup(written: &str) -> Lookup {
    let same = |name: &str| name.eq_ignore_ascii_case(written);
    if let Some(element) = table::ELEMENTS.iter().find(|e| same(e.text) || e.aliases.iter().any(|a| same(a))) {
        return Lookup::Known(element);
    }
    match table::LATER.iter().find(|name| same(name)) {
        Some(name) => Lookup::Later(name),
        None => Lookup::Unknown,
    }
}

impl Element {
    /// The attribute a written name stands for, by its name or an alias, without regard to case.
    pub fn attribute(&self, written: &str) -> Option<&'static Attribute> {
        self.attributes
            .iter()
            .find(|a| a.name.eq_ignore_ascii_case(written) || a.aliases.iter().any(|b| b.eq_ignore_ascii_case(written)))
    }

    /// Whether `child` may stand inside.
    pub fn takes(&self, child: Name) -> bool {
        match self.children {
            Children::Block => child.runs() || child == Name::Error,
            Children::Only(names) => names.contains(&child),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        for (index, element) in language().iter().enumerate() {
            assert_eq!(element.name as usize, index, "{}", element.text);
        }
        assert_eq!(language().len(), Name::Unhold as usize + 1);
    }

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for element in language() {
            for attribute in element.attributes {
                if let Some(default) = attribute.default {
                    let checked = attribute.kind.parse(default);
                    assert!(checked.is_ok(), "{} {}: {checked:?}", element.text, attribute.name);
                }
            }
            for name in element.one_of {
                assert!(element.attribute(name).is_some());
            }
            if let Content::Attribute(name) | Content::Speech(name) = element.content {
                assert!(element.attribute(name).is_some());
            }
        }
    }

    #[test]
    fn no_spelling_stands_for_two_things() {
        let mut seen = std::collections::HashSet::new();
        for element in language() {
            for name in std::iter::once(&element.text).chain(element.aliases) {
                assert!(seen.insert(name.to_ascii_lowercase()), "{name}");
            }
            let mut seen = std::collections::HashSet::new();
            for attribute in element.attributes {
                for name in std::iter::once(&attribute.name).chain(attribute.aliases) {
                    assert!(seen.insert(name.to_ascii_lowercase()), "{} {name}", element.text);
                }
            }
        }
        for name in table::LATER {
            assert!(seen.insert(name.to_ascii_lowercase()), "{name}");
        }
    }
}
