//! Messages as a capture file that tshark and Wireshark read.
//!
//! The classic format in microseconds, link type 101 (`LINKTYPE_RAW`: IPv4 or IPv6 without a link layer). Messages of
//! every transport are written as UDP datagrams: what TCP and TLS did around them was not kept, and this way their text is
//! readable.

use std::net::{IpAddr, SocketAddr};

use crate::ports::SipMessage;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const LINKTYPE_RAW: u32 = 101;
/// Longest packet of the file.
const SNAPLEN: u32 = 65_535;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
/// What a datagram carries at most (RFC 791); the rest of a longer message is cut.
const PAYLOAD: usize = 65_535 - IPV4_HEADER - UDP_HEADER;

/// The capture file of these messages.
#[must_use]
pub fn write<'a>(messages: impl Iterator<Item = &'a SipMessage>) -> Vec<u8> {
    let mut file = header();
    for message in messages {
        file.extend(record(message));
    }
    file
}

/// What a capture file begins with.
#[must_use]
pub fn header() -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(MAGIC_MICROSECONDS.to_le_bytes());
    file.extend(2u16.to_le_bytes());
    file.extend(4u16.to_le_bytes());
    file.extend([0; 8]);
    file.extend(SNAPLEN.to_le_bytes());
    file.extend(LINKTYPE_RAW.to_le_bytes());
    file
}

/// One message of a capture file, which is `header` and then these.
#[must_use]
pub fn record(message: &SipMessage) -> Vec<u8> {
    let (from, to) = match message.direction {
        "in" => (message.remote, message.local),
        _ => (message.local, message.remote),
    };
    let packet = packet(from, to, &message.octets[..message.octets.len().min(PAYLOAD)]);
    let seconds = u32::try_from(message.at.timestamp()).unwrap_or_default();
    let length = u32::try_from(packet.len()).unwrap_or(SNAPLEN);
    let mut record = Vec::with_capacity(16 + packet.len());
    record.extend(seconds.to_le_bytes());
    record.extend(message.at.timestamp_subsec_micros().min(999_999).to_le_bytes());
    record.extend(length.to_le_bytes());
    record.extend(length.to_le_bytes());
    record.extend(packet);
    record
}

fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = (UDP_HEADER + payload.len()) as u16;
    let mut udp = Vec::with_capacity(length.into());
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = [0; IPV4_HEADER];
            header[0] = 0x45;
            header[2..4].copy_from_slice(&(length + IPV4_HEADER as u16).to_be_bytes());
            header[8] = 64;
            header[9] = UDP;
            header[12..16].copy_from_slice(&from.octets());
            header[16..20].copy_from_slice(&to.octets());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            // RFC 768: a checksum of zero says that there is none.
            [&header[..], &udp].concat()
        }
        (from, to) => {
            let (from, to) = (sixteen(from), sixteen(to));
            // RFC 8200 8.1: over IPv6 there must be one, over a pseudo header too.
            let pseudo = [&from[..], &to, &u32::from(length).to_be_bytes(), &[0, 0, 0, UDP], &udp].concat();
            let sum = match checksum(&pseudo) {
                0 => 0xffff,
                sum => sum,
            };
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
            let fixed = [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[UDP, 64]].concat();
            [&fixed[..], &from, &to, &udp].concat()
        }
    }
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_its_checksum_sums_to_zero() {
        let packet = packet("127.0.0.1:1".parse().unwrap(), "127.0.0.2:2".parse().unwrap(), b"hello");
        assert_eq!(checksum(&packet[..IPV4_HEADER]), 0);
        assert_eq!(packet.len(), IPV4_HEADER + UDP_HEADER + 5);
        assert_eq!(&packet[IPV4_HEADER + UDP_HEADER..], b"hello");
    }

    #[test]
    fn ipv6_datagrams_carry_a_checksum() {
        let packet = packet("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap(), b"odd");
        let length = u32::from(u16::from_be_bytes([packet[4], packet[5]]));
        let pseudo = [&packet[8..40], &length.to_be_bytes(), &[0, 0, 0, UDP], &packet[40..]].concat();
        assert_eq!(checksum(&pseudo), 0);
    }
}
