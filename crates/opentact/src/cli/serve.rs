//! `opentact serve`.

use std::process::ExitCode;

use crate::config::Config;
use crate::{telemetry, tls};

/// Runs the server until it is told to stop.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&config.log)?;
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("opentact").build()?;
    runtime.block_on(crate::serve::serve(config))?;
    Ok(ExitCode::SUCCESS)
}
