//! What is wrong with a document, and where.

use std::fmt;

/// One fault of a document, at the first character of what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// The element the fault is in, as written; `None` when the text is no XML at all.
    pub element: Option<String>,
    /// The whole of it for a person to read, with what follows.
    pub message: String,
    /// What should stand there, where that can be said.
    pub expected: Option<String>,
    /// What the writer most likely meant.
    pub did_you_mean: Option<String>,
}

/// What is wrong, wherever it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrong {
    pub message: String,
    pub expected: Option<String>,
    pub did_you_mean: Option<String>,
}

impl Wrong {
    pub fn expected(mut self, expected: impl Into<String>) -> Wrong {
        self.expected = Some(expected.into());
        self
    }

    /// Adds the candidate most like `written` to the message.
    pub fn like<'a>(mut self, written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Wrong {
        if let Some(name) = did_you_mean(written, candidates) {
            self.message.push_str(&format!(", did you mean `{name}`?"));
            self.did_you_mean = Some(name.into());
        }
        self
    }

    pub fn at(self, (line, column): (u32, u32), element: Option<String>) -> Fault {
        let Wrong { message, expected, did_you_mean } = self;
        Fault { line, column, element, message, expected, did_you_mean }
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong { message, ..Wrong::default() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if let Some(element) = &self.element {
            write!(f, "<{element}>: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The candidate a writer most likely meant by `written`: at most two edits away, and at most a third of its length.
fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    // Longer input is no slip of the pen, and the distance is quadratic.
    if written.len() > 32 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(&written, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && distance * 3 <= candidate.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`
/// (optimal string alignment distance).
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        let names = ["Say", "Play", "Gather", "Hangup", "Dial"];
        assert_eq!(did_you_mean("Gahter", names), Some("Gather"));
        assert_eq!(did_you_mean("hangUps", names), Some("Hangup"));
        assert_eq!(did_you_mean("Sya", names), Some("Say"));
        assert_eq!(did_you_mean("Conference", names), None);
        assert_eq!(did_you_mean(&"x".repeat(1000), names), None);
    }
}
