//! Structured logs on standard error, and the recorder behind `/metrics`.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::Log;
use crate::config::value::LogFormat;

/// Starts logging; later calls change nothing.
///
/// # Errors
/// Directives that do not parse.
pub fn start_logs(log: &Log) -> anyhow::Result<()> {
    // Each step of the schema is told twice; whoever wants that names it in `log.level`.
    let filter = EnvFilter::try_new(format!("sea_orm_migration=warn,{}", log.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started already");
    }
    Ok(())
}

/// Installs the process's metrics recorder.
///
/// # Errors
/// When one is installed already.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    metrics::describe_gauge!("opentact_build_info", "1, labelled with the version that runs");
    metrics::gauge!("opentact_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}
