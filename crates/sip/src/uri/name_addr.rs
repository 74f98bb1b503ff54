use std::fmt::{self, Write};
use std::str::FromStr;

use super::{Scheme, Uri, UriError};
use crate::message::scan::{is_space, is_token, is_token_octet, quote, quoted_end, trim};
use crate::message::{Params, unquote};

/// An address as in From, To, Contact and Route: a name, a URI and parameters (RFC 3261 20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Without quotes and escapes.
    pub display: Option<Box<str>>,
    pub uri: Uri,
    /// `;name=value;flag` or empty.
    params: Box<str>,
}

/// The pieces of an address in place.
struct Pieces<'a> {
    /// With its quotes.
    display: Option<&'a [u8]>,
    uri: &'a [u8],
    /// With the leading `;`, or empty.
    params: &'a [u8],
}

impl<'a> Pieces<'a> {
    fn split(value: &'a [u8]) -> Result<Self, UriError> {
        let value = trim(value);
        let (display, rest) = match value {
            [b'"', ..] => {
                let end = quoted_end(value).ok_or(UriError::Octet)?;
                (Some(&value[..end]), trim(&value[end..]))
            }
            _ => match memchr::memchr(b'<', value) {
                Some(open) => {
                    let name = trim(&value[..open]);
                    // display-name without quotes is tokens only (RFC 3261 25.1), but octets above ASCII are seen.
                    if !name.iter().all(|&b| is_token_octet(b) || is_space(b) || b >= 0x80) {
                        return Err(UriError::Octet);
                    }
                    (Some(name), &value[open..])
                }
                None => (None, value),
            },
        };
        match rest {
            [b'<', inner @ ..] => {
                let close = memchr::memchr(b'>', inner).ok_or(UriError::Octet)?;
                Ok(Self { display, uri: &inner[..close], params: trim(&inner[close + 1..]) })
            }
            _ if display.is_some() => Err(UriError::Octet),
            // RFC 3261 20: a URI with a comma, semicolon or question mark must be in angle brackets;
            // what follows a semicolon without them belongs to the header.
            _ => {
                let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
                let uri = trim(&rest[..end]);
                if memchr::memchr2(b'?', b',', uri).is_some() {
                    return Err(UriError::Params);
                }
                Ok(Self { display: None, uri, params: &rest[end..] })
            }
        }
    }
}

impl NameAddr {
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Box::default() }
    }

    /// Parses one value, not a list.
    pub fn parse(value: &[u8]) -> Result<Self, UriError> {
        let Pieces { display, uri, params } = Pieces::split(value)?;
        check_params(params)?;
        let display = display.map(unquote).filter(|name| !name.is_empty());
        Ok(Self {
            display: display.map(|name| name.into_owned().into_boxed_str()),
            uri: Uri::parse(uri)?,
            params: normal_params(params),
        })
    }

    /// [`Self::parse`] without keeping it: the scheme of a well-formed address's URI.
    pub fn check(value: &[u8]) -> Result<Scheme, UriError> {
        let pieces = Pieces::split(value)?;
        check_params(pieces.params)?;
        Uri::check(pieces.uri)
    }

    pub fn params(&self) -> Params<'_> {
        Params::new(self.params.as_bytes())
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().get_str(name)
    }

    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    pub fn with_display(mut self, display: &str) -> Self {
        self.display = Some(display.into());
        self
    }

    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// The same without its tag.
    pub fn without_tag(self) -> Self {
        self.without_param("tag")
    }

    /// Sets a parameter; a value that is no token is quoted.
    pub fn with_param(self, name: &str, value: Option<&str>) -> Self {
        let mut address = self.without_param(name);
        if !is_token(name.as_bytes()) {
            return address;
        }
        let mut params = String::from(address.params);
        params.push(';');
        params.push_str(name);
        if let Some(value) = value {
            params.push('=');
            if is_token(value.as_bytes()) {
                params.push_str(value);
            } else {
                let _ = quote(value, &mut params);
            }
        }
        address.params = params.into_boxed_str();
        address
    }

    pub fn without_param(mut self, name: &str) -> Self {
        if self.params().has(name) {
            let mut kept = String::with_capacity(self.params.len());
            for (n, value) in self.params().iter() {
                if !n.eq_ignore_ascii_case(name.as_bytes()) {
                    push_param(&mut kept, n, value);
                }
            }
            self.params = kept.into_boxed_str();
        }
        self
    }

    /// Contact's q, in thousandths, 0..=1000; 1000 when absent or malformed.
    pub fn q(&self) -> u16 {
        let Some(q) = self.param("q") else { return 1000 };
        q.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).map_or(1000, |q| (q * 1000.0).round() as u16)
    }
}

fn push_param(text: &mut String, name: &[u8], value: Option<&[u8]>) {
    text.push(';');
    text.push_str(&String::from_utf8_lossy(name));
    if let Some(value) = value {
        text.push('=');
        text.push_str(&String::from_utf8_lossy(value));
    }
}

fn check_params(octets: &[u8]) -> Result<(), UriError> {
    if !octets.is_empty() && octets[0] != b';' {
        return Err(UriError::Params);
    }
    let valid = Params::new(octets).iter().all(|(name, value)| {
        is_token(name)
            && match value {
                None => true,
                Some([b'"', ..]) => value.and_then(quoted_end) == value.map(<[u8]>::len),
                Some(value) => !value.iter().any(|&b| is_space(b) || matches!(b, b'"' | b'<' | b'>' | b',')),
            }
    });
    if valid { Ok(()) } else { Err(UriError::Params) }
}

/// Parameters without white space.
fn normal_params(octets: &[u8]) -> Box<str> {
    if octets.is_empty() {
        return Box::default();
    }
    let mut text = String::with_capacity(octets.len());
    for (name, value) in Params::new(octets).iter() {
        push_param(&mut text, name, value);
    }
    text.into_boxed_str()
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            quote(display, f)?;
            f.write_char(' ')?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

impl FromStr for NameAddr {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text.as_bytes())
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}
