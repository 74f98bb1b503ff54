//! `<Meta>` in a block: sets a variable.

use super::{Cut, Cx, Flow, Run};

#[derive(Debug)]
pub(super) struct Meta;

impl Run for Meta {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let name = cx.args.text("name").unwrap_or_default();
        let value = cx.args.text("value").unwrap_or_default();
        match cx.variables.set(format!("meta.{name}"), value) {
            true => Flow::done("Variable set"),
            false => Flow::fail("too many variables, or the value is too long"),
        }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, cut: Cut) -> bool {
        cut.is_success()
    }
}
