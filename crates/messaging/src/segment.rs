//! Segments of a text and the user data header that joins them again (3GPP TS 23.040 9.2.3.24.1).

use crate::encoding::{self, Encoding};
use crate::gsm0338;

/// Septets in a message of one segment.
pub const GSM_SINGLE: usize = 160;
/// Septets in each of several segments: the header takes the room of seven.
pub const GSM_PART: usize = 153;
/// UTF-16 units in a message of one segment.
pub const UCS2_SINGLE: usize = 70;
/// UTF-16 units in each of several segments.
pub const UCS2_PART: usize = 67;
/// Most segments a concatenation can number.
pub const MAX_SEGMENTS: usize = 255;

/// One segment, coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// 1 for the first.
    pub number: u8,
    /// Segments of the message, 1..=255.
    pub total: u8,
    /// User data without header: septets one an octet, or UTF-16 in network order.
    pub octets: Vec<u8>,
}

impl Segment {
    /// The octets of `short_message`: the header where there is more than one segment, then the user data.
    /// `reference` is the same for every segment of a message and differs between messages of the same two parties.
    pub fn user_data(&self, reference: u8) -> Vec<u8> {
        if self.total <= 1 {
            return self.octets.clone();
        }
        let header = Concatenation { reference: u16::from(reference), total: self.total, number: self.number };
        let mut octets = Vec::with_capacity(6 + self.octets.len());
        octets.extend(header.header());
        octets.extend(&self.octets);
        octets
    }

    /// Whether the UDH indicator must be set.
    pub fn has_header(&self) -> bool {
        self.total > 1
    }
}

/// A text cut into segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segmented {
    pub encoding: Encoding,
    pub segments: Vec<Segment>,
}

/// The text needs more segments than a concatenation can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text needs {segments} segments, at most {MAX_SEGMENTS} can be numbered")]
pub struct TooLong {
    pub segments: usize,
}

/// What a text takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    pub encoding: Encoding,
    pub segments: usize,
    /// Septets in GSM (characters of the extension table are two), UTF-16 units in UCS-2.
    pub units: usize,
}

/// Measures a text, of whatever length. `smart` as in [`segment`].
pub fn measure(text: &str, smart: bool) -> Measure {
    let text = if smart { encoding::smart(text) } else { text.into() };
    let encoding = Encoding::of(&text);
    let parts = cut(&text, encoding);
    let octets: usize = parts.iter().map(Vec::len).sum();
    let units = match encoding {
        Encoding::Gsm => octets,
        Encoding::Ucs2 => octets / 2,
    };
    Measure { encoding, segments: parts.len(), units }
}

/// Segments a text takes, without limit. `smart` as in [`segment`].
pub fn count(text: &str, smart: bool) -> usize {
    measure(text, smart).segments
}

/// Cuts a text into segments. An escaped character and a surrogate pair are never cut in two. With `smart`,
/// typographic characters are replaced first where that makes the text fit GSM.
pub fn segment(text: &str, smart: bool) -> Result<Segmented, TooLong> {
    let text = if smart { encoding::smart(text) } else { text.into() };
    let encoding = Encoding::of(&text);
    let parts = cut(&text, encoding);
    let total = u8::try_from(parts.len()).map_err(|_| TooLong { segments: parts.len() })?;
    let segments = parts.into_iter().zip(1..).map(|(octets, number)| Segment { number, total, octets }).collect();
    Ok(Segmented { encoding, segments })
}

/// Octets of each part. An empty text is one empty part.
fn cut(text: &str, encoding: Encoding) -> Vec<Vec<u8>> {
    let (single, part, width) = match encoding {
        Encoding::Gsm => (GSM_SINGLE, GSM_PART, 1),
        Encoding::Ucs2 => (UCS2_SINGLE, UCS2_PART, 2),
    };
    let whole = cut_at(text, encoding, usize::MAX);
    if whole.iter().map(Vec::len).sum::<usize>() <= single * width {
        return whole;
    }
    cut_at(text, encoding, part * width)
}

fn cut_at(text: &str, encoding: Encoding, room: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut at = 0;
    let mut coded = Vec::with_capacity(4);
    for character in text.chars() {
        coded.clear();
        match encoding {
            Encoding::Gsm => match gsm0338::septets(character) {
                Some(septets) => septets.push_to(&mut coded),
                // `encoding` was chosen so that this does not happen; a question mark is what a handset would show.
                None => coded.push(b'?'),
            },
            Encoding::Ucs2 => {
                let mut units = [0; 2];
                coded.extend(character.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
            }
        }
        if parts[at].len().saturating_add(coded.len()) > room {
            parts.push(Vec::with_capacity(room));
            at += 1;
        }
        parts[at].extend(&coded);
    }
    parts
}

/// What a segment says of its place, from a user data header or from the SAR TLVs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concatenation {
    pub reference: u16,
    pub total: u8,
    pub number: u8,
}

impl Concatenation {
    /// Information element 0x00 (8-bit reference) with its header length.
    pub fn header(self) -> [u8; 6] {
        [0x05, 0x00, 0x03, self.reference as u8, self.total, self.number]
    }
}

/// Takes a user data header apart: where in a concatenation the message is (`None`: in none), and the user data after
/// the header. `None` altogether when the header is longer than the octets.
pub fn split_header(octets: &[u8]) -> Option<(Option<Concatenation>, &[u8])> {
    let (&length, rest) = octets.split_first()?;
    let (mut elements, body) = rest.split_at_checked(usize::from(length))?;
    let mut found = None;
    while let [id, length, tail @ ..] = elements {
        let (value, next) = tail.split_at_checked(usize::from(*length))?;
        // 3GPP TS 23.040 9.2.3.24.1 and 9.2.3.24.8; an element with an impossible place is as if it were not there.
        let place = match (id, value) {
            (0x00, [reference, total, number]) => {
                Some(Concatenation { reference: u16::from(*reference), total: *total, number: *number })
            }
            (0x08, [high, low, total, number]) => {
                Some(Concatenation { reference: u16::from_be_bytes([*high, *low]), total: *total, number: *number })
            }
            _ => None,
        };
        if let Some(place) = place.filter(|place| place.number >= 1 && place.number <= place.total) {
            found = Some(place);
        }
        elements = next;
    }
    Some((found, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Vec<usize> {
        segment(text, false).unwrap().segments.iter().map(|segment| segment.octets.len()).collect()
    }

    #[test]
    fn gsm_limits_are_160_and_153() {
        assert_eq!(lengths(""), [0]);
        assert_eq!(lengths(&"a".repeat(160)), [160]);
        assert_eq!(lengths(&"a".repeat(161)), [153, 8]);
        assert_eq!(lengths(&"a".repeat(306)), [153, 153]);
        assert_eq!(lengths(&"a".repeat(307)), [153, 153, 1]);
        assert_eq!(count(&"a".repeat(918), false), 6);
        assert_eq!(count(&"a".repeat(919), false), 7);
    }

    #[test]
    fn ucs2_limits_are_70_and_67() {
        assert_eq!(lengths(&"я".repeat(70)), [140]);
        assert_eq!(lengths(&"я".repeat(71)), [134, 8]);
    }

    #[test]
    fn a_text_is_measured_as_it_is_sent() {
        let measured = |text: &str| measure(text, true);
        assert_eq!(measured("a€"), Measure { encoding: Encoding::Gsm, segments: 1, units: 3 });
        assert_eq!(measured("я🙂"), Measure { encoding: Encoding::Ucs2, segments: 1, units: 3 });
        assert_eq!(measured("…"), Measure { encoding: Encoding::Gsm, segments: 1, units: 3 });
    }

    #[test]
    fn an_escaped_character_is_kept_whole() {
        // The escape would be septet 153 and its character 154.
        let text = format!("{}€{}", "a".repeat(152), "b".repeat(20));
        assert_eq!(lengths(&text), [152, 22]);
    }

    #[test]
    fn a_surrogate_pair_is_kept_whole() {
        let text = format!("{}🙂{}", "я".repeat(66), "я".repeat(20));
        let segmented = segment(&text, false).unwrap();
        assert_eq!(segmented.segments[0].octets.len(), 132);
        let joined: String =
            segmented.segments.iter().filter_map(|segment| encoding::decode(0x08, &segment.octets)).collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn beyond_255_segments_is_an_error_that_counts() {
        assert_eq!(segment(&"a".repeat(153 * 256), false), Err(TooLong { segments: 256 }));
    }

    #[test]
    fn the_header_says_where_a_segment_belongs() {
        let segmented = segment(&"a".repeat(200), false).unwrap();
        let octets = segmented.segments[1].user_data(0xc4);
        assert_eq!(octets[..6], [5, 0, 3, 0xc4, 2, 2]);
        let (place, body) = split_header(&octets).unwrap();
        assert_eq!(place, Some(Concatenation { reference: 0xc4, total: 2, number: 2 }));
        assert_eq!(body.len(), 47);
    }

    #[test]
    fn headers_of_others_are_read() {
        // A port element first, then a 16-bit reference.
        let octets = [12, 0x05, 4, 0, 1, 0, 2, 0x08, 4, 0x12, 0x34, 3, 1, b'x'];
        let place = Concatenation { reference: 0x1234, total: 3, number: 1 };
        assert_eq!(split_header(&octets), Some((Some(place), &b"x"[..])));
        assert_eq!(split_header(&[5, 0, 3, 1]), None, "longer than the octets");
        assert_eq!(split_header(&[5, 0, 3, 1, 2, 3, b'x']), Some((None, &b"x"[..])), "number 3 of 2");
        assert_eq!(split_header(&[]), None);
    }
}
