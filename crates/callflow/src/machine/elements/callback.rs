//! `<Callback>` and `<Redirect>`: asks a URL and runs what it answers, in place or in place of the rest.

use std::time::{Duration, Instant};

use super::{Cut, Cx, Flow, Outcome, Run};
use crate::document::Document;
use crate::http::{HttpAnswer, HttpBody, HttpRequest, Method};
use crate::language::Name;
use crate::machine::io::{OpResult, Output};

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
        headers: Vec<(String, String)>,
        body: HttpBody,
        timeout: Duration,
    ) -> Fetch {
        let op = cx.op();
        let request = HttpRequest { url: url.into(), method, query, headers, body, timeout: Some(timeout) };
        cx.put(Output::Fetch { op, request });
        Fetch { op, until: cx.now.instant + timeout, timeout }
    }

    /// Whether a result is its own.
    pub fn is(&self, op: u64) -> bool {
        self.op == op
    }

    /// The answer to it: a document and its status, or why there is none. `None`: the result is not its own.
    pub fn answered(&self, op: u64, result: &OpResult) -> Option<Result<(Document, u16), String>> {
        let OpResult::Fetched(answer) = result else { return None };
        let document = |answer: &HttpAnswer| answer.document().map(|document| (document, answer.status));
        self.is(op).then(|| answer.as_ref().map_err(Clone::clone).and_then(document))
    }

    pub fn drop(self, cx: &mut Cx<'_>) {
        cx.put(Output::DropFetch { op: self.op });
    }

    /// No answer has come in time; the reason.
    pub fn give_up(self, cx: &mut Cx<'_>) -> String {
        let reason = format!("no answer in {} ms", self.timeout.as_millis());
        self.drop(cx);
        reason
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

/// The same with what the flow has set; the names above are the call's own and stay.
pub(super) fn about_with_meta(cx: &Cx<'_>) -> Vec<(String, String)> {
    let mut query = about(cx);
    let own = query.len();
    for (name, value) in cx.variables.meta() {
        if !query[..own].iter().any(|(taken, _)| taken == name) {
            query.push((name.to_owned(), value.to_owned()));
        }
    }
    query
}

pub(super) fn method(cx: &Cx<'_>) -> Method {
    match cx.args.word("method") {
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("PATCH") => Method::Patch,
        Some("DELETE") => Method::Delete,
        _ => Method::Get,
    }
}

/// What an element has under way that asks a URL, and may run what it answers.
#[derive(Debug, Default)]
pub(super) struct Asking {
    pub fetch: Option<Fetch>,
    /// The status of the answer that runs.
    pub status: u16,
}

impl Asking {
    pub fn resumed(&self) -> Flow {
        Flow::done(format!("HTTP {}", self.status))
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.fetch.as_ref().map(|fetch| fetch.until)
    }

    pub fn timeout(&mut self, cx: &mut Cx<'_>) -> Flow {
        match self.fetch.take() {
            Some(fetch) => Flow::fail(fetch.give_up(cx)),
            None => Flow::Wait,
        }
    }

    pub fn cut(&mut self, cx: &mut Cx<'_>) -> bool {
        match self.fetch.take() {
            Some(fetch) => {
                fetch.drop(cx);
                false
            }
            None => true,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Callback(Asking);

impl Run for Callback {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let query = about_with_meta(cx);
        let body = if cx.args.flag("body") { HttpBody::Call } else { HttpBody::Empty };
        let url = cx.args.text("url").unwrap_or_default().to_owned();
        let timeout = cx.args.duration("timeout").unwrap_or(Duration::from_secs(10));
        self.0.fetch = Some(Fetch::start(cx, &url, method(cx), query, Vec::new(), body, timeout));
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        let answer = self.0.fetch.as_ref()?.answered(op, result)?;
        self.0.fetch = None;
        Some(match answer {
            Ok((document, status)) if cx.node.name == Some(Name::Redirect) => {
                Flow::Goto(document, Outcome::success(format!("HTTP {status}")))
            }
            Ok((document, status)) => {
                self.0.status = status;
                Flow::Block(document.root.children.clone())
            }
            Err(reason) => Flow::fail(reason),
        })
    }

    fn resumed(&mut self, _cx: &mut Cx<'_>) -> Flow {
        self.0.resumed()
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.0.timeout(cx)
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        self.0.cut(cx)
    }
}
