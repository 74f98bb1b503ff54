//! A call-flow document: reading it strictly and leniently, and running what it says to its end.
#![no_main]

use std::time::Instant;

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use opentact_callflow::{
    DialEnd, HttpAnswer, Input, Machine, Mode, Now, OpResult, Output, RecordEnd, Utterance, Variables, parse,
};

/// Results given before the call hangs up.
const RESULTS: usize = 200;

fuzz_target!(|octets: &[u8]| {
    let Ok(xml) = std::str::from_utf8(octets) else { return };
    let strict = parse(xml, Mode::Strict);
    let lenient = parse(xml, Mode::Lenient);
    match &strict {
        Ok(_) => assert!(lenient.is_ok()),
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= 100);
            assert!(faults.is_sorted_by_key(|fault| (fault.line, fault.column)));
        }
    }
    if let Ok(document) = lenient {
        let mut now = Now { instant: Instant::now(), utc: DateTime::UNIX_EPOCH };
        let mut machine = Machine::new(Variables::new(), false);
        machine.handle(now, Input::Run(document));
        for round in 0..RESULTS {
            // What it waits for comes one way or the other, depending on the document.
            let chance = octets[round % octets.len()];
            let mut results = Vec::new();
            while let Some(output) = machine.poll() {
                results.extend(result(output, chance, xml));
            }
            match (results.is_empty(), machine.deadline()) {
                (true, None) => break,
                (true, Some(at)) => {
                    now.instant = at.max(now.instant);
                    machine.handle(now, Input::Key(['1', '#', '7'][round % 3]));
                    machine.handle(now, Input::Tick);
                    assert!(machine.deadline().is_none_or(|next| next > now.instant || !machine.is_running()));
                }
                (false, _) => results.into_iter().for_each(|input| machine.handle(now, input)),
            }
        }
        machine.handle(now, Input::HungUp);
        while machine.poll().is_some() {}
        assert!(!machine.is_running() && machine.deadline().is_none());
    }
});

fn result(output: Output, chance: u8, xml: &str) -> Vec<Input> {
    let fine = chance & 1 == 0;
    let failed = || "failed".to_owned();
    let played = if fine { Ok(()) } else { Err(failed()) };
    let recorded = if fine { Ok(RecordEnd::Full) } else { Err(failed()) };
    let (op, result) = match output {
        Output::Answer => return vec![Input::Answered],
        Output::Play { op, .. } => (op, OpResult::Played(played)),
        Output::Record { op, .. } => (op, OpResult::Recorded(recorded)),
        Output::Dial { op, .. } if fine => (op, OpResult::Dialled(DialEnd::HungUp)),
        Output::Dial { op, .. } => (op, OpResult::Dialled(DialEnd::Failed { causes: vec!["USER_BUSY".into()] })),
        Output::Hold { op } => (op, if fine { OpResult::Held } else { OpResult::Alone(failed()) }),
        Output::Unhold { op } if fine => (op, OpResult::Dialled(DialEnd::HungUp)),
        Output::Unhold { op } => (op, OpResult::Alone(failed())),
        Output::Listen { op, listen } => {
            let text = listen.hints.into_iter().next().unwrap_or_default();
            let said = OpResult::Said(Ok(Utterance { text, confidence: None }));
            // Heard, heard before it was known that somebody speaks, still speaking when it is cut off, or not to be heard.
            return match chance & 0b11 {
                0b00 => vec![Input::Result { op, result: OpResult::Speaking }, Input::Result { op, result: said }],
                0b10 => vec![Input::Result { op, result: said }],
                0b01 => vec![Input::Result { op, result: OpResult::Speaking }],
                _ => vec![Input::Result { op, result: OpResult::Said(Err(failed())) }],
            };
        }
        Output::Fetch { op, .. } => {
            let answer = HttpAnswer { status: 200, content_type: None, body: xml.into() };
            (op, OpResult::Fetched(if fine { Ok(answer) } else { Err(failed()) }))
        }
        Output::StopPlay { .. }
        | Output::StopDial { .. }
        | Output::StopRecord { .. }
        | Output::StopListen { .. }
        | Output::DropFetch { .. }
        | Output::Reject { .. }
        | Output::Hangup { .. }
        | Output::End
        | Output::Step(_) => return Vec::new(),
    };
    vec![Input::Result { op, result }]
}
