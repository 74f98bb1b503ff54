//! RTP: what parses is written the same, and a leg takes any run of datagrams, on both its ports, without harm.
#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentact_fuzz::leg_config;
use opentact_media::leg::{Input, Output};
use opentact_media::rtp::{HEADER_LEN, Packet};
use opentact_media::{Command, Leg, LegConfig, LegParams, RecordOrder};

fuzz_target!(|octets: &[u8]| {
    if let Ok(packet) = Packet::parse(octets) {
        let mut written = packet.header.octets().to_vec();
        written.extend_from_slice(packet.payload);
        assert_eq!(Packet::parse(&written), Ok(packet));
        assert!(written.len() - HEADER_LEN <= octets.len());
    }

    let mut now = Instant::now();
    let from: SocketAddr = ([192, 0, 2, 1], 4000).into();
    let mut legs = [1, 2].map(|seed| {
        let timeout = Some(Duration::from_secs(1));
        let config = LegConfig { seed, rtp_timeout: timeout, fill_silence: seed == 1, ..leg_config(now) };
        let mut leg = Leg::new(config);
        leg.handle(now, Input::Command(Command::Start(LegParams::pcmu(from))));
        leg.handle(now, Input::Command(Command::Bridge { with: opentact_media::LegKey(seed) }));
        let record = RecordOrder { channels: seed as u8, silence_ms: Some(500), ..RecordOrder::new(seed, "x") };
        leg.handle(now, Input::Command(Command::Record(record)));
        leg
    });
    // A datagram is a length, then as many octets; the length's upper bits choose the port.
    let mut rest = octets;
    while let Some((&[head, pace], after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(head & 0x7F).min(after.len());
        let (datagram, after) = after.split_at(length);
        rest = after;
        now += Duration::from_millis(u64::from(pace) * 4);
        let [leg, peer] = &mut legs;
        match head & 0x80 {
            0 => leg.handle(now, Input::Rtp { from, datagram }),
            _ => leg.handle(now, Input::Rtcp { from, datagram }),
        }
        leg.handle(now, Input::Tick);
        peer.handle(now, Input::Tick);
        while let Some(output) = leg.poll() {
            match output {
                Output::Relay(frame) => peer.handle(now, Input::Relayed(frame)),
                Output::Rtp { packet, .. } => assert!(Packet::parse(packet).is_ok()),
                _ => {}
            }
        }
        while peer.poll().is_some() {}
    }
    let _ = legs[0].stats();
});
