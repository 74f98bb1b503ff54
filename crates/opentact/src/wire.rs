//! Puts the rooms together, and takes them apart in order.

use anyhow::Context as _;
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use opentact_carrier::dev::DevNumbers;
use opentact_store::{Keyring, Store};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::banner::banner;
use crate::client::Credentials;
use crate::config::Config;
use crate::config::value::Secret;
use crate::drain::Signals;
use crate::first_start;
use crate::listen::Bound;
use crate::runtime::{Runtime, RuntimeFile};
use crate::telemetry;
use crate::tls::{self, TlsFiles};

/// Runs a node from start to end.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn serve(config: &Config) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let data = &config.general.data;
    std::fs::create_dir_all(data).with_context(|| data.display().to_string())?;
    RuntimeFile::clear(data)?;
    let metrics = telemetry::start_metrics()?;
    let files = TlsFiles::in_data(data);
    let tls = RustlsConfig::from_config(tls::server_config(&config.https, &files, OffsetDateTime::now_utc())?);
    let bound = Bound::bind(config)?;
    let addresses = bound.addresses()?;
    let store = open_store(config).await?;
    let first = first_start::ensure(&store, config, &DevNumbers).await?;

    let app = Router::new();
    let listeners = bound.serve(app, tls, config.http.trusted_proxies.clone(), metrics)?;
    let runtime = Runtime {
        http: addresses.http,
        https: addresses.https,
        sip_udp: None,
        sip_tcp: None,
        sip_tls: None,
        metrics: addresses.metrics,
        pid: std::process::id(),
    };
    let _file = RuntimeFile::write(data, &runtime)?;
    println!("{}", banner(data, &runtime, Credentials::read(data).as_ref(), first.as_ref()));
    tracing::info!(https = %addresses.https, http = %addresses.http, metrics = %addresses.metrics, "ready");

    let signal = signals.next().await;
    tracing::info!(signal, "draining");
    let grace = config.general.drain_timeout.0;
    tokio::select! {
        _ = timeout(grace, listeners.close(grace)) => {}
        signal = signals.next() => tracing::warn!(signal, "ending at once"),
    }
    store.close().await?;
    Ok(())
}

/// Connects to the database and brings its schema up to date.
///
/// # Errors
/// The key file or the database is not usable.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let data = &config.general.data;
    let key_file = config.store.key_file.clone().unwrap_or_else(|| data.join("secret.key"));
    let keyring = Keyring::open_or_create(&key_file)?;
    let url = match &config.store.url {
        Some(Secret(url)) => url.clone(),
        None => format!("sqlite:{}", data.join("opentact.db").display()),
    };
    let store = Store::connect(&opentact_store::Settings::new(url), keyring).await.context("store.url")?;
    store.migrate().await.context("store.url")?;
    Ok(store)
}
