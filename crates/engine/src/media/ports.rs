//! Pairs of UDP ports: RTP on the even, RTCP on the next (RFC 3550 11).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;

use super::MediaError;
use super::net::stamp_arrivals;

/// The pairs of a range that no leg holds. A pair given back goes to the end of the line, so that late packets of the
/// call before do not find a new one.
pub(super) struct Ports {
    range: RangeInclusive<u16>,
    total: usize,
    free: Mutex<VecDeque<u16>>,
}

impl Ports {
    /// Fails when the range holds no pair.
    pub fn new(range: RangeInclusive<u16>) -> io::Result<Ports> {
        let free: VecDeque<u16> =
            range.clone().filter(|port| port % 2 == 0 && *port > 0 && *port < *range.end()).collect();
        if free.is_empty() {
            let text = format!("media ports {}-{} hold no even port and its successor", range.start(), range.end());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Ports { total: free.len(), range, free: Mutex::new(free) })
    }

    /// Free and all.
    pub fn pairs(&self) -> (usize, usize) {
        (self.free.lock().len(), self.total)
    }

    fn exhausted(&self) -> MediaError {
        MediaError::PortsExhausted { first: *self.range.start(), last: *self.range.end() }
    }
}

/// Two bound sockets; dropped, their ports are free again.
pub(super) struct PortPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    /// Of the RTP socket.
    pub address: SocketAddr,
    ports: Arc<Ports>,
}

impl PortPair {
    /// Binds the next free pair. Ports that others on this machine hold are passed over and tried again later.
    pub fn bind(ports: &Arc<Ports>, address: IpAddr) -> Result<PortPair, MediaError> {
        let tries = ports.free.lock().len();
        for _ in 0..tries {
            let Some(port) = ports.free.lock().pop_front() else { break };
            match bind_pair(address, port) {
                Ok((rtp, rtcp)) => {
                    let address = SocketAddr::new(address, port);
                    return Ok(PortPair { rtp, rtcp, address, ports: ports.clone() });
                }
                Err(error) => {
                    ports.free.lock().push_back(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(ports.exhausted())
    }
}

impl Drop for PortPair {
    fn drop(&mut self) {
        self.ports.free.lock().push_back(self.address.port());
    }
}

fn bind_pair(address: IpAddr, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    let rtp = UdpSocket::bind((address, port))?;
    let rtcp = UdpSocket::bind((address, port + 1))?;
    for socket in [&rtp, &rtcp] {
        socket.set_nonblocking(true)?;
        stamp_arrivals(socket);
        mark(socket, address);
    }
    Ok((rtp, rtcp))
}

/// Asks networks that care to hurry (RFC 4594 4.1: telephony is expedited forwarding). A system that refuses is asked
/// no more: the call works without.
fn mark(socket: &UdpSocket, address: IpAddr) {
    const EXPEDITED_FORWARDING: u32 = 46 << 2;
    let socket = socket2::SockRef::from(socket);
    if address.is_ipv6() {
        let _ = socket.set_tclass_v6(EXPEDITED_FORWARDING);
    }
    // A socket on all IPv6 addresses is on those of IPv4 too.
    if address.is_ipv4() || address.is_unspecified() {
        let _ = socket.set_tos_v4(EXPEDITED_FORWARDING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A range that was free a moment ago.
    fn free_range(pairs: u16) -> RangeInclusive<u16> {
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let first = (probe & !1).min(65_000);
        first..=first + pairs * 2 - 1
    }

    #[test]
    fn range_counts_whole_pairs_only() {
        assert_eq!(Ports::new(20001..=20006).unwrap().pairs(), (2, 2));
        assert_eq!(Ports::new(20000..=20000).err().map(|e| e.kind()), Some(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn exhaustion_is_told_and_ends_when_a_pair_comes_back() {
        let ports = Arc::new(Ports::new(free_range(4)).unwrap());
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let mut held = Vec::new();
        while let Ok(pair) = PortPair::bind(&ports, loopback) {
            assert_eq!(pair.address.port() % 2, 0);
            assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.address.port() + 1);
            held.push(pair);
        }
        assert!(!held.is_empty());
        assert!(matches!(PortPair::bind(&ports, loopback), Err(MediaError::PortsExhausted { .. })));
        let back = held.pop().unwrap().address;
        assert_eq!(PortPair::bind(&ports, loopback).unwrap().address, back);
    }
}
