//! What of a message nobody is shown: the proof of a password (RFC 3261 22.4), from which a weak one can be guessed.

use std::ops::Range;

use bytes::Bytes;

/// The message with the credentials of `Authorization` and `Proxy-Authorization` starred out, octet by octet, so that
/// every length stays as it was. Of digest it is `response`, of any other scheme all.
pub(super) fn credentials(message: &Bytes) -> Bytes {
    let mut secrets = Vec::new();
    let mut at = 0;
    // The logical header being read began here and carries credentials.
    let mut open: Option<usize> = None;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !folded {
            if let Some(start) = open.take() {
                secrets.push(start..at);
            }
            if at > 0 && line.trim_ascii().is_empty() {
                break;
            }
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
            let value = at + name.len() + 1;
            let name = name.trim_ascii();
            let secret =
                name.eq_ignore_ascii_case(b"Authorization") || name.eq_ignore_ascii_case(b"Proxy-Authorization");
            open = secret.then_some(value);
        }
        at += line.len();
    }
    if let Some(start) = open {
        secrets.push(start..at);
    }
    if secrets.is_empty() {
        return message.clone();
    }
    let mut shown = message.to_vec();
    for Range { start, end } in secrets {
        if let Some(value) = shown.get_mut(start..end) {
            mask_value(value);
        }
    }
    shown.into()
}

fn mask_value(value: &mut [u8]) {
    let start = value.len() - value.trim_ascii_start().len();
    let scheme = value[start..].iter().take_while(|octet| !octet.is_ascii_whitespace()).count();
    let (scheme, parameters) = value[start..].split_at_mut(scheme);
    if !scheme.eq_ignore_ascii_case(b"Digest") {
        return star(parameters);
    }
    let mut quoted = false;
    for parameter in parameters.split_mut(|octet| {
        quoted ^= *octet == b'"';
        *octet == b',' && !quoted
    }) {
        let Some(equals) = parameter.iter().position(|octet| *octet == b'=') else { continue };
        let (name, proof) = parameter.split_at_mut(equals);
        if name.trim_ascii().eq_ignore_ascii_case(b"response")
            && let Some((_, proof)) = proof.split_first_mut()
        {
            star(proof);
        }
    }
}

/// Line ends and quotes stay: the message is still one.
fn star(secret: &mut [u8]) {
    secret.iter_mut().filter(|octet| !octet.is_ascii_whitespace() && **octet != b'"').for_each(|octet| *octet = b'*');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &'static [u8]) -> String {
        String::from_utf8(credentials(&Bytes::from_static(message)).to_vec()).unwrap()
    }

    #[test]
    fn a_digest_response_is_starred_and_the_rest_stays() {
        let message = b"REGISTER sip:a SIP/2.0\r\nauthorization: Digest username=\"a, response=x\",\r\n response = \"0123\", nc=1\r\nTo: b\r\n\r\nAuthorization: Digest response=\"body\"\r\n";
        assert_eq!(
            shown(message),
            "REGISTER sip:a SIP/2.0\r\nauthorization: Digest username=\"a, response=x\",\r\n response = \"****\", nc=1\r\nTo: b\r\n\r\nAuthorization: Digest response=\"body\"\r\n"
        );
    }

    #[test]
    fn other_schemes_are_starred_whole_even_in_a_cut_message() {
        assert_eq!(
            shown(b"INVITE sip:a SIP/2.0\r\nProxy-Authorization: Basic QTpC"),
            "INVITE sip:a SIP/2.0\r\nProxy-Authorization: Basic ****"
        );
    }

    #[test]
    fn a_message_without_credentials_is_not_copied() {
        let message = Bytes::from_static(b"BYE sip:a SIP/2.0\r\nTo: b\r\n\r\n");
        assert_eq!(credentials(&message).as_ptr(), message.as_ptr());
    }
}
