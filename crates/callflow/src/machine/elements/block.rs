//! The document itself and the blocks a parent chooses among: `<DTMF>`, `<Case>`, `<Default>`.

use super::{Cut, Cx, Flow, Run};

#[derive(Debug)]
pub(super) struct Block;

impl Run for Block {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        Flow::Block(cx.node.children.clone())
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}
