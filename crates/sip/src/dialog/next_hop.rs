//! Where the requests of a dialog go.
//!
//! By the book to the first route or, without routes, to the remote target (RFC 3261 12.2.1.1, 8.1.2). Against the book,
//! because the book has no NAT: to the flow the other side is known by, when its target is an address nobody can reach
//! from here. Names are not resolved here, and a connection is never left: both stay on the flow.

use std::net::{IpAddr, SocketAddr};

use crate::flow::{Flow, Transport};
use crate::message::Via;
use crate::uri::{NameAddr, Scheme, Uri};

/// For the side that was called. `direct`: the INVITE had one Via, so its sender is the flow's other end.
pub(super) fn of_callee(flow: Flow, routes: &[NameAddr], target: &Uri, direct: bool) -> Flow {
    match routes.first() {
        None if direct => flow,
        Some(route) => towards(flow, &route.uri),
        None => towards(flow, target),
    }
}

/// For the side that has called.
pub(super) fn of_caller(flow: Flow, routes: &[NameAddr], target: &Uri) -> Flow {
    towards(flow, routes.first().map_or(target, |route| &route.uri))
}

fn towards(flow: Flow, uri: &Uri) -> Flow {
    if flow.transport != Transport::Udp || uri.scheme() != Scheme::Sip {
        return flow;
    }
    let other_transport = uri.param("transport").is_some_and(|transport| !transport.eq_ignore_ascii_case("udp"));
    match address(uri) {
        Some(remote) if !other_transport && reachable(flow.remote.ip(), remote.ip()) => Flow { remote, ..flow },
        _ => flow,
    }
}

fn address(uri: &Uri) -> Option<SocketAddr> {
    let ip = match uri.param("maddr") {
        Some(maddr) => maddr.parse().ok()?,
        None => uri.host_ip()?,
    };
    Some(SocketAddr::new(ip, uri.port().unwrap_or(5060)))
}

/// Where the response to a request goes (RFC 3261 18.2.2, RFC 3581 4): over the flow of the request, but for UDP without
/// `rport` to the port of the Via, unless the Via shows a NAT that would let nothing through there.
pub(crate) fn of_response(flow: Flow, via: &Via<'_>) -> Flow {
    let behind_nat = || via.host_ip().is_some_and(|given| !reachable(flow.remote.ip(), given));
    if flow.transport != Transport::Udp || via.rport().is_some() || behind_nat() {
        return flow;
    }
    Flow { remote: SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(5060)), ..flow }
}

/// False when the peer is known by an address of a wider kind than the one it gives: it sits behind a NAT.
fn reachable(known: IpAddr, given: IpAddr) -> bool {
    known.is_ipv4() == given.is_ipv4() && width(given) >= width(known)
}

/// How far an address carries: this machine, this network, everywhere.
fn width(ip: IpAddr) -> u8 {
    match ip {
        _ if ip.is_unspecified() || ip.is_multicast() => 0,
        _ if ip.is_loopback() => 1,
        IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() => 2,
        // RFC 6598: the inside of a carrier's NAT.
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64 => 2,
        IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() => 2,
        _ => 3,
    }
}
