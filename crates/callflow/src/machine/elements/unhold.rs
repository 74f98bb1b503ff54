//! `<Unhold>`: the other leg is joined again.

use super::dial::ended;
use super::{Cut, Cx, Flow, Run};
use crate::machine::io::{OpResult, Output};

#[derive(Debug, Default)]
pub(super) struct Unhold {
    op: Option<u64>,
}

impl Run for Unhold {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let op = cx.op();
        self.op = Some(op);
        cx.put(Output::Unhold { op });
        Flow::Wait
    }

    fn result(&mut self, _cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        if self.op != Some(op) {
            return None;
        }
        let flow = match result {
            OpResult::Alone(reason) => Flow::fail(reason.clone()),
            OpResult::Dialled(end) => ended(end),
            _ => return Some(Flow::Wait),
        };
        self.op = None;
        Some(flow)
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        if let Some(op) = self.op.take() {
            cx.put(Output::StopDial { op });
        }
        true
    }
}
