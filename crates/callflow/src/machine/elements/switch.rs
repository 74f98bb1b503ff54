//! `<Switch>`: runs the `<Case>` that equals a variable, inside `<Gather>` the keys entered or the words said.

use std::sync::Arc;

use super::{Cut, Cx, Flow, Run};
use crate::document::Node;
use crate::language::Name;
use crate::machine::args::Args;
use crate::variables::Variables;

/// The variables a Gather leaves its keys or its words in; the other is empty then.
pub(super) const KEYS: &str = "dtmf";
pub(super) const SPEECH: &str = "speech";

#[derive(Debug)]
pub(super) struct Switch;

impl Run for Switch {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let value = |name: &str| cx.variables.get(name).unwrap_or_default();
        let subject = match cx.args.text("on") {
            Some(on) => Entry::Keys(value(on)),
            None if value(KEYS).is_empty() && !value(SPEECH).is_empty() => Entry::Words(value(SPEECH)),
            None => Entry::Keys(value(KEYS)),
        };
        match matching(cx.node, subject, cx.variables).or_else(|| default(cx.node)) {
            Some(case) => Flow::Block(vec![case]),
            None => Flow::done("No case matches"),
        }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}

/// What a choice is made by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    /// Exactly these, as those of any variable.
    Keys(&'a str),
    /// Words, however they are written.
    Words(&'a str),
}

/// The first `Case` (or `DTMF`) right inside `node` that equals the entry; of words else the first whose words are among
/// them, in their order.
pub(super) fn matching(node: &Node, entry: Entry<'_>, variables: &Variables) -> Option<Arc<Node>> {
    let choices = || node.children.iter().filter(|child| matches!(child.name, Some(Name::Case | Name::Dtmf)));
    let is = |child: &Arc<Node>, fits: &dyn Fn(&str) -> bool| {
        Args::resolve(child, variables).0.text("value").is_some_and(|value| fits(value.trim()))
    };
    let first = |fits: &dyn Fn(&str) -> bool| choices().find(|child| is(child, fits)).cloned();
    match entry {
        Entry::Keys(keys) => first(&|value| value == keys),
        Entry::Words(said) => {
            let said = words(said);
            let holds = |value: &str| {
                let value = words(value);
                !value.is_empty() && said.windows(value.len()).any(|part| part == value)
            };
            first(&|value| words(value) == said).or_else(|| first(&holds))
        }
    }
}

/// Without marks, in small letters.
fn words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '\'';
    text.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// What may be said to choose: the values right inside `node` and inside its `Switch`.
pub(super) fn values(node: &Node, variables: &Variables) -> Vec<String> {
    let mut values = Vec::new();
    for child in &node.children {
        match child.name {
            Some(Name::Case | Name::Dtmf) => {
                values.extend(Args::resolve(child, variables).0.text("value").map(Into::into))
            }
            Some(Name::Switch) => values.extend(self::values(child, variables)),
            _ => {}
        }
    }
    values
}

pub(super) fn default(node: &Node) -> Option<Arc<Node>> {
    node.children.iter().find(|child| child.name == Some(Name::Default)).cloned()
}
