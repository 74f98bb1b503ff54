use std::fmt;
use std::net::IpAddr;

use super::scan::{decimal, is_token, trim};
use super::{HeaderError, Name, Params};

/// One Via value (RFC 3261 20.42), read in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// Of SIP: `2.0`, or else of a request that is refused for it.
    pub version: &'a str,
    /// As written: `UDP`, `TCP`, `TLS`, `WS`, `WSS`, ...
    pub transport: &'a str,
    /// A name or address; IPv6 in brackets.
    pub host: &'a str,
    pub port: Option<u16>,
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Parses one value, not a list.
    pub fn parse(value: &'a [u8]) -> Result<Self, HeaderError> {
        Self::read(value).ok_or(HeaderError::Malformed(Name::Via))
    }

    fn read(value: &'a [u8]) -> Option<Self> {
        let (sent, params) = match memchr::memchr(b';', value) {
            Some(semicolon) => value.split_at(semicolon),
            None => (value, &[][..]),
        };
        let mut parts = sent.splitn(3, |&b| b == b'/');
        let protocol = trim(parts.next()?);
        let version = trim(parts.next()?);
        let rest = trim(parts.next()?);
        if !protocol.eq_ignore_ascii_case(b"SIP") || !is_token(version) {
            return None;
        }
        let space = rest.iter().position(|&b| b == b' ' || b == b'\t')?;
        let (transport, sent_by) = (&rest[..space], trim(&rest[space..]));
        if !is_token(transport) {
            return None;
        }
        let host_end = match sent_by.first()? {
            b'[' => memchr::memchr(b']', sent_by)? + 1,
            _ => memchr::memchr(b':', sent_by).unwrap_or(sent_by.len()),
        };
        let host = trim(&sent_by[..host_end]);
        let port = match trim(&sent_by[host_end..]) {
            [] => None,
            [b':', port @ ..] => Some(decimal(trim(port), 65_535)? as u16),
            _ => return None,
        };
        if !crate::uri::is_host(host) {
            return None;
        }
        Some(Self {
            version: std::str::from_utf8(version).ok()?,
            transport: std::str::from_utf8(transport).ok()?,
            host: std::str::from_utf8(host).ok()?,
            port,
            params: Params::new(params),
        })
    }

    /// Whether it says that SIP/2.0 was spoken.
    pub fn is_current(&self) -> bool {
        self.version == "2.0"
    }

    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// The address the message came from, as the receiver wrote it.
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get_str("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// RFC 3581: `Some(None)` asks for it, `Some(Some(port))` is the answer.
    pub fn rport(&self) -> Option<Option<u16>> {
        match self.params.get("rport") {
            Some(value) => Some(decimal(value, 65_535).map(|port| port as u16)),
            None => self.params.has("rport").then_some(None),
        }
    }

    /// The host as an address, when it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/{}/{} {}", self.version, self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in self.params.iter() {
            write!(f, ";{}", String::from_utf8_lossy(name))?;
            if let Some(value) = value {
                write!(f, "={}", String::from_utf8_lossy(value))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_allowed_around_everything() {
        let via =
            Via::parse(b"SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ; branch =  z9hG4bKa7.1")
                .unwrap();
        assert_eq!((via.transport, via.host, via.port), ("UDP", "first.example.com", Some(4000)));
        assert_eq!(via.branch(), Some(&b"z9hG4bKa7.1"[..]));
        assert_eq!(via.params.get("TTL"), Some(&b"16"[..]));
    }

    #[test]
    fn ipv6_and_rport() {
        let via = Via::parse(b"SIP/2.0/TCP [2001:db8::9:1]:5062;rport;received=2001:db8::1;branch=x").unwrap();
        assert_eq!((via.host, via.port), ("[2001:db8::9:1]", Some(5062)));
        assert_eq!(via.rport(), Some(None));
        assert_eq!(via.received(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(Via::parse(b"SIP/2.0/UDP h;rport=9").unwrap().rport(), Some(Some(9)));
    }

    #[test]
    fn another_version_is_read_so_that_it_can_be_answered() {
        let via = Via::parse(b"SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw").unwrap();
        assert!(!via.is_current());
        assert_eq!((via.host, via.branch()), ("c.example.com", Some(&b"z9hG4bKkdjuw"[..])));
        assert_eq!(via.to_string(), "SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw");
    }

    #[test]
    fn wrong_ones_are_refused() {
        for value in
            ["HTTP/2.0/UDP h", "SIP//UDP h", "SIP/2.0/UDP", "SIP/2.0/UDP h:x", "SIP/2.0/UDP ;;,;,,", "SIP/2.0/UDP [::1"]
        {
            assert!(Via::parse(value.as_bytes()).is_err(), "{value}");
        }
    }
}
