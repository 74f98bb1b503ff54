//! The elements: one file each. An element starts, hears what happens, and says what follows.

mod answer;
mod background;
mod block;
mod call;
mod callback;
mod curl;
mod dial;
mod error;
mod gather;
mod geo;
mod hangup;
mod hold;
mod meta;
mod pause;
mod play;
mod record;
mod schedule;
mod switch;
mod unhold;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use super::args::Args;
use super::io::{Now, OpResult, Output};
use crate::document::{Document, Node};
use crate::language::Name;
use crate::variables::Variables;
pub(super) use background::Background;

/// How an element ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub success: bool,
    pub reason: String,
}

impl Outcome {
    pub fn success(reason: impl Into<String>) -> Outcome {
        Outcome { success: true, reason: reason.into() }
    }

    pub fn failure(reason: impl Into<String>) -> Outcome {
        Outcome { success: false, reason: reason.into() }
    }
}

/// What follows.
#[derive(Debug)]
pub(super) enum Flow {
    /// Something has to happen first.
    Wait,
    /// What runs inside ends; then something has to happen first.
    Hold(Cut),
    /// These run inside, one after another; then the element is resumed.
    Block(Vec<Arc<Node>>),
    Done(Outcome),
    /// The element is done, and this document takes the place of the rest of all that run.
    Goto(Document, Outcome),
    Hangup {
        cause: u8,
        tag: Option<String>,
    },
    Reject {
        code: u16,
    },
}

impl Flow {
    pub fn done(reason: impl Into<String>) -> Flow {
        Flow::Done(Outcome::success(reason))
    }

    pub fn fail(reason: impl Into<String>) -> Flow {
        Flow::Done(Outcome::failure(reason))
    }
}

/// Why an element ends that would have gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    CallHangup,
    /// By another document.
    Replaced,
    /// The call is joined with another.
    Joined,
    Key(char),
    Speech,
    /// What it stands in has ended.
    Ended,
}

impl Cut {
    pub fn reason(self) -> String {
        match self {
            Cut::CallHangup => "Call hangup".into(),
            Cut::Replaced => "Replaced by another call flow".into(),
            Cut::Joined => "Joined with another call".into(),
            Cut::Key(key) => format!("Stopped by key {key}"),
            Cut::Speech => "Stopped by speech".into(),
            Cut::Ended => "Ended with the enclosing element".into(),
        }
    }

    /// Whether an element that only spends time has done its work.
    pub fn is_success(self) -> bool {
        matches!(self, Cut::Key(_) | Cut::Speech | Cut::Ended)
    }
}

/// A sound inside a `<Hold>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Music {
    First,
    /// No other follows.
    Last,
}

/// What an element sees of its machine.
pub(super) struct Cx<'a> {
    pub now: Now,
    /// It is heard by the leg that is on hold.
    pub music: Option<Music>,
    pub node: &'a Arc<Node>,
    pub args: &'a Args,
    pub live: bool,
    pub variables: &'a mut Variables,
    pub outputs: &'a mut VecDeque<Output>,
    pub next_op: &'a mut u64,
    pub background: &'a mut Background,
    /// The operation that hears what is said.
    pub ear: &'a mut Option<u64>,
}

impl Cx<'_> {
    /// The number of a new operation.
    pub fn op(&mut self) -> u64 {
        let op = *self.next_op;
        *self.next_op += 1;
        op
    }

    pub fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

/// An element that runs.
pub(super) trait Run: Debug + Send {
    /// Whether the call must be answered before it can start.
    fn needs_answer(&self, _args: &Args) -> bool {
        false
    }

    /// Called once.
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow;

    /// What it asked to run inside is through.
    fn resumed(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::done("Elements done")
    }

    /// `None`: the result is not its own.
    fn result(&mut self, _cx: &mut Cx<'_>, _op: u64, _result: &OpResult) -> Option<Flow> {
        None
    }

    /// `None`: it has no use for the key.
    fn key(&mut self, _cx: &mut Cx<'_>, _key: char) -> Option<Flow> {
        None
    }

    /// While true, what runs inside leaves keys to it.
    fn collects_keys(&self) -> bool {
        false
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline is reached; it is another afterwards.
    fn timeout(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::Wait
    }

    /// It ends here: stops what it has under way, and says whether it has done its work.
    fn cut(&mut self, cx: &mut Cx<'_>, cut: Cut) -> bool;
}

/// The element of a node. `failure`: why the parent failed, for an `<Error>`.
pub(super) fn element(node: &Arc<Node>, failure: Option<&str>) -> Box<dyn Run> {
    match node.name {
        Some(Name::Answer) => Box::new(answer::Answer::default()),
        Some(Name::Say | Name::Play | Name::Tone) => Box::new(play::Play::default()),
        Some(Name::Pause) => Box::new(pause::Pause::default()),
        Some(Name::Gather) => Box::new(gather::Gather::default()),
        Some(Name::Dial) => Box::new(dial::Dialling::default()),
        Some(Name::Record) => Box::new(record::Recording::default()),
        Some(Name::RecordStart) => Box::new(background::Start),
        Some(Name::RecordStop) => Box::new(background::Stop),
        Some(Name::RecordWait) => Box::new(background::Wait::default()),
        Some(Name::Callback | Name::Redirect) => Box::new(callback::Callback::default()),
        Some(Name::Reject | Name::Hangup) => Box::new(hangup::Hangup),
        Some(Name::Meta) => Box::new(meta::Meta),
        Some(Name::Error) => Box::new(error::ErrorBlock::new(failure)),
        Some(Name::Switch) => Box::new(switch::Switch),
        Some(Name::Call) => Box::new(call::CallBlock),
        Some(Name::Geo) => Box::new(geo::Geo),
        Some(Name::Schedule) => Box::new(schedule::ScheduleBlock),
        Some(Name::Curl) => Box::new(curl::Curl::default()),
        Some(Name::Hold) => Box::new(hold::Hold::default()),
        Some(Name::Unhold) => Box::new(unhold::Unhold::default()),
        // A node without a name has a fault and never starts.
        Some(Name::Response | Name::To | Name::Dtmf | Name::Default | Name::Case | Name::Header | Name::Body)
        | None => Box::new(block::Block),
    }
}
