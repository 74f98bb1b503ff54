//! What stands between a leg and its sockets: nothing, or SRTP.

use crate::control::Security;
use crate::rtp;
use crate::srtp::{Inbound, Outbound, SrtpError, SrtpKeys};

/// How the packets of a leg are protected.
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
}

struct Srtp {
    keys: SrtpKeys,
    outbound: Outbound,
    inbound: Inbound,
}

/// What a datagram carried.
pub(crate) enum Opened {
    Rtp(usize),
    Rtcp(usize),
}

impl Transport {
    /// Keys that are the same as before keep their place: how far each source has come, and what was seen.
    pub fn secure(&mut self, security: &Security) {
        match (security, &self.kind) {
            (Security::Plain, _) => self.kind = Kind::Plain,
            (Security::Srtp(keys), Kind::Srtp(srtp)) if srtp.keys == **keys => {}
            (Security::Srtp(keys), _) => {
                self.kind = Kind::Srtp(Box::new(Srtp {
                    keys: **keys,
                    outbound: Outbound::new(&keys.local),
                    inbound: Inbound::new(&keys.remote),
                }));
            }
        }
    }

    pub fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain)
    }

    /// Opens a datagram in a buffer of its own, to be given back by [`Transport::put_back`].
    pub fn open(&mut self, datagram: &[u8]) -> (Vec<u8>, Result<Opened, SrtpError>) {
        let mut buffer = std::mem::take(&mut self.scratch);
        buffer.clear();
        buffer.extend_from_slice(datagram);
        let is_rtcp = rtp::is_rtcp(datagram);
        let opened = match &mut self.kind {
            Kind::Plain if is_rtcp => Ok(Opened::Rtcp(buffer.len())),
            Kind::Plain => Ok(Opened::Rtp(buffer.len())),
            Kind::Srtp(srtp) if is_rtcp => srtp.inbound.unprotect_rtcp(&mut buffer).map(Opened::Rtcp),
            Kind::Srtp(srtp) => srtp.inbound.unprotect_rtp(&mut buffer).map(Opened::Rtp),
        };
        (buffer, opened)
    }

    pub fn put_back(&mut self, buffer: Vec<u8>) {
        self.scratch = buffer;
    }

    /// Protects the RTP packet that is `buffer` but for room of [`crate::srtp::MAX_TRAILER`] octets at its end.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        match &mut self.kind {
            Kind::Plain => Ok(length),
            Kind::Srtp(srtp) => srtp.outbound.protect_rtp(buffer, length),
        }
    }

    /// The same for an RTCP compound.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        match &mut self.kind {
            Kind::Plain => Ok(length),
            Kind::Srtp(srtp) => srtp.outbound.protect_rtcp(buffer, length),
        }
    }
}
