//! The cryptographic contexts (RFC 3711 3.2) of one direction: its keys, and of each source how far it has come.

use super::cipher::{Cipher, Place};
use super::derive::Derivation;
use super::replay::Window;
use super::{MasterKey, SrtpError};
use crate::rtp::HEADER_LEN;

/// Sources that may send with one key.
const MAX_SOURCES: usize = 64;
/// Octets of RTCP that stay in the clear: the first header and its SSRC.
const RTCP_CLEAR: usize = 8;
/// Octets of the E bit and the SRTCP index.
const INDEX: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

struct Keys {
    rtp: Cipher,
    rtcp: Cipher,
}

impl Keys {
    fn new(master: &MasterKey) -> Self {
        let derivation = Derivation::new(master);
        Self { rtp: Cipher::rtp(master, &derivation), rtcp: Cipher::rtcp(master, &derivation) }
    }
}

#[derive(Clone, Copy, Default)]
struct Source {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
    /// Of the next RTCP packet that is sent.
    rtcp_index: u32,
}

/// By SSRC. A source is added when a packet of it has proved itself.
#[derive(Default)]
struct Sources(Vec<Source>);

impl Sources {
    fn get(&self, ssrc: u32) -> Result<Source, SrtpError> {
        match self.0.iter().find(|source| source.ssrc == ssrc) {
            Some(source) => Ok(*source),
            None if self.0.len() >= MAX_SOURCES => Err(SrtpError::TooManySources),
            None => Ok(Source { ssrc, ..Source::default() }),
        }
    }

    fn put(&mut self, source: Source) {
        match self.0.iter_mut().find(|known| known.ssrc == source.ssrc) {
            Some(known) => *known = source,
            None => self.0.push(source),
        }
    }
}

/// Protects what is sent.
pub struct Outbound {
    keys: Keys,
    sources: Sources,
}

impl Outbound {
    pub fn new(master: &MasterKey) -> Self {
        Self { keys: Keys::new(master), sources: Sources::default() }
    }

    /// Protects the RTP packet in `buffer[..length]`; behind it there must be room for the tag, at most
    /// [`super::MAX_TRAILER`] octets. Returns its new length. A sequence number is sent once: with a key, an index
    /// used twice would give away both packets.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let cipher = &self.keys.rtp;
        let packet = buffer.get(..length).ok_or(SrtpError::Malformed)?;
        let Header { clear, sequence, ssrc } = Header::of(packet)?;
        let end = length + cipher.tag();
        let buffer = buffer.get_mut(..end).ok_or(SrtpError::NoRoom)?;
        let mut source = self.sources.get(ssrc)?;
        let index = source.rtp.estimate(sequence).ok_or(SrtpError::Exhausted)?;
        if !source.rtp.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        let (packet, room) = buffer.split_at_mut(length);
        let tag = cipher.seal(Place { ssrc, index }, packet, clear, rollover(index), false)?;
        room.copy_from_slice(&tag[..cipher.tag()]);
        source.rtp.mark(index);
        self.sources.put(source);
        Ok(end)
    }

    /// The same for an RTCP compound.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let cipher = &self.keys.rtcp;
        let ssrc = rtcp_ssrc(buffer.get(..length).ok_or(SrtpError::Malformed)?)?;
        let end = length + INDEX + cipher.tag();
        let buffer = buffer.get_mut(..end).ok_or(SrtpError::NoRoom)?;
        let mut source = self.sources.get(ssrc)?;
        let index = source.rtcp_index;
        if index >= ENCRYPTED {
            return Err(SrtpError::Exhausted);
        }
        source.rtcp_index += 1;
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let (packet, room) = buffer.split_at_mut(length);
        let tag = cipher.seal(Place { ssrc, index: index.into() }, packet, RTCP_CLEAR, trailer, true)?;
        let tag = &tag[..cipher.tag()];
        // RFC 3711 3.4: the index and then the tag; RFC 7714 9.2: the tag belongs to what is encrypted.
        let (index_at, tag_at) = if cipher.is_aead() { (tag.len(), 0) } else { (0, INDEX) };
        room[index_at..index_at + INDEX].copy_from_slice(&trailer);
        room[tag_at..tag_at + tag.len()].copy_from_slice(tag);
        self.sources.put(source);
        Ok(end)
    }
}

/// Opens what was received.
pub struct Inbound {
    keys: Keys,
    sources: Sources,
}

impl Inbound {
    pub fn new(master: &MasterKey) -> Self {
        Self { keys: Keys::new(master), sources: Sources::default() }
    }

    /// Makes an SRTP packet an RTP packet and returns its length. The octets of one that fails are undefined.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let Header { clear, sequence, ssrc } = Header::of(packet)?;
        let mut source = self.sources.get(ssrc)?;
        let index = source.rtp.estimate(sequence).filter(|index| source.rtp.is_new(*index));
        let index = index.ok_or(SrtpError::Replayed)?;
        let length = self.keys.rtp.open(Place { ssrc, index }, packet, clear, rollover(index), false)?;
        source.rtp.mark(index);
        self.sources.put(source);
        Ok(length)
    }

    /// Makes an SRTCP packet an RTCP compound and returns its length. The octets of one that fails are undefined.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let cipher = &self.keys.rtcp;
        let ssrc = rtcp_ssrc(packet)?;
        let behind = if cipher.is_aead() { 0 } else { cipher.tag() };
        let index_at = packet.len().checked_sub(behind + INDEX).ok_or(SrtpError::Malformed)?;
        let mut trailer = [0; INDEX];
        trailer.copy_from_slice(&packet[index_at..index_at + INDEX]);
        let word = u32::from_be_bytes(trailer);
        if word & ENCRYPTED == 0 {
            return Err(SrtpError::Clear);
        }
        let mut source = self.sources.get(ssrc)?;
        let index = u64::from(word & !ENCRYPTED);
        if !source.rtcp.is_new(index) {
            return Err(SrtpError::Replayed);
        }
        // The index is taken out, so that packet and tag lie side by side.
        packet.copy_within(index_at + INDEX.., index_at);
        let end = packet.len() - INDEX;
        let place = Place { ssrc, index };
        let length = cipher.open(place, &mut packet[..end], RTCP_CLEAR, trailer, true)?;
        source.rtcp.mark(index);
        self.sources.put(source);
        Ok(length)
    }
}

/// RFC 3711 4.2: of RTP the rollover counter is authenticated with the packet.
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    match packet {
        [first, _, _, _, a, b, c, d, ..] if first >> 6 == 2 => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SrtpError::Malformed),
    }
}

/// What of an RTP packet is in the clear.
struct Header {
    /// Octets before the payload: fixed header, contributing sources, extension.
    clear: usize,
    sequence: u16,
    ssrc: u32,
}

impl Header {
    fn of(packet: &[u8]) -> Result<Self, SrtpError> {
        let fixed = packet.first_chunk::<HEADER_LEN>().ok_or(SrtpError::Malformed)?;
        let [first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return Err(SrtpError::Malformed);
        }
        let mut clear = HEADER_LEN + usize::from(first & 0x0F) * 4;
        if first & 0x10 != 0 {
            let Some([_, _, high, low]) = packet.get(clear..clear + 4) else { return Err(SrtpError::Malformed) };
            clear += 4 + usize::from(u16::from_be_bytes([*high, *low])) * 4;
        }
        if clear > packet.len() {
            return Err(SrtpError::Malformed);
        }
        Ok(Self { clear, sequence: u16::from_be_bytes([s0, s1]), ssrc: u32::from_be_bytes([c0, c1, c2, c3]) })
    }
}
