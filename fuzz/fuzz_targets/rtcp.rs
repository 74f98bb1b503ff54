//! RTCP: any datagram is read to its end or to its first fault, and what is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentact_media::rtcp::{Packet, parse, write_report};

fuzz_target!(|octets: &[u8]| {
    let mut packets = 0;
    for packet in parse(octets) {
        packets += 1;
        let (ssrc, info, mut blocks) = match packet {
            Ok(Packet::Sender { ssrc, info, blocks }) => (ssrc, Some(info), blocks),
            Ok(Packet::Receiver { ssrc, blocks }) => (ssrc, None, blocks),
            Ok(Packet::Feedback { missing, .. }) => {
                assert!(missing.count() <= octets.len() / 4 * 17);
                continue;
            }
            _ => continue,
        };
        let block = blocks.next();
        let mut written = Vec::new();
        write_report(&mut written, ssrc, info, block);
        let again = match parse(&written).next() {
            Some(Ok(Packet::Sender { ssrc: s, info: i, mut blocks })) => (s, Some(i), blocks.next()),
            Some(Ok(Packet::Receiver { ssrc: s, mut blocks })) => (s, None, blocks.next()),
            other => panic!("{other:?}"),
        };
        assert_eq!(again, (ssrc, info, block));
    }
    assert!(packets <= octets.len() / 4 + 1);
});
