//! Where a message came from and where its answer goes.
//!
//! A flow is one pair of addresses over one transport (RFC 5626 section 3: for UDP the address pair, for the others the
//! connection). The transports number connections; the stack only carries the number, so TLS and WebSocket flows need
//! nothing here that TCP does not have.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

/// A SIP transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    /// True where the transport delivers or tells of failure, so that no request or response is retransmitted hop by hop.
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// True for TLS and secure WebSocket.
    pub fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// True for WebSocket, secure or not: who is there cannot be connected to (RFC 7118 section 4).
    pub fn is_websocket(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// The token in the sent-protocol of a Via (`UDP`, `TCP`, `TLS`, `WS`, `WSS`).
    pub fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of the `transport` URI parameter; `None` for UDP, which is the default (RFC 3261 19.1.1).
    pub fn uri_parameter(self) -> Option<&'static str> {
        match self {
            Transport::Udp => None,
            Transport::Tcp => Some("tcp"),
            Transport::Tls => Some("tls"),
            // RFC 7118 section 5.2: the same value for both.
            Transport::Ws | Transport::Wss => Some("ws"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via_token())
    }
}

/// One way to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    pub transport: Transport,
    /// Our address as peers see it: it is written into Via and Contact, so a driver listening on `0.0.0.0` gives the
    /// address it advertises.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The transport's number of the connection; for UDP 0, or what else the transport wants to know it by.
    pub connection: u64,
}

impl Flow {
    /// A UDP flow between two addresses.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local, remote, connection: 0 }
    }

    pub fn is_reliable(&self) -> bool {
        self.transport.is_reliable()
    }
}

/// Octets to send over a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    pub flow: Flow,
    pub bytes: Bytes,
}
