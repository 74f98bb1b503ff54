//! `<Gather>`: prompts play while keys are collected; what the keys choose is run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callback::{Fetch, about, method};
use super::switch::{self, KEYS};
use super::{Cut, Cx, Flow, Run};
use crate::document::Node;
use crate::http::HttpBody;
use crate::language::{Keys, Name};
use crate::machine::args::Args;
use crate::machine::io::OpResult;

#[derive(Debug, Default)]
pub(super) struct Gather {
    keys: String,
    /// Counted from 1.
    attempt: u64,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    New,
    /// Prompts play; keys are collected.
    Prompting,
    /// Silence; keys are collected.
    Waiting {
        until: Instant,
    },
    Asking(Fetch),
    /// What was chosen runs; with this reason it will have ended.
    Chosen(String),
}

/// Longest wait for `url`.
const FETCH: Duration = Duration::from_secs(10);
const NOTHING: &str = "No keys entered";

impl Run for Gather {
    fn needs_answer(&self, _args: &Args) -> bool {
        true
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.prompt(cx)
    }

    fn resumed(&mut self, cx: &mut Cx<'_>) -> Flow {
        match &self.stage {
            Stage::Chosen(reason) => Flow::done(reason.clone()),
            // The prompts are over.
            _ => self.wait(cx),
        }
    }

    fn key(&mut self, cx: &mut Cx<'_>, key: char) -> Option<Flow> {
        if !self.collects_keys() {
            return None;
        }
        // A menu may offer the finish key as a choice of its own.
        let chooses =
            self.keys.is_empty() && switch::matching(cx.node, key.encode_utf8(&mut [0; 4]), cx.variables).is_some();
        if finish_keys(cx).contains(key) && !chooses {
            return Some(self.entered(cx));
        }
        self.keys.push(key);
        if self.keys.chars().count() as u64 >= cx.args.number("dtmf_length").unwrap_or(1) {
            return Some(self.entered(cx));
        }
        Some(match (&self.stage, cx.args.flag("interrupt")) {
            (Stage::Prompting, true) => {
                self.wait(cx);
                Flow::Hold(Cut::Key(key))
            }
            // 2021: one timeout for all keys of an attempt; since 2022 for each.
            (Stage::Waiting { .. }, _) if !is_2021(cx) => self.wait(cx),
            _ => Flow::Wait,
        })
    }

    fn collects_keys(&self) -> bool {
        matches!(self.stage, Stage::Prompting | Stage::Waiting { .. })
    }

    fn result(&mut self, _cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        let Stage::Asking(fetch) = &self.stage else { return None };
        let answer = fetch.answered(op, result)?;
        Some(match answer {
            Ok((document, _)) => self.choose(document.root.children.clone(), entered(&self.keys)),
            Err(reason) => {
                self.stage = Stage::New;
                Flow::fail(reason)
            }
        })
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Waiting { until } => Some(*until),
            Stage::Asking(fetch) => Some(fetch.until),
            Stage::New | Stage::Prompting | Stage::Chosen(_) => None,
        }
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Flow {
        match std::mem::take(&mut self.stage) {
            Stage::Asking(fetch) => Flow::fail(fetch.give_up(cx)),
            _ => self.entered(cx),
        }
    }

    fn cut(&mut self, cx: &mut Cx<'_>, _cut: Cut) -> bool {
        match std::mem::take(&mut self.stage) {
            Stage::Asking(fetch) => {
                fetch.drop(cx);
                false
            }
            Stage::Chosen(_) => true,
            Stage::New | Stage::Prompting | Stage::Waiting { .. } => false,
        }
    }
}

impl Gather {
    /// Begins an attempt.
    fn prompt(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.attempt += 1;
        self.stage = Stage::Prompting;
        let is_prompt =
            |child: &&Arc<Node>| matches!(child.name, Some(Name::Say | Name::Play | Name::Tone | Name::Pause));
        Flow::Block(cx.node.children.iter().filter(is_prompt).cloned().collect())
    }

    fn wait(&mut self, cx: &mut Cx<'_>) -> Flow {
        let timeout = cx.args.duration("timeout").unwrap_or(Duration::from_secs(5));
        self.stage = Stage::Waiting { until: cx.now.instant + timeout };
        Flow::Wait
    }

    /// The entry is over.
    fn entered(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.keys.is_empty() {
            if self.attempt < cx.args.number("attempts").unwrap_or(1) {
                return self.prompt(cx);
            }
            self.stage = Stage::New;
            return Flow::fail(NOTHING);
        }
        cx.variables.set(KEYS, self.keys.clone());
        if let Some(url) = cx.args.text("url").map(str::to_owned) {
            self.stage = Stage::Asking(self.ask(cx, &url));
            return Flow::Hold(Cut::Ended);
        }
        let node = Arc::clone(cx.node);
        let switches = || node.children.iter().filter(|child| child.name == Some(Name::Switch));
        let chosen = switch::matching(&node, &self.keys, cx.variables)
            .or_else(|| switches().find(|s| switch::matching(s, &self.keys, cx.variables).is_some()).cloned())
            .or_else(|| switches().find(|s| switch::default(s).is_some()).cloned())
            .or_else(|| switch::default(&node));
        match chosen {
            Some(chosen) => self.choose(vec![chosen], entered(&self.keys)),
            None => {
                self.stage = Stage::New;
                Flow::done(format!("{}, none matches", entered(&self.keys)))
            }
        }
    }

    fn choose(&mut self, nodes: Vec<Arc<Node>>, reason: String) -> Flow {
        self.stage = Stage::Chosen(reason);
        Flow::Block(nodes)
    }

    fn ask(&self, cx: &mut Cx<'_>, url: &str) -> Fetch {
        let mut query = vec![("dtmf".to_owned(), self.keys.clone())];
        query.extend(about(cx));
        // What clients of the 2021 form read.
        query.push(("code".into(), self.keys.clone()));
        query.push(("attempts".into(), self.attempt.to_string()));
        query.push(("success".into(), "true".into()));
        Fetch::start(cx, url, method(cx), query, Vec::new(), HttpBody::Empty, FETCH)
    }
}

fn entered(keys: &str) -> String {
    format!("Keys entered: {keys}")
}

/// Whether the element is written in the form of 2021, whose defaults differ.
fn is_2021(cx: &Cx<'_>) -> bool {
    let old = ["numDigits", "finishOnKey", "callback"];
    cx.node.aliases.iter().any(|alias| old.contains(alias))
        || cx.node.children.iter().any(|child| matches!(child.name, Some(Name::Switch | Name::Case)))
}

fn finish_keys(cx: &Cx<'_>) -> Keys {
    match is_2021(cx) && !cx.args.is_written("dtmf_stop") {
        true => Keys::of("*").unwrap_or(Keys::NONE),
        false => cx.args.keys("dtmf_stop"),
    }
}
