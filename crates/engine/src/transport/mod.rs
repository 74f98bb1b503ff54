//! SIP transports: sockets on one side, `Flow` and octets on the other. Knows no SIP beyond where a message ends.
//!
//! What the [`defence`](crate::defence) admits of what arrives goes into the core's inbox. A full inbox drops datagrams
//! (SIP over UDP retransmits; counted in `opentact_sip_dropped_total`) and stops reading from streams (TCP pushes back).

mod certified;
mod keep_alive;
mod large;
mod outside;
mod own;
mod seats;
pub(crate) mod stun;
mod tcp;
mod tls;
mod udp;
mod ws;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use dashmap::DashMap;
use opentact_sip::flow::{Flow, Transport};
use parking_lot::Mutex;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::defence::{SharedGate, Verdict};

pub use certified::ClientTrust;
pub use outside::{Outside, View};
pub(crate) use own::outward_address;
pub use tcp::TcpLimits;
pub use tls::TlsConfig;
pub(crate) use ws::router as websocket;
pub use ws::{ClientAddress, WsDoor};

use self::own::advertised;
use self::seats::{Seat, Seats};

/// What the transports tell the core.
#[derive(Debug)]
pub enum Inbound {
    Message {
        bytes: Bytes,
        flow: Flow,
        /// When it was read.
        at: Instant,
    },
    /// The flow is gone or never came to be: connection refused, reset, closed.
    Failed { flow: Flow },
}

/// Listen addresses; port 0 picks a free one.
#[derive(Debug, Clone)]
pub struct TransportConfig {
    pub udp: Vec<SocketAddr>,
    pub tcp: Vec<SocketAddr>,
    /// `None`: no SIP over TLS, in or out.
    pub tls: Option<TlsConfig>,
    /// What Via and Contact name instead of a listener's own address; where one is bound to all addresses that is the one of
    /// the default route.
    pub outside: Outside,
    pub limits: TcpLimits,
}

impl TransportConfig {
    /// Every address that is listened on.
    pub fn listeners(&self) -> Vec<SocketAddr> {
        let tls = self.tls.iter().flat_map(|tls| &tls.listen);
        self.udp.iter().chain(&self.tcp).chain(tls).copied().collect()
    }
}

/// Binds every address at once and lets go of them.
///
/// # Errors
/// The first that cannot be had.
pub fn probe(listeners: &[(Transport, SocketAddr)]) -> Result<(), (Transport, SocketAddr, io::Error)> {
    let mut bound = Vec::new();
    for &(transport, address) in listeners {
        let socket = if transport == Transport::Udp { udp::bind(address) } else { tcp::bind(address) };
        bound.push(socket.map_err(|error| (transport, address, error))?);
    }
    Ok(())
}

/// All SIP sockets of a node. Cheap to share.
pub struct Transports {
    udp: Vec<udp::Socket>,
    udp_listeners: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls_listeners: Vec<SocketAddr>,
    tls: Option<TlsConfig>,
    connections: DashMap<u64, tcp::Connection>,
    /// The youngest connection with a peer.
    by_remote: DashMap<(Transport, SocketAddr), u64>,
    /// Whom our TLS connections lead to, the ended ones too.
    names: Mutex<tls::Names>,
    next_connection: AtomicU64,
    large: large::Large,
    seats: Seats,
    /// Of TLS handshakes that are not done.
    handshakes: Seats,
    outside: Outside,
    inbox: mpsc::Sender<Inbound>,
    gate: SharedGate,
    limits: TcpLimits,
    stop: CancellationToken,
    /// Where connections are served.
    runtime: Handle,
}

impl Transports {
    /// Binds every listener, or none. UDP is heard by `signalling`, connections by the runtime this is called on.
    pub(crate) async fn bind(
        config: TransportConfig,
        signalling: &Handle,
        inbox: mpsc::Sender<Inbound>,
        gate: SharedGate,
    ) -> io::Result<Arc<Self>> {
        let named = |what: &str, address: SocketAddr, error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {what} {address}: {error}"))
        };
        let stop = CancellationToken::new();
        let mut udp = Vec::new();
        {
            let _there = signalling.enter();
            for address in config.udp {
                let socket = udp::Socket::bind(udp.len(), address, config.outside.clone());
                udp.push(socket.map_err(|error| named("SIP UDP", address, error))?);
            }
        }
        let listen = |what, addresses: &[SocketAddr]| -> io::Result<Vec<TcpListener>> {
            addresses.iter().map(|&address| tcp::listen(address).map_err(|error| named(what, address, error))).collect()
        };
        let advertise = |listeners: &[TcpListener]| -> io::Result<Vec<SocketAddr>> {
            listeners.iter().map(|bound| Ok(advertised(bound.local_addr()?))).collect()
        };
        let tcp = listen("SIP TCP", &config.tcp)?;
        let tls = listen("SIP TLS", config.tls.as_ref().map_or(&[][..], |tls| &tls.listen))?;
        let this = Arc::new(Self {
            udp_listeners: udp.iter().map(|socket| socket.local).collect(),
            udp,
            tcp: advertise(&tcp)?,
            tls_listeners: advertise(&tls)?,
            tls: config.tls,
            connections: DashMap::new(),
            by_remote: DashMap::new(),
            names: Mutex::new(tls::Names::new(config.limits.connections)),
            next_connection: AtomicU64::new(1),
            large: large::Large::default(),
            seats: Seats::new(config.limits.connections, config.limits.per_address),
            handshakes: Seats::new(config.limits.handshakes, config.limits.per_address),
            outside: config.outside,
            inbox,
            gate,
            limits: config.limits,
            stop,
            runtime: Handle::current(),
        });
        for socket in &this.udp {
            signalling.spawn(udp::receive(socket.clone(), this.clone()));
        }
        for (transport, listeners) in [(Transport::Tcp, tcp), (Transport::Tls, tls)] {
            for listener in listeners {
                tokio::spawn(tcp::accept(listener, transport, this.clone()));
            }
        }
        Ok(this)
    }

    /// The addresses that a transport listens on; over WebSocket it does not itself.
    pub fn listeners(&self, transport: Transport) -> &[SocketAddr] {
        match transport {
            Transport::Udp => &self.udp_listeners,
            Transport::Tcp => &self.tcp,
            Transport::Tls => &self.tls_listeners,
            Transport::Ws | Transport::Wss => &[],
        }
    }

    /// What a connection of ours says of itself: the listener where the peer may call back.
    fn listener(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let listeners = self.listeners(transport);
        let listener = listeners[own::leading_to(listeners, remote)?];
        Some(self.outside.face(listener, remote.ip()))
    }

    /// The UDP socket that leads to a peer.
    fn leading_to(&self, remote: SocketAddr) -> Option<&udp::Socket> {
        self.udp.get(own::leading_to(&self.udp_listeners, remote)?)
    }

    /// A flow to a peer: the listener's own socket for UDP, an open or new connection for TCP and TLS. `host` is who is
    /// to be there; only over TLS is that made sure of, and only a connection that was is used again.
    pub fn flow_to(self: &Arc<Self>, transport: Transport, remote: SocketAddr, host: &str) -> Option<Flow> {
        let name = match transport {
            Transport::Udp => return Some(self.leading_to(remote)?.flow_to_server(remote)),
            Transport::Tcp => None,
            Transport::Tls => Some(tls::name_of(host)?),
            // They cannot be called (RFC 7118 section 4).
            Transport::Ws | Transport::Wss => return None,
        };
        let number = self.by_remote.get(&(transport, remote)).map(|number| *number);
        let open = number.and_then(|number| {
            self.connections.get(&number).filter(|open| open.name == name).map(|connection| connection.flow)
        });
        open.or_else(|| tcp::connect(self, transport, remote, name))
    }

    /// The UDP flow of an earlier run: over the socket that has its local address now, or else the one that leads there.
    pub fn resume(self: &Arc<Self>, local: SocketAddr, remote: SocketAddr) -> Option<Flow> {
        let leading = self.leading_to(remote)?;
        let known = |socket: &udp::Socket| socket.face(remote) == local;
        let socket = if known(leading) { leading } else { self.udp.iter().find(|one| known(one)).unwrap_or(leading) };
        Some(socket.flow_with(remote))
    }

    /// A TCP flow to a peer whose connection is made with the first message.
    pub fn later(&self, remote: SocketAddr) -> Option<Flow> {
        tcp::later(self, Transport::Tcp, remote)
    }

    /// Hands a message to the kernel (UDP) or to the connection's writer. Never waits. False when the flow leads
    /// nowhere: the transaction must hear of it, or it would wait for its timeout (RFC 3261 18.4).
    ///
    /// A UDP message that the socket buffer has no room for is lost as it could be on the wire. A connection whose
    /// writer is `TcpLimits::write_queue` messages behind is closed. One that we made and that has ended is made again:
    /// calls outlive connections.
    pub fn send(self: &Arc<Self>, flow: Flow, bytes: Bytes) -> bool {
        let sent = match flow.transport {
            Transport::Udp => large::send(self, flow, &bytes) || self.send_datagram(flow, &bytes),
            _ => match self.connections.get(&flow.connection).map(|connection| connection.send(bytes.clone())) {
                Some(true) => true,
                Some(false) => {
                    self.remove(&flow);
                    false
                }
                None => tcp::reconnect(self, flow, bytes),
            },
        };
        if !sent {
            metrics::counter!("opentact_sip_send_failed_total", "transport" => flow.transport.via_token()).increment(1);
        }
        sent
    }

    fn send_datagram(&self, flow: Flow, bytes: &[u8]) -> bool {
        self.udp.get(udp::socket_of(&flow)).is_some_and(|socket| socket.send(bytes, flow.remote))
    }

    /// The SIP domains that the other end of a connection over TLS has proved to be, in lower case.
    pub(crate) fn certified(&self, flow: &Flow) -> Arc<[String]> {
        let connection = self.connections.get(&flow.connection).filter(|connection| connection.flow == *flow);
        connection.map_or_else(Default::default, |connection| connection.certified.clone())
    }

    /// Stops listening and closes every connection once what is queued is written.
    pub fn close(&self) {
        self.stop.cancel();
        self.connections.clear();
        self.by_remote.clear();
    }

    /// Whether a message is not let in.
    fn drops(&self, flow: &Flow, message: &[u8]) -> bool {
        self.gate.lock().admit(Instant::now(), flow.remote.ip(), flow.transport, message) == Verdict::Drop
    }

    /// What nobody can read has come from an address.
    pub(crate) fn malformed(&self, flow: &Flow) {
        self.gate.lock().malformed(Instant::now(), flow.remote.ip());
    }

    /// Somebody is registered from an address.
    pub(crate) fn registered(&self, from: IpAddr, until: Instant) {
        self.gate.lock().registered(from, until);
    }

    /// Whether no connection is taken from an address.
    fn refuses(&self, from: IpAddr) -> bool {
        self.gate.lock().refuses(Instant::now(), from)
    }

    fn remove(&self, flow: &Flow) {
        self.connections.remove(&flow.connection);
        self.by_remote.remove_if(&(flow.transport, flow.remote), |_, number| *number == flow.connection);
    }

    /// A place for a connection that a peer has made.
    fn seat(&self, remote: SocketAddr) -> Option<Seat> {
        self.seat_in(&self.seats, remote)
    }

    fn seat_in(&self, seats: &Seats, remote: SocketAddr) -> Option<Seat> {
        let seat = seats.take(remote.ip()).filter(|_| !self.stop.is_cancelled());
        if seat.is_none() {
            metrics::counter!("opentact_sip_connections_refused_total").increment(1);
        }
        seat
    }

    fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }
}

/// For the receive loops: deliver or count as dropped.
fn deliver_or_drop(inbox: &mpsc::Sender<Inbound>, message: Inbound) {
    if inbox.try_send(message).is_err() {
        metrics::counter!("opentact_sip_dropped_total").increment(1);
    }
}

pub(crate) type SharedUdp = Arc<UdpSocket>;
