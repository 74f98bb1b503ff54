//! `<Gather>`: prompts play while keys or words are collected; what they choose is run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callback::{Fetch, about, method};
use super::switch::{self, Entry, KEYS, SPEECH};
use super::{Cut, Cx, Flow, Run};
use crate::document::Node;
use crate::http::HttpBody;
use crate::language::{Keys, Name};
use crate::machine::args::Args;
use crate::machine::io::{Listen, OpResult, Output, Utterance};

#[derive(Debug, Default)]
pub(super) struct Gather {
    keys: String,
    said: String,
    confidence: Option<f32>,
    /// Somebody may speak.
    listening: Option<u64>,
    /// What was said could not be recognised.
    is_deaf: bool,
    /// Counted from 1.
    attempt: u64,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    New,
    /// Prompts play; keys and words are collected.
    Prompting,
    /// Silence; keys and words are collected.
    Waiting {
        until: Instant,
    },
    /// Somebody speaks, or what was said is being recognised.
    Hearing {
        until: Instant,
    },
    Asking(Fetch),
    /// What was chosen runs; with this reason it will have ended.
    Chosen(String),
}

/// Longest wait for `url`.
const FETCH: Duration = Duration::from_secs(10);
/// Longest from the first word to what was understood.
const HEAR: Duration = Duration::from_secs(180);
/// Hints given to a recogniser.
const MAX_HINTS: usize = 500;

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
        if !self.collects_keys() || !takes(cx, "dtmf") {
            return None;
        }
        // A menu may offer the finish key as a choice of its own.
        let chooses = self.keys.is_empty()
            && switch::matching(cx.node, Entry::Keys(key.encode_utf8(&mut [0; 4])), cx.variables).is_some();
        if finish_keys(cx).contains(key) && !chooses {
            return Some(self.entered(cx));
        }
        self.stop_listening(cx);
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
            (Stage::Hearing { .. }, _) => self.wait(cx),
            _ => Flow::Wait,
        })
    }

    fn collects_keys(&self) -> bool {
        matches!(self.stage, Stage::Prompting | Stage::Waiting { .. } | Stage::Hearing { .. })
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        if self.listening == Some(op) && *cx.ear == Some(op) {
            return self.heard(cx, result);
        }
        let Stage::Asking(fetch) = &self.stage else { return None };
        let answer = fetch.answered(op, result)?;
        Some(match answer {
            Ok((document, _)) => self.choose(document.root.children.clone(), self.entry()),
            Err(reason) => {
                self.stage = Stage::New;
                Flow::fail(reason)
            }
        })
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Waiting { until } | Stage::Hearing { until } => Some(*until),
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
        self.stop_listening(cx);
        match std::mem::take(&mut self.stage) {
            Stage::Asking(fetch) => {
                fetch.drop(cx);
                false
            }
            Stage::Chosen(_) => true,
            Stage::New | Stage::Prompting | Stage::Waiting { .. } | Stage::Hearing { .. } => false,
        }
    }
}

impl Gather {
    /// Begins an attempt.
    fn prompt(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.attempt += 1;
        self.stage = Stage::Prompting;
        if cx.args.flag("interrupt") {
            self.listen(cx);
        }
        let is_prompt =
            |child: &&Arc<Node>| matches!(child.name, Some(Name::Say | Name::Play | Name::Tone | Name::Pause));
        Flow::Block(cx.node.children.iter().filter(is_prompt).cloned().collect())
    }

    fn wait(&mut self, cx: &mut Cx<'_>) -> Flow {
        let timeout = cx.args.duration("timeout").unwrap_or(Duration::from_secs(5));
        self.stage = Stage::Waiting { until: cx.now.instant + timeout };
        if self.keys.is_empty() {
            self.listen(cx);
        }
        Flow::Wait
    }

    fn listen(&mut self, cx: &mut Cx<'_>) {
        let listens = self.listening.is_some() && self.listening == *cx.ear;
        if listens || self.is_deaf || !takes(cx, "speech") {
            return;
        }
        // A `Gather` in the error block of a prompt takes the place of the one around it.
        if let Some(op) = cx.ear.take() {
            cx.put(Output::StopListen { op });
        }
        let hints = match cx.args.text("hints") {
            Some(hints) => hints.split(',').map(str::trim).filter(|hint| !hint.is_empty()).map(Into::into).collect(),
            None => switch::values(cx.node, cx.variables),
        };
        let lang = cx.args.text("lang").unwrap_or_default().to_owned();
        let listen = Listen { lang, hints: hints.into_iter().take(MAX_HINTS).collect() };
        let op = cx.op();
        (self.listening, *cx.ear) = (Some(op), Some(op));
        cx.put(Output::Listen { op, listen });
    }

    fn stop_listening(&mut self, cx: &mut Cx<'_>) {
        if let Some(op) = self.listening.take()
            && *cx.ear == Some(op)
        {
            *cx.ear = None;
            cx.put(Output::StopListen { op });
        }
    }

    /// Of what is listened to.
    fn heard(&mut self, cx: &mut Cx<'_>, result: &OpResult) -> Option<Flow> {
        match result {
            OpResult::Speaking => {
                let was_prompting = matches!(self.stage, Stage::Prompting);
                self.stage = Stage::Hearing { until: cx.now.instant + HEAR };
                Some(if was_prompting { Flow::Hold(Cut::Speech) } else { Flow::Wait })
            }
            OpResult::Said(said) => {
                (self.listening, *cx.ear) = (None, None);
                Some(match said {
                    Ok(Utterance { text, confidence }) => {
                        (self.said, self.confidence) = (text.trim().to_owned(), *confidence);
                        self.entered(cx)
                    }
                    // Keys may still come.
                    Err(_) if takes(cx, "dtmf") => {
                        self.is_deaf = true;
                        match self.stage {
                            Stage::Hearing { .. } => self.wait(cx),
                            _ => Flow::Wait,
                        }
                    }
                    Err(reason) => {
                        self.stage = Stage::New;
                        Flow::fail(reason.clone())
                    }
                })
            }
            _ => None,
        }
    }

    /// The entry is over.
    fn entered(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.stop_listening(cx);
        if self.keys.is_empty() && self.said.is_empty() {
            if self.attempt < cx.args.number("attempts").unwrap_or(1) {
                return self.prompt(cx);
            }
            self.stage = Stage::New;
            return Flow::fail(match (takes(cx, "dtmf"), takes(cx, "speech")) {
                (true, true) => "Nothing entered",
                (false, _) => "Nothing said",
                _ => "No keys entered",
            });
        }
        cx.variables.set(KEYS, self.keys.clone());
        if takes(cx, "speech") {
            cx.variables.set(SPEECH, self.said.clone());
        }
        if let Some(url) = cx.args.text("url").map(str::to_owned) {
            self.stage = Stage::Asking(self.ask(cx, &url));
            return Flow::Hold(Cut::Ended);
        }
        let node = Arc::clone(cx.node);
        let entry = if self.said.is_empty() { Entry::Keys(&self.keys) } else { Entry::Words(&self.said) };
        let switches = || node.children.iter().filter(|child| child.name == Some(Name::Switch));
        let chosen = switch::matching(&node, entry, cx.variables)
            .or_else(|| switches().find(|s| switch::matching(s, entry, cx.variables).is_some()).cloned())
            .or_else(|| switches().find(|s| switch::default(s).is_some()).cloned())
            .or_else(|| switch::default(&node));
        let entry = self.entry();
        match chosen {
            Some(chosen) => self.choose(vec![chosen], entry),
            None => {
                self.stage = Stage::New;
                Flow::done(format!("{entry}, none matches"))
            }
        }
    }

    /// What was entered, for a person to read.
    fn entry(&self) -> String {
        match self.said.as_str() {
            "" => format!("Keys entered: {}", self.keys),
            said => format!("Said: {said}"),
        }
    }

    fn choose(&mut self, nodes: Vec<Arc<Node>>, reason: String) -> Flow {
        self.stage = Stage::Chosen(reason);
        Flow::Block(nodes)
    }

    fn ask(&self, cx: &mut Cx<'_>, url: &str) -> Fetch {
        let mut query = vec![("dtmf".to_owned(), self.keys.clone())];
        if takes(cx, "speech") {
            query.push(("speech".into(), self.said.clone()));
            query.extend(self.confidence.map(|confidence| ("confidence".into(), format!("{confidence:.2}"))));
        }
        query.extend(about(cx));
        // What clients of the 2021 form read.
        query.push(("code".into(), self.keys.clone()));
        query.push(("attempts".into(), self.attempt.to_string()));
        query.push(("success".into(), "true".into()));
        Fetch::start(cx, url, method(cx), query, Vec::new(), HttpBody::Empty, FETCH)
    }
}

/// Whether `dtmf` or `speech` is collected.
fn takes(cx: &Cx<'_>, what: &str) -> bool {
    matches!(cx.args.word("input"), Some(input) if input == what || input == "both")
}

/// Whether the element is written in the form of 2021, whose defaults differ.
fn is_2021(cx: &Cx<'_>) -> bool {
    let old = ["numDigits", "finishOnKey", "callback"];
    cx.node.aliases.iter().any(|alias| old.contains(alias))
        || !takes(cx, "speech")
            && cx.node.children.iter().any(|child| matches!(child.name, Some(Name::Switch | Name::Case)))
}

fn finish_keys(cx: &Cx<'_>) -> Keys {
    match is_2021(cx) && !cx.args.is_written("dtmf_stop") {
        true => Keys::of("*").unwrap_or(Keys::NONE),
        false => cx.args.keys("dtmf_stop"),
    }
}
