//! Where a value comes from: default, file, environment, flag; the later one wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::value::{Raw, Value};
use super::{Setting, all_settings};

/// The place a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::Flag(name) => write!(out, "flag {name}"),
        }
    }
}

/// What is wrong with one key, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message} ({origin})")]
pub struct Fault {
    pub key: String,
    pub message: String,
    pub origin: Origin,
}

/// The values given, highest layer only, with their origin.
#[derive(Debug, Default)]
pub struct Layers {
    given: BTreeMap<&'static str, (Raw, Origin)>,
    pub faults: Vec<Fault>,
}

/// Names of this prefix that are no settings: they serve the client commands and `--config`.
const NOT_SETTINGS: [&str; 4] = ["OPENTACT_CONFIG", "OPENTACT_URL", "OPENTACT_TOKEN", "OPENTACT_CA"];

impl Layers {
    /// Adds a TOML file's values.
    pub fn file(&mut self, path: &Path, text: &str) {
        let origin = |line| Origin::File { path: path.to_owned(), line };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(fault) => {
                let fault: toml::de::Error = fault;
                let line = fault.span().map_or(1, |span| line_of(text, span.start));
                let message = fault.message().to_owned();
                self.faults.push(Fault { key: "configuration file".to_owned(), message, origin: origin(line) });
                return;
            }
        };
        let lines = key_lines(text);
        for (key, value) in flatten(table) {
            let line = lines.get(&key).copied().unwrap_or(1);
            self.give(&key, Raw::Toml(value), origin(line));
        }
    }

    /// Adds the variables that start with `OPENTACT_`; the others are not ours.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        let mut ours: Vec<(String, String)> = variables
            .filter(|(name, _)| name.starts_with("OPENTACT_") && !NOT_SETTINGS.contains(&name.as_str()))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let key = name["OPENTACT_".len()..].replace("__", ".").to_ascii_lowercase();
            self.give(&key, Raw::Text(value), Origin::Environment(name));
        }
    }

    /// Adds one flag's value.
    pub fn flag(&mut self, key: &str, value: &str) {
        self.give(key, Raw::Text(value.to_owned()), Origin::Flag(format!("--{key}")));
    }

    fn give(&mut self, key: &str, raw: Raw, origin: Origin) {
        match all_settings().find(|setting| setting.key == key) {
            Some(setting) => {
                self.given.insert(setting.key, (raw, origin));
            }
            None => {
                let message = match nearest(key) {
                    Some(known) => format!("unknown setting; did you mean {known}?"),
                    None => "unknown setting".to_owned(),
                };
                self.faults.push(Fault { key: key.to_owned(), message, origin });
            }
        }
    }

    /// The value of a setting, or `None` after noting what is wrong with it.
    pub fn value<T: Value>(&mut self, setting: &Setting) -> Option<T> {
        let (read, origin) = match self.given.get(setting.key) {
            Some((raw, origin)) => (T::from_raw(raw), origin.clone()),
            None => (T::from_text(setting.default), Origin::Default),
        };
        match read {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.push(Fault { key: setting.key.to_owned(), message, origin });
                None
            }
        }
    }

    /// Where the value of `key` comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.given.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }
}

/// `[http] listen = ...` as `("http.listen", ...)`.
fn flatten(table: toml::Table) -> Vec<(String, toml::Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                flat.extend(flatten(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            value => flat.push((key, value)),
        }
    }
    flat
}

/// The line on which each key of a valid TOML text stands.
fn key_lines(text: &str) -> BTreeMap<String, usize> {
    fn walk(table: &toml::de::DeTable<'_>, prefix: &str, text: &str, lines: &mut BTreeMap<String, usize>) {
        for (key, value) in table {
            let path = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                toml::de::DeValue::Table(inner) => walk(inner, &format!("{path}."), text, lines),
                _ => {
                    lines.insert(path, line_of(text, key.span().start));
                }
            }
        }
    }
    let mut lines = BTreeMap::new();
    if let Ok(table) = toml::de::DeTable::parse(text) {
        walk(table.get_ref(), "", text, &mut lines);
    }
    lines
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The known key that `key` was most likely meant to be.
fn nearest(key: &str) -> Option<&'static str> {
    all_settings()
        .map(|setting| (distance(key, setting.key), setting.key))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known)
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, from) in left.bytes().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, to) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
