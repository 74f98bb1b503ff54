//! `<Answer>`: the machine has answered the call before it starts, see [`Run::needs_answer`].

use std::time::Instant;

use super::{Cut, Cx, Flow, Run};
use crate::machine::args::Args;

#[derive(Debug, Default)]
pub(super) struct Answer {
    until: Option<Instant>,
}

const ANSWERED: &str = "Call answered";

impl Run for Answer {
    fn needs_answer(&self, _args: &Args) -> bool {
        true
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        match cx.args.duration("delay") {
            Some(delay) if !delay.is_zero() => {
                self.until = Some(cx.now.instant + delay);
                Flow::Wait
            }
            _ => Flow::done(ANSWERED),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn timeout(&mut self, _cx: &mut Cx<'_>) -> Flow {
        self.until = None;
        Flow::done(ANSWERED)
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        cx.live
    }
}
