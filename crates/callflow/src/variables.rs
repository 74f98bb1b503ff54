//! The variables of a call, and `{{name}}` in a document.

use std::collections::BTreeMap;

/// Most variables of one call.
const MAX_VARIABLES: usize = 256;
/// Longest name and value, in bytes.
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 8 * 1024;
/// Longest text after replacement; the rest is cut.
const MAX_TEXT: usize = 256 * 1024;

/// Named texts: `from`, `to`, `call`, `tn`, `sca`, `direction`, `type`, `meta.NAME` and what a batch adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    pub fn new() -> Variables {
        Variables::default()
    }

    /// Sets a variable. A name or value over the limits, or one variable too many, is left out: returns false.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> bool {
        let (name, value) = (name.into(), value.into());
        let room = self.0.len() < MAX_VARIABLES || self.0.contains_key(&name);
        let fits = room && name.len() <= MAX_NAME && value.len() <= MAX_VALUE;
        if fits {
            self.0.insert(name, value);
        }
        fits
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Removes a variable and its parts, `name.*`.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.retain(|there, _| {
            let part = there.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            !part
        });
    }

    /// The `meta.*` variables, without that prefix.
    pub fn meta(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix("meta.")?, value.as_str())))
    }

    /// Replaces each `{{name}}`; an unknown name becomes nothing, braces without a name stay as they are.
    pub(crate) fn interpolate(&self, text: &str) -> String {
        self.interpolate_as(text, Encoding::Plain)
    }

    /// The same inside a text of some form, which no value can break out of.
    pub(crate) fn interpolate_as(&self, text: &str, encoding: Encoding) -> String {
        self.replace(text, |value, out| match encoding {
            Encoding::Plain => out.push_str(value),
            Encoding::Markup => escape(value, out),
            Encoding::Percent => percent(value, out),
            Encoding::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        })
    }

    /// The same inside a URL: a value is percent-encoded (RFC 3986 2.3), except where the URL begins with it.
    pub(crate) fn interpolate_url(&self, text: &str) -> String {
        self.replace(text, |value, out| {
            if out.is_empty() {
                out.push_str(value);
                return;
            }
            percent(value, out);
        })
    }

    fn replace(&self, text: &str, append: impl Fn(&str, &mut String)) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let (before, opened) = rest.split_at(start);
            out.push_str(before);
            let name = opened[2..].split_once("}}").map(|(name, after)| (name.trim(), after));
            match name {
                Some((name, after)) if is_name(name) => {
                    if out.len() < MAX_TEXT {
                        append(self.get(name).unwrap_or_default(), &mut out);
                    }
                    rest = after;
                }
                _ => {
                    out.push_str("{{");
                    rest = &opened[2..];
                }
            }
        }
        out.push_str(rest);
        out
    }
}

/// How a value stands in the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    /// XML and HTML.
    Markup,
    /// URLs and forms.
    Percent,
    /// Between the quotes of a string.
    Json,
}

fn percent(value: &str, out: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Whether a value can only be checked once the variables are known.
pub(crate) fn has_variable(text: &str) -> bool {
    text.split("{{").skip(1).any(|part| part.split_once("}}").is_some_and(|(name, _)| is_name(name.trim())))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

pub(crate) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced() {
        let mut variables = Variables::new();
        variables.set("from", "+12015550100");
        variables.set("meta.who", "Tom & Ann");
        assert_eq!(variables.interpolate("Hi {{ meta.who }} at {{from}}."), "Hi Tom & Ann at +12015550100.");
        assert_eq!(variables.interpolate_as("Hi {{meta.who}}", Encoding::Markup), "Hi Tom &amp; Ann");
        assert_eq!(variables.interpolate("{{unknown}}|{{ }}|{{a b}}|{{from"), "|{{ }}|{{a b}}|{{from");
        assert_eq!(variables.interpolate("{{{{from}}}}"), "{{+12015550100}}");
        assert!(has_variable("{{{{from}}"));
        assert!(!has_variable("{{a b}} {x} {{"));
    }

    #[test]
    fn a_value_cannot_break_out_of_a_url() {
        let mut variables = Variables::new();
        variables.set("meta.who", "Tom & Ann?");
        variables.set("meta.base", "https://a.example/x?y=");
        assert_eq!(variables.interpolate_url("{{meta.base}}{{meta.who}}"), "https://a.example/x?y=Tom%20%26%20Ann%3F");
    }

    #[test]
    fn a_value_cannot_break_out_of_json() {
        let mut variables = Variables::new();
        variables.set("a", "\"},{\"b\":1\n");
        assert_eq!(variables.interpolate_as(r#"{"a":"{{a}}"}"#, Encoding::Json), r#"{"a":"\"},{\"b\":1\n"}"#);
    }

    #[test]
    fn a_variable_is_forgotten_with_its_parts() {
        let mut variables = Variables::new();
        for name in ["a", "a.b", "a.b.0", "ab"] {
            variables.set(name, "x");
        }
        variables.forget("a");
        assert!(["a", "a.b", "a.b.0"].iter().all(|name| variables.get(name).is_none()));
        assert!(variables.get("ab").is_some());
    }

    #[test]
    fn a_value_is_not_replaced_again() {
        let mut variables = Variables::new();
        variables.set("a", "{{a}}{{a}}");
        assert_eq!(variables.interpolate("{{a}}"), "{{a}}{{a}}");
    }

    #[test]
    fn variables_are_bounded() {
        let mut variables = Variables::new();
        assert!((0..MAX_VARIABLES).all(|n| variables.set(n.to_string(), "x")));
        assert!(!variables.set("one more", "x"));
        assert!(variables.set("7", "changed"));
        assert!(!variables.set("8", "x".repeat(MAX_VALUE + 1)));
    }
}
