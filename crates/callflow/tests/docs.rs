//! `docs/call-xml.md` is true: its examples are documents, its reference is the table.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use opentact_callflow::{Mode, language, parse};

const MARK: &str = "<!-- reference: written by the tests from the table in crates/callflow/src/language/table.rs -->\n";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/call-xml.md")
}

#[test]
fn every_example_is_a_document_without_faults() {
    let guide = std::fs::read_to_string(path()).unwrap();
    let examples: Vec<&str> = guide.split("```xml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 8);
    for example in examples {
        parse(example, Mode::Strict).unwrap_or_else(|faults| panic!("{faults:#?} in\n{example}"));
    }
}

/// `UPDATE_DOCS=1 cargo test -p opentact-callflow --test docs` writes the reference anew.
#[test]
fn the_reference_is_the_table() {
    let guide = std::fs::read_to_string(path()).unwrap();
    let (before, there) = guide.split_once(MARK).unwrap();
    let reference = format!("\n{}", language::reference().trim_end()) + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path(), format!("{before}{MARK}{reference}")).unwrap();
    } else {
        assert_eq!(there, reference, "run with UPDATE_DOCS=1");
    }
}
