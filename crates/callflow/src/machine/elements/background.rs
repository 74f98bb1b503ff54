//! `<RecordStart>`, `<RecordStop>`, `<RecordWait>`: recordings that no element encloses.

use std::time::Instant;

use super::{Cut, Cx, Flow, Run, record};
use crate::machine::args::Args;
use crate::machine::io::{OpResult, Output, Record};

/// Recordings at once.
const MAX_RUNNING: usize = 4;
/// Recordings that are over and may still be waited for; the oldest is forgotten.
const MAX_OVER: usize = 16;

/// The recordings that the document has begun.
#[derive(Debug, Default)]
pub(in crate::machine) struct Background {
    recordings: Vec<Recording>,
}

#[derive(Debug)]
struct Recording {
    op: u64,
    tag: Option<String>,
    /// It was told to end.
    stopped: bool,
    /// It is over: stored, or why not.
    over: Option<Result<(), String>>,
}

impl Background {
    /// What became of one of them.
    pub fn heard(&mut self, op: u64, result: &OpResult) {
        if let OpResult::Recorded(result) = result
            && let Some(recording) = self.recordings.iter_mut().find(|recording| recording.op == op)
        {
            recording.over = Some(result.clone().map(drop));
        }
    }

    /// Those of a tag, or all.
    fn tagged(&mut self, tag: Option<&str>) -> impl Iterator<Item = &mut Recording> {
        self.recordings.iter_mut().filter(move |recording| tag.is_none() || recording.tag.as_deref() == tag)
    }

    fn begin(&mut self, op: u64, tag: Option<String>) {
        self.recordings.retain(|recording| recording.over.is_none() || recording.tag != tag);
        if self.recordings.iter().filter(|recording| recording.over.is_some()).count() >= MAX_OVER
            && let Some(oldest) = self.recordings.iter().position(|recording| recording.over.is_some())
        {
            self.recordings.remove(oldest);
        }
        self.recordings.push(Recording { op, tag, stopped: false, over: None });
    }
}

fn tag(args: &Args) -> Option<&str> {
    args.text("tag")
}

fn unknown(tag: Option<&str>) -> Flow {
    Flow::fail(match tag {
        Some(tag) => format!("no recording with tag `{tag}` was started"),
        None => "no recording was started".into(),
    })
}

#[derive(Debug)]
pub(super) struct Start;

impl Run for Start {
    fn needs_answer(&self, _args: &Args) -> bool {
        true
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let tag = tag(cx.args);
        let running = || cx.background.recordings.iter().filter(|recording| recording.over.is_none());
        if running().count() >= MAX_RUNNING {
            return Flow::fail(format!("{MAX_RUNNING} recordings run already"));
        }
        if tag.is_some() && running().any(|recording| !recording.stopped && recording.tag.as_deref() == tag) {
            return Flow::fail(format!("a recording with tag `{}` runs already", tag.unwrap_or_default()));
        }
        let record = Record {
            tag: tag.map(Into::into),
            max: None,
            silence: None,
            beep: false,
            channels: record::channels(cx.args),
            format: record::format(cx.args),
            asr: record::asr(cx.args),
        };
        let op = cx.op();
        cx.background.begin(op, record.tag.clone());
        cx.put(Output::Record { op, record });
        Flow::done("Recording started")
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}

#[derive(Debug)]
pub(super) struct Stop;

impl Run for Stop {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let tag = tag(cx.args);
        let running = cx.background.tagged(tag).filter(|recording| recording.over.is_none() && !recording.stopped);
        let mut ops = Vec::new();
        for recording in running {
            recording.stopped = true;
            ops.push(recording.op);
        }
        if ops.is_empty() {
            return match cx.background.tagged(tag).next() {
                Some(_) => Flow::done("Recording had ended"),
                None => unknown(tag),
            };
        }
        ops.into_iter().for_each(|op| cx.put(Output::StopRecord { op }));
        Flow::done("Recording stopped")
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        true
    }
}

#[derive(Debug, Default)]
pub(super) struct Wait {
    until: Option<Instant>,
}

impl Run for Wait {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.until = cx.args.duration("timeout").map(|timeout| cx.now.instant + timeout);
        Wait::look(cx)
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, _result: &OpResult) -> Option<Flow> {
        let own = cx.background.tagged(tag(cx.args)).any(|recording| recording.op == op);
        own.then(|| Wait::look(cx))
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn timeout(&mut self, _cx: &mut Cx<'_>) -> Flow {
        self.until = None;
        Flow::fail("the recording was not stored in time")
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, _cut: Cut) -> bool {
        false
    }
}

impl Wait {
    fn look(cx: &mut Cx<'_>) -> Flow {
        let tag = tag(cx.args);
        let (mut any, mut failed) = (false, None);
        for recording in cx.background.tagged(tag) {
            any = true;
            match &recording.over {
                None => return Flow::Wait,
                Some(Err(reason)) => failed = Some(reason.clone()),
                Some(Ok(())) => {}
            }
        }
        match failed {
            Some(reason) => Flow::fail(reason),
            None if any => Flow::done("Recording stored"),
            None => unknown(tag),
        }
    }
}
