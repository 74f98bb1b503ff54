//! `Digest name=value, name="value"` (RFC 3261 25.1, challenge and credentials).

use std::borrow::Cow;

use crate::message::scan::trim;
use crate::message::{Values, unquote};

/// Most parameters read of one header.
const MAX_PARAMS: usize = 64;

/// The parameters of a Digest header, read in place.
#[derive(Debug)]
pub(super) struct DigestParams<'a>(Vec<(&'a [u8], Cow<'a, str>)>);

impl<'a> DigestParams<'a> {
    /// `None` when the scheme is another than Digest.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = trim(value);
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            return None;
        }
        let params = Values::new(rest)
            .take(MAX_PARAMS)
            .filter_map(|param| {
                let equals = memchr::memchr(b'=', param)?;
                Some((trim(&param[..equals]), unquote(&param[equals + 1..])))
            })
            .collect();
        Some(Self(params))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.as_ref())
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

/// Writes `name="value"` with its escapes.
pub(super) fn push_quoted(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push('=');
    // Writing to a String cannot fail.
    let _ = crate::message::scan::quote(value, out);
}
