//! `opentact flow check`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use opentact_callflow::{Mode, parse};

/// Prints `FILE:line:column: message` for each fault; exit code 1 when there is one.
pub fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let xml = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    match parse(&xml, Mode::Strict) {
        Ok(_) => {
            println!("{}: good", file.display());
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            for fault in &faults {
                println!("{}:{}:{}: {}", file.display(), fault.line, fault.column, fault.message);
            }
            Ok(ExitCode::FAILURE)
        }
    }
}
