//! Keys as RTP events (RFC 4733).

mod receiver;
mod sender;

pub use receiver::{Press, Receiver};
pub use sender::{Packet, Sender};

/// Octets of the payload.
pub const PAYLOAD_LEN: usize = 4;
/// RFC 4733 3.2: the keys in the order of their event codes.
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// -10 dBm0, what most gateways send. RFC 4733 2.3.3: 0..=63, below -36 is refused by some.
const VOLUME: u8 = 10;

/// The payload of an event packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    pub event: u8,
    pub end: bool,
    /// Since the event's timestamp, in timestamp units; stops at 0xFFFF.
    pub duration: u16,
}

impl Payload {
    /// `None` when shorter than four octets. What follows them (more events, RFC 4733 2.5.1.5) is not read.
    pub fn parse(payload: &[u8]) -> Option<Payload> {
        let [event, flags, d0, d1] = *payload.first_chunk::<PAYLOAD_LEN>()?;
        Some(Payload { event, end: flags & 0x80 != 0, duration: u16::from_be_bytes([d0, d1]) })
    }

    pub fn octets(&self) -> [u8; PAYLOAD_LEN] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.end) << 7) | VOLUME, d0, d1]
    }

    /// The key, `None` for events that are no key (flash, fax tones).
    pub fn key(&self) -> Option<char> {
        KEYS.get(usize::from(self.event)).map(|key| char::from(*key))
    }
}

/// The event code of a key.
pub fn event_of(key: char) -> Option<u8> {
    let key = u8::try_from(key).ok()?.to_ascii_uppercase();
    KEYS.iter().position(|k| *k == key).map(|place| place as u8)
}

#[cfg(test)]
mod tests;
