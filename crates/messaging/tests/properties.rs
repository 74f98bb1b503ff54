//! What holds for every text and every octet.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use opentact_messaging::segment::{self, Concatenation};
use opentact_messaging::smpp::pdu::{Deframer, Frame, Pdu, decode};
use opentact_messaging::smpp::{Address, Assembled, Assembler, Receipt, ShortMessage};
use opentact_messaging::{Encoding, Reassembler, encoding, gsm0338};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;

/// Text of the kinds people send: ASCII, the extension table, other scripts, astral characters.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        8 => proptest::char::range(' ', '~'),
        2 => prop::sample::select(vec!['€', '[', ']', '{', '}', '~', '|', '\\', '^', '\n', 'é', 'Ω']),
        1 => proptest::char::any(),
    ];
    prop::collection::vec(character, 0..600).prop_map(|characters| characters.into_iter().collect())
}

fn gsm_text() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.chars().filter(|&character| gsm0338::septets(character).is_some()).collect())
}

proptest! {
    #[test]
    fn gsm_comes_back(text in gsm_text()) {
        let octets = gsm0338::encode(&text);
        prop_assert_eq!(octets.map(|octets| gsm0338::decode(&octets)), Some(text));
    }

    #[test]
    fn any_septets_decode(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = gsm0338::decode(&octets);
        for data_coding in 0..=255 {
            let _ = encoding::decode(data_coding, &octets);
        }
    }

    #[test]
    fn smart_encoding_never_makes_it_worse(text in text()) {
        let smart = encoding::smart(&text);
        prop_assert!(Encoding::of(&smart) == Encoding::Gsm || smart == text);
        prop_assert!(segment::count(&text, true) <= segment::count(&text, false));
    }

    #[test]
    fn each_segment_stands_alone_and_all_make_the_text(text in text()) {
        let segmented = segment::segment(&text, false).unwrap();
        let (single, part) = match segmented.encoding { Encoding::Gsm => (160, 153), Encoding::Ucs2 => (140, 134) };
        let total = segmented.segments.len();
        prop_assert_eq!(total, segment::count(&text, false));
        let mut joined = String::new();
        for (at, segment) in segmented.segments.iter().enumerate() {
            prop_assert_eq!((usize::from(segment.number), usize::from(segment.total)), (at + 1, total));
            let room = if total == 1 { single } else { part };
            prop_assert!(segment.octets.len() <= room);
            prop_assert!(total == 1 || !segment.octets.is_empty());
            // Decoded by itself: nothing is cut in two.
            let alone = encoding::decode(segmented.encoding.data_coding(), &segment.octets);
            joined.push_str(&alone.unwrap_or_default());
        }
        prop_assert_eq!(joined, text);
    }

    #[test]
    fn a_text_that_was_cut_comes_back_in_any_order(
        text in text(), reference: u16, how in 0..3, order: u64, twice in any::<prop::sample::Index>(),
    ) {
        let cut = segment::segment(&text, false).unwrap();
        let mut parts: Vec<ShortMessage> = cut.segments.iter().map(|part| {
            let place = Concatenation { reference, total: part.total, number: part.number };
            let mut message = ShortMessage { data_coding: cut.encoding.data_coding(), ..ShortMessage::default() };
            // An 8-bit reference, a 16-bit one, or TLVs.
            let header = match how {
                0 => place.header().to_vec(),
                1 => [&[6, 8, 4][..], &reference.to_be_bytes(), &[part.total, part.number]].concat(),
                _ => Vec::new(),
            };
            if part.has_header() && how < 2 {
                message.body = Bytes::from([header, part.octets.clone()].concat());
                message.set_header();
            } else {
                message.body = Bytes::from(part.octets.clone());
                message.sar = part.has_header().then_some(place);
            }
            message
        }).collect();
        // One comes twice, before the message is whole.
        if parts.len() > 1 {
            let double = parts[twice.index(parts.len())].clone();
            parts.insert(0, double);
        }
        let mut random = rand::rngs::StdRng::seed_from_u64(order);
        let last = parts.len() - 1;
        parts[..last].shuffle(&mut random);
        let mut assembler = Assembler::new(Reassembler::new(4, Duration::from_secs(60)));
        let now = Instant::now();
        let whole: Vec<Assembled> = parts
            .iter()
            .map(|part| assembler.push(now, part))
            .filter(|assembled| *assembled != Assembled::Incomplete)
            .collect();
        let expected = Assembled::Text { text, segments: cut.segments.len() as u8 };
        prop_assert!(whole.contains(&expected), "{:?}", whole);
    }

    #[test]
    fn a_header_comes_back(
        reference: u8,
        (total, number) in (2u8..).prop_flat_map(|total| (Just(total), 1..=total)),
        body in prop::collection::vec(any::<u8>(), 0..140),
    ) {
        let place = Concatenation { reference: reference.into(), total, number };
        let mut octets = place.header().to_vec();
        octets.extend(&body);
        prop_assert_eq!(segment::split_header(&octets), Some((Some(place), &body[..])));
    }

    #[test]
    fn any_octets_are_a_header_or_none(octets in prop::collection::vec(any::<u8>(), 0..160)) {
        if let Some((_, body)) = segment::split_header(&octets) {
            prop_assert!(octets.ends_with(body));
        }
    }

    #[test]
    fn a_message_comes_back(
        digits in "[0-9]{0,20}", esm_class: u8, data_coding: u8, registered_delivery in 0u8..32,
        body in prop::collection::vec(any::<u8>(), 0..400), sequence: u32,
    ) {
        let message = ShortMessage {
            source: Address { ton: 5, npi: 0, text: "Opentact".into() },
            destination: Address { ton: 1, npi: 1, text: digits },
            esm_class, data_coding, registered_delivery, body: Bytes::from(body),
            ..ShortMessage::default()
        };
        for pdu in [Pdu::Submit(message.clone()), Pdu::Deliver(message)] {
            let frame = Frame::request(sequence, pdu);
            let octets = frame.encode().unwrap();
            prop_assert_eq!(decode(BytesMut::from(&octets[..])), Ok(frame));
        }
    }

    #[test]
    fn any_body_is_read_or_refused(
        command in prop::sample::select(vec![1u32, 2, 4, 5, 9, 0x15, 6, 0x8000_0001, 0x8000_0004, 0x8000_0005, 0x103]),
        body in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..120),
    ) {
        let mut octets = ((16 + body.len()) as u32).to_be_bytes().to_vec();
        octets.extend(command.to_be_bytes());
        octets.extend([0; 4]);
        octets.extend(7u32.to_be_bytes());
        octets.extend(&body);
        if let Ok(frame) = decode(BytesMut::from(&octets[..])) {
            prop_assert_eq!(frame.sequence, 7);
            if let Pdu::Deliver(message) = &frame.pdu {
                let _ = Receipt::of(message);
            }
            let _ = frame.encode();
        }
    }

    #[test]
    fn any_tlvs_are_read_or_refused(tag in prop_oneof![0u16..0x700, 0x1200u16..0x1500], stated: u16, value in prop::collection::vec(any::<u8>(), 0..40)) {
        let message = ShortMessage { source: Address::e164(12025550100), ..ShortMessage::default() };
        let mut octets = Frame::request(7, Pdu::Deliver(message)).encode().unwrap().to_vec();
        octets.extend(tag.to_be_bytes());
        octets.extend(if stated % 2 == 0 { (value.len() as u16).to_be_bytes() } else { stated.to_be_bytes() });
        octets.extend(&value);
        let length = (octets.len() as u32).to_be_bytes();
        octets[..4].copy_from_slice(&length);
        let _ = decode(BytesMut::from(&octets[..]));
    }

    #[test]
    fn any_stream_ends_or_goes_on(octets in prop::collection::vec(any::<u8>(), 0..500)) {
        let mut deframer = Deframer::default();
        deframer.push(&octets);
        let mut frames = 0;
        while deframer.next_frame().is_some() {
            frames += 1;
            prop_assert!(frames <= 500 / 16 + 1);
        }
    }

    #[test]
    fn any_receipt_text_is_read_or_refused(text in "\\PC{0,120}") {
        let _ = Receipt::parse(&text);
        let _ = Receipt::parse(&format!("id:1 {text} stat:DELIVRD"));
    }
}
