//! `<Pause>`.

use std::time::{Duration, Instant};

use super::{Cut, Cx, Flow, Run};

#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
}

impl Run for Pause {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.until = Some(cx.now.instant + cx.args.duration("length").unwrap_or(Duration::ZERO));
        Flow::Wait
    }

    fn key(&mut self, cx: &mut Cx<'_>, key: char) -> Option<Flow> {
        cx.args.keys("dtmf_stop").contains(key).then(|| Flow::done(Cut::Key(key).reason()))
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn timeout(&mut self, _cx: &mut Cx<'_>) -> Flow {
        self.until = None;
        Flow::done("Pause ended")
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, cut: Cut) -> bool {
        cut.is_success()
    }
}
