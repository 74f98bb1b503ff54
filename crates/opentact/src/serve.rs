//! The life of a server: start, ready, drain, end.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use axum_server::tls_rustls::RustlsConfig;
use opentact_sip::flow::Transport;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::banner::banner;
use crate::client::Credentials;
use crate::config::{Config, Https};
use crate::listen::Bound;
use crate::runtime::{Runtime, RuntimeFile};
use crate::signals::Signals;
use crate::sip_watch::WatchSocket;
use crate::telemetry;
use crate::tls::{self, TlsFiles};
use crate::wire::Node;

/// For requests under way once the last call has ended.
const LAST_REQUESTS: Duration = Duration::from_secs(2);
/// How often the local certificate's age is looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(12 * 3600);

/// Runs a node from start to end.
///
/// # Errors
/// Whatever keeps it from starting, and what went wrong in ending.
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

    let trust = tls::trust(&config.sip, &files).context("sip.tls_ca")?;
    let clients = tls::client_trust(&config.sip).context("sip.tls_client_ca")?;
    let sip_tls = tls::sip_config(config, &files, tls.clone(), trust, clients);
    let node = Node::start(config, addresses.https, sip_tls).await?;
    let app = opentact_api::router(node.api.clone()).merge(node.websocket(config, addresses.https, true));
    let plain = config.sip.ws.then(|| node.websocket(config, addresses.http, false));
    let listeners = bound.serve(app, plain, tls.clone(), config.http.trusted_proxies.clone(), metrics)?;
    let renewal = keep_certificate(config.https.clone(), files, tls);

    let runtime = Runtime {
        http: addresses.http,
        https: addresses.https,
        sip_udp: node.sip_address(Transport::Udp),
        sip_tcp: node.sip_address(Transport::Tcp),
        sip_tls: node.sip_address(Transport::Tls),
        smpp: node.smpp_addresses().to_vec(),
        metrics: addresses.metrics,
        pid: std::process::id(),
    };
    let watch = WatchSocket::open(data, node.sip_watch())
        .inspect_err(|fault| tracing::warn!(%fault, "opentact sip trace will find no socket"))
        .ok();
    let file = RuntimeFile::write(data, &runtime)?;
    let text = banner(data, &runtime, Credentials::read(data).as_ref(), node.first.as_ref());
    // A closed standard output is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{text}");
    tracing::info!(https = %addresses.https, http = %addresses.http, metrics = %addresses.metrics, "ready");

    let signal = signals.next().await;
    let timeout = config.general.drain_timeout.0;
    tracing::info!(signal, ?timeout, "draining");
    let ending = async {
        node.drain(timeout).await;
        node.finish().await;
        listeners.close(LAST_REQUESTS).await;
        node.stop().await
    };
    let ended = tokio::select! {
        ended = ending => ended,
        signal = signals.next() => {
            tracing::warn!(signal, "ending at once");
            Ok(())
        }
    };
    renewal.abort();
    drop(file);
    drop(watch);
    ended
}

/// Renews the local certificate before its end while the server runs.
fn keep_certificate(https: Https, files: TlsFiles, tls: RustlsConfig) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(CERTIFICATE_CHECK).await;
            match tls::server_config(&https, &files, OffsetDateTime::now_utc()) {
                Ok(config) => tls.reload_from_config(config),
                Err(fault) => tracing::error!(%fault, "the certificate cannot be renewed"),
            }
        }
    })
}
