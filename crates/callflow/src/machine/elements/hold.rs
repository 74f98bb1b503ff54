//! `<Hold>`: the other leg waits and hears what is inside.

use std::time::{Duration, Instant};

use super::{Cut, Cx, Flow, Run};
use crate::language::Name;
use crate::machine::io::{OpResult, Output};

#[derive(Debug, Default)]
pub(super) struct Hold {
    op: Option<u64>,
    until: Option<Instant>,
}

const TIMEOUT: Duration = Duration::from_secs(300);

impl Run for Hold {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let op = cx.op();
        self.op = Some(op);
        self.until = Some(cx.now.instant + cx.args.duration("timeout").unwrap_or(TIMEOUT));
        cx.put(Output::Hold { op });
        Flow::Wait
    }

    fn resumed(&mut self, _cx: &mut Cx<'_>) -> Flow {
        // It waits on in silence.
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        if self.op != Some(op) {
            return None;
        }
        match result {
            OpResult::Held => {
                let music = cx.node.children.iter().filter(|child| child.name != Some(Name::Meta));
                Some(Flow::Block(music.cloned().collect()))
            }
            OpResult::Alone(reason) => {
                self.op = None;
                Some(Flow::fail(reason.clone()))
            }
            _ => None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn timeout(&mut self, _cx: &mut Cx<'_>) -> Flow {
        self.until = None;
        Flow::done("Hold ended")
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}
