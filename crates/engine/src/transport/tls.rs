//! SIP over TLS (RFC 3261 26.3): the handshake at both ends of a connection. What flows over it is `tcp`'s.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::TryFutureExt as _;
use opentact_sip::flow::Flow;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::Transports;
use super::certified::ClientTrust;
use super::seats::Seat;
use super::tcp::{self, Task};

/// Certificates and trust.
#[derive(Clone)]
pub struct TlsConfig {
    pub listen: Vec<SocketAddr>,
    /// Asked for every connection, so that a renewed certificate is used at once.
    pub server: Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>,
    /// Whom outgoing connections trust, and what they show to who asks.
    pub client: Arc<ClientConfig>,
    /// By whom certificates of who connects are trusted; `None`: they are not asked for.
    pub clients: Option<ClientTrust>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// Whom each of our connections leads to, by its number: one that has ended is made again to nobody else. Of the oldest
/// beyond `room` nothing is known any more; they are not made again.
pub(super) struct Names {
    known: HashMap<u64, ServerName<'static>>,
    order: VecDeque<u64>,
    room: usize,
}

impl Names {
    pub(super) fn new(room: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), room }
    }

    /// Of a connection not known before.
    pub(super) fn keep(&mut self, connection: u64, name: ServerName<'static>) {
        if self.order.len() >= self.room
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(connection);
        self.known.insert(connection, name);
    }

    pub(super) fn get(&self, connection: u64) -> Option<ServerName<'static>> {
        self.known.get(&connection).cloned()
    }
}

/// The host of a URI as a certificate names it: a DNS name or an IP address (RFC 5922 7.1).
pub(super) fn name_of(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

/// The SIP domain of who has proved this name to us; an address is none.
pub(super) fn domain_of(name: &ServerName<'_>) -> Option<String> {
    match name {
        ServerName::DnsName(name) => Some(name.as_ref().to_ascii_lowercase()),
        _ => None,
    }
}

/// A peer has connected. Nothing is known of the connection until its handshake is done.
pub(super) async fn serve(transports: Arc<Transports>, stream: TcpStream, flow: Flow, handshake: Seat) {
    let Some(tls) = &transports.tls else { return };
    let server = (tls.server)();
    let server = tls.clients.as_ref().map_or_else(|| server.clone(), |clients| clients.ask(&server));
    let shaking = TlsAcceptor::from(server).accept(stream);
    let stop = transports.stop.child_token();
    let Ok(stream) = shaken(&transports, shaking, flow, &stop).await else { return };
    drop(handshake);
    let Some(seat) = transports.seat(flow.remote) else { return };
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certified = tls.clients.as_ref().map(|clients| clients.names(shown)).unwrap_or_default();
    let task = tcp::register(&transports, flow, None, certified, seat);
    tcp::run(transports, tokio::io::split(stream), task).await;
}

/// We have connected, to `name`.
pub(super) async fn call(
    transports: Arc<Transports>,
    stream: TcpStream,
    name: Option<ServerName<'static>>,
    task: Task,
) {
    let (Some(tls), Some(name)) = (&transports.tls, name) else {
        return tcp::fail(&transports, task.flow, &task.stop, "nobody known to ask for").await;
    };
    let remote = task.flow.remote;
    let shaking = TlsConnector::from(tls.client.clone()).connect(name, stream).inspect_err(move |error| {
        // Certificates are somebody's to put right.
        tracing::warn!(%remote, %error, "SIP TLS handshake with a peer we called");
    });
    match shaken(&transports, shaking, task.flow, &task.stop).await {
        Ok(stream) => tcp::run(transports, tokio::io::split(stream), task).await,
        Err(reason) => tcp::fail(&transports, task.flow, &task.stop, &reason).await,
    }
}

/// Waits for the end of a handshake; says why it came to nothing.
async fn shaken<S>(
    transports: &Transports,
    shaking: impl Future<Output = io::Result<S>>,
    flow: Flow,
    stop: &CancellationToken,
) -> Result<S, String> {
    let reason = tokio::select! {
        () = stop.cancelled() => return Err("closed".to_owned()),
        shaken = tokio::time::timeout(transports.limits.connect, shaking) => match shaken {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "TLS handshake timed out".to_owned(),
        },
    };
    metrics::counter!("opentact_sip_tls_handshakes_failed_total").increment(1);
    tracing::debug!(remote = %flow.remote, reason, "SIP TLS handshake");
    Err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_connections_and_the_oldest_are_forgotten() {
        let (here, there) = (name_of("a.example").unwrap(), name_of("[2001:db8::1]").unwrap());
        let mut names = Names::new(2);
        names.keep(1, here.clone());
        names.keep(3, there.clone());
        assert_eq!((names.get(1), names.get(3)), (Some(here.clone()), Some(there)));
        names.keep(5, here);
        assert_eq!((names.get(1), names.known.len(), names.order.len()), (None, 2, 2));
    }
}
