//! What peers are told of where our media is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use opentact_sip::ua::{Command, SessionId};

use super::Core;
use super::negotiate::SDP;
use crate::reflexive::Reflexive;
use crate::transport::{Outside, outward_address};

/// The address of our media, and what networks are told in its stead.
#[derive(Debug, Clone)]
pub(crate) struct MediaFace {
    own: IpAddr,
    outside: Outside,
    /// For who is told nothing else, by family; only where RTP is received at all addresses of that family.
    ipv4: Option<IpAddr>,
    ipv6: Option<IpAddr>,
    reflexive: Reflexive,
}

impl MediaFace {
    pub(crate) fn new(own: IpAddr, outside: Outside, reflexive: Reflexive) -> Self {
        let outward = |ipv4, loopback: IpAddr| outward_address(ipv4).unwrap_or(loopback);
        let ipv4 = own.is_unspecified().then(|| outward(true, Ipv4Addr::LOCALHOST.into()));
        let ipv6 = (own == Ipv6Addr::UNSPECIFIED).then(|| outward(false, Ipv6Addr::LOCALHOST.into()));
        Self { own, outside, ipv4, ipv6, reflexive }
    }

    /// What a peer is told instead of our own address.
    fn told(&self, peer: IpAddr) -> Option<IpAddr> {
        // A socket on all IPv6 addresses is on those of IPv4 too.
        let heard = |told: &IpAddr| told.is_ipv4() == self.own.is_ipv4() || self.ipv6.is_some();
        let any = if self.own.is_ipv4() || peer.to_canonical().is_ipv4() { self.ipv4 } else { self.ipv6 };
        self.outside.told(peer).filter(heard).or(any)
    }

    /// The same description, where it is told to a peer.
    fn show(&self, description: &Bytes, peer: IpAddr) -> Bytes {
        let line = |ip: IpAddr| format!("IN {} {ip}\r\n", if ip.is_ipv4() { "IP4" } else { "IP6" });
        let candidate = |ip: IpAddr| format!("a=candidate:1 1 udp 2130706431 {ip} ");
        let told = self.told(peer);
        let shown = match told {
            // What we describe ourselves is text; of it `o=` and `c=` end so.
            Some(told) => {
                let description = String::from_utf8_lossy(description).replace(&line(self.own), &line(told));
                // And of the candidates of ICE.
                description.replace(&candidate(self.own), &candidate(told)).into()
            }
            None => description.clone(),
        };
        let host = told.unwrap_or(self.own);
        match self.reflexive.address().filter(|seen| *seen != host && seen.is_ipv4() == host.is_ipv4()) {
            Some(seen) => with_reflexive(&shown, &candidate(host), host, seen),
            None => shown,
        }
    }
}

/// The description with a server-reflexive candidate (RFC 8445 5.1.1.2) behind each of the host, which begins so.
fn with_reflexive(description: &Bytes, begin: &str, host: IpAddr, seen: IpAddr) -> Bytes {
    let text = String::from_utf8_lossy(description);
    if !text.contains(begin) {
        return description.clone();
    }
    let mut out = String::with_capacity(text.len() + 128);
    for line in text.split_inclusive('\n') {
        out.push_str(line);
        if let Some(port) = line.strip_prefix(begin).and_then(|rest| rest.split(' ').next()) {
            out.push_str(&format!(
                "a=candidate:2 1 udp 1694498815 {seen} {port} typ srflx raddr {host} rport {port}\r\n"
            ));
        }
    }
    out.into()
}

impl Core {
    /// Writes into a session description on its way out what its reader's network is told. Who reads it is known by where
    /// the signalling goes.
    pub(super) fn show_outside(&self, command: &mut Command) {
        let (peer, body) = match command {
            Command::Invite { invite, .. } => (Some(invite.flow.remote.ip()), &mut invite.body),
            Command::Provisional { session, body, .. }
            | Command::Accept { session, body, .. }
            | Command::Reinvite { session, body, .. } => (self.peer(*session), body),
            Command::Respond { id, body, .. } => (self.ua.asked(*id).map(|flow| flow.remote.ip()), body),
            _ => return,
        };
        if let (Some(peer), Some((kind, description))) = (peer, body)
            && *kind == SDP
        {
            *description = self.config.face.show(description, peer);
        }
    }

    fn peer(&self, session: SessionId) -> Option<IpAddr> {
        self.ua.session(session)?.flow().map(|flow| flow.remote.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::View;

    fn face(own: &str, views: &[(&str, &str)]) -> MediaFace {
        let view = |(peers, told): &(&str, &str)| View { peers: peers.parse().unwrap(), told: told.parse().ok() };
        MediaFace::new(own.parse().unwrap(), Outside::new(views.iter().map(view).collect()), Reflexive::default())
    }

    #[test]
    fn origin_and_connection_are_told_and_nothing_else() {
        let face = face("10.0.0.2", &[("203.0.113.0/24", "203.0.113.5")]);
        let sdp = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=10.0.0.2\r\nc=IN IP4 10.0.0.2\r\na=x:10.0.0.2\r\na=candidate:1 1 udp 2130706431 10.0.0.2 4000 typ host\r\n";
        let shown = |peer: &str| face.show(&Bytes::from_static(sdp.as_bytes()), peer.parse().unwrap());
        let expected = "v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=10.0.0.2\r\nc=IN IP4 203.0.113.5\r\na=x:10.0.0.2\r\na=candidate:1 1 udp 2130706431 203.0.113.5 4000 typ host\r\n";
        assert_eq!(shown("203.0.113.99"), expected);
        assert_eq!(shown("10.0.0.3"), sdp);
    }

    #[test]
    fn candidates_are_told_as_seen_from_outside_too() {
        let own = "10.0.0.2".parse().unwrap();
        let sdp = Bytes::from_static(
            b"c=IN IP4 10.0.0.2\r\na=candidate:1 1 udp 2130706431 10.0.0.2 4000 typ host\r\na=x\r\n",
        );
        let shown = |seen: &str| {
            let face = MediaFace::new(own, Outside::default(), Reflexive::known(seen.parse().unwrap()));
            String::from_utf8(face.show(&sdp, "203.0.113.9".parse().unwrap()).to_vec()).unwrap()
        };
        let reflexive =
            "a=candidate:2 1 udp 1694498815 203.0.113.5 4000 typ srflx raddr 10.0.0.2 rport 4000\r\na=x\r\n";
        assert!(shown("203.0.113.5").ends_with(&format!(" host\r\n{reflexive}")));
        // Seen as it is, and of another family.
        for seen in ["10.0.0.2", "2001:db8::5"] {
            assert_eq!(shown(seen).as_bytes(), sdp);
        }
    }

    #[test]
    fn nobody_is_told_what_the_socket_does_not_hear() {
        let views = [("0.0.0.0/0", "203.0.113.5"), ("10.0.0.0/8", "own"), ("::/0", "2001:db8::5")];
        let told = |own: &str, peer: &str| face(own, &views).told(peer.parse().unwrap()).map(|ip| ip.to_string());
        assert_eq!(told("10.0.0.2", "198.51.100.1").as_deref(), Some("203.0.113.5"));
        assert_eq!(told("10.0.0.2", "2001:db8::99"), None);
        assert_eq!(told("2001:db8::2", "198.51.100.1"), None);
        assert_eq!(told("::", "198.51.100.1").as_deref(), Some("203.0.113.5"));
        assert_eq!(told("::", "::ffff:198.51.100.1").as_deref(), Some("203.0.113.5"));
        assert_eq!(told("::", "2001:db8::99").as_deref(), Some("2001:db8::5"));
        // All addresses are none that could be told.
        for (own, peer, ipv4) in [("::", "10.0.0.3", true), ("0.0.0.0", "10.0.0.3", true), ("0.0.0.0", "::1", true)] {
            let told = face(own, &views[..2]).told(peer.parse().unwrap()).unwrap();
            assert!(!told.is_unspecified() && told.is_ipv4() == ipv4, "{own} to {peer}: {told}");
        }
    }
}
