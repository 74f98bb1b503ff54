//! Video between two legs, on ports of its own or on the way of the audio.

use opentact_media::control::{VideoFormat, VideoParams};
use opentact_media::relay::{Frame, FrameKind};
use opentact_media::{Command, LegKey};

use crate::connecting::Pair;
use crate::world::{Network, World};

const VP8: u64 = 8;
const H264: u64 = 264;
const SOURCE: u32 = 0x5EE5_EE5E;

/// Formats with numbers that differ from leg to leg.
fn video(remote: Option<usize>, first: u8) -> Option<VideoParams> {
    let format = |id, payload_type| VideoFormat { id, payload_type, receive_payload_type: payload_type };
    let remote = remote.map(|leg| (World::video_address(leg, false), World::video_address(leg, true)));
    Some(VideoParams { remote, formats: vec![format(VP8, first), format(H264, first + 1)], send: true, receive: true })
}

/// A phone and a browser, bridged; what comes to them is kept.
struct Call {
    phone: usize,
    browser: usize,
    legs: [usize; 2],
}

fn call(world: &mut World) -> Call {
    let (leg, phone) = world.call();
    for (one, other) in [(leg, phone), (phone, leg)] {
        let mut params = opentact_media::LegParams::pcmu(World::address(other));
        params.video = video(Some(other), 96);
        world.command(one, Command::Start(params));
    }
    let mut pair = Pair::new(world);
    for params in &mut pair.params {
        params.video = video(None, 120);
    }
    pair.start(world);
    let [other, browser] = pair.legs;
    world.run(2000);
    world.bridge(leg, other);
    for end in [phone, browser] {
        world.command(end, Command::Bridge { with: LegKey(99) });
    }
    Call { phone, browser, legs: [leg, other] }
}

fn frame(sequence: u16, payload: &[u8]) -> Frame<'_> {
    let kind = FrameKind::Video { format: VP8 };
    Frame { ssrc: SOURCE, sequence, timestamp: 3000 * u32::from(sequence), marker: true, kind, payload }
}

fn show(world: &mut World, from: usize, numbers: std::ops::Range<u16>) {
    for sequence in numbers {
        world.relay(from, frame(sequence, &[sequence as u8; 1100]));
        world.run(3);
    }
    world.run(50);
}

fn numbers(world: &World, at: usize) -> Vec<u16> {
    let video = |(kind, ssrc, sequence, payload): &(FrameKind, u32, u16, Vec<u8>)| {
        assert!(*kind == FrameKind::VideoReport || (*ssrc, payload[..].len()) == (SOURCE, 1100));
        (*kind == FrameKind::Video { format: VP8 }).then_some(*sequence)
    };
    world.shown[at].iter().filter_map(video).collect()
}

fn report(world: &mut World, from: usize, compound: &[u8]) {
    let (kind, marker) = (FrameKind::VideoReport, false);
    world.relay(from, Frame { ssrc: 1, sequence: 0, timestamp: 0, marker, kind, payload: compound });
    world.run(100);
}

fn reports(world: &World, at: usize) -> Vec<Vec<u8>> {
    let reports = world.shown[at].iter().filter(|(kind, ..)| *kind == FrameKind::VideoReport);
    reports.map(|(.., payload)| payload.clone()).collect()
}

/// A receiver report without blocks, and a report of a kind about the source, with these numbers missing.
fn feedback(kind: u8, format: u8, missing: &[u16]) -> Vec<u8> {
    let mut compound = vec![0x80, 201, 0, 1, 0, 0, 0, 77, 0x80 | format, kind, 0, 2 + missing.len() as u8, 0, 0, 0, 77];
    compound.extend_from_slice(&SOURCE.to_be_bytes());
    missing.iter().for_each(|number| compound.extend_from_slice(&[(number >> 8) as u8, *number as u8, 0, 0]));
    compound
}

#[test]
fn it_goes_both_ways_as_it_is_and_the_audio_with_it() {
    let mut world = World::new(1, Network { delay: (5, 5), ..Network::default() });
    let call = call(&mut world);
    for (from, to) in [(call.phone, call.browser), (call.browser, call.phone)] {
        show(&mut world, from, 100..200);
        world.run(50);
        assert_eq!(numbers(&world, to), (100..200).collect::<Vec<u16>>());
        // A picture is asked for, of who sends it.
        report(&mut world, to, &feedback(206, 1, &[]));
        assert_eq!(reports(&world, from), [feedback(206, 1, &[])]);
    }
    let before = call.legs.map(|leg| world.legs[leg].stats());
    for end in [call.phone, call.browser] {
        let tone = opentact_media::ToneSpec::cadence(&[440.0], 1000, 0, -10.0);
        world.command(end, Command::Play { id: 1, source: opentact_media::Source::Tone(tone), loops: 0 });
    }
    for _ in 0..10 {
        show(&mut world, call.phone, 200..230);
    }
    let after = call.legs.map(|leg| world.legs[leg].stats());
    for (before, after) in before.iter().zip(&after) {
        assert!(after.packets_received - before.packets_received >= 44, "{after:?}");
        assert_eq!((after.packets_lost, after.packets_discarded - before.packets_discarded), (0, 0));
    }
    // The audio's own reports are about the audio still.
    world.run(12_000);
    assert!(call.legs.iter().all(|leg| world.legs[*leg].stats().round_trip_ms.is_some()));
    assert_eq!(reports(&world, call.browser).len() + reports(&world, call.phone).len(), 2);
}

#[test]
fn what_is_missed_is_sent_again_or_asked_for() {
    let mut world = World::new(1, Network { delay: (5, 5), ..Network::default() });
    let call = call(&mut world);
    for (from, to) in [(call.phone, call.browser), (call.browser, call.phone)] {
        show(&mut world, from, 0..300);
        let nack = feedback(205, 1, &[299, 250, 7]);
        let again = |world: &World| {
            let discarded = world.legs[to].stats().packets_discarded as usize;
            (numbers(world, to).len(), discarded)
        };
        let before = again(&world);
        report(&mut world, to, &nack);
        // Two are kept still, of one so old nothing is. Where they are protected they were not lost, and are replays.
        let (shown, discarded) = again(&world);
        let expected = if to == call.browser { (0, 2) } else { (2, 0) };
        assert_eq!((shown - before.0, discarded - before.1), expected);
        assert_eq!(reports(&world, from).last(), Some(&nack));
    }
}

#[test]
fn strangers_and_other_numbers_are_not_shown() {
    let mut world = World::new(1, Network { delay: (5, 5), ..Network::default() });
    let call = call(&mut world);
    show(&mut world, call.phone, 0..10);
    let shown = numbers(&world, call.browser).len();
    let mut packet = vec![0x80, 96, 0, 50, 0, 0, 0, 1];
    packet.extend_from_slice(&SOURCE.to_be_bytes());
    packet.resize(1112, 9);
    let [leg, other] = call.legs;
    let phone = World::video_address(call.phone, false);
    world.send("10.66.0.1:4000".parse().unwrap(), World::video_address(leg, false), &packet);
    world.send("10.66.0.1:4000".parse().unwrap(), World::address(other), &packet);
    // From the right place, but no format of its.
    packet[1] = 0;
    world.send(phone, World::video_address(leg, false), &packet);
    world.send(phone, World::video_address(leg, false), &[0x80, 206, 0, 9]);
    world.run(100);
    assert_eq!(numbers(&world, call.browser).len(), shown);
    assert!(reports(&world, call.browser).is_empty());
    // Parted, nobody shows the other anything.
    world.unbridge(leg);
    show(&mut world, call.phone, 10..20);
    assert_eq!(numbers(&world, call.browser).len(), shown);
}
