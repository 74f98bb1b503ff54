//! `opentact flow`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use opentact_callflow::{Mode, language, parse};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Xsd,
    Json,
}

/// Prints `FILE:line:column: <Element>: message` for each fault; exit code 1 when there is one.
pub fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let xml = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    match parse(&xml, Mode::Strict) {
        Ok(_) => {
            println!("{}: good", file.display());
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            for fault in &faults {
                let element = fault.element.as_ref().map_or(String::new(), |name| format!("<{name}>: "));
                println!("{}:{}:{}: {element}{}", file.display(), fault.line, fault.column, fault.message);
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints the language as its parser knows it.
pub fn schema(format: Format) -> anyhow::Result<ExitCode> {
    let text = match format {
        Format::Xsd => language::xsd(),
        Format::Json => format!("{:#}\n", language::json()),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
