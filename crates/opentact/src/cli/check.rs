//! `opentact check`.

use std::net::UdpSocket;
use std::process::ExitCode;

use anyhow::Context as _;
use opentact_engine::transport::probe;
use opentact_sip::flow::Transport;
use time::OffsetDateTime;

use crate::config::Config;
use crate::listen::Bound;
use crate::tls::{self, TlsFiles};

/// Tries everything that `serve` needs before it can serve.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    tls::install_provider();
    let data = &config.general.data;
    std::fs::create_dir_all(data).with_context(|| data.display().to_string())?;
    let files = TlsFiles::in_data(data);
    tls::server_config(&config.https, &files, OffsetDateTime::now_utc())?;
    tls::trust(&config.sip, &files).context("sip.tls_ca")?;
    tls::client_trust(&config.sip).context("sip.tls_client_ca")?;
    let bound = Bound::bind(config)?.addresses()?;
    let sip = [(Transport::Udp, &config.sip.udp), (Transport::Tcp, &config.sip.tcp), (Transport::Tls, &config.sip.tls)];
    let listeners: Vec<_> =
        sip.iter().flat_map(|(transport, all)| all.iter().map(|address| (*transport, *address))).collect();
    probe(&listeners).map_err(|(transport, address, fault)| {
        let setting = transport.via_token().to_ascii_lowercase();
        anyhow::Error::new(fault).context(format!("sip.{setting} = {address}"))
    })?;
    let rtp = *config.media.ports.0.start();
    UdpSocket::bind((config.media.address, rtp)).with_context(|| format!("media.ports: port {rtp}"))?;
    println!("good: http {}, https {}, metrics {}", bound.http, bound.https, bound.metrics);
    Ok(ExitCode::SUCCESS)
}
