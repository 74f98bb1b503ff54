//! `<Callback>` and `<Redirect>`: asks a URL and runs what it answers, in place or in place of the rest.

use std::time::{Duration, Instant};

use super::{Cut, Cx, Flow, Outcome, Run};
use crate::document::Document;
use crate::http::{HttpAnswer, HttpBody, HttpRequest, Method};
use crate::language::Name;
use crate::machine::io::{OpResult, Output};
use crate::parse::{Mode, parse};

/// A request under way.
#[derive(Debug)]
pub(super) struct Fetch {
    op: u64,
    pub until: Instant,
    timeout: Duration,
}

impl Fetch {
    pub fn start(
        cx: &mut Cx<'_>,
        url: &str,
        method: Method,
        query: Vec<(String, String)>,
        body: HttpBody,
        timeout: Duration,
    ) -> Fetch {
        let op = cx.op();
        let request = HttpRequest { url: url.into(), method, query, body, timeout: Some(timeout) };
        cx.put(Output::Fetch { op, request });
        Fetch { op, until: cx.now + timeout, timeout }
    }

    /// The answer to it: a document, or why there is none. `None`: the result is not its own.
    pub fn answered(&self, op: u64, result: &OpResult) -> Option<Result<(Document, u16), String>> {
        match result {
            OpResult::Fetched(answer) if op == self.op => Some(answer.clone().and_then(|answer| read(&answer))),
            _ => None,
        }
    }

    pub fn drop(self, cx: &mut Cx<'_>) {
        cx.put(Output::DropFetch { op: self.op });
    }

    /// The reason when no answer comes.
    pub fn late(&self) -> String {
        format!("no answer in {} ms", self.timeout.as_millis())
    }
}

/// What an answer brings: a document, empty when the answer is.
pub(super) fn read(answer: &HttpAnswer) -> Result<(Document, u16), String> {
    if !(200..300).contains(&answer.status) {
        return Err(format!("HTTP {}", answer.status));
    }
    let text = if answer.body.trim().is_empty() { "<Response/>" } else { answer.body.as_str() };
    match parse(text, Mode::Lenient) {
        Ok(document) => Ok((document, answer.status)),
        Err(faults) => {
            Err(faults.first().map_or_else(String::new, |fault| format!("the answer is no call flow: {fault}")))
        }
    }
}

/// What every request tells of the call.
pub(super) fn about(cx: &Cx<'_>) -> Vec<(String, String)> {
    let mut query: Vec<(String, String)> = Vec::new();
    for name in ["from", "to", "tn", "sca", "call"] {
        if let Some(value) = cx.variables.get(name) {
            query.push((name.into(), value.into()));
        }
    }
    query.push(("state".into(), if cx.live { "live" } else { "ringing" }.into()));
    if let Some(tag) = cx.args.text("tag") {
        query.push(("tag".into(), tag.into()));
    }
    query
}

pub(super) fn method(cx: &Cx<'_>) -> Method {
    match cx.args.word("method") {
        Some("POST") => Method::Post,
        Some("PATCH") => Method::Patch,
        Some("DELETE") => Method::Delete,
        _ => Method::Get,
    }
}

#[derive(Debug, Default)]
pub(super) struct Callback {
    fetch: Option<Fetch>,
    /// The status of the answer that runs.
    status: u16,
}

impl Run for Callback {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let mut query = about(cx);
        // What the flow has set; the names above are the call's own and stay.
        let meta: Vec<_> = cx
            .variables
            .meta()
            .filter(|(name, _)| !query.iter().any(|(taken, _)| taken == name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        query.extend(meta);
        let body = if cx.args.flag("body") { HttpBody::Call } else { HttpBody::Empty };
        let url = cx.args.text("url").unwrap_or_default().to_owned();
        let timeout = cx.args.duration("timeout").unwrap_or(Duration::from_secs(10));
        self.fetch = Some(Fetch::start(cx, &url, method(cx), query, body, timeout));
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        let answer = self.fetch.as_ref()?.answered(op, result)?;
        self.fetch = None;
        Some(match answer {
            Ok((document, status)) if cx.node.name == Some(Name::Redirect) => {
                Flow::Goto(document, Outcome::success(format!("HTTP {status}")))
            }
            Ok((document, status)) => {
                self.status = status;
                Flow::Block(document.root.children.clone())
            }
            Err(reason) => Flow::fail(reason),
        })
    }

    fn resumed(&mut self, _cx: &mut Cx<'_>) -> Flow {
        Flow::done(format!("HTTP {}", self.status))
    }

    fn deadline(&self) -> Option<Instant> {
        self.fetch.as_ref().map(|fetch| fetch.until)
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.fetch.take() {
            Some(fetch) => {
                let reason = fetch.late();
                fetch.drop(cx);
                Flow::fail(reason)
            }
            None => Flow::Wait,
        }
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        match self.fetch.take() {
            Some(fetch) => {
                fetch.drop(cx);
                false
            }
            None => true,
        }
    }
}
