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

/// False when the peer is known by an address of a wider kind than the one it gives: it sits behind a NAT. And nothing
/// leads from this machine's loopback to elsewhere.
fn reachable(known: IpAddr, given: IpAddr) -> bool {
    known.is_ipv4() == given.is_ipv4() && known.is_loopback() == given.is_loopback() && width(given) >= width(known)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(source: &str, contact: &str) -> String {
        let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), source.parse().unwrap());
        of_caller(flow, &[], &contact.parse().unwrap()).remote.to_string()
    }

    #[test]
    fn reachable_target_is_followed() {
        assert_eq!(hop("198.51.100.1:5060", "sip:a@198.51.100.2:5070"), "198.51.100.2:5070");
        assert_eq!(hop("198.51.100.1:5060", "sip:a@198.51.100.2"), "198.51.100.2:5060");
        assert_eq!(hop("10.0.0.1:5060", "sip:a@192.168.1.1"), "192.168.1.1:5060");
        assert_eq!(hop("127.0.0.1:5060", "sip:a@127.0.0.1:5080"), "127.0.0.1:5080");
    }

    #[test]
    fn target_behind_a_nat_is_reached_by_its_flow() {
        for contact in
            ["sip:a@10.0.0.9", "sip:a@192.168.1.2:5062", "sip:a@100.64.3.4", "sip:a@127.0.0.1", "sip:a@0.0.0.0"]
        {
            assert_eq!(hop("198.51.100.1:40000", contact), "198.51.100.1:40000", "{contact}");
        }
        assert_eq!(hop("127.0.0.1:40000", "sip:a@10.0.0.9"), "127.0.0.1:40000");
    }

    #[test]
    fn names_other_transports_and_connections_stay_on_the_flow() {
        assert_eq!(hop("198.51.100.1:40000", "sip:a@phone.example.com"), "198.51.100.1:40000");
        assert_eq!(hop("198.51.100.1:40000", "sip:a@198.51.100.2;transport=tcp"), "198.51.100.1:40000");
        assert_eq!(hop("198.51.100.1:40000", "sips:a@198.51.100.2"), "198.51.100.1:40000");
        let udp = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.1:40000".parse().unwrap());
        let flow = Flow { transport: Transport::Tcp, connection: 3, ..udp };
        assert_eq!(of_caller(flow, &[], &"sip:a@198.51.100.2".parse().unwrap()), flow);
    }

    #[test]
    fn first_route_goes_before_the_target() {
        let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.1:5060".parse().unwrap());
        let route = NameAddr::new("sip:198.51.100.9;lr".parse().unwrap());
        let target = "sip:a@198.51.100.2".parse().unwrap();
        assert_eq!(of_caller(flow, &[route], &target).remote.to_string(), "198.51.100.9:5060");
    }
}
