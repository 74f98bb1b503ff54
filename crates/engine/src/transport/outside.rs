//! How a node behind NAT is seen: the address that peers of a network are told, in place of a socket's own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

/// What each network is told. Cheap to share; told nothing else by default.
#[derive(Debug, Clone, Default)]
pub struct Outside(Arc<[View]>);

/// What one network is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub peers: IpNet,
    /// `None`: the socket's own address.
    pub told: Option<IpAddr>,
}

impl Outside {
    /// Of networks that hold each other the smallest decides, of equal ones the first.
    pub fn new(mut views: Vec<View>) -> Self {
        views.sort_by_key(|view| std::cmp::Reverse(view.peers.prefix_len()));
        Self(views.into())
    }

    /// What a peer is told instead of the own address of a socket of its family. A peer on this machine is not seen from
    /// outside: only a network that is of this machine decides for it.
    pub fn told(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let decides =
            |view: &&View| view.peers.contains(&peer) && view.peers.network().is_loopback() == peer.is_loopback();
        let told = self.0.iter().find(decides)?.told;
        told.filter(|told| told.is_ipv4() == peer.is_ipv4())
    }

    /// How a peer sees a socket at `own`.
    pub(crate) fn face(&self, own: SocketAddr, peer: IpAddr) -> SocketAddr {
        self.told(peer).map_or(own, |told| SocketAddr::new(told, own.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_decides() {
        let view = |peers: &str, told: &str| View { peers: peers.parse().unwrap(), told: told.parse().ok() };
        let views =
            [("0.0.0.0/0", "203.0.113.5"), ("10.0.0.0/8", "own"), ("10.1.0.0/16", "10.1.0.9"), ("::/0", "2001:db8::5")];
        let outside = Outside::new(views.iter().map(|(peers, told)| view(peers, told)).collect());
        let own = "192.168.0.2:5060".parse().unwrap();
        let face = |peer: &str| outside.face(own, peer.parse().unwrap()).to_string();
        assert_eq!(face("198.51.100.1"), "203.0.113.5:5060");
        assert_eq!(face("::ffff:198.51.100.1"), "203.0.113.5:5060");
        assert_eq!(face("10.9.0.1"), "192.168.0.2:5060");
        assert_eq!(face("10.1.0.1"), "10.1.0.9:5060");
        assert_eq!(face("2001:db8::1"), "[2001:db8::5]:5060");
        assert_eq!(face("127.0.0.1"), "192.168.0.2:5060");
        let here = Outside::new(vec![view("127.0.0.0/8", "127.0.0.9")]);
        assert_eq!(here.told("127.0.0.1".parse().unwrap()), "127.0.0.9".parse().ok());
        assert_eq!(Outside::default().told("192.0.2.1".parse().unwrap()), None);
    }
}
