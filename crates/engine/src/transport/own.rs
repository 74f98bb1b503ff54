//! Addresses of our own: what a listener's is, and which of several listeners leads to a peer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A bound address as peers can use it: where a listener is bound to all addresses, that of the default route.
pub(super) fn advertised(bound: SocketAddr) -> SocketAddr {
    match bound.ip().is_unspecified().then(|| outward_address(bound.is_ipv4())).flatten() {
        Some(ip) => SocketAddr::new(ip, bound.port()),
        None => bound,
    }
}

/// The address of this host that the default route of a family uses.
pub(crate) fn outward_address(ipv4: bool) -> Option<IpAddr> {
    // Nobody has them (RFC 5737, RFC 3849).
    let nobody: IpAddr =
        if ipv4 { Ipv4Addr::new(192, 0, 2, 1).into() } else { Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into() };
    source_to(SocketAddr::new(nobody, 9)).ok().filter(|ip| !ip.is_unspecified())
}

/// The address of this host that packets to a peer leave with.
fn source_to(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Connecting a UDP socket sends nothing; it makes the kernel choose a route.
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// Which of our listeners leads to a peer: of those of its family the one at the address that the kernel would send from,
/// else the first.
pub(super) fn leading_to(listeners: &[SocketAddr], remote: SocketAddr) -> Option<usize> {
    let mut fitting = listeners.iter().enumerate().filter(|(_, local)| local.is_ipv4() == remote.is_ipv4());
    let (first, _) = fitting.next()?;
    if fitting.next().is_none() {
        return Some(first);
    }
    let source = source_to(remote).ok();
    Some(listeners.iter().position(|local| Some(local.ip()) == source).unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_listeners_the_one_on_the_way_leads_there() {
        let listeners =
            ["192.0.2.7:5060", "127.0.0.1:5060", "[::1]:5060", "127.0.0.1:5070"].map(|l| l.parse().unwrap());
        let leads = |remote: &str| leading_to(&listeners, remote.parse().unwrap());
        // The kernel sends to itself from the address that it sends to.
        assert_eq!((leads("127.0.0.1:9"), leads("[::1]:9")), (Some(1), Some(2)));
        assert_eq!(leads("127.0.0.5:9"), Some(1));
        assert_eq!(leading_to(&listeners[..1], "127.0.0.1:9".parse().unwrap()), Some(0));
        assert_eq!(leading_to(&listeners[..2], "[::1]:9".parse().unwrap()), None);
        // None of ours is on the way.
        assert_eq!(leading_to(&["192.0.2.7:1", "192.0.2.8:1"].map(|l| l.parse().unwrap()), listeners[1]), Some(0));
    }

    #[test]
    fn what_is_bound_to_all_addresses_is_told_by_one() {
        for bound in ["0.0.0.0:5060", "[::]:5060"].map(|bound| bound.parse::<SocketAddr>().unwrap()) {
            // A machine without a route of that family has none to tell.
            let told = advertised(bound);
            assert_eq!((told.is_ipv4(), told.port()), (bound.is_ipv4(), 5060));
            assert_eq!(told.ip().is_unspecified(), outward_address(bound.is_ipv4()).is_none());
        }
        let bound = "127.0.0.1:5060".parse().unwrap();
        assert_eq!(advertised(bound), bound);
    }
}
