use std::borrow::Cow;

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// The user part as RFC 3261 25.1 wants it: what may not stand there is written `%HH`.
pub fn escape_user(user: &str) -> Cow<'_, str> {
    escape(user, |b| is_unreserved(b) || matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/'))
}

/// A parameter name or value of a URI (paramchar of RFC 3261 25.1).
pub(crate) fn escape_param(value: &str) -> Cow<'_, str> {
    escape(value, |b| is_unreserved(b) || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$'))
}

fn escape(text: &str, plain: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for b in text.bytes() {
        if plain(b) {
            escaped.push(char::from(b));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            escaped.push('%');
            escaped.push(char::from(HEX[usize::from(b >> 4)]));
            escaped.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
    Cow::Owned(escaped)
}

/// `%HH` turned into octets; what is then not UTF-8 becomes U+FFFD.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(&unescape_octets(text.as_bytes())).into_owned())
}

pub(crate) fn unescape_octets(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        match (text[i], text.get(i + 1).and_then(hex), text.get(i + 2).and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                octets.push(high << 4 | low);
                i += 3;
            }
            (b, ..) => {
                octets.push(b);
                i += 1;
            }
        }
    }
    octets
}

pub(crate) fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).map(|value| value as u8)
}
