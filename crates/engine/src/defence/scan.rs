//! What can be told of a SIP message without parsing it.

/// Whether this may be SIP at all: a start line that names the protocol (RFC 3261 7.1, 7.2).
pub(super) fn is_sip(message: &[u8]) -> bool {
    let line = message.split(|octet| *octet == b'\n').next().unwrap_or_default().trim_ascii();
    line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        || line.rsplit(|octet| *octet == b' ').next().is_some_and(|version| {
            version.len() < line.len() && version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        })
}

/// Blank lines and single octets keep a flow open (RFC 5626 3.5.1, and what phones do in its stead).
pub(super) fn is_keep_alive(message: &[u8]) -> bool {
    message.len() <= 4 || message.iter().all(|octet| matches!(octet, 0 | b'\r' | b'\n' | b' '))
}

/// Whether this asks for something: not a response, nor an ACK, CANCEL or BYE, which only end what has been let in.
pub(super) fn is_request(message: &[u8]) -> bool {
    !["SIP/", "ACK ", "CANCEL ", "BYE "].iter().any(|start| message.starts_with(start.as_bytes()))
}

/// The value of the first User-Agent header.
pub(super) fn user_agent(message: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"User-Agent";
    for line in message.split(|octet| *octet == b'\n').skip(1) {
        if line.trim_ascii().is_empty() {
            return None;
        }
        if line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            let rest = line[NAME.len()..].trim_ascii();
            return rest.strip_prefix(b":").map(<[u8]>::trim_ascii);
        }
    }
    None
}

/// Whether `text` has `word`, which is in lower case, in it.
pub(super) fn contains(text: &[u8], word: &[u8]) -> bool {
    !word.is_empty() && text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sip_is_told_from_noise() {
        for sip in ["OPTIONS sip:a SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n", "INVITE sip:a sip/2.0"] {
            assert!(is_sip(sip.as_bytes()), "{sip}");
        }
        for noise in ["GET / HTTP/1.1\r\n", "", "SIP", "INVITE sip:x", "\x16\x03\x01"] {
            assert!(!is_sip(noise.as_bytes()), "{noise}");
        }
        assert!(is_keep_alive(b"\r\n\r\n") && is_keep_alive(b"\0") && is_keep_alive(&[0; 40]));
        assert!(!is_keep_alive(b"hello"));
    }

    #[test]
    fn user_agent_is_found_in_the_head_only() {
        let agent = |text: &'static str| user_agent(text.as_bytes());
        assert_eq!(agent("A b SIP/2.0\r\nuser-agent : sipcli/v1\r\n\r\n"), Some(&b"sipcli/v1"[..]));
        assert_eq!(agent("A b SIP/2.0\r\nX: y\r\n\r\nUser-Agent: body"), None);
        assert_eq!(agent("A b SIP/2.0\r\nUser-Agents: x\r\n\r\n"), None);
        assert!(contains(b"Friendly-Scanner/1", b"friendly-scanner") && !contains(b"x", b"") && !contains(b"", b"x"));
    }
}
