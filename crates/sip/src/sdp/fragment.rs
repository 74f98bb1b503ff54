//! What of ICE comes after the descriptions: `application/trickle-ice-sdpfrag` (RFC 8840 9).

use super::Attribute;
use super::dtls::{IceCredentials, MAX_CANDIDATE, MAX_CANDIDATES};

/// Streams of one fragment that are read, and its lines.
const MAX_STREAMS: usize = 16;
const MAX_LINES: usize = 256;

/// Candidates that somebody has found since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IceFragment {
    attributes: Vec<Attribute>,
    streams: Vec<Vec<Attribute>>,
}

impl IceFragment {
    /// `None` for what is none: a line that is not of the form `letter=value`, or more than is read. Lines other than `m=`
    /// and `a=` are passed over.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let mut fragment = Self::default();
        for (index, line) in text.lines().enumerate() {
            if index >= MAX_LINES || fragment.streams.len() > MAX_STREAMS {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let (letter, value) = line.split_once('=').filter(|(letter, _)| letter.len() == 1)?;
            match letter {
                "m" => fragment.streams.push(Vec::new()),
                "a" => {
                    let of = fragment.streams.last_mut().unwrap_or(&mut fragment.attributes);
                    of.push(match value.split_once(':') {
                        Some((name, value)) => Attribute::new(name, value),
                        None => Attribute::flag(value),
                    });
                }
                _ => {}
            }
        }
        Some(fragment)
    }

    /// `candidate:...` lines for the stream of that name, or the first where none is named; none where they are of other
    /// credentials, before or after an ICE restart (RFC 8840 4.4).
    pub(super) fn candidates(&self, mid: Option<&str>, credentials: &IceCredentials) -> Vec<String> {
        let named = |stream: &&Vec<Attribute>| find(stream, "mid").is_none_or(|named| Some(named) == mid);
        let Some(stream) = self.streams.iter().find(named) else { return Vec::new() };
        let said = |name| find(stream, name).or_else(|| find(&self.attributes, name));
        let same = said("ice-ufrag") == Some(&credentials.ufrag) && said("ice-pwd") == Some(&credentials.password);
        let values = stream.iter().filter(|attribute| attribute.name == "candidate");
        let values =
            values.filter_map(|attribute| attribute.value.as_deref()).filter(|value| value.len() <= MAX_CANDIDATE);
        values.filter(|_| same).take(MAX_CANDIDATES).map(|value| format!("candidate:{value}")).collect()
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.name == name)?.value.as_deref().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> IceCredentials {
        IceCredentials { ufrag: "8hhY".into(), password: "asd88fgpdd777uzjYhagZg".into() }
    }

    /// RFC 8840 9.3.
    const EXAMPLE: &str = "a=ice-pacing:50\r\na=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n\
        m=audio 9 RTP/AVP 0\r\na=mid:1\r\na=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::1 5000 typ host\r\n\
        a=candidate:1 2 UDP 2130706432 2001:db8:a0b:12f0::1 5001 typ host\r\na=end-of-candidates\r\n\
        m=audio 9 RTP/AVP 0\r\na=mid:2\r\na=candidate:1 1 UDP 2130706432 192.0.2.1 6000 typ host\r\n";

    #[test]
    fn candidates_are_those_of_the_stream_and_of_its_credentials() {
        let fragment = IceFragment::parse(EXAMPLE.as_bytes()).unwrap();
        let first = fragment.candidates(Some("1"), &credentials());
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], "candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::1 5000 typ host");
        assert_eq!(fragment.candidates(Some("2"), &credentials()).len(), 1);
        assert_eq!(fragment.candidates(Some("3"), &credentials()), [""; 0]);
        assert_eq!(fragment.candidates(None, &credentials()), [""; 0]);
        let other = IceCredentials { ufrag: "9uB6".into(), ..credentials() };
        assert_eq!(fragment.candidates(Some("1"), &other), [""; 0]);
        // Credentials may stand with the stream, and a stream may have no name.
        let text = EXAMPLE.replace("a=mid:1\r\n", "a=ice-ufrag:9uB6\r\n");
        let fragment = IceFragment::parse(text.as_bytes()).unwrap();
        assert_eq!(fragment.candidates(None, &other).len(), 2);
    }

    #[test]
    fn what_is_no_fragment_is_none() {
        for wrong in ["candidate", "aa=mid:1", "=x", "a=mid:1\nx"] {
            assert_eq!(IceFragment::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(IceFragment::parse("m=audio 9 RTP/AVP 0\n".repeat(40).as_bytes()), None);
        assert_eq!(IceFragment::parse(b""), Some(IceFragment::default()));
    }
}
