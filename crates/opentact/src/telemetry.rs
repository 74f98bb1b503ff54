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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    const PREFIXES: [&str; 2] = ["opentact_", "api_"];

    /// Names of metrics in the sources below a folder: texts of nothing but lower case, as `opentact_calls`.
    fn names(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let plain = |text: &str| text.bytes().all(|octet| octet == b'_' || octet.is_ascii_lowercase());
                let metric = |text: &&str| PREFIXES.iter().any(|prefix| text.starts_with(prefix) && text != prefix);
                found.extend(source.split('"').filter(metric).filter(|text| plain(text)).map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_every_one_described_is_there() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = BTreeSet::new();
        for part in std::fs::read_dir(crates).unwrap() {
            names(&part.unwrap().path().join("src"), &mut found);
        }
        let page = std::fs::read_to_string(crates.join("../docs/metrics.md")).unwrap();
        let named = page.split('`').filter(|text| PREFIXES.iter().any(|prefix| text.starts_with(prefix)));
        let described: BTreeSet<String> = named.map(str::to_owned).collect();
        assert!(found.len() > 50, "{found:?}");
        assert_eq!(found, described);
    }
}
