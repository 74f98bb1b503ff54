//! From short messages to texts: headers, SAR TLVs, alphabets.

use std::time::Instant;

use super::pdu::ShortMessage;
use crate::encoding;
use crate::reassembly::{Key, Reassembler};

/// What a short message is, on its own or with those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assembled {
    /// A whole message, in `segments` segments.
    Text { text: String, segments: u8 },
    /// One segment; the others are still to come.
    Incomplete,
    /// Binary, in an alphabet not spoken here, or with a header that does not parse.
    Unreadable,
}

/// Joins what belongs together and decodes it.
#[derive(Debug)]
pub struct Assembler {
    reassembler: Reassembler,
}

impl Assembler {
    pub fn new(reassembler: Reassembler) -> Assembler {
        Assembler { reassembler }
    }

    pub fn push(&mut self, now: Instant, message: &ShortMessage) -> Assembled {
        let Some((place, body)) = message.split() else { return Assembled::Unreadable };
        let decode = |octets: &[u8], segments| match encoding::decode(message.data_coding, octets) {
            Some(text) => Assembled::Text { text, segments },
            None => Assembled::Unreadable,
        };
        let Some(place) = place else { return decode(body, 1) };
        let key = Key::new(&message.source.text, &message.destination.text, message.data_coding, place);
        match self.reassembler.push(now, key, place.number, body) {
            Some(octets) => decode(&octets, place.total),
            None => Assembled::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::segment::{Concatenation, segment};

    fn assembler() -> Assembler {
        Assembler::new(Reassembler::new(8, Duration::from_secs(60)))
    }

    #[test]
    fn what_was_cut_comes_back_whole() {
        let text = "я🙂".repeat(100);
        let cut = segment(&text, false).unwrap();
        let mut assembler = assembler();
        let mut results = vec![];
        for part in &cut.segments {
            let mut message = ShortMessage {
                data_coding: cut.encoding.data_coding(),
                body: Bytes::from(part.user_data(7)),
                ..ShortMessage::default()
            };
            message.set_header();
            results.push(assembler.push(Instant::now(), &message));
        }
        let segments = cut.segments.len() as u8;
        assert_eq!(results.pop(), Some(Assembled::Text { text, segments }));
        assert!(results.iter().all(|result| *result == Assembled::Incomplete));
    }

    #[test]
    fn sar_tlvs_do_the_same() {
        let mut assembler = assembler();
        let part = |number, body| ShortMessage {
            sar: Some(Concatenation { reference: 9, total: 2, number }),
            body: Bytes::from_static(body),
            ..ShortMessage::default()
        };
        assert_eq!(assembler.push(Instant::now(), &part(2, b" world")), Assembled::Incomplete);
        let whole = Assembled::Text { text: "hello world".into(), segments: 2 };
        assert_eq!(assembler.push(Instant::now(), &part(1, b"hello")), whole);
    }

    #[test]
    fn binary_and_broken_headers_are_unreadable() {
        let mut broken = ShortMessage { body: Bytes::from_static(&[9, 0]), ..ShortMessage::default() };
        broken.set_header();
        assert_eq!(assembler().push(Instant::now(), &broken), Assembled::Unreadable);
        let binary = ShortMessage { data_coding: 4, body: Bytes::from_static(b"x"), ..ShortMessage::default() };
        assert_eq!(assembler().push(Instant::now(), &binary), Assembled::Unreadable);
    }
}
