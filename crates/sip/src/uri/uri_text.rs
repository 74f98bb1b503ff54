use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use super::escape::{escape_param, escape_user, hex, unescape, unescape_octets};
use crate::message::Params;

/// Why text is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("no URI scheme")]
    Scheme,
    #[error("malformed user part")]
    User,
    #[error("malformed host")]
    Host,
    #[error("malformed port")]
    Port,
    #[error("malformed URI parameters or headers")]
    Params,
    /// Longer than 8,192 octets.
    #[error("URI too long")]
    TooLong,
    #[error("octet that no URI may hold")]
    Octet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    /// Kept, but not understood: 416 as a Request-URI.
    Other,
}

const MAX_URI: usize = 8_192;

/// Where a part is in the text; `start == 0` says it is absent, as the scheme is always first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    start: u16,
    end: u16,
}

impl Part {
    fn new(start: usize, end: usize) -> Self {
        // Within MAX_URI by construction.
        Self { start: start as u16, end: end as u16 }
    }

    fn of(self, text: &str) -> Option<&str> {
        if self.start == 0 { None } else { text.get(usize::from(self.start)..usize::from(self.end)) }
    }
}

/// A URI, held as its text and the places of its parts: one allocation, cheap to clone.
///
/// `==` compares the text. RFC 3261 19.1.4 comparison is [`Uri::equivalent`]; it is not transitive, so it is not `==`.
#[derive(Clone)]
pub struct Uri {
    text: Arc<str>,
    parts: Parts,
}

/// Where everything is.
#[derive(Debug, Clone, Copy)]
struct Parts {
    scheme: Scheme,
    user: Part,
    password: Part,
    host: Part,
    port: Option<u16>,
    /// With the leading `;`.
    params: Part,
    /// Without the leading `?`.
    headers: Part,
}

impl Parts {
    fn locate(octets: &[u8]) -> Result<(&str, Self), UriError> {
        if octets.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        if octets.iter().any(|&b| b <= b' ' || b == 0x7f || matches!(b, b'<' | b'>' | b'"')) {
            return Err(UriError::Octet);
        }
        let text = std::str::from_utf8(octets).map_err(|_| UriError::Octet)?;
        let colon = text.find(':').ok_or(UriError::Scheme)?;
        let name = &text[..colon];
        let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !valid || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(UriError::Scheme);
        }
        let scheme = if name.eq_ignore_ascii_case("sip") {
            Scheme::Sip
        } else if name.eq_ignore_ascii_case("sips") {
            Scheme::Sips
        } else if name.eq_ignore_ascii_case("tel") {
            Scheme::Tel
        } else {
            Scheme::Other
        };
        let none = Part::default();
        let mut parts =
            Self { scheme, user: none, password: none, host: none, port: None, params: none, headers: none };
        match scheme {
            Scheme::Sip | Scheme::Sips => parts.locate_sip(text, colon + 1)?,
            Scheme::Tel => parts.locate_tel(text, colon + 1)?,
            Scheme::Other if text.len() == colon + 1 => return Err(UriError::Host),
            Scheme::Other => {}
        }
        Ok((text, parts))
    }

    fn locate_sip(&mut self, text: &str, start: usize) -> Result<(), UriError> {
        let octets = text.as_bytes();
        let mut at = start;
        // `@` stands unescaped only after the user part, which may itself hold `;`, `?` and `/`.
        if let Some(sign) = memchr::memchr(b'@', &octets[start..]) {
            let end = start + sign;
            let user_end = memchr::memchr(b':', &octets[start..end]).map_or(end, |colon| start + colon);
            if user_end == start || !escapes_are_whole(&octets[start..end]) {
                return Err(UriError::User);
            }
            self.user = Part::new(start, user_end);
            if user_end < end {
                self.password = Part::new(user_end + 1, end);
            }
            at = end + 1;
        }
        let host_end = match octets.get(at) {
            Some(b'[') => at + memchr::memchr(b']', &octets[at..]).ok_or(UriError::Host)? + 1,
            _ => octets[at..].iter().position(|b| matches!(b, b':' | b';' | b'?')).map_or(octets.len(), |n| at + n),
        };
        if !is_host(&octets[at..host_end]) {
            return Err(UriError::Host);
        }
        self.host = Part::new(at, host_end);
        at = host_end;
        if octets.get(at) == Some(&b':') {
            let end = octets[at..].iter().position(|b| matches!(b, b';' | b'?')).map_or(octets.len(), |n| at + n);
            let port = &text[at + 1..end];
            if !port.bytes().all(|b| b.is_ascii_digit()) {
                return Err(UriError::Port);
            }
            self.port = Some(port.parse().map_err(|_| UriError::Port)?);
            at = end;
        }
        self.locate_params(text, at)
    }

    fn locate_tel(&mut self, text: &str, start: usize) -> Result<(), UriError> {
        let end = text[start..].find(';').map_or(text.len(), |n| start + n);
        let number = &text[start..end];
        let visual = |b: u8| matches!(b, b'-' | b'.' | b'(' | b')');
        let digit = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#');
        let digits = number.strip_prefix('+').unwrap_or(number);
        if !digits.bytes().any(digit) || !digits.bytes().all(|b| digit(b) || visual(b)) {
            return Err(UriError::User);
        }
        self.user = Part::new(start, end);
        self.locate_params(text, end)
    }

    fn locate_params(&mut self, text: &str, at: usize) -> Result<(), UriError> {
        let octets = text.as_bytes();
        let question = memchr::memchr(b'?', &octets[at..]).map_or(octets.len(), |n| at + n);
        if question > at {
            if octets[at] != b';' || !escapes_are_whole(&octets[at..question]) {
                return Err(UriError::Params);
            }
            self.params = Part::new(at, question);
        }
        if question < octets.len() {
            if !escapes_are_whole(&octets[question..]) {
                return Err(UriError::Params);
            }
            self.headers = Part::new(question + 1, octets.len());
        }
        Ok(())
    }
}

impl Uri {
    pub fn parse(octets: &[u8]) -> Result<Self, UriError> {
        let (text, parts) = Parts::locate(octets)?;
        Ok(Self { text: text.into(), parts })
    }

    /// [`Self::parse`] without keeping it: the scheme of a well-formed URI.
    pub fn check(octets: &[u8]) -> Result<Scheme, UriError> {
        Parts::locate(octets).map(|(_, parts)| parts.scheme)
    }

    /// `sip:user@address:port`; the user part is escaped as needed, IPv6 bracketed.
    pub fn from_addr(user: Option<&str>, address: SocketAddr) -> Self {
        Self::assemble(
            "sip",
            user.map(escape_user).as_deref(),
            None,
            &address.ip().to_host(),
            Some(address.port()),
            "",
            "",
        )
    }

    /// `sip:user@host[:port]`; the user part is escaped as needed.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Result<Self, UriError> {
        if !is_host(host.as_bytes()) || host.len() > 255 {
            return Err(UriError::Host);
        }
        let user = user.map(escape_user);
        if user.as_deref().is_some_and(|user| user.is_empty() || user.len() > 1_024) {
            return Err(UriError::User);
        }
        Ok(Self::assemble("sip", user.as_deref(), None, host, port, "", ""))
    }

    /// Parts must be valid and within the length limit; all callers pass what was parsed or escaped.
    fn assemble(
        scheme: &str,
        user: Option<&str>,
        password: Option<&str>,
        host: &str,
        port: Option<u16>,
        params: &str,
        headers: &str,
    ) -> Self {
        let mut text = String::with_capacity(host.len() + params.len() + headers.len() + 40);
        text.push_str(scheme);
        text.push(':');
        let place = |text: &mut String, value: &str| {
            let start = text.len();
            text.push_str(value);
            Part::new(start, text.len())
        };
        let none = Part::default();
        let (mut user_part, mut password_part) = (none, none);
        if let Some(user) = user {
            user_part = place(&mut text, user);
            if let Some(password) = password {
                text.push(':');
                password_part = place(&mut text, password);
            }
            if !host.is_empty() {
                text.push('@');
            }
        }
        let host_part = if host.is_empty() { none } else { place(&mut text, host) };
        if let Some(port) = port {
            let _ = write!(text, ":{port}");
        }
        let params = if params.is_empty() { none } else { place(&mut text, params) };
        let headers = if headers.is_empty() {
            none
        } else {
            text.push('?');
            place(&mut text, headers)
        };
        let scheme = match scheme {
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            "tel" => Scheme::Tel,
            _ => Scheme::Other,
        };
        let parts = Parts { scheme, user: user_part, password: password_part, host: host_part, port, params, headers };
        Self { text: text.into(), parts }
    }

    fn rebuild(&self, user: Option<&str>, host: &str, port: Option<u16>, params: &str, headers: &str) -> Self {
        let scheme = match self.parts.scheme {
            Scheme::Sip => "sip",
            Scheme::Sips => "sips",
            Scheme::Tel => "tel",
            // Opaque: there is nothing to put together anew.
            Scheme::Other => return self.clone(),
        };
        let total = self.text.len() + params.len() + user.map_or(0, str::len) + host.len();
        if total > usize::from(u16::MAX) {
            return self.clone();
        }
        Self::assemble(scheme, user, self.password(), host, port, params, headers)
    }

    pub fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme as written.
    pub fn scheme_str(&self) -> &str {
        self.text.split(':').next().unwrap_or_default()
    }

    pub fn is_sip(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part as written, escapes and all; the number of a tel URI.
    pub fn user(&self) -> Option<&str> {
        self.parts.user.of(&self.text)
    }

    /// The user part without escapes.
    pub fn user_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.user().map(unescape)
    }

    pub fn password(&self) -> Option<&str> {
        self.parts.password.of(&self.text)
    }

    /// Name or address, IPv6 in brackets; empty for tel and unknown schemes.
    pub fn host(&self) -> &str {
        self.parts.host.of(&self.text).unwrap_or_default()
    }

    pub fn host_ip(&self) -> Option<IpAddr> {
        self.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// Where the URI points when its host is an address: port 5060 when it has none, 5061 for sips.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let default = if self.parts.scheme == Scheme::Sips { 5061 } else { 5060 };
        Some(SocketAddr::new(self.host_ip()?, self.parts.port.unwrap_or(default)))
    }

    pub fn params(&self) -> Params<'_> {
        Params::new(self.parts.params.of(&self.text).unwrap_or_default().as_bytes())
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get_str(name)
    }

    /// Whether a loose router wrote it (RFC 3261 19.1.1).
    pub fn is_loose(&self) -> bool {
        self.params().has("lr")
    }

    /// What stands after `?`, as written.
    pub fn headers(&self) -> Option<&str> {
        self.parts.headers.of(&self.text)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A copy in which a parameter has this value (a flag when `None`); added at the end when it was not there.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Self {
        let mut params = self.params_without(name);
        let _ = write!(params, ";{}", escape_param(name));
        if let Some(value) = value {
            let _ = write!(params, "={}", escape_param(value));
        }
        self.rebuild(self.user(), self.host(), self.parts.port, &params, self.headers().unwrap_or_default())
    }

    pub fn without_param(&self, name: &str) -> Self {
        let params = self.params_without(name);
        self.rebuild(self.user(), self.host(), self.parts.port, &params, self.headers().unwrap_or_default())
    }

    /// Scheme, user, host and port only.
    pub fn without_params(&self) -> Self {
        self.rebuild(self.user(), self.host(), self.parts.port, "", "")
    }

    /// A copy with another user part, escaped as needed.
    pub fn with_user(&self, user: &str) -> Self {
        let user = escape_user(user);
        let params = self.parts.params.of(&self.text).unwrap_or_default();
        self.rebuild(Some(&user), self.host(), self.parts.port, params, self.headers().unwrap_or_default())
    }

    /// A copy that points to an address.
    pub fn with_addr(&self, address: SocketAddr) -> Self {
        let params = self.parts.params.of(&self.text).unwrap_or_default();
        let host = address.ip().to_host();
        self.rebuild(self.user(), &host, Some(address.port()), params, self.headers().unwrap_or_default())
    }

    fn params_without(&self, name: &str) -> String {
        let mut kept = String::new();
        for (n, value) in self.params().iter() {
            if n.eq_ignore_ascii_case(name.as_bytes()) {
                continue;
            }
            let _ = write!(kept, ";{}", String::from_utf8_lossy(n));
            if let Some(value) = value {
                let _ = write!(kept, "={}", String::from_utf8_lossy(value));
            }
        }
        kept
    }

    /// RFC 3261 19.1.4: whether both name the same resource in the same way.
    pub fn equivalent(&self, other: &Self) -> bool {
        // A URI is itself even when it repeats a parameter, which leaves open what that parameter is.
        if self.text == other.text {
            return true;
        }
        if self.parts.scheme != other.parts.scheme {
            return false;
        }
        match self.parts.scheme {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel => return tel_digits(self.user()) == tel_digits(other.user()),
            Scheme::Other => return self.text.eq_ignore_ascii_case(&other.text),
        }
        same_escaped(self.user(), other.user())
            && same_escaped(self.password(), other.password())
            && self.host().eq_ignore_ascii_case(other.host())
            && self.parts.port == other.parts.port
            && same_params(self.params(), other.params())
            && same_params(other.params(), self.params())
            && same_headers(self.headers(), other.headers())
    }
}

fn same_escaped(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || unescape_octets(a.as_bytes()) == unescape_octets(b.as_bytes()),
        (None, None) => true,
        _ => false,
    }
}

/// Every parameter of `a` either matches that of `b` or may be missing there.
fn same_params(a: Params<'_>, b: Params<'_>) -> bool {
    a.iter().all(|(name, value)| {
        let counterpart = b.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        match counterpart {
            Some((_, other)) => {
                let decode = |value: Option<&[u8]>| value.map(unescape_octets).unwrap_or_default();
                decode(value).eq_ignore_ascii_case(&decode(other))
            }
            // RFC 3261 19.1.4: these count even when only one URI has them.
            None => !["user", "ttl", "method", "maddr", "transport"]
                .iter()
                .any(|counts| name.eq_ignore_ascii_case(counts.as_bytes())),
        }
    })
}

fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let sorted = |headers: Option<&str>| {
        let mut all: Vec<(String, Vec<u8>)> = headers
            .unwrap_or_default()
            .split('&')
            .filter(|header| !header.is_empty())
            .map(|header| {
                let (name, value) = header.split_once('=').unwrap_or((header, ""));
                (name.to_ascii_lowercase(), unescape_octets(value.as_bytes()))
            })
            .collect();
        all.sort();
        all
    };
    match (a, b) {
        (None, None) => true,
        _ => sorted(a) == sorted(b),
    }
}

fn tel_digits(number: Option<&str>) -> String {
    number.unwrap_or_default().chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()
}

fn escapes_are_whole(octets: &[u8]) -> bool {
    memchr::memchr_iter(b'%', octets)
        .all(|at| octets.get(at + 1).and_then(hex).is_some() && octets.get(at + 2).and_then(hex).is_some())
}

/// hostname, IPv4address or IPv6reference of RFC 3261 25.1; `_` is taken too, as names in the field have it.
pub(crate) fn is_host(host: &[u8]) -> bool {
    match host {
        [b'[', inner @ .., b']'] => {
            std::str::from_utf8(inner).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
        }
        [] => false,
        _ => host.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    }
}

trait ToHost {
    fn to_host(&self) -> String;
}

impl ToHost for IpAddr {
    fn to_host(&self) -> String {
        match self {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl std::hash::Hash for Uri {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text.as_bytes())
    }
}
