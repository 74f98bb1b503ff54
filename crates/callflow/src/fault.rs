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
    pub message: String,
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
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
