//! The attributes of an element as they are in force when it runs.

use std::time::Duration;

use chrono_tz::Tz;

use crate::destination::Destination;
use crate::document::Node;
use crate::language::{Keys, Kind, Value};
use crate::schedule::{Dates, Hours, Weekdays};
use crate::variables::Variables;

/// Checked values by the names of the table, defaults included.
#[derive(Debug, Default)]
pub(crate) struct Args {
    values: Vec<(&'static str, Value)>,
    /// As written, variables replaced, in the order written.
    written: Vec<(String, String)>,
}

impl Args {
    /// The values, and what is wrong with the element: its fault in the document, or a variable that does not fit.
    pub(crate) fn resolve(node: &Node, variables: &Variables) -> (Args, Option<String>) {
        let mut args = Args::default();
        let mut fault = node.fault.clone();
        let Some(element) = node.name.map(|name| name.element()) else {
            return (args, fault);
        };
        for (name, text) in &node.attributes {
            let is_url = element.attribute(name).is_some_and(|attribute| match attribute.kind {
                Kind::Url => true,
                // What begins with a value may become one.
                Kind::Sound => text.contains("://") || text.starts_with("{{"),
                _ => false,
            });
            let text = if is_url { variables.interpolate_url(text) } else { variables.interpolate(text) };
            args.written.push(((*name).into(), text));
        }
        for attribute in element.attributes {
            let given = args.written.iter().find(|(name, _)| name == attribute.name).map(|(_, text)| text.as_str());
            let Some(text) = given.or(attribute.default) else { continue };
            match attribute.kind.parse(text) {
                Ok(value) => args.values.push((attribute.name, value)),
                Err(message) => _ = fault.get_or_insert(format!("attribute `{}`: {message}", attribute.name)),
            }
        }
        (args, fault)
    }

    pub(crate) fn into_written(self) -> Vec<(String, String)> {
        self.written
    }

    /// Whether the document sets it.
    pub(crate) fn is_written(&self, name: &str) -> bool {
        self.written.iter().any(|(n, _)| n == name)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn word(&self, name: &str) -> Option<&'static str> {
        match self.get(name)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// One whose absence is neither.
    pub(crate) fn given_flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    pub(crate) fn keys(&self, name: &str) -> Keys {
        match self.get(name) {
            Some(Value::Keys(keys)) => *keys,
            _ => Keys::NONE,
        }
    }

    pub(crate) fn decibel(&self, name: &str) -> Option<f32> {
        match self.get(name)? {
            Value::Decibel(db) => Some(*db),
            _ => None,
        }
    }

    pub(crate) fn destination(&self, name: &str) -> Option<&Destination> {
        match self.get(name)? {
            Value::Destination(destination) => Some(destination),
            _ => None,
        }
    }

    pub(crate) fn places(&self, name: &str) -> Option<&[String]> {
        match self.get(name)? {
            Value::Places(places) => Some(places),
            _ => None,
        }
    }

    pub(crate) fn weekdays(&self, name: &str) -> Option<Weekdays> {
        match self.get(name)? {
            Value::Weekdays(days) => Some(*days),
            _ => None,
        }
    }

    pub(crate) fn hours(&self, name: &str) -> Option<Hours> {
        match self.get(name)? {
            Value::Hours(hours) => Some(*hours),
            _ => None,
        }
    }

    pub(crate) fn dates(&self, name: &str) -> Option<&[Dates]> {
        match self.get(name)? {
            Value::Dates(dates) => Some(dates),
            _ => None,
        }
    }

    pub(crate) fn time_zone(&self, name: &str) -> Option<Tz> {
        match self.get(name)? {
            Value::TimeZone(tz) => Some(*tz),
            _ => None,
        }
    }

    pub(crate) fn frequencies(&self, name: &str) -> Option<&[Vec<f32>]> {
        match self.get(name)? {
            Value::Frequencies(steps) => Some(steps),
            _ => None,
        }
    }

    pub(crate) fn durations(&self, name: &str) -> Option<&[u32]> {
        match self.get(name)? {
            Value::Durations(steps) => Some(steps),
            _ => None,
        }
    }
}
