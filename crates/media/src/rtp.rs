//! RTP packets (RFC 3550 5), read from and written to byte slices without allocation.

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 12;
/// The longest datagram read; longer ones are cut by the socket and then refused or harmless.
pub const MAX_DATAGRAM: usize = 1500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    #[error("shorter than its header says")]
    Truncated,
    #[error("RTP version {0}, not 2")]
    Version(u8),
    #[error("padding longer than the payload")]
    Padding,
}

/// The fields of the fixed header a sender decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    /// 0..=127.
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Header {
    /// The twelve octets: version 2, no padding, no extension, no contributing sources.
    pub fn octets(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        octets[0] = 0x80;
        octets[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7F);
        octets[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        octets[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        octets[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        octets
    }
}

/// A packet in a datagram. Contributing sources, extension and padding are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    pub header: Header,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, RtpError> {
        let (fixed, mut rest) = datagram.split_first_chunk::<HEADER_LEN>().ok_or(RtpError::Truncated)?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return Err(RtpError::Version(first >> 6));
        }
        let contributing = usize::from(first & 0x0F) * 4;
        rest = rest.get(contributing..).ok_or(RtpError::Truncated)?;
        if first & 0x10 != 0 {
            // RFC 3550 5.3.1: 16 bits of profile, 16 bits of length in words, then the words.
            let (prefix, after) = rest.split_first_chunk::<4>().ok_or(RtpError::Truncated)?;
            let words = usize::from(u16::from_be_bytes([prefix[2], prefix[3]]));
            rest = after.get(words * 4..).ok_or(RtpError::Truncated)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(RtpError::Padding)?);
            if padding == 0 || padding > rest.len() {
                return Err(RtpError::Padding);
            }
            rest = &rest[..rest.len() - padding];
        }
        Ok(Packet {
            header: Header {
                marker: second & 0x80 != 0,
                payload_type: second & 0x7F,
                sequence: u16::from_be_bytes([s0, s1]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            },
            payload: rest,
        })
    }
}

/// RFC 5761 4: RTCP that shares the RTP port is told by its packet type, 192..=223.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

/// How far `to` is after `from`, negative when it is before (RFC 1982 arithmetic).
pub fn sequence_distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from) as i16
}

/// The same for timestamps.
pub fn timestamp_distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 8, sequence: 0xFFFE, timestamp: 0xDEAD_BEEF, ssrc: 0x0102_0304 };

    #[test]
    fn what_is_written_is_read() {
        let mut datagram = HEADER.octets().to_vec();
        datagram.extend_from_slice(&[1, 2, 3]);
        assert_eq!(Packet::parse(&datagram), Ok(Packet { header: HEADER, payload: &[1, 2, 3] }));
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_skipped() {
        let mut datagram = HEADER.octets().to_vec();
        datagram[0] = 0x80 | 0x20 | 0x10 | 2;
        datagram.extend_from_slice(&[9; 8]); // two contributing sources
        datagram.extend_from_slice(&[0xBE, 0xDE, 0, 1, 7, 7, 7, 7]); // one word of extension
        datagram.extend_from_slice(&[42, 43, 0, 0, 3]); // payload, three octets of padding
        assert_eq!(Packet::parse(&datagram).unwrap().payload, &[42, 43]);
    }

    #[test]
    fn broken_packets_are_refused() {
        let good = HEADER.octets();
        assert_eq!(Packet::parse(&good[..11]), Err(RtpError::Truncated));
        let with = |first: u8, tail: &[u8]| {
            let mut datagram = good.to_vec();
            datagram[0] = first;
            datagram.extend_from_slice(tail);
            Packet::parse(&datagram).map(|p| p.payload.len())
        };
        assert_eq!(with(0x40, &[]), Err(RtpError::Version(1)));
        assert_eq!(with(0x81, &[0; 3]), Err(RtpError::Truncated));
        assert_eq!(with(0x90, &[0, 0, 0xFF, 0xFF, 1]), Err(RtpError::Truncated));
        assert_eq!(with(0xA0, &[]), Err(RtpError::Padding));
        assert_eq!(with(0xA0, &[1, 4]), Err(RtpError::Padding));
        assert_eq!(with(0xA0, &[1, 0]), Err(RtpError::Padding));
        assert_eq!(with(0xA0, &[1, 2]), Ok(0));
    }

    #[test]
    fn distances_wrap() {
        assert_eq!(sequence_distance(0xFFFF, 1), 2);
        assert_eq!(sequence_distance(1, 0xFFFF), -2);
        assert_eq!(timestamp_distance(u32::MAX - 79, 80), 160);
    }
}
