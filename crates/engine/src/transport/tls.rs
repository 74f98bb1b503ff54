//! SIP over TLS (RFC 3261 26.3): the handshake at both ends of a connection. What flows over it is `tcp`'s.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Transports;
use super::tcp::{self, Task};

/// Certificates and trust.
#[derive(Clone)]
pub struct TlsConfig {
    pub listen: Vec<SocketAddr>,
    /// Asked for every connection, so that a renewed certificate is used at once.
    pub server: Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>,
    /// Whom outgoing connections trust.
    pub client: Arc<ClientConfig>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// The host of a URI as a certificate names it: a DNS name or an IP address (RFC 5922 7.1).
pub(super) fn name_of(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

/// A peer has connected.
pub(super) async fn serve(transports: Arc<Transports>, stream: TcpStream, task: Task) {
    let Some(tls) = &transports.tls else { return };
    let _ = stream.set_nodelay(true);
    let shaking = TlsAcceptor::from((tls.server)()).accept(stream);
    let shaken = tokio::select! {
        () = task.stop.cancelled() => return,
        shaken = tokio::time::timeout(transports.limits.connect, shaking) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => tcp::run(transports, tokio::io::split(stream), task).await,
        Ok(Err(error)) => refused(&transports, &task, &error.to_string()).await,
        Err(_) => refused(&transports, &task, "TLS handshake timed out").await,
    }
}

/// We have connected, to `name`.
pub(super) async fn call(
    transports: Arc<Transports>,
    stream: TcpStream,
    name: Option<ServerName<'static>>,
    task: Task,
) {
    let (Some(tls), Some(name)) = (&transports.tls, name) else {
        return refused(&transports, &task, "nobody known to ask for").await;
    };
    let _ = stream.set_nodelay(true);
    let shaking = TlsConnector::from(tls.client.clone()).connect(name, stream);
    let shaken = tokio::select! {
        () = task.stop.cancelled() => return tcp::fail(&transports, task.flow, &task.stop, "closed").await,
        shaken = tokio::time::timeout(transports.limits.connect, shaking) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => tcp::run(transports, tokio::io::split(stream), task).await,
        Ok(Err(error)) => {
            // Certificates are somebody's to put right.
            tracing::warn!(remote = %task.flow.remote, %error, "SIP TLS handshake with a peer we called");
            refused(&transports, &task, &error.to_string()).await;
        }
        Err(_) => refused(&transports, &task, "TLS handshake timed out").await,
    }
}

async fn refused(transports: &Transports, task: &Task, reason: &str) {
    metrics::counter!("opentact_sip_tls_handshakes_failed_total").increment(1);
    tcp::fail(transports, task.flow, &task.stop, reason).await;
}
