//! What of a message nobody is shown: the proof of a password (RFC 3261 22.4), from which a weak one can be guessed, and
//! the keys of its audio (RFC 4568).

use std::ops::Range;

use bytes::Bytes;

/// The message with the credentials of `Authorization` and `Proxy-Authorization` starred out, octet by octet, so that
/// every length stays as it was. Of digest it is `response`, of any other scheme all. So are the keys of a session
/// description.
pub(super) fn secrets(message: &Bytes) -> Bytes {
    let mut secrets = Vec::new();
    let mut at = 0;
    // The logical header being read began here and carries credentials.
    let mut open: Option<usize> = None;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        if !folded {
            if let Some(start) = open.take() {
                secrets.push(Secret::Credentials(start..at));
            }
            if at > 0 && line.trim_ascii().is_empty() {
                keys(&message[at..], at, &mut secrets);
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
        secrets.push(Secret::Credentials(start..at));
    }
    if secrets.is_empty() {
        return message.clone();
    }
    let mut shown = message.to_vec();
    for secret in secrets {
        match secret {
            Secret::Credentials(range) => shown.get_mut(range).into_iter().for_each(mask_value),
            Secret::Key(range) => shown.get_mut(range).into_iter().for_each(star),
        }
    }
    shown.into()
}

enum Secret {
    /// The value of a header.
    Credentials(Range<usize>),
    Key(Range<usize>),
}

/// The keys of `a=crypto` lines and of the older `k=`, in a body that begins at `offset`.
fn keys(body: &[u8], offset: usize, secrets: &mut Vec<Secret>) {
    let mut at = offset;
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        let begins = |with: &[u8]| line.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        if begins(b"a=crypto:") {
            // Of several keys too; what is between them is a lifetime, and as well starred.
            let inline = line.windows(INLINE.len()).position(|window| window.eq_ignore_ascii_case(INLINE));
            let start = inline.map_or(b"a=crypto:".len(), |inline| inline + INLINE.len());
            secrets.push(Secret::Key(at + start..at + line.len()));
        } else if begins(b"k=") {
            secrets.push(Secret::Key(at + 2..at + line.len()));
        }
        at += line.len();
    }
}

const INLINE: &[u8] = b"inline:";

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
        String::from_utf8(secrets(&Bytes::from_static(message)).to_vec()).unwrap()
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
    fn keys_of_a_session_description_are_starred() {
        let head = "SIP/2.0 200 OK\r\nX: a=crypto:1 B inline:c\r\n\r\n";
        for (body, expected) in [
            (
                "v=0\r\nA=crypto:1 SUITE Inline:QUJD|2^20 WSH=64\r\na=ptime:20\r\n",
                "v=0\r\nA=crypto:1 SUITE Inline:********* ******\r\na=ptime:20\r\n",
            ),
            ("a=crypto:7 S uri:x\r\n", "a=crypto:* * *****\r\n"),
            ("k=clear:secret\nb=1", "k=************\nb=1"),
            ("a=crypto:1 S inline:QUJD;inline:QUJ", "a=crypto:1 S inline:***************"),
        ] {
            let message = Bytes::from([head, body].concat());
            assert_eq!(secrets(&message), [head, expected].concat());
        }
    }

    #[test]
    fn a_message_without_credentials_is_not_copied() {
        let message = Bytes::from_static(b"BYE sip:a SIP/2.0\r\nTo: b\r\n\r\n");
        assert_eq!(secrets(&message).as_ptr(), message.as_ptr());
    }
}
