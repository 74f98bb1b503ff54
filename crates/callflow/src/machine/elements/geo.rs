//! `<Geo>`: runs what is inside when the caller's number is of such a place.

use super::{Cut, Cx, Flow, Run};

#[derive(Debug)]
pub(super) struct Geo;

/// What is known of the caller's number; not set where nothing is.
const STATE: &str = "geo.state";

impl Run for Geo {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let Some(wanted) = cx.args.places("states") else { return Flow::Block(cx.node.children.clone()) };
        match cx.variables.get(STATE) {
            None => Flow::done("The caller's state is not known"),
            Some(state) if wanted.contains(&state.to_uppercase()) => Flow::Block(cx.node.children.clone()),
            Some(state) => Flow::done(format!("The caller is of {state}")),
        }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}
