//! `<Curl>`: a request of the document's own.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::callback::{Asking, Fetch, method};
use super::{Cut, Cx, Flow, Run};
use crate::document::Node;
use crate::http::{HttpAnswer, HttpBody};
use crate::language::Name;
use crate::machine::args::Args;
use crate::machine::io::OpResult;
use crate::variables::{Encoding, Variables};

#[derive(Debug, Default)]
pub(super) struct Curl(Asking);

/// Deepest part of an answer that becomes a variable.
const MAX_DEPTH: usize = 8;
/// Most parts of one answer that do.
const MAX_PARTS: usize = 200;

impl Run for Curl {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let parts = |name| cx.node.children.iter().filter(move |child| child.name == Some(name));
        let mut headers = Vec::new();
        for header in parts(Name::Header) {
            match Args::resolve(header, cx.variables) {
                (_, Some(fault)) => return Flow::fail(fault),
                (args, None) => {
                    let text = |name| args.text(name).unwrap_or_default().to_owned();
                    headers.push((text("name"), text("value")));
                }
            }
        }
        let body = parts(Name::Body).next();
        if let Some(fault) = body.and_then(|body| body.fault.clone()) {
            return Flow::fail(fault);
        }
        let body = body.map(|body| body_of(body, &mut headers, cx.variables));
        let url = cx.args.text("url").unwrap_or_default().to_owned();
        let timeout = cx.args.duration("timeout").unwrap_or(Duration::from_secs(10));
        let has_accept = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept"));
        if !has_accept && !cx.args.flag("run") {
            headers.push(("accept".into(), "application/json, */*;q=0.5".into()));
        }
        let body = body.unwrap_or(HttpBody::Empty);
        self.0.fetch = Some(Fetch::start(cx, &url, method(cx), Vec::new(), headers, body, timeout));
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        let OpResult::Fetched(answer) = result else { return None };
        if !self.0.fetch.as_ref()?.is(op) {
            return None;
        }
        self.0.fetch = None;
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => return Some(Flow::fail(reason.clone())),
        };
        if let Some(name) = cx.args.text("name") {
            keep(name, answer, cx.variables);
        }
        self.0.status = answer.status;
        let reason = format!("HTTP {}", answer.status);
        Some(match (cx.args.flag("run"), (200..300).contains(&answer.status)) {
            (_, false) => Flow::fail(reason),
            (false, true) => Flow::done(reason),
            (true, true) => match answer.document() {
                Ok(document) => Flow::Block(document.root.children.clone()),
                Err(reason) => Flow::fail(reason),
            },
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

/// The text of a `<Body>`; its content type is that of a header, which is taken, or what it looks like.
fn body_of(node: &Node, headers: &mut Vec<(String, String)>, variables: &Variables) -> HttpBody {
    let text = node.attributes.iter().find(|(name, _)| *name == "text").map_or("", |(_, text)| text.as_str());
    let said = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = said.map(|index| headers.remove(index).1);
    let looks_like_json = text.trim_start().starts_with(['{', '[']) && !text.trim_start().starts_with("{{");
    let content_type = content_type
        .unwrap_or_else(|| if looks_like_json { "application/json" } else { "text/plain; charset=utf-8" }.to_owned());
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let encoding = match kind.as_str() {
        "application/x-www-form-urlencoded" => Encoding::Percent,
        kind if kind.ends_with("json") => Encoding::Json,
        kind if kind.ends_with("xml") || kind == "text/html" => Encoding::Markup,
        _ => Encoding::Plain,
    };
    HttpBody::Text { text: variables.interpolate_as(text, encoding), content_type }
}

/// Sets the variables an answer brings. Those for which there is no room are left out.
fn keep(name: &str, answer: &HttpAnswer, variables: &mut Variables) {
    variables.forget(name);
    variables.set(name, answer.body.trim());
    variables.set(format!("{name}.status"), answer.status.to_string());
    if let Ok(json) = serde_json::from_str::<Value>(&answer.body) {
        let mut left = MAX_PARTS;
        flatten(name, &json, variables, 0, &mut left);
    }
}

fn flatten(name: &str, value: &Value, variables: &mut Variables, depth: usize, left: &mut usize) {
    if depth > MAX_DEPTH || *left == 0 {
        return;
    }
    let text = match value {
        Value::Object(fields) => {
            for (field, value) in fields.iter().take(*left) {
                flatten(&format!("{name}.{field}"), value, variables, depth + 1, left);
            }
            return;
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate().take(*left) {
                flatten(&format!("{name}.{index}"), value, variables, depth + 1, left);
            }
            return;
        }
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    *left -= 1;
    variables.set(name, text);
}
