use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::scan::{Values, decimal, find_outside, is_space, quoted_end, trim};
use super::{HeaderError, Method, Name, Params, Via};
use crate::uri::NameAddr;

/// A range of octets of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        // The parser takes 65,535 octets at most, and no builder is given 4 GB.
        Self { start: start as u32, end: end as u32 }
    }

    pub fn of(self, octets: &[u8]) -> &[u8] {
        octets.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Where one header field is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub known: Option<Name>,
    pub name: Span,
    pub value: Span,
}

/// The header fields of one message in their order. Clones share the octets.
#[derive(Clone)]
pub struct Headers {
    pub(super) octets: Bytes,
    pub(super) entries: Arc<[Entry]>,
}

/// CSeq (RFC 3261 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 8.1.1.5).
    pub number: u32,
    pub method: Method,
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

impl Headers {
    /// The value of the first header field of that name, without white space around it.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all header fields of that name, one a line, lists not taken apart.
    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &[u8]> + Clone {
        self.entries.iter().filter(move |entry| entry.known == Some(name)).map(|entry| entry.value.of(&self.octets))
    }

    /// All values of that name, comma-separated lists taken apart (RFC 3261 7.3.1).
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).flat_map(Values::new)
    }

    /// Like [`Self::get`] for any name, known or not, without regard to case.
    pub fn get_by_name(&self, name: &str) -> Option<&[u8]> {
        match Name::parse(name.as_bytes()) {
            Some(known) => self.get(known),
            None => self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value),
        }
    }

    pub fn has(&self, name: Name) -> bool {
        self.get(name).is_some()
    }

    /// Every header field as written: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| (entry.name.of(&self.octets), entry.value.of(&self.octets)))
    }

    /// Like [`Self::iter`] with the known name.
    pub fn iter_known(&self) -> impl Iterator<Item = (Option<Name>, &[u8], &[u8])> {
        self.entries.iter().map(|entry| (entry.known, entry.name.of(&self.octets), entry.value.of(&self.octets)))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a list header (Supported, Require, Allow, ...) names `token`, without regard to case.
    pub fn lists(&self, name: Name, token: &str) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    pub fn call_id(&self) -> Option<&[u8]> {
        self.get(Name::CallId)
    }

    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        let value = self.get(Name::CSeq).ok_or(HeaderError::Missing(Name::CSeq))?;
        let malformed = HeaderError::Malformed(Name::CSeq);
        let space = value.iter().position(|&b| is_space(b)).ok_or(malformed)?;
        let number = decimal(&value[..space], (1 << 31) - 1).ok_or(malformed)? as u32;
        let method = Method::parse(trim(&value[space..])).ok_or(malformed)?;
        Ok(CSeq { number, method })
    }

    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.name_addr(Name::From)
    }

    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.name_addr(Name::To)
    }

    /// The tag of From, `None` when there is none (RFC 2543 clients).
    pub fn from_tag(&self) -> Option<&[u8]> {
        tag(self.get(Name::From)?)
    }

    pub fn to_tag(&self) -> Option<&[u8]> {
        tag(self.get(Name::To)?)
    }

    /// The only value of a header as an address.
    pub fn name_addr(&self, name: Name) -> Result<NameAddr, HeaderError> {
        let value = self.get(name).ok_or(HeaderError::Missing(name))?;
        NameAddr::parse(value).map_err(|_| HeaderError::Malformed(name))
    }

    /// The values of a header as addresses, lists taken apart.
    pub fn name_addrs(&self, name: Name) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        self.values(name).map(move |value| NameAddr::parse(value).map_err(|_| HeaderError::Malformed(name)))
    }

    /// The topmost Via value.
    pub fn via(&self) -> Result<Via<'_>, HeaderError> {
        Via::parse(self.values(Name::Via).next().ok_or(HeaderError::Missing(Name::Via))?)
    }

    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, HeaderError>> {
        self.values(Name::Via).map(Via::parse)
    }

    /// Addresses of Contact; `*` is no address, see [`Self::contact_star`].
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        self.name_addrs(Name::Contact)
    }

    /// Whether Contact is `*` (REGISTER that removes every binding).
    pub fn contact_star(&self) -> bool {
        let mut values = self.values(Name::Contact);
        values.next() == Some(b"*") && values.next().is_none()
    }

    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        self.name_addrs(Name::Route)
    }

    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
        self.name_addrs(Name::RecordRoute)
    }

    /// `None` when absent; 0..=255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        Ok(self.number(Name::MaxForwards, 255)?.map(|hops| hops as u8))
    }

    /// Seconds, 0..=2^32-1; `None` when absent.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        Ok(self.number(Name::Expires, u64::from(u32::MAX))?.map(|seconds| seconds as u32))
    }

    /// A header that is one decimal number, at most `max`.
    pub fn number(&self, name: Name, max: u64) -> Result<Option<u64>, HeaderError> {
        match self.get(name) {
            Some(value) => decimal(value, max).map(Some).ok_or(HeaderError::Malformed(name)),
            None => Ok(None),
        }
    }

    /// Type and subtype as written, without parameters.
    pub fn content_type(&self) -> Option<&str> {
        let value = self.get(Name::ContentType)?;
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        std::str::from_utf8(trim(&value[..end])).ok()
    }

    /// Whether Content-Type is `wanted`, without regard to case and parameters.
    pub fn is_content(&self, wanted: &str) -> bool {
        self.content_type().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value))))
            .finish()
    }
}

fn tag(value: &[u8]) -> Option<&[u8]> {
    Params::new(address_params(value)).get("tag").filter(|tag| !tag.is_empty())
}

/// The parameters after an address: after `>`, or after the first `;` of a bare URI (RFC 3261 20.10).
pub(crate) fn address_params(value: &[u8]) -> &[u8] {
    let value = trim(value);
    let mut start = 0;
    if value.first() == Some(&b'"') {
        match quoted_end(value) {
            Some(end) => start = end,
            None => return &[],
        }
    }
    let rest = &value[start..];
    let after = match memchr::memchr(b'<', rest) {
        Some(open) => match memchr::memchr(b'>', &rest[open..]) {
            Some(close) => &rest[open + close + 1..],
            None => return &[],
        },
        None => rest,
    };
    match find_outside(after, b';') {
        Some(semicolon) => &after[semicolon..],
        None => &[],
    }
}
