//! Octet classes and the scanning all headers share: tokens, quoted strings, lists.

use std::borrow::Cow;

/// token of RFC 3261 25.1.
pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().all(|&b| is_token_octet(b))
}

pub(crate) fn is_token_octet(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Without linear white space at both ends.
pub(crate) fn trim(mut octets: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = octets
        && is_space(*first)
    {
        octets = rest;
    }
    while let [rest @ .., last] = octets
        && is_space(*last)
    {
        octets = rest;
    }
    octets
}

/// An unsigned decimal without sign and white space, at most `max`.
pub(crate) fn decimal(octets: &[u8], max: u64) -> Option<u64> {
    if octets.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &b in octets {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
        if value > max {
            return None;
        }
    }
    Some(value)
}

/// Place after the closing quote of a quoted string that starts at `octets[0] == '"'`; `None` when it does not close.
pub(crate) fn quoted_end(octets: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'\\', b'"', octets.get(at..)?)?;
        if octets[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Place of the first `wanted` octet outside quoted strings and outside `<>`.
pub(crate) fn find_outside(octets: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr3(wanted, b'"', b'<', &octets[at..])?;
        match octets[at] {
            b'"' if wanted != b'"' => at += quoted_end(&octets[at..])?,
            b'<' if wanted != b'<' => at += memchr::memchr(b'>', &octets[at..])? + 1,
            _ => return Some(at),
        }
    }
}

/// The comma-separated values of one header field value (RFC 3261 7.3.1), trimmed; empty ones are skipped.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    rest: &'a [u8],
}

impl<'a> Values<'a> {
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (value, rest) = match find_outside(self.rest, b',') {
                Some(comma) => (&self.rest[..comma], &self.rest[comma + 1..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            let value = trim(value);
            if !value.is_empty() {
                return Some(value);
            }
        }
        None
    }
}

/// The text of a quoted string without quotes and escapes; other octets as they are. Not UTF-8 becomes U+FFFD.
pub fn unquote(octets: &[u8]) -> Cow<'_, str> {
    let octets = trim(octets);
    let [b'"', inner @ .., b'"'] = octets else {
        return String::from_utf8_lossy(octets);
    };
    if !inner.contains(&b'\\') {
        return String::from_utf8_lossy(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(&b) = octets.next() {
        match b {
            b'\\' => text.extend(octets.next()),
            _ => text.push(b),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

/// Writes `text` as a quoted string.
pub(crate) fn quote(text: &str, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.write_char('\\')?;
                out.write_char(c)?;
            }
            '\r' | '\n' => out.write_char(' ')?,
            _ => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_angles_do_not_split() {
        let value = b"\"a, \\\"b\" <sip:x,y@h>;q=1 , sip:c ,, <sip:d>";
        let all: Vec<_> = Values::new(value).collect();
        assert_eq!(all, [&b"\"a, \\\"b\" <sip:x,y@h>;q=1"[..], b"sip:c", b"<sip:d>"]);
    }

    #[test]
    fn decimals_are_bounded_and_unsigned() {
        assert_eq!(decimal(b"70", 255), Some(70));
        assert_eq!(decimal(b"256", 255), None);
        assert_eq!(decimal(b"-1", 255), None);
        assert_eq!(decimal(b"", 255), None);
        assert_eq!(decimal(b"36893488147419103232", u64::MAX), None);
    }

    #[test]
    fn unquote_undoes_quote() {
        let mut text = String::new();
        quote("a\"b\\c", &mut text).unwrap();
        assert_eq!(text, r#""a\"b\\c""#);
        assert_eq!(unquote(text.as_bytes()), "a\"b\\c");
    }
}
