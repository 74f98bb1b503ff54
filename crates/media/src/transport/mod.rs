//! What stands between a leg and its sockets: nothing, SRTP with keys that were told, or ICE, DTLS and the SRTP that
//! comes of it, all on the RTP socket (RFC 7983).

mod dtls;
mod ice;

use std::net::SocketAddr;
use std::time::Instant;

pub use dtls::DtlsIdentity;

use self::dtls::Association;
use self::ice::Ice;
use crate::control::{DtlsParams, Security};
use crate::rtp;
use crate::srtp::{Inbound, Outbound, SrtpError, SrtpKeys};

/// How the packets of a leg are protected and which way they take.
#[derive(Default)]
pub(crate) struct Transport {
    kind: Kind,
    /// Where a received packet is opened; used again and again.
    scratch: Vec<u8>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Plain,
    Srtp(Box<Srtp>),
    Dtls(Box<Agreeing>),
}

struct Srtp {
    keys: SrtpKeys,
    outbound: Outbound,
    inbound: Inbound,
}

impl Srtp {
    fn new(keys: SrtpKeys) -> Self {
        Self { keys, outbound: Outbound::new(&keys.local), inbound: Inbound::new(&keys.remote) }
    }

    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, SrtpError> {
        match rtp::is_rtcp(buffer) {
            true => self.inbound.unprotect_rtcp(buffer).map(Opened::Rtcp),
            false => self.inbound.unprotect_rtp(buffer).map(Opened::Rtp),
        }
    }
}

/// A peer whose keys come by DTLS.
struct Agreeing {
    association: Association,
    ice: Option<Ice>,
    /// Once the handshake is over.
    srtp: Option<Srtp>,
    /// Where the peer's part of the handshake came from.
    partner: Option<SocketAddr>,
}

impl Agreeing {
    fn new(now: Instant, params: &DtlsParams) -> Self {
        let association = Association::new(now, &params.identity, params.active, &params.fingerprint);
        let ice = params.ice.as_ref().map(|ice| Ice::new(now, ice));
        Self { association, ice, srtp: None, partner: None }
    }

    /// What is told again goes on; another certificate or another name of ICE begins anew what it is of.
    fn renew(&mut self, now: Instant, params: &DtlsParams) {
        if self.association.expected != params.fingerprint || self.association.active != params.active {
            self.association = Association::new(now, &params.identity, params.active, &params.fingerprint);
            self.srtp = None;
            self.partner = None;
        }
        let same = match (&self.ice, &params.ice) {
            (Some(before), Some(ice)) => before.params.local == ice.local && before.params.remote == ice.remote,
            (None, None) => true,
            _ => false,
        };
        if !same {
            // RFC 8445 9: packets take the old way until there is a new one.
            let selected = self.ice.as_ref().and_then(|ice| ice.selected);
            self.ice = params.ice.as_ref().map(|ice| Ice::new(now, ice));
            if let Some(ice) = &mut self.ice {
                ice.selected = selected;
            }
        }
    }

    fn open(&mut self, now: Instant, from: SocketAddr, buffer: &mut [u8]) -> Result<Opened, SrtpError> {
        // RFC 7983 7: the first octet tells.
        match buffer.first() {
            Some(0..=3) => {
                if let Some(ice) = &mut self.ice {
                    ice.receive(now, from, buffer);
                }
                Ok(Opened::Nothing)
            }
            Some(20..=63) => {
                if self.ice.as_ref().is_none_or(|ice| ice.knows(from)) {
                    self.partner = Some(from);
                    self.association.receive(now, buffer);
                    self.take_keys();
                }
                Ok(Opened::Nothing)
            }
            Some(128..=191) => self.srtp.as_mut().ok_or(SrtpError::Keyless)?.open(buffer),
            _ => Err(SrtpError::Malformed),
        }
    }

    fn take_keys(&mut self) {
        if let Some(keys) = self.association.keys() {
            self.srtp = Some(Srtp::new(keys));
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Some(ice) = &mut self.ice {
            ice.tick(now);
            // Who begins the handshake waits until there is a way.
            if self.association.active && ice.selected.is_none() {
                return;
            }
        }
        self.association.tick(now);
        self.take_keys();
    }
}

/// What a datagram carried.
pub(crate) enum Opened {
    Rtp(usize),
    Rtcp(usize),
    /// Something that was dealt with here.
    Nothing,
}

impl Transport {
    /// Keys, certificates and names that are the same as before keep their place: how far each source has come, and what
    /// was seen.
    pub fn secure(&mut self, now: Instant, security: &Security) {
        match (security, &mut self.kind) {
            (Security::Plain, kind) => *kind = Kind::Plain,
            (Security::Srtp(keys), Kind::Srtp(srtp)) if srtp.keys == **keys => {}
            (Security::Srtp(keys), kind) => *kind = Kind::Srtp(Box::new(Srtp::new(**keys))),
            (Security::Dtls(params), _) => self.agree(now, params),
        }
    }

    fn agree(&mut self, now: Instant, params: &DtlsParams) {
        match &mut self.kind {
            Kind::Dtls(agreeing) => agreeing.renew(now, params),
            kind => *kind = Kind::Dtls(Box::new(Agreeing::new(now, params))),
        }
        self.tick(now);
    }

    /// More places where the peer may be.
    pub fn learn(&mut self, now: Instant, candidates: &[String]) {
        if let Kind::Dtls(agreeing) = &mut self.kind
            && let Some(ice) = &mut agreeing.ice
        {
            ice.learn(candidates);
            agreeing.tick(now);
        }
    }

    pub fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain)
    }

    /// Everything goes by the RTP socket.
    pub fn is_one_port(&self) -> bool {
        matches!(self.kind, Kind::Dtls(_))
    }

    /// The handshake is not over.
    pub fn is_agreeing(&self) -> bool {
        matches!(&self.kind, Kind::Dtls(agreeing) if agreeing.srtp.is_none())
    }

    /// `None`: packets go where the peer's description says. `Some(None)`: no way is found yet.
    pub fn way(&self) -> Option<Option<SocketAddr>> {
        match &self.kind {
            Kind::Dtls(agreeing) => agreeing.ice.as_ref().map(|ice| ice.selected),
            Kind::Plain | Kind::Srtp(_) => None,
        }
    }

    pub fn tick(&mut self, now: Instant) {
        if let Kind::Dtls(agreeing) = &mut self.kind {
            agreeing.tick(now);
        }
    }

    /// What ICE and DTLS have to send, and where; DTLS without ICE to who takes part in the handshake, at first to
    /// `told`.
    pub fn poll(&mut self, told: Option<SocketAddr>) -> Option<(SocketAddr, Vec<u8>)> {
        let Kind::Dtls(agreeing) = &mut self.kind else { return None };
        if let Some(out) = agreeing.ice.as_mut().and_then(Ice::poll) {
            return Some(out);
        }
        let to = agreeing.ice.as_ref().and_then(|ice| ice.selected).or(agreeing.partner).or(told)?;
        agreeing.association.poll().map(|packet| (to, packet))
    }

    /// Opens a datagram in a buffer of its own, to be given back by [`Transport::put_back`].
    pub fn open(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> (Vec<u8>, Result<Opened, SrtpError>) {
        let mut buffer = std::mem::take(&mut self.scratch);
        buffer.clear();
        buffer.extend_from_slice(datagram);
        let opened = match &mut self.kind {
            Kind::Plain if rtp::is_rtcp(datagram) => Ok(Opened::Rtcp(buffer.len())),
            Kind::Plain => Ok(Opened::Rtp(buffer.len())),
            Kind::Srtp(srtp) => srtp.open(&mut buffer),
            Kind::Dtls(agreeing) => agreeing.open(now, from, &mut buffer),
        };
        (buffer, opened)
    }

    pub fn put_back(&mut self, buffer: Vec<u8>) {
        self.scratch = buffer;
    }

    /// Protects the RTP packet that is `buffer` but for room of [`crate::srtp::MAX_TRAILER`] octets at its end.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        match self.srtp()? {
            None => Ok(length),
            Some(srtp) => srtp.outbound.protect_rtp(buffer, length),
        }
    }

    /// The same for an RTCP compound.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        match self.srtp()? {
            None => Ok(length),
            Some(srtp) => srtp.outbound.protect_rtcp(buffer, length),
        }
    }

    fn srtp(&mut self) -> Result<Option<&mut Srtp>, SrtpError> {
        match &mut self.kind {
            Kind::Plain => Ok(None),
            Kind::Srtp(srtp) => Ok(Some(srtp)),
            Kind::Dtls(agreeing) => agreeing.srtp.as_mut().map(Some).ok_or(SrtpError::Keyless),
        }
    }
}
