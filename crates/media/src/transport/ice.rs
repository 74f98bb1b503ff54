//! Which way packets take to a peer that tells addresses and proves itself on each (ICE, RFC 8445): one component over
//! one UDP socket.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};

use crate::control::{IceCredentials, IceParams};

/// Pairs of addresses that are tried at most; those a stranger makes up count too.
const MAX_PAIRS: usize = 64;
/// Addresses of the peer that are looked at.
const MAX_CANDIDATES: usize = 32;

pub(super) struct Ice {
    pub params: IceParams,
    agent: IceAgent,
    local: Vec<SocketAddr>,
    /// Candidates that were looked at.
    learned: usize,
    /// Where the peer is, once a way to it is found.
    pub selected: Option<SocketAddr>,
}

impl Ice {
    pub fn new(now: Instant, params: &IceParams) -> Self {
        let mut agent = IceAgent::new(credentials(&params.local));
        agent.set_max_candidate_pairs(MAX_PAIRS);
        agent.set_ice_lite(params.lite);
        agent.set_controlling(params.controlling && !params.lite);
        agent.set_remote_credentials(credentials(&params.remote));
        let mut local = Vec::new();
        for address in bases(params.address) {
            if let Ok(candidate) = Candidate::host(address, Protocol::Udp)
                && agent.add_local_candidate(candidate).is_some()
            {
                local.push(address);
            }
        }
        let mut ice = Self { params: params.clone(), agent, local, learned: 0, selected: None };
        ice.learn(&params.candidates);
        ice.agent.handle_timeout(now);
        ice
    }

    /// Places where the peer may be.
    pub fn learn(&mut self, candidates: &[String]) {
        for line in candidates.iter().take(MAX_CANDIDATES - self.learned) {
            self.learned += 1;
            // Names (mDNS) and other transports are passed over: who has them is found when it asks.
            if let Ok(candidate) = Candidate::from_sdp_string(line)
                && candidate.proto() == Protocol::Udp
            {
                self.agent.add_remote_candidate(candidate);
            }
        }
    }

    /// A STUN message; what it is not, or is not for us, does nothing.
    pub fn receive(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        let Ok(message) = StunMessage::parse(datagram) else { return };
        let Some(destination) = self.local.iter().find(|local| local.is_ipv4() == source.is_ipv4()).copied() else {
            return;
        };
        let packet = StunPacket { proto: Protocol::Udp, source, destination, message };
        if self.agent.handle_packet(now, packet) {
            self.tick(now);
        }
    }

    pub fn tick(&mut self, now: Instant) {
        if self.agent.poll_timeout().is_none_or(|due| due <= now) {
            self.agent.handle_timeout(now);
        }
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                self.selected = Some(destination);
            }
        }
    }

    /// Whether packets may come from there.
    pub fn knows(&self, address: SocketAddr) -> bool {
        self.selected == Some(address) || self.agent.has_viable_remote_candidate(address)
    }

    pub fn poll(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let transmit = self.agent.poll_transmit()?;
        Some((transmit.destination, transmit.contents.into()))
    }
}

fn credentials(credentials: &IceCredentials) -> IceCreds {
    IceCreds { ufrag: credentials.ufrag.clone(), pass: credentials.password.clone() }
}

/// What stands for our socket among the pairs; nobody is told it. A socket on all addresses is one of each family.
fn bases(address: SocketAddr) -> Vec<SocketAddr> {
    let port = address.port();
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![([127, 0, 0, 1], port).into()],
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![([127, 0, 0, 1], port).into(), ([0, 0, 0, 0, 0, 0, 0, 1_u16], port).into()]
        }
        _ => vec![address],
    }
}
