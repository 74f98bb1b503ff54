//! The egress guard: which addresses the product may connect to on behalf of its users.
//!
//! A call flow names URLs, so without this anyone with an account could reach the operator's inner network (SSRF).
//! The check is on the resolved address at connect time: a name that resolves to a public address first and to a
//! private one later (DNS rebinding) gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Ports of services that a request to the wrong place could be mistaken by (Fetch standard, "bad port", and those of
/// databases): no web server is there, and nobody sends mail or speaks to a cache through a call flow.
const BAD_PORTS: [u16; 92] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 3306, 3659,
    4045, 4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9200, 10080, 11211,
    27017, 27018,
];

/// Every address of the name is one the guard refuses.
#[derive(Debug, thiserror::Error)]
#[error("address refused by the egress guard")]
pub(super) struct Refused;

/// Public addresses are admitted, others only if listed.
#[derive(Debug, Clone, Default)]
pub struct EgressGuard {
    allow: Vec<IpNet>,
}

impl EgressGuard {
    /// `allow` is `http.egress_allow`: networks that are admitted although they are not public.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// For URLs that only the operator chooses.
    pub fn everywhere() -> Self {
        let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        Self { allow: all.into_iter().filter_map(|address| IpNet::new(address, 0).ok()).collect() }
    }

    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|net| net.contains(&address)) || is_public(address)
    }

    /// A URL whose host is an address is not resolved, so it is checked here. Names pass: the resolver checks them.
    pub(super) fn admits_url(&self, url: &Url) -> bool {
        if url.port().is_some_and(|port| BAD_PORTS.contains(&port)) {
            return false;
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.admits(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.admits(IpAddr::V6(address)),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }
}

impl Resolve for EgressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let admitted: Vec<SocketAddr> =
                found.iter().copied().filter(|address| guard.admits(address.ip())).collect();
            if admitted.is_empty() && !found.is_empty() {
                return Err(Box::new(Refused) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA IPv4 special-purpose registry (RFC 6890 and successors).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared address space, RFC 6598
        || (a == 192 && b == 0 && c == 0) // IETF protocol assignments
        || (a == 198 && (b == 18 || b == 19))) // benchmarking, RFC 2544
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // An IPv4 address inside an IPv6 one is judged as what it reaches: NAT64 (RFC 6052) and 6to4 (RFC 3056).
    let embedded = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    // Global unicast is 2000::/3; documentation 2001:db8::/32 and 3fff::/20, Teredo and ORCHID 2001::/23 are not public.
    (segments[0] & 0xe000) == 0x2000
        && !(segments[0] == 0x2001 && (segments[1] == 0x0db8 || segments[1] < 0x0200))
        && !(segments[0] == 0x3fff && segments[1] < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(guard: &EgressGuard, text: &str) -> bool {
        guard.admits(text.parse().unwrap())
    }

    #[test]
    fn private_addresses_are_refused_in_every_guise() {
        let guard = EgressGuard::default();
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!admits(&guard, address), "{address}");
        }
        for address in ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"] {
            assert!(admits(&guard, address), "{address}");
        }
    }

    #[test]
    fn listed_networks_are_admitted() {
        let guard = EgressGuard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(admits(&guard, "127.0.0.1"));
        assert!(admits(&guard, "::ffff:127.0.0.1"));
        assert!(!admits(&guard, "10.0.0.1"));
        assert!(guard.admits_url(&Url::parse("http://127.0.0.1:8000/x").unwrap()));
        assert!(!guard.admits_url(&Url::parse("http://[::1]/").unwrap()));
    }
}
