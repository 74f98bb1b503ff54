//! `<Error>`: speaks the reason if asked to, then runs what is inside.

use super::{Cut, Cx, Flow, Run};
use crate::machine::io::{Leg, OpResult, Output, Sound};
use crate::say::{Gender, Voice};

#[derive(Debug)]
pub(super) struct ErrorBlock {
    /// Why its element failed.
    failure: String,
    speaks: Option<u64>,
}

impl ErrorBlock {
    pub fn new(failure: Option<&str>) -> ErrorBlock {
        ErrorBlock { failure: failure.unwrap_or_default().into(), speaks: None }
    }
}

impl Run for ErrorBlock {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        if !cx.args.flag("say") || self.failure.is_empty() {
            return Flow::Block(cx.node.children.clone());
        }
        let op = cx.op();
        self.speaks = Some(op);
        let voice = Voice {
            text: self.failure.clone(),
            ssml: None,
            lang: "en-US".into(),
            gender: Gender::Female,
            kind: "Standard",
            code: None,
        };
        cx.put(Output::Play { op, sound: Sound::Say(voice), leg: Leg::A, loops: 1 });
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        // Spoken or not, the block runs.
        (self.speaks == Some(op) && matches!(result, OpResult::Played(_))).then(|| {
            self.speaks = None;
            Flow::Block(cx.node.children.clone())
        })
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        if let Some(op) = self.speaks.take() {
            cx.put(Output::StopPlay { op });
        }
        true
    }
}
