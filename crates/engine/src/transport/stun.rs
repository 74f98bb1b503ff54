//! STUN on the SIP port: binding requests, by which phones keep their NAT open and learn of its changes (RFC 5626 4.4.2,
//! RFC 5389); and such a request of our own. Nothing else of STUN.

use std::net::{IpAddr, SocketAddr};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const FINGERPRINT: u16 = 0x8028;
/// What FINGERPRINT is the CRC-32 of, xored with (RFC 5389 15.5).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Comprehension-required attributes of RFC 5389 that may stand in a request. Nobody has to prove anything here.
const KNOWN: [u16; 4] = [0x0006, 0x0008, 0x0014, 0x0015];
/// The rest of what has to be understood; no attribute may be more.
const OPTIONAL: u16 = 0x8000;

/// Whether a datagram is none of SIP's (RFC 5389 8): no SIP message starts with such an octet.
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 4 && datagram[4..8] == COOKIE
}

/// The answer to a binding request that came from `source`; `None` where none is due.
pub(crate) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let kind = number(datagram, 0)?;
    let length = usize::from(number(datagram, 2)?);
    if kind != BINDING_REQUEST || datagram.len() != HEADER + length || length % 4 != 0 {
        return None;
    }
    let transaction = datagram.get(8..HEADER)?;
    let (mut unknown, mut fingerprint) = (Vec::new(), false);
    let mut at = HEADER;
    while at < datagram.len() {
        let (attribute, length) = (number(datagram, at)?, usize::from(number(datagram, at + 2)?));
        datagram.get(at + 4..at + 4 + length)?;
        if attribute == FINGERPRINT {
            if length != 4 || datagram[at + 4..at + 8] != crc(&datagram[..at]).to_be_bytes() {
                return None;
            }
            fingerprint = true;
        } else if attribute < OPTIONAL && !KNOWN.contains(&attribute) {
            unknown.extend(attribute.to_be_bytes());
        }
        at += 4 + length.next_multiple_of(4);
    }
    let mut message = Message::new(if unknown.is_empty() { BINDING_SUCCESS } else { BINDING_ERROR }, transaction);
    if unknown.is_empty() {
        message.attribute(XOR_MAPPED_ADDRESS, &mapped(source, transaction));
    } else {
        message.attribute(ERROR_CODE, b"\0\0\x04\x14Unknown Attribute");
        message.attribute(UNKNOWN_ATTRIBUTES, &unknown);
    }
    Some(message.finish(fingerprint))
}

/// A binding request.
pub(crate) fn request(transaction: &[u8; 12]) -> Vec<u8> {
    Message::new(BINDING_REQUEST, transaction).0
}

/// How the server that answered that request sees who made it; `None` for what is no such answer.
pub(crate) fn reflexive(datagram: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let whole = usize::from(number(datagram, 2)?) + HEADER == datagram.len();
    if !whole
        || number(datagram, 0)? != BINDING_SUCCESS
        || datagram[4..8] != COOKIE
        || datagram[8..HEADER] != *transaction
    {
        return None;
    }
    let mut at = HEADER;
    while at < datagram.len() {
        let (attribute, length) = (number(datagram, at)?, usize::from(number(datagram, at + 2)?));
        let value = datagram.get(at + 4..at + 4 + length)?;
        if attribute == XOR_MAPPED_ADDRESS {
            let mask = COOKIE.iter().chain(transaction);
            let address: Vec<u8> = value.get(4..)?.iter().zip(mask).map(|(octet, mask)| octet ^ mask).collect();
            let ip = match (value[1], address.len()) {
                (1, 4) => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
                (2, 16) => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
                _ => return None,
            };
            return Some(SocketAddr::new(ip, number(value, 2)? ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]])));
        }
        at += 4 + length.next_multiple_of(4);
    }
    None
}

fn number(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
}

/// RFC 5389 15.2: xored, so that no NAT that means well puts another address in.
fn mapped(source: SocketAddr, transaction: &[u8]) -> Vec<u8> {
    let mask: Vec<u8> = COOKIE.iter().chain(transaction).copied().collect();
    let (family, address) = match source.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend(source.port().to_be_bytes().iter().zip(&mask).map(|(octet, mask)| octet ^ mask));
    value.extend(address.iter().zip(&mask).map(|(octet, mask)| octet ^ mask));
    value
}

struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, transaction: &[u8]) -> Self {
        let mut octets = kind.to_be_bytes().to_vec();
        octets.extend([0, 0]);
        octets.extend(COOKIE);
        octets.extend(transaction);
        Self(octets)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(kind.to_be_bytes());
        // What is written here is a few dozen octets.
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let length = (self.0.len() - HEADER) as u16;
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
    }

    fn finish(mut self, fingerprint: bool) -> Vec<u8> {
        if fingerprint {
            // The length counts the attribute itself.
            let length = (self.0.len() - HEADER + 8) as u16;
            self.0[2..4].copy_from_slice(&length.to_be_bytes());
            let crc = crc(&self.0);
            self.attribute(FINGERPRINT, &crc.to_be_bytes());
        }
        self.0
    }
}

/// The value of FINGERPRINT after these octets.
fn crc(octets: &[u8]) -> u32 {
    let crc = octets.iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    !crc ^ FINGERPRINT_XOR
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 2.1, without SOFTWARE's and USERNAME's bearing on anything.
    const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e740024000\
                           46e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb5678\
                           1ef2b5b2d3f249c1b571a280280004e57a3bcf";

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = Message::new(BINDING_REQUEST, &octets("b7e7a701bc34d686fa87dfae"));
        for (kind, value) in attributes {
            message.attribute(*kind, value);
        }
        message.0
    }

    #[test]
    fn a_client_learns_how_it_is_seen() {
        let request = request(&[]);
        assert!(is_stun(&request));
        // RFC 5769 2.2 and 2.3: the same addresses, transaction and values.
        let answer_to = |source: &str| answer(&request, source.parse().unwrap()).unwrap();
        let v4 = "0101000c2112a442b7e7a701bc34d686fa87dfae002000080001a147e112a643";
        assert_eq!(answer_to("192.0.2.1:32853"), octets(v4));
        assert_eq!(answer_to("[::ffff:192.0.2.1]:32853"), octets(v4));
        let v6 = "010100182112a442b7e7a701bc34d686fa87dfae002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9";
        assert_eq!(answer_to("[2001:db8:1234:5678:11:2233:4455:6677]:32853"), octets(v6));
    }

    #[test]
    fn what_is_answered_is_understood_and_nothing_else() {
        let transaction: [u8; 12] = octets("b7e7a701bc34d686fa87dfae").try_into().unwrap();
        for source in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let source: SocketAddr = source.parse().unwrap();
            let told = answer(&super::request(&transaction), source).unwrap();
            assert_eq!(reflexive(&told, &transaction), Some(source));
            assert_eq!(reflexive(&told, &[0; 12]), None);
            for length in 0..told.len() {
                assert_eq!(reflexive(&told[..length], &transaction), None);
            }
        }
        assert_eq!(reflexive(&super::request(&transaction), &transaction), None);
    }

    #[test]
    fn a_fingerprint_is_checked_and_given_back() {
        // PRIORITY and ICE-CONTROLLED are ICE's: they have to be understood, and are not here.
        let vector = octets(REQUEST);
        let refused = answer(&vector, "192.0.2.1:9".parse().unwrap()).unwrap();
        assert_eq!((number(&refused, 0), &refused[20..28]), (Some(BINDING_ERROR), &octets("0009001500000414")[..]));
        assert!(refused.windows(8).any(|at| at == octets("000a000200240000")));
        let end = refused.len() - 8;
        assert_eq!(refused[end..end + 4], octets("80280004")[..]);
        assert_eq!(refused[end + 4..], crc(&refused[..end]).to_be_bytes());
        let mut forged = vector;
        forged[60] ^= 1;
        assert_eq!(answer(&forged, "192.0.2.1:9".parse().unwrap()), None);
    }

    #[test]
    fn what_is_no_request_gets_no_answer() {
        let source = "192.0.2.1:9".parse().unwrap();
        assert!(answer(&request(&[(0x8022, b"phone"), (0x0006, b"me")]), source).is_some());
        let response = answer(&request(&[]), source).unwrap();
        assert_eq!(answer(&response, source), None, "no answer to an answer");
        let whole = request(&[(0x8022, b"phone")]);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], source), None);
        }
        assert!(!is_stun(b"OPTIONS sip:x SIP/2.0\r\n\r\n") && !is_stun(&[0; 40]) && !is_stun(&whole[..19]));
        let mut lying = whole.clone();
        lying[22..24].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(answer(&lying, source), None);
    }
}
