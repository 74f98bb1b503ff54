//! The language as cases that a user can read: `tests/conformance/*.flow`, one file an element. `README.md` there tells how
//! they are written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentact_callflow::{
    Dial, DialEnd, HttpAnswer, HttpBody, HttpRequest, Input, Leg, Machine, Mode, Now, OpResult, Output, RecordEnd,
    Sound, Tone, Utterance, Variables, Voice, language, parse,
};

macro_rules! files {
    ($($name:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { run_file(stringify!($name)); })*
    };
}

files! {
    answer call callback curl dial document error gather geo hangup hold meta pause play record recordstart redirect reject say schedule
    switch tone unhold variables
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

fn path(name: &str) -> PathBuf {
    folder().join(format!("{name}.flow"))
}

fn run_file(name: &str) {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut failures, mut written) = (String::new(), String::new());
    let cases = cases(&text, &mut written);
    for case in cases {
        let (expected, actual) = (case.text(), case.run().text());
        if expected != actual {
            let place = format!("{}:{}", path.display(), case.line);
            let _ = writeln!(failures, "\n{place}: == {}\n{}", case.title, difference(&expected, &actual));
        }
        written.push_str(&actual);
    }
    if std::env::var_os("UPDATE_CONFORMANCE").is_some() {
        std::fs::write(&path, written).unwrap();
    } else {
        assert!(failures.is_empty(), "{failures}");
    }
}

fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = expected.iter().zip(&actual).take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    expected[..same].iter().for_each(|line| writeln!(out, "    {line}").unwrap());
    expected[same..].iter().for_each(|line| writeln!(out, "  - {line}").unwrap());
    actual[same..].iter().for_each(|line| writeln!(out, "  + {line}").unwrap());
    out
}

/// One case as it is written.
#[derive(Debug, Clone)]
struct Case {
    title: String,
    line: usize,
    /// `given …` and the document.
    head: Vec<String>,
    faults: Vec<String>,
    /// What happens, and what comes of it; at first the document begins to run.
    steps: Vec<(String, Vec<String>)>,
}

/// What stands before the first case goes to `before`.
fn cases(text: &str, before: &mut String) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("== ") {
            let (title, line) = (title.to_owned(), index + 1);
            cases.push(Case { title, line, head: Vec::new(), faults: Vec::new(), steps: vec![Default::default()] });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            writeln!(before, "{line}").unwrap();
            continue;
        };
        if let Some(fault) = line.strip_prefix("!! ") {
            case.faults.push(fault.to_owned());
        } else if let Some(input) = line.strip_prefix("* ") {
            case.steps.push((input.to_owned(), Vec::new()));
        } else if let Some(output) = line.strip_prefix("-> ") {
            case.steps.last_mut().unwrap().1.push(output.to_owned());
        } else if line.starts_with("given ") || line.starts_with("    ") {
            case.head.push(line.to_owned());
        } else {
            assert!(line.is_empty(), "line {}: what is `{line}`?", index + 1);
        }
    }
    cases
}

impl Case {
    fn text(&self) -> String {
        let mut out = format!("== {}\n", self.title);
        self.head.iter().for_each(|line| writeln!(out, "{line}").unwrap());
        self.faults.iter().for_each(|fault| writeln!(out, "!! {fault}").unwrap());
        for (index, (input, outputs)) in self.steps.iter().enumerate() {
            if index > 0 {
                writeln!(out, "* {input}").unwrap();
            }
            outputs.iter().for_each(|output| writeln!(out, "-> {output}").unwrap());
        }
        out.push('\n');
        out
    }

    /// The document, and how many lines stand before that of the case.
    fn document(&self) -> (String, u32) {
        let lines: Vec<&str> = self.head.iter().filter_map(|line| line.strip_prefix("    ")).collect();
        let text = lines.join("\n");
        match ["<Response", "<response", "<?xml", "<!", "plain "].iter().any(|start| text.starts_with(start)) {
            true => (text.strip_prefix("plain ").unwrap_or(&text).to_owned(), 0),
            false => (format!("<Response>\n{text}\n</Response>"), 1),
        }
    }

    fn given(&self) -> impl Iterator<Item = &str> {
        self.head.iter().filter_map(|line| line.strip_prefix("given "))
    }

    /// The same case with what really happens.
    fn run(&self) -> Case {
        let (text, before) = self.document();
        let mut case = Case { faults: Vec::new(), ..self.clone() };
        if let Err(faults) = parse(&text, Mode::Strict) {
            case.faults = faults
                .iter()
                .map(|fault| {
                    let element = fault.element.as_ref().map_or(String::new(), |element| format!(" <{element}>"));
                    format!("{}:{}{element}: {}", fault.line - before, fault.column, fault.message)
                })
                .collect();
        }
        let mut world = World::new(self);
        for (index, (input, outputs)) in case.steps.iter_mut().enumerate() {
            match index {
                0 => world.begin(&text),
                _ => world.happens(input),
            }
            *outputs = std::mem::take(&mut world.told);
        }
        case
    }
}

/// A machine and who does what it says.
struct World {
    machine: Machine,
    now: Now,
    attributes: bool,
    told: Vec<String>,
    /// Operations under way, by what they are.
    open: Vec<(&'static str, u64, String)>,
    over: bool,
}

impl World {
    fn new(case: &Case) -> World {
        let mut variables = Variables::new();
        for (name, value) in [("from", "+12015550100"), ("to", "12015550199"), ("call", "c1"), ("direction", "in")] {
            variables.set(name, value);
        }
        let (mut live, mut attributes, mut utc) = (true, false, "2026-07-02T12:00:00Z".to_owned());
        for given in case.given() {
            match given.split_once(" = ") {
                Some(("now", at)) => utc = at.to_owned(),
                Some((name, value)) => assert!(variables.set(name, value)),
                None if given == "ringing" => live = false,
                None if given == "attributes" => attributes = true,
                None => panic!("line {}: given {given}", case.line),
            }
        }
        let now = Now { instant: Instant::now(), utc: utc.parse().unwrap() };
        World { machine: Machine::new(variables, live), now, attributes, told: vec![], open: vec![], over: false }
    }

    fn begin(&mut self, text: &str) {
        match parse(text, Mode::Lenient) {
            Ok(document) => self.handle(Input::Run(document)),
            Err(_) => self.told.push("nothing".into()),
        }
    }

    fn happens(&mut self, input: &str) {
        let (word, rest) = input.split_once(' ').unwrap_or((input, ""));
        if let Some(ms) = input.strip_suffix(" ms") {
            return self.pass(ms.parse().unwrap_or_else(|_| panic!("{input}")));
        }
        let result = match word {
            "answered" => return self.handle(Input::Answered),
            "hung" => {
                self.over = true;
                return self.handle(Input::HungUp);
            }
            "key" | "keys" => return rest.chars().for_each(|key| self.handle(Input::Key(key))),
            "run" => {
                let document = parse(&format!("<Response>{rest}</Response>"), Mode::Lenient).unwrap();
                return self.handle(Input::Run(document));
            }
            "heard" => ("sound", OpResult::Played(Ok(()))),
            "HTTP" => {
                let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
                let body = body.to_owned();
                let answer = HttpAnswer { status: status.parse().unwrap(), content_type: None, body };
                ("request", OpResult::Fetched(Ok(answer)))
            }
            "joined" => ("dial", OpResult::Joined),
            "dialled" => ("dial", OpResult::Dialled(DialEnd::HungUp)),
            "longest" => ("dial", OpResult::Dialled(DialEnd::Limit)),
            "nobody" => {
                let causes = rest.trim_start_matches("answered ").split(", ").map(str::to_owned).collect();
                ("dial", OpResult::Dialled(DialEnd::Failed { causes }))
            }
            "on" => ("hold", OpResult::Held),
            "other" => ("other", OpResult::Alone(rest.trim_start_matches("leg ").to_owned())),
            "recorded" => {
                let end = match rest {
                    "after silence" => RecordEnd::Silence,
                    "in full" => RecordEnd::Full,
                    _ => RecordEnd::Stopped,
                };
                ("record", OpResult::Recorded(Ok(end)))
            }
            "speaks" => ("speech", OpResult::Speaking),
            "said" => ("speech", OpResult::Said(Ok(Utterance { text: rest.to_owned(), confidence: Some(0.9) }))),
            "not" => match rest.split_once(' ').unwrap_or((rest, "")) {
                ("heard", reason) => ("sound", OpResult::Played(Err(reason.to_owned()))),
                ("understood", reason) => ("speech", OpResult::Said(Err(reason.to_owned()))),
                (_, reason) => ("record", OpResult::Recorded(Err(reason.to_owned()))),
            },
            "no" => ("request", OpResult::Fetched(Err(rest.trim_start_matches("answer ").to_owned()))),
            _ => panic!("what is `{input}`?"),
        };
        let (kind, result) = result;
        let fits = |open: &str| open == kind || kind == "other" && matches!(open, "dial" | "hold");
        let index = self.open.iter().position(|(open, ..)| fits(open));
        let index = index.unwrap_or_else(|| panic!("`{input}`, but there is no {kind} under way: {:?}", self.open));
        let op = match result {
            OpResult::Joined | OpResult::Held | OpResult::Speaking => self.open[index].1,
            _ => self.open.remove(index).1,
        };
        self.handle(Input::Result { op, result });
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now.instant + Duration::from_millis(ms);
        while let Some(at) = self.machine.deadline().filter(|at| *at <= until) {
            self.go(at);
            self.handle(Input::Tick);
            assert!(self.machine.deadline().is_none_or(|next| next > at), "a deadline that stays");
        }
        self.go(until);
    }

    fn go(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.instant);
        self.now = Now { instant: self.now.instant + passed, utc: self.now.utc + passed };
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        while let Some(output) = self.machine.poll() {
            let line = self.line(output);
            self.told.push(line.replace('\n', "\\n"));
        }
        // What is over leaves nothing behind but files that are being stored.
        if self.over {
            let open: Vec<_> = self.open.iter().filter(|(kind, ..)| !matches!(*kind, "record" | "hold")).collect();
            assert!(open.is_empty(), "left: {open:?}");
            assert!(!self.machine.is_running() && self.machine.deadline().is_none());
        }
    }

    fn begins(&mut self, kind: &'static str, op: u64, what: String) -> String {
        self.open.push((kind, op, what.clone()));
        what
    }

    fn stops(&mut self, op: u64) -> String {
        let index = self.open.iter().position(|(_, open, _)| *open == op);
        index.map_or_else(|| "what has ended".into(), |index| self.open.remove(index).2)
    }

    fn line(&mut self, output: Output) -> String {
        match output {
            Output::Answer => "answer".into(),
            Output::Play { op, sound, leg, loops } => {
                let mut line = sound_line(&sound);
                match leg {
                    Leg::A => {}
                    Leg::B => line.push_str(" to the other leg"),
                    Leg::Both => line.push_str(" to both legs"),
                }
                match loops {
                    0 => line.push_str(" until stopped"),
                    1 => {}
                    times => write!(line, " {times} times").unwrap(),
                }
                self.begins("sound", op, line)
            }
            Output::StopPlay { op } => format!("stop {}", self.stops(op)),
            Output::Dial { op, dial } => self.begins("dial", op, dial_line(&dial)),
            Output::StopDial { op } => format!("stop {}", self.stops(op)),
            Output::Record { op, record } => {
                let mut line = format!("record {}", record.tag.as_deref().unwrap_or("without tag"));
                if let Some(max) = record.max {
                    write!(line, ", at most {} ms", max.as_millis()).unwrap();
                }
                if let Some(silence) = record.silence {
                    write!(line, ", until {} ms of silence", silence.as_millis()).unwrap();
                }
                line.push_str(if record.beep { ", after a beep" } else { "" });
                line.push_str(if record.channels == 2 { ", both sides apart" } else { "" });
                if let Some(lang) = &record.asr {
                    write!(line, ", transcribed in {lang}").unwrap();
                }
                self.begins("record", op, line)
            }
            Output::StopRecord { op } => {
                // Its file is still to come.
                let what = self.open.iter().find(|(_, open, _)| *open == op).map(|(.., what)| what.clone());
                format!("stop {}", what.unwrap_or_default())
            }
            Output::Hold { op } => self.begins("hold", op, "hold the other leg".into()),
            Output::Unhold { op } => self.begins("dial", op, "take the other leg back".into()),
            Output::Listen { op, listen } => {
                let hints = if listen.hints.is_empty() { "anything".into() } else { listen.hints.join(", ") };
                self.begins("speech", op, format!("listen for {hints} in {}", listen.lang))
            }
            Output::StopListen { op } => {
                self.stops(op);
                "stop listening".into()
            }
            Output::Fetch { op, request } => self.begins("request", op, request_line(&request)),
            Output::DropFetch { op } => format!("drop {}", self.stops(op)),
            Output::Reject { code } => self.ends(format!("reject {code}")),
            Output::Hangup { cause, tag } => {
                self.ends(format!("hang up {cause}{}", tag.map_or(String::new(), |tag| format!(", tag {tag}"))))
            }
            Output::End => self.ends("end of the document".into()),
            Output::Step(step) => {
                let verdict = if step.success { "ok" } else { "failed" };
                let mut line = format!("{} {verdict}: {}", step.path, step.reason);
                if self.attributes {
                    let mut all: Vec<String> =
                        step.attributes.iter().map(|(n, value)| format!("{n}={value}")).collect();
                    all.extend(step.tag.map(|tag| format!("event tag {tag}")));
                    write!(line, " [{}]", all.join(", ")).unwrap();
                }
                line
            }
            #[allow(unreachable_patterns)]
            other => format!("{other:?}"),
        }
    }

    fn ends(&mut self, line: String) -> String {
        self.over = true;
        line
    }
}

fn sound_line(sound: &Sound) -> String {
    match sound {
        Sound::Say(Voice { text, ssml, lang, gender, kind, code }) => {
            let mut line = format!("say {text:?}");
            if let Some(ssml) = ssml {
                write!(line, " as {ssml}").unwrap();
            }
            if lang != "en-US" {
                write!(line, " lang={lang}").unwrap();
            }
            if format!("{gender:?}") != "Female" {
                write!(line, " gender={gender:?}").unwrap();
            }
            if *kind != "Standard" {
                write!(line, " type={kind}").unwrap();
            }
            if let Some(code) = code {
                write!(line, " code={code}").unwrap();
            }
            line
        }
        Sound::Url(url) => format!("play {url}"),
        Sound::Recording(tag) => format!("play recording {tag}"),
        Sound::Tone(tone) => tone_line(tone),
        #[allow(unreachable_patterns)]
        other => format!("{other:?}"),
    }
}

fn tone_line(tone: &Tone) -> String {
    let steps: Vec<String> = tone
        .steps
        .iter()
        .map(|step| {
            let hz: Vec<String> = step.hz.iter().map(ToString::to_string).collect();
            format!("{} Hz {}/{} ms", hz.join("+"), step.on_ms, step.off_ms)
        })
        .collect();
    format!("tone {} at {} dB", steps.join("; "), tone.volume_db)
}

fn dial_line(dial: &Dial) -> String {
    let targets: Vec<String> = dial.targets.iter().map(ToString::to_string).collect();
    let mut line = format!("dial {} for {} s", targets.join(", "), dial.timeout.as_secs_f32());
    line.push_str(if dial.sequential { " each, one after another" } else { "" });
    if let Some(from) = &dial.from {
        write!(line, ", from {from}").unwrap();
    }
    if let Some(length) = dial.max_length {
        write!(line, ", at most {} s", length.as_secs()).unwrap();
    }
    if let Some(uuid) = &dial.sip_connection {
        write!(line, ", by SIP connection {uuid}").unwrap();
    }
    if let Some(uuid) = &dial.outbound_voice_profile {
        write!(line, ", by outbound voice profile {uuid}").unwrap();
    }
    if let Some(url) = &dial.ring_tone {
        write!(line, ", ringing as {url}").unwrap();
    }
    if let Some(request) = &dial.confirm {
        write!(line, ", confirmed by {}", request_line(request)).unwrap();
    }
    line
}

fn request_line(request: &HttpRequest) -> String {
    let mut line = format!("{} {}", request.method.as_str(), request.url);
    if !request.query.is_empty() {
        let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(line, " with {}", query.join("&")).unwrap();
    }
    for (name, value) in &request.headers {
        write!(line, ", {name}: {value}").unwrap();
    }
    match &request.body {
        HttpBody::Empty => {}
        HttpBody::Call => line.push_str(", body: the call"),
        HttpBody::Text { content_type, text } => write!(line, ", body: {content_type} {text}").unwrap(),
    }
    line
}

#[test]
fn every_file_is_run_and_there_are_250_cases() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".flow").map(str::to_owned))
        .collect();
    found.sort();
    assert_eq!(found, FILES);
    let all = FILES.iter().map(|name| cases(&std::fs::read_to_string(path(name)).unwrap(), &mut String::new()).len());
    assert!(all.sum::<usize>() >= 250);
}

/// In the file of its element, or of one it is a part of.
#[test]
fn every_element_attribute_and_spelling_has_a_case() {
    let cases = FILES.iter().flat_map(|name| cases(&std::fs::read_to_string(path(name)).unwrap(), &mut String::new()));
    let documents: Vec<String> = cases.map(|case| case.document().0).collect();
    let mut missing = Vec::new();
    for element in language::language() {
        for name in std::iter::once(&element.text).chain(element.aliases) {
            let opens = |text: &str| text.to_ascii_lowercase().split('<').any(|tag| is_tag(tag, name));
            if !documents.iter().any(|text| opens(text)) {
                missing.push((*name).to_owned());
            }
        }
        for attribute in element.attributes.iter().filter(|attribute| attribute.name != "tag") {
            for name in std::iter::once(&attribute.name).chain(attribute.aliases) {
                let has = |text: &str| {
                    text.to_ascii_lowercase().split('<').any(|tag| {
                        let of_element = std::iter::once(&element.text).chain(element.aliases).any(|n| is_tag(tag, n));
                        of_element && tag.contains(&format!(" {}=", name.to_ascii_lowercase()))
                    })
                };
                if !documents.iter().any(|text| has(text)) {
                    missing.push(format!("{} {name}", element.text));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no case for {missing:?}");
}

fn is_tag(tag: &str, name: &str) -> bool {
    let rest = tag.strip_prefix(&name.to_ascii_lowercase());
    rest.is_some_and(|rest| rest.starts_with([' ', '>', '/', '\n']))
}
