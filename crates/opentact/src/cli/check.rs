//! `opentact check`.

use std::net::{TcpListener, UdpSocket};
use std::process::ExitCode;

use anyhow::Context as _;
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
    let bound = Bound::bind(config)?.addresses()?;
    UdpSocket::bind(config.sip.udp).with_context(|| format!("sip.udp = {}", config.sip.udp))?;
    TcpListener::bind(config.sip.tcp).with_context(|| format!("sip.tcp = {}", config.sip.tcp))?;
    TcpListener::bind(config.sip.tls).with_context(|| format!("sip.tls = {}", config.sip.tls))?;
    let rtp = *config.media.ports.0.start();
    UdpSocket::bind((config.media.address, rtp)).with_context(|| format!("media.ports: port {rtp}"))?;
    println!("good: http {}, https {}, metrics {}", bound.http, bound.https, bound.metrics);
    Ok(ExitCode::SUCCESS)
}
