//! `<Geo>`: runs what is inside when the caller's number is of such a place.

use super::{Cut, Cx, Flow, Run};

#[derive(Debug)]
pub(super) struct Geo;

/// Attributes, the variables that say what is known of the caller's number (not set where nothing is), and what they are.
const PLACES: [(&str, &str, &str); 2] = [("states", "geo.state", "state"), ("county", "geo.county", "county")];

impl Run for Geo {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        for (attribute, variable, what) in PLACES {
            let Some(wanted) = cx.args.places(attribute) else { continue };
            match cx.variables.get(variable) {
                None => return Flow::done(format!("The caller's {what} is not known")),
                Some(place) if !wanted.contains(&place.to_uppercase()) => {
                    return Flow::done(format!("The caller is of {place}"));
                }
                Some(_) => {}
            }
        }
        Flow::Block(cx.node.children.clone())
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}
