//! The machine that runs a document.
//!
//! Elements that run stand on a stack: the outermost first, each inside the one before it. The last is what happens
//! now; the others wait for it (a `DTMF` for its `Say`), or watch (a `Gather` its prompts, a `Record` what it records).

mod args;
mod elements;
mod io;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::document::{Document, Node};
use crate::language::{Children, Name};
use crate::report::StepReport;
use crate::variables::Variables;

use args::Args;
use elements::{Background, Cut, Cx, Flow, Music, Outcome, Run};
pub use io::{
    Dial, DialEnd, Input, Leg, Listen, Now, OpResult, Output, Record, RecordEnd, RecordFormat, Sound, Utterance,
};

/// Deepest stack, over all documents that answers brought in place.
const MAX_STACK: usize = 64;
/// Most elements one call executes; a flow that goes round for ever ends there, with cause 31.
const MAX_STEPS: u32 = 20_000;
/// Q.850 16 normal clearing, 31 normal unspecified.
const NORMAL: u8 = 16;
const UNSPECIFIED: u8 = 31;

/// Runs the flow of one call. Knows no socket and no clock; never runs ahead of what it was told.
#[derive(Debug)]
pub struct Machine {
    variables: Variables,
    stack: Vec<Frame>,
    outputs: VecDeque<Output>,
    next_op: u64,
    live: bool,
    /// The call is over.
    over: bool,
    steps: u32,
    background: Background,
    /// The operation that hears what is said: one at a time.
    ear: Option<u64>,
}

/// An element that runs.
#[derive(Debug)]
struct Frame {
    node: Arc<Node>,
    path: String,
    args: Args,
    run: Box<dyn Run>,
    phase: Phase,
    /// What is still to run inside, in order; `None`: nothing was asked for, or it is through.
    block: Option<VecDeque<Arc<Node>>>,
    children: Vec<Arc<StepReport>>,
    error: Vec<Arc<StepReport>>,
}

#[derive(Debug)]
enum Phase {
    /// Waits for the answer of the call.
    Answering,
    Running,
    /// Has its outcome; if that is a failure, its error blocks run.
    Ended(Outcome),
}

impl Machine {
    /// A machine at rest; [`Input::Run`] starts it. `live`: the call is answered.
    pub fn new(variables: Variables, live: bool) -> Machine {
        let (stack, outputs, background) = Default::default();
        Machine { variables, stack, outputs, next_op: 1, live, over: false, steps: 0, background, ear: None }
    }

    /// The same with operations numbered from `op` on, so that two machines do not name two things alike.
    pub fn numbered_from(self, op: u64) -> Machine {
        Machine { next_op: op, ..self }
    }

    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Sets a variable; [`Variables::set`] says when it is left out.
    pub fn set_variable(&mut self, name: &str, value: impl Into<String>) {
        self.variables.set(name, value);
    }

    /// Elements that have begun. Each of them has ended, with one [`Output::Step`], when nothing runs.
    pub fn begun(&self) -> u32 {
        self.steps
    }

    /// Whether a document runs.
    pub fn is_running(&self) -> bool {
        !self.stack.is_empty()
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        if self.over {
            return;
        }
        match input {
            Input::Run(document) => {
                self.unwind(now, 0, Cut::Replaced);
                self.begin(now, document);
            }
            Input::Stop => self.unwind(now, 0, Cut::Joined),
            Input::Answered => {
                self.live = true;
                let waiting = self.stack.iter().position(|frame| matches!(frame.phase, Phase::Answering));
                if let Some(index) = waiting {
                    self.stack[index].phase = Phase::Running;
                    let flow = self.start(now, index);
                    self.apply(now, index, flow, Cut::Ended);
                }
            }
            Input::Key(key) => self.key(now, key.to_ascii_uppercase()),
            Input::Result { op, result } => {
                self.background.heard(op, &result);
                for index in (0..self.stack.len()).rev() {
                    let flow = match self.stack[index].runs() {
                        true => self.with(now, index, |run, cx| run.result(cx, op, &result)),
                        false => None,
                    };
                    if let Some(flow) = flow {
                        self.apply(now, index, flow, Cut::Ended);
                        break;
                    }
                }
            }
            Input::HungUp => {
                self.over = true;
                self.unwind(now, 0, Cut::CallHangup);
            }
            Input::Tick => {
                // The outermost first: when it ends, what is inside ends with it.
                while let Some(index) = self.stack.iter().position(|f| f.deadline().is_some_and(|at| at <= now.instant))
                {
                    let flow = self.with(now, index, |run, cx| run.timeout(cx));
                    self.apply(now, index, flow, Cut::Ended);
                }
            }
        }
        self.advance(now);
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.stack.iter().filter_map(Frame::deadline).min()
    }

    fn begin(&mut self, now: Now, document: Document) {
        self.push(now, document.root, String::new(), None);
    }

    fn with<T>(&mut self, now: Now, index: usize, act: impl FnOnce(&mut dyn Run, &mut Cx<'_>) -> T) -> T {
        let on_hold = index > 0 && self.stack[index - 1].node.name == Some(Name::Hold);
        let last = on_hold && self.stack[index - 1].block.as_ref().is_some_and(VecDeque::is_empty);
        let frame = &mut self.stack[index];
        let mut cx = Cx {
            now,
            music: on_hold.then_some(if last { Music::Last } else { Music::First }),
            node: &frame.node,
            args: &frame.args,
            live: self.live,
            variables: &mut self.variables,
            outputs: &mut self.outputs,
            next_op: &mut self.next_op,
            background: &mut self.background,
            ear: &mut self.ear,
        };
        act(frame.run.as_mut(), &mut cx)
    }

    fn start(&mut self, now: Now, index: usize) -> Flow {
        self.with(now, index, |run, cx| run.start(cx))
    }

    /// Puts an element on the stack and starts it. `reason`: why the parent failed, for its `<Error>`.
    fn push(&mut self, now: Now, node: Arc<Node>, path: String, reason: Option<&str>) {
        self.set_parts(&node);
        let (args, fault) = Args::resolve(&node, &self.variables);
        let run = elements::element(&node, reason);
        let needs_answer = fault.is_none() && !self.live && run.needs_answer(&args);
        let phase = if needs_answer { Phase::Answering } else { Phase::Running };
        let (block, children, error) = (None, Vec::new(), Vec::new());
        let too_deep = self.stack.len() >= MAX_STACK;
        self.steps += u32::from(node.name != Some(Name::Response));
        self.stack.push(Frame { node, path, args, run, phase, block, children, error });
        let index = self.stack.len() - 1;
        let flow = match fault {
            Some(fault) => Flow::fail(fault),
            None if too_deep => Flow::fail("nested too deep"),
            None if needs_answer => {
                self.outputs.push_back(Output::Answer);
                Flow::Wait
            }
            None => self.start(now, index),
        };
        self.apply(now, index, flow, Cut::Ended);
    }

    /// `<Meta>` inside an element that is no block belongs to the element.
    fn set_parts(&mut self, node: &Node) {
        let parts = node.name.is_some_and(|name| matches!(name.element().children, Children::Only(_)));
        for meta in node.children.iter().filter(|child| parts && child.name == Some(Name::Meta)) {
            let (args, fault) = Args::resolve(meta, &self.variables);
            if let (Some(name), Some(value), None) = (args.text("name"), args.text("value"), fault) {
                self.variables.set(format!("meta.{name}"), value);
            }
        }
    }

    fn key(&mut self, now: Now, key: char) {
        // From the inside out; the first that has a use for the key takes it, but a prompt never from its Gather.
        for index in (0..self.stack.len()).rev() {
            if !self.stack.get(index).is_some_and(Frame::runs) {
                continue;
            }
            let below_collects = index > 0 && self.stack[index - 1].runs() && self.stack[index - 1].run.collects_keys();
            if let Some(flow) = self.with(now, index, |run, cx| run.key(cx, key)) {
                self.apply(now, index, flow, Cut::Key(key));
                if !below_collects {
                    return;
                }
            }
        }
    }

    /// Does what the element at `index` said; what runs inside it may end by that, for the reason `why`.
    fn apply(&mut self, now: Now, index: usize, flow: Flow, why: Cut) {
        match flow {
            Flow::Wait => {}
            Flow::Hold(cut) => {
                self.unwind(now, index + 1, cut);
                self.stack[index].block = None;
            }
            Flow::Block(nodes) => {
                self.unwind(now, index + 1, why);
                self.stack[index].block = Some(nodes.into());
            }
            Flow::Done(outcome) => {
                self.unwind(now, index + 1, why);
                let frame = &mut self.stack[index];
                frame.block = None;
                frame.phase = Phase::Ended(outcome);
                self.conclude();
            }
            Flow::Goto(document, outcome) => {
                self.unwind(now, index + 1, Cut::Ended);
                self.report(outcome);
                self.unwind(now, 0, Cut::Ended);
                self.begin(now, document);
            }
            Flow::Hangup { cause, tag } => {
                self.report(Outcome::success("Call hangup"));
                self.unwind(now, 0, Cut::CallHangup);
                self.outputs.push_back(Output::Hangup { cause, tag });
            }
            Flow::Reject { code } => {
                self.report(Outcome::success("Call rejected"));
                self.unwind(now, 0, Cut::CallHangup);
                self.outputs.push_back(Output::Reject { code });
            }
        }
    }

    /// The last element is done: its error blocks run if it failed, else it leaves.
    fn conclude(&mut self) {
        let Some(frame) = self.stack.last_mut() else { return };
        let Phase::Ended(outcome) = &frame.phase else { return };
        if !outcome.success && !frame.node.errors.is_empty() {
            frame.block = Some(frame.node.errors.clone().into());
            return;
        }
        let outcome = outcome.clone();
        let root = self.stack.len() == 1;
        self.report(outcome);
        if root {
            self.outputs.push_back(Output::End);
        }
    }

    /// Starts what is next, until something has to be waited for.
    fn advance(&mut self, now: Now) {
        while let Some(frame) = self.stack.last_mut() {
            let Some(block) = &mut frame.block else { return };
            if let Some(next) = block.pop_front() {
                if self.steps >= MAX_STEPS {
                    self.unwind(now, 0, Cut::CallHangup);
                    self.outputs.push_back(Output::Hangup { cause: UNSPECIFIED, tag: None });
                    return;
                }
                let reason = match &frame.phase {
                    Phase::Ended(outcome) => Some(outcome.reason.clone()),
                    _ => None,
                };
                let parent = match next.sibling {
                    true => frame.path.rsplit_once('.').map_or("", |(parent, _)| parent),
                    false => &frame.path,
                };
                let dot = if parent.is_empty() { "" } else { "." };
                let path = format!("{parent}{dot}{}[{}]", next.text, next.index);
                self.push(now, next, path, reason.as_deref());
                continue;
            }
            frame.block = None;
            match std::mem::replace(&mut frame.phase, Phase::Running) {
                // Its error blocks are through.
                Phase::Ended(outcome) => self.report(outcome),
                _ => {
                    let index = self.stack.len() - 1;
                    let flow = self.with(now, index, |run, cx| run.resumed(cx));
                    self.apply(now, index, flow, Cut::Ended);
                }
            }
        }
    }

    /// Ends everything from `keep` on, the innermost first.
    fn unwind(&mut self, now: Now, keep: usize, cut: Cut) {
        while self.stack.len() > keep {
            let index = self.stack.len() - 1;
            let success = self.with(now, index, |run, cx| run.cut(cx, cut));
            let outcome = match &self.stack[index].phase {
                // It had failed before, and keeps its reason.
                Phase::Ended(outcome) => outcome.clone(),
                Phase::Answering => Outcome { success: false, reason: cut.reason() },
                Phase::Running => Outcome { success, reason: cut.reason() },
            };
            self.report(outcome);
        }
    }

    /// Takes the last element from the stack and reports it.
    fn report(&mut self, outcome: Outcome) {
        let Some(frame) = self.stack.pop() else { return };
        if frame.node.name == Some(Name::Response) {
            return;
        }
        let report = StepReport {
            name: frame.node.text.clone(),
            success: outcome.success,
            reason: outcome.reason,
            path: frame.path,
            tag: frame.args.text("tag").map(Into::into),
            attributes: frame.args.into_written(),
            children: frame.children,
            error: frame.error,
            line: frame.node.line,
        };
        if let Some(parent) = self.stack.last_mut().filter(|parent| parent.node.name != Some(Name::Response)) {
            let shared = Arc::new(report.clone());
            match parent.phase {
                Phase::Ended(_) => parent.error.push(shared),
                _ => parent.children.push(shared),
            }
        }
        self.outputs.push_back(Output::Step(report));
    }
}

impl Frame {
    fn runs(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => self.run.deadline(),
            Phase::Answering | Phase::Ended(_) => None,
        }
    }
}
