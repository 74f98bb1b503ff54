//! The little of a message that says where it belongs, read without parsing it: a message that does not parse is worth
//! tracing most.

/// Start line, Call-ID and the method of CSeq.
pub(super) struct Glance<'a> {
    pub(super) start: Start<'a>,
    pub(super) call_id: Option<&'a [u8]>,
    pub(super) method: Option<&'a [u8]>,
}

pub(super) enum Start<'a> {
    Request { method: &'a [u8] },
    Response { code: u16 },
}

impl<'a> Glance<'a> {
    /// `None` for what is not a SIP message by its first line (RFC 3261 7.1, 7.2).
    pub(super) fn of(message: &'a [u8]) -> Option<Self> {
        let mut lines = message.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
        let start = Start::of(lines.next()?)?;
        let mut glance = Self { start, call_id: None, method: None };
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|octet| *octet == b':') else { continue };
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if glance.call_id.is_none() && (name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i")) {
                glance.call_id = Some(value).filter(|value| !value.is_empty());
            } else if name.eq_ignore_ascii_case(b"CSeq") {
                glance.method = value.rsplit(u8::is_ascii_whitespace).next();
            }
        }
        Some(glance)
    }
}

impl<'a> Start<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|octet| *octet == b' ');
        let (first, second) = (words.next()?, words.next()?);
        if first.eq_ignore_ascii_case(b"SIP/2.0") {
            let code = std::str::from_utf8(second).ok()?.parse().ok()?;
            return (100..700).contains(&code).then_some(Self::Response { code });
        }
        let version = words.next()?;
        version.eq_ignore_ascii_case(b"SIP/2.0").then_some(Self::Request { method: first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alives_and_noise_are_no_messages() {
        for noise in
            [&b"\r\n\r\n"[..], b"", b"hello", b"GET / HTTP/1.1\r\n", b"SIP/2.0 abc Fine\r\n", b"SIP/2.0 9000 Fine\r\n"]
        {
            assert!(Glance::of(noise).is_none());
        }
    }

    #[test]
    fn the_compact_call_id_is_found_and_the_body_is_not_searched() {
        let glance = Glance::of(b"SIP/2.0 200 OK\r\ni:  a@b \r\nCSeq: 1 INVITE\r\n\r\nCall-ID: c\r\n").unwrap();
        assert_eq!(glance.call_id, Some(&b"a@b"[..]));
        assert_eq!(glance.method, Some(&b"INVITE"[..]));
        assert!(Glance::of(b"ACK sip:a SIP/2.0\r\n\r\nCall-ID: c\r\n").unwrap().call_id.is_none());
    }
}
