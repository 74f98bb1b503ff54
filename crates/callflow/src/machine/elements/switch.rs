//! `<Switch>`: runs the `<Case>` that equals a variable, inside `<Gather>` the keys entered.

use std::sync::Arc;

use super::{Cut, Cx, Flow, Run};
use crate::document::Node;
use crate::language::Name;
use crate::machine::args::Args;
use crate::variables::Variables;

/// The variable a Gather leaves its keys in.
pub(super) const KEYS: &str = "dtmf";

#[derive(Debug)]
pub(super) struct Switch;

impl Run for Switch {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let on = cx.args.text("on").unwrap_or(KEYS);
        let subject = cx.variables.get(on).unwrap_or_default().to_owned();
        match matching(cx.node, &subject, cx.variables).or_else(|| default(cx.node)) {
            Some(case) => Flow::Block(vec![case]),
            None => Flow::done("No case matches"),
        }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}

/// The first `Case` (or `DTMF`) right inside `node` that equals `subject`.
pub(super) fn matching(node: &Node, subject: &str, variables: &Variables) -> Option<Arc<Node>> {
    let equals = |child: &&Arc<Node>| {
        matches!(child.name, Some(Name::Case | Name::Dtmf))
            && Args::resolve(child, variables).0.text("value").is_some_and(|value| value.trim() == subject)
    };
    node.children.iter().find(equals).cloned()
}

pub(super) fn default(node: &Node) -> Option<Arc<Node>> {
    node.children.iter().find(|child| child.name == Some(Name::Default)).cloned()
}
