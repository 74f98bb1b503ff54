//! `<Record>`: records while what is inside runs.

use std::time::{Duration, Instant};

use super::{Cut, Cx, Flow, Run};
use crate::language::Name;
use crate::machine::args::Args;
use crate::machine::io::{OpResult, Output, Record, RecordEnd, RecordFormat};

#[derive(Debug, Default)]
pub(super) struct Recording {
    op: Option<u64>,
    until: Option<Instant>,
    /// Why it was told to stop; the file is being stored.
    stopped: Option<String>,
}

/// Longest wait for the file to be stored.
const STORE: Duration = Duration::from_secs(10);
/// The recorder ends by itself at `timeout`; this much later it is told to.
const GRACE: Duration = Duration::from_secs(1);

impl Run for Recording {
    fn needs_answer(&self, _args: &Args) -> bool {
        true
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let op = cx.op();
        self.op = Some(op);
        let max = cx.args.duration("timeout");
        self.until = max.map(|max| cx.now.instant + max + GRACE);
        let record = Record {
            tag: cx.args.text("tag").map(Into::into),
            max,
            silence: cx.args.duration("silence"),
            beep: cx.args.flag("beep"),
            channels: channels(cx.args),
            format: format(cx.args),
            asr: asr(cx.args),
        };
        cx.put(Output::Record { op, record });
        match cx.node.children.iter().any(|child| child.name != Some(Name::Meta)) {
            true => Flow::Block(cx.node.children.clone()),
            false => Flow::Wait,
        }
    }

    fn resumed(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.stop(cx, "Recording stored".into());
        Flow::Wait
    }

    fn result(&mut self, _cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        let OpResult::Recorded(recorded) = result else { return None };
        if self.op != Some(op) {
            return None;
        }
        self.op = None;
        Some(match (recorded, self.stopped.take()) {
            (Err(reason), _) => Flow::fail(reason.clone()),
            (Ok(_), Some(reason)) => Flow::done(reason),
            (Ok(RecordEnd::Silence), None) => Flow::done("Stopped by silence"),
            (Ok(RecordEnd::Full), None) => Flow::done("Stopped by timeout"),
            (Ok(RecordEnd::Stopped), None) => Flow::done("Recording stored"),
        })
    }

    fn key(&mut self, cx: &mut Cx<'_>, key: char) -> Option<Flow> {
        (self.stopped.is_none() && cx.args.keys("dtmf_stop").contains(key)).then(|| {
            self.stop(cx, Cut::Key(key).reason());
            Flow::Hold(Cut::Ended)
        })
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.until = None;
        match self.stopped {
            Some(_) => {
                self.op = None;
                Flow::fail("the recording was not stored in time")
            }
            None => {
                self.stop(cx, "Stopped by timeout".into());
                Flow::Hold(Cut::Ended)
            }
        }
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        let started = self.op.is_some();
        if let Some(op) = self.op.take().filter(|_| self.stopped.is_none()) {
            cx.put(Output::StopRecord { op });
        }
        started
    }
}

impl Recording {
    fn stop(&mut self, cx: &mut Cx<'_>, reason: String) {
        if let Some(op) = self.op {
            cx.put(Output::StopRecord { op });
            self.stopped = Some(reason);
            self.until = Some(cx.now.instant + STORE);
        }
    }
}

pub(super) fn channels(args: &Args) -> u8 {
    if args.number("channels") == Some(2) { 2 } else { 1 }
}

pub(super) fn format(args: &Args) -> RecordFormat {
    if args.word("format") == Some("mp3") { RecordFormat::Mp3 } else { RecordFormat::Wav }
}

pub(super) fn asr(args: &Args) -> Option<String> {
    args.text("lang").filter(|_| args.flag("asr")).map(Into::into)
}
