//! SIP over UDP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use opentact_sip::flow::Flow;
use socket2::{Domain, Protocol, Type};

use super::own::advertised;
use super::{Inbound, Outside, SharedUdp, Transports, deliver_or_drop, stun};

/// Kernel buffer: 20,000 INVITEs of 1 KB fit while the core is busy elsewhere for a moment.
const SOCKET_BUFFER: usize = 8 << 20;
/// A UDP payload is at most 65,507 octets.
const MAX_DATAGRAM: usize = 65_535;

/// Set in the number of a flow that leads to a server.
const SERVER: u64 = 1;

/// Whether a UDP flow leads to a server: only such are sent requests over TCP. A phone is where its flow leads, and behind a
/// NAT nobody takes its connections.
pub(super) fn is_to_server(flow: &Flow) -> bool {
    flow.connection & SERVER != 0
}

/// Which of our sockets a UDP flow goes through. Its local address does not tell: several may be told to peers as one.
pub(super) fn socket_of(flow: &Flow) -> usize {
    usize::try_from(flow.connection >> 1).unwrap_or(usize::MAX)
}

#[derive(Clone)]
pub(super) struct Socket {
    /// Its own address.
    pub(super) local: SocketAddr,
    index: usize,
    outside: Outside,
    socket: SharedUdp,
}

/// A socket with its address. One for IPv6 is for nothing else: there may be another for IPv4 on its port.
pub(super) fn bind(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Socket {
    /// `index` is its place among ours.
    pub(super) fn bind(index: usize, address: SocketAddr, outside: Outside) -> io::Result<Self> {
        let socket = bind(address)?;
        socket.set_nonblocking(true)?;
        // Best effort: the kernel caps it at net.core.rmem_max.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        Ok(Self { local: advertised(socket.local_addr()?), index, outside, socket: socket.into() })
    }

    /// How a peer sees it.
    pub(super) fn face(&self, peer: SocketAddr) -> SocketAddr {
        self.outside.face(self.local, peer.ip())
    }

    pub(super) fn flow_with(&self, peer: SocketAddr) -> Flow {
        Flow { connection: (self.index as u64) << 1, ..Flow::udp(self.face(peer), peer) }
    }

    pub(super) fn flow_to_server(&self, peer: SocketAddr) -> Flow {
        let flow = self.flow_with(peer);
        Flow { connection: flow.connection | SERVER, ..flow }
    }

    /// False when no way leads there. Whatever else the kernel has against a datagram is a datagram lost.
    pub(super) fn send(&self, bytes: &[u8], remote: SocketAddr) -> bool {
        use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable, PermissionDenied};
        let Err(error) = self.socket.try_send_to(bytes, remote) else { return true };
        metrics::counter!("opentact_sip_datagrams_lost_total").increment(1);
        tracing::debug!(%error, %remote, "SIP UDP send");
        !matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable | PermissionDenied)
    }
}

/// Reads datagrams until stopped.
pub(super) async fn receive(socket: Socket, transports: Arc<Transports>) {
    let mut buffer = BytesMut::with_capacity(MAX_DATAGRAM * 4);
    loop {
        // Datagrams share one allocation until it is used up; a message keeps only its slice alive.
        if buffer.capacity() < MAX_DATAGRAM {
            buffer = BytesMut::with_capacity(MAX_DATAGRAM * 4);
        }
        let received = tokio::select! {
            () = transports.stop.cancelled() => return,
            received = socket.socket.recv_buf_from(&mut buffer) => received,
        };
        match received {
            Ok((length, remote)) => {
                let datagram = buffer.split_to(length);
                if stun::is_stun(&datagram) {
                    if !transports.refuses(remote.ip())
                        && let Some(answer) = stun::answer(&datagram, remote)
                    {
                        socket.send(&answer, remote);
                    }
                    continue;
                }
                let flow = socket.flow_with(remote);
                if datagram.len() > transports.limits.message {
                    transports.malformed(&flow);
                    continue;
                }
                if transports.drops(&flow, &datagram) {
                    continue;
                }
                // A large shared buffer kept alive by one small stored message would be a leak in slow motion.
                let bytes = Bytes::copy_from_slice(&datagram);
                deliver_or_drop(&transports.inbox, Inbound::Message { bytes, flow, at: Instant::now() });
            }
            // An ICMP error of an earlier send shows up here (ECONNREFUSED); it names no flow.
            Err(error) => tracing::debug!(%error, local = %socket.local, "SIP UDP receive"),
        }
        buffer.clear();
    }
}
