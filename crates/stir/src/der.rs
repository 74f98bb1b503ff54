//! As much of DER as the extension of RFC 8226 and keys of RFC 5915 need (X.690).

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const SEQUENCE: u8 = 0x30;

/// `[n]` of explicit tagging.
pub(crate) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// Reads one value after another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    octets: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Tag and content of the next value. `None` when it is malformed, longer than what is there, or its length is
    /// not written in the shortest way, which DER asks for.
    pub(crate) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.octets.split_first()?;
        // Tags above 30 take more octets; nothing we read has them.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => {
                let (&length, rest) = rest.split_first()?;
                (usize::from(length), rest)
            }
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        if (first == 0x81 && length < 0x80) || (first == 0x82 && length < 0x100) {
            return None;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.octets = rest;
        Some((tag, content))
    }

    /// The content of the next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// One value with its length in the shortest form. Contents are those of single extensions and keys: 65,535 octets at
/// most, which the callers see to.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(content.len() + 4);
    octets.push(tag);
    match content.len() {
        length @ 0..=0x7f => octets.push(length.to_le_bytes()[0]),
        length @ 0x80..=0xff => octets.extend([0x81, length.to_le_bytes()[0]]),
        length => {
            let [low, high, ..] = length.to_le_bytes();
            octets.extend([0x82, high, low]);
        }
    }
    octets.extend(content);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 127, 128, 255, 256, 65_535] {
            let content = vec![7; length];
            let octets = value(OCTET_STRING, &content);
            let mut reader = Reader::new(&octets);
            assert_eq!(reader.expect(OCTET_STRING), Some(content.as_slice()), "{length}");
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn lengths_that_lie_or_are_not_the_shortest_are_refused() {
        for octets in [
            &[0x30][..],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x05, 1],
            &[0x30, 0x81, 0x01, 0],
            &[0x30, 0x82, 0, 1, 0],
            &[0x30, 0x83, 1, 0, 0],
            &[0x1f, 1, 0],
        ] {
            assert_eq!(Reader::new(octets).next(), None, "{octets:02x?}");
        }
    }
}
