//! SIP over UDP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use opentact_sip::flow::{Flow, Transport};
use socket2::{Domain, Protocol, Type};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::defence::{SharedGate, Verdict};

use super::{Inbound, SharedUdp, advertised, deliver_or_drop, stun};

/// Kernel buffer: 20,000 INVITEs of 1 KB fit while the core is busy elsewhere for a moment.
const SOCKET_BUFFER: usize = 8 << 20;
/// A UDP payload is at most 65,507 octets.
const MAX_DATAGRAM: usize = 65_535;

#[derive(Clone)]
pub(super) struct Socket {
    /// As peers see it.
    pub(super) local: SocketAddr,
    socket: SharedUdp,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr, external: Option<IpAddr>) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Best effort: the kernel caps it at net.core.rmem_max.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&address.into())?;
        let socket = tokio::net::UdpSocket::from_std(socket.into())?;
        Ok(Self { local: advertised(socket.local_addr()?, external), socket: socket.into() })
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
pub(super) async fn receive(socket: Socket, inbox: mpsc::Sender<Inbound>, gate: SharedGate, stop: CancellationToken) {
    let mut buffer = BytesMut::with_capacity(MAX_DATAGRAM * 4);
    loop {
        // Datagrams share one allocation until it is used up; a message keeps only its slice alive.
        if buffer.capacity() < MAX_DATAGRAM {
            buffer = BytesMut::with_capacity(MAX_DATAGRAM * 4);
        }
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.socket.recv_buf_from(&mut buffer) => received,
        };
        match received {
            Ok((length, remote)) => {
                let datagram = buffer.split_to(length);
                if stun::is_stun(&datagram) {
                    if !gate.lock().refuses(Instant::now(), remote.ip())
                        && let Some(answer) = stun::answer(&datagram, remote)
                    {
                        socket.send(&answer, remote);
                    }
                    continue;
                }
                if gate.lock().admit(Instant::now(), remote.ip(), Transport::Udp, &datagram) == Verdict::Drop {
                    continue;
                }
                let flow = Flow { transport: Transport::Udp, local: socket.local, remote, connection: 0 };
                // A large shared buffer kept alive by one small stored message would be a leak in slow motion.
                let bytes = Bytes::copy_from_slice(&datagram);
                deliver_or_drop(&inbox, Inbound::Message { bytes, flow });
            }
            // An ICMP error of an earlier send shows up here (ECONNREFUSED); it names no flow.
            Err(error) => tracing::debug!(%error, local = %socket.local, "SIP UDP receive"),
        }
        buffer.clear();
    }
}
