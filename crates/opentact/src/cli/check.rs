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
    tls::server_config(&config.https, &TlsFiles::in_data(data), OffsetDateTime::now_utc())?;
    let bound = Bound::bind(config)?.addresses()?;
    UdpSocket::bind(config.sip.udp).with_context(|| format!("sip.udp = {}", config.sip.udp))?;
    TcpListener::bind(config.sip.tcp).with_context(|| format!("sip.tcp = {}", config.sip.tcp))?;
    let rtp = *config.media.ports.0.start();
    UdpSocket::bind((config.media.address, rtp)).with_context(|| format!("media.ports: port {rtp}"))?;
    println!("good: http {}, https {}, metrics {}", bound.http, bound.https, bound.metrics);
    Ok(ExitCode::SUCCESS)
}
