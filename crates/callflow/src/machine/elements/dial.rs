//! `<Dial>`: who is rung and joined is the call's work; here it begins and ends.

use std::time::Duration;

use super::callback::about_with_meta;
use super::{Cut, Cx, Flow, Run};
use crate::http::HttpRequest;
use crate::language::Name;
use crate::machine::args::Args;
use crate::machine::io::{Dial, DialEnd, OpResult, Output, Record};

#[derive(Debug, Default)]
pub(super) struct Dialling {
    op: Option<u64>,
    joined: bool,
    record: Option<u64>,
}

/// By default and at most.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for `confirm_url`.
const CONFIRM: Duration = Duration::from_secs(10);

impl Run for Dialling {
    fn needs_answer(&self, args: &Args) -> bool {
        !args.flag("answer_on_bridge")
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let (mut targets, mut fault) = (Vec::new(), None);
        for to in cx.node.children.iter().filter(|child| child.name == Some(Name::To)) {
            let (args, wrong) = Args::resolve(to, cx.variables);
            match (args.destination("address"), wrong) {
                (Some(destination), None) => targets.push(destination.clone()),
                (_, wrong) => fault = fault.or(wrong),
            }
        }
        if targets.is_empty() {
            return Flow::fail(fault.unwrap_or_else(|| "no destination".into()));
        }
        let text = |name: &str| cx.args.text(name).filter(|text| !text.trim().is_empty()).map(|t| t.trim().to_owned());
        let dial = Dial {
            targets,
            from: text("from"),
            timeout: cx.args.duration("timeout").unwrap_or(TIMEOUT),
            sequential: cx.args.flag("sequential"),
            max_length: cx.args.number("max_length").map(Duration::from_secs),
            sip_connection: text("sip_connection"),
            outbound_voice_profile: text("outbound_voice_profile"),
            ring_tone: text("ring_tone"),
            confirm: text("confirm_url").map(|url| HttpRequest {
                query: about_with_meta(cx),
                timeout: Some(CONFIRM),
                ..HttpRequest::get(url)
            }),
        };
        let op = cx.op();
        self.op = Some(op);
        cx.put(Output::Dial { op, dial });
        if cx.args.word("record") == Some("record-from-ringing") {
            self.record(cx);
        }
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        if self.op != Some(op) {
            return None;
        }
        match result {
            OpResult::Joined => {
                self.joined = true;
                if cx.args.word("record") == Some("record-from-answer") {
                    self.record(cx);
                }
                Some(Flow::Wait)
            }
            OpResult::Dialled(end) => {
                self.op = None;
                self.stop_record(cx);
                Some(ended(end))
            }
            OpResult::Alone(reason) => {
                self.op = None;
                self.stop_record(cx);
                Some(Flow::fail(reason.clone()))
            }
            _ => None,
        }
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        self.stop_record(cx);
        if let Some(op) = self.op.take() {
            cx.put(Output::StopDial { op });
        }
        self.joined
    }
}

impl Dialling {
    fn record(&mut self, cx: &mut Cx<'_>) {
        let op = cx.op();
        self.record = Some(op);
        let record = Record::background(cx.args.text("tag").map(Into::into));
        cx.put(Output::Record { op, record });
    }

    fn stop_record(&mut self, cx: &mut Cx<'_>) {
        if let Some(op) = self.record.take() {
            cx.put(Output::StopRecord { op });
        }
    }
}

pub(super) fn ended(end: &DialEnd) -> Flow {
    match end {
        DialEnd::HungUp => Flow::done("Dialled leg hung up"),
        DialEnd::Limit => Flow::done("Longest conversation reached"),
        DialEnd::Failed { causes } => Flow::fail(failure(causes)),
    }
}

/// The reason scripts of the first generation look for, with the cause of each destination.
fn failure(causes: &[String]) -> String {
    let tried = causes.len();
    format!("[originate] ERR {}. no any destinations are accept the call {tried}/{tried}", causes.join(", "))
}
