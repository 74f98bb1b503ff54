use opentact_media::dtmf::{Detector, Heard};
use opentact_media::{Codec, Command, Event, LegParams, Source, ToneSpec};

use crate::world::{Network, World};

const ALL: &str = "1234567890*#ABCD115500";

fn send(digits: &str) -> Command {
    Command::SendDtmf { digits: digits.into(), on_ms: 100, gap_ms: 100 }
}

#[test]
fn every_key_arrives_once_whatever_the_network_does() {
    for seed in 0..300 {
        let network = Network { loss: 0.1, duplication: 0.1, delay: (5, 60) };
        let mut world = World::new(seed, network);
        let (leg, phone) = world.call();
        world.command(phone, send(ALL));
        world.run(6000);
        assert_eq!(world.keys(leg), ALL, "seed {seed}");
    }
}

#[test]
fn a_key_is_told_though_all_its_ends_are_lost() {
    let mut world = World::new(1, Network::default());
    let (leg, phone) = world.call();
    world.command(phone, send("7"));
    world.run(61);
    // The phone is gone from now on.
    world.command(phone, Command::Close);
    world.run(1000);
    let keys: Vec<_> =
        world.events.iter().filter(|(of, event)| *of == leg && matches!(event, Event::Dtmf { .. })).collect();
    assert_eq!(keys.len(), 1);
    assert!(matches!(keys[0].1, Event::Dtmf { digit: '7', duration_ms: 60..=80 }), "{keys:?}");
}

#[test]
fn durations_are_exact_and_very_long_keys_are_one() {
    let mut world = World::new(2, Network::default());
    let (leg, phone) = world.call();
    for on_ms in [40, 100, 9_000] {
        world.command(phone, Command::SendDtmf { digits: "1".into(), on_ms, gap_ms: 60 });
    }
    world.run(10_000);
    let durations: Vec<u32> = world
        .events
        .iter()
        .filter_map(|(of, event)| match event {
            Event::Dtmf { duration_ms, .. } if *of == leg => Some(*duration_ms),
            _ => None,
        })
        .collect();
    assert_eq!(durations, [40, 100, 9_000]);
}

#[test]
fn packets_of_a_key_are_as_rfc_4733_wants_them() {
    let mut world = World::new(3, Network::default());
    let (leg, _) = world.call();
    let source = Source::Tone(ToneSpec::cadence(&[440.0], 1000, 0, -10.0));
    world.command(leg, Command::Play { id: 1, source, loops: 0 });
    world.run(90);
    world.command(leg, Command::SendDtmf { digits: "w5".into(), on_ms: 80, gap_ms: 80 });
    world.run(1000);
    let sent = &world.sent[leg];
    // Sequence numbers count on through audio and events alike.
    assert!(sent.iter().zip(&sent[1..]).all(|(a, b)| b.header.sequence == a.header.sequence.wrapping_add(1)));
    let events: Vec<_> = sent.iter().filter(|packet| packet.header.payload_type == 101).collect();
    let durations: Vec<u16> = events.iter().map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]])).collect();
    assert_eq!(durations, [160, 320, 480, 640, 640, 640]);
    let ends: Vec<bool> = events.iter().map(|p| p.payload[1] & 0x80 != 0).collect();
    assert_eq!(ends, [false, false, false, true, true, true]);
    let markers: Vec<bool> = events.iter().map(|p| p.header.marker).collect();
    assert_eq!(markers, [true, false, false, false, false, false]);
    assert!(events.iter().all(|p| p.header.timestamp == events[0].header.timestamp && p.payload[0] == 5));
    // The audio goes on where it would be had there been no key.
    let audio: Vec<_> = sent.iter().filter(|packet| packet.header.payload_type == 0).collect();
    let first = audio[0];
    for packet in &audio {
        let clock = (packet.at - first.at).as_millis() as u32 * 8;
        assert_eq!(packet.header.timestamp.wrapping_sub(first.header.timestamp), clock);
    }
    assert!(world.events.contains(&(leg, Event::DtmfSent)));
}

#[test]
fn without_telephone_events_keys_are_tones() {
    let mut world = World::new(4, Network::default());
    let (leg, phone) = world.call_with(|params| params.dtmf = None);
    world.command(leg, Command::SendDtmf { digits: "5".into(), on_ms: 100, gap_ms: 100 });
    world.run(300);
    assert!(world.events.contains(&(leg, Event::DtmfSent)));
    assert_eq!(world.keys(phone), "5");
    let audio = world.audio(leg);
    assert_eq!(audio.len(), 1600);
    let power = |hz: f64| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in audio[..800].iter().enumerate() {
            let angle = n as f64 * hz * std::f64::consts::TAU / 8000.0;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        (re * re + im * im).sqrt() / 400.0
    };
    // Both a quarter of full scale: -6 dB, shared.
    for hz in [770.0, 1336.0] {
        assert!((power(hz) / 8211.0 - 1.0).abs() < 0.05, "{hz}: {}", power(hz));
    }
    assert!(power(941.0) < 300.0);
}

#[test]
fn what_is_no_key_is_skipped_and_too_many_are_dropped() {
    let mut world = World::new(5, Network::default());
    let (leg, phone) = world.call();
    world.command(phone, send("hello?"));
    assert_eq!(world.events, [(phone, Event::DtmfSent)]);
    world.command(phone, Command::SendDtmf { digits: "1".repeat(1000), on_ms: 40, gap_ms: 40 });
    world.run(60_000);
    assert_eq!(world.keys(leg).len(), 128);
}

#[test]
fn keys_that_come_as_tones_are_heard_in_every_codec() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide] {
        let mut world = World::new(6, Network { delay: (5, 15), ..Network::default() });
        let (leg, phone) = world.call_with(|params| {
            *params = LegParams { dtmf: None, ..LegParams::of(params.remote, codec) };
        });
        world.command(phone, send(ALL));
        world.run(6000);
        assert_eq!(world.keys(leg), ALL, "{codec:?}");
        for (_, event) in &world.events {
            if let Event::Dtmf { duration_ms, .. } = event {
                assert!((80..=120).contains(duration_ms), "{codec:?}: {duration_ms}");
            }
        }
    }
}

#[test]
fn tones_become_events_for_a_leg_that_has_them_and_are_not_heard_as_well() {
    for codec in [Codec::Pcmu, Codec::G722] {
        let mut world = World::new(7, Network { delay: (5, 15), ..Network::default() });
        let (a, alice) = world.call_with(|params| params.dtmf = None);
        let (b, bob) = world.call_in(codec);
        world.bridge(a, b);
        world.command(alice, Command::SendDtmf { digits: "159#".into(), on_ms: 250, gap_ms: 100 });
        world.run(3000);
        assert_eq!((world.keys(a).as_str(), world.keys(bob).as_str()), ("159#", "159#"), "{codec:?}");
        // What goes through before a key is known is too short to be one.
        let audio = world.audio(b);
        let rate = if codec == Codec::G722 { 16_000 } else { 8_000 };
        let mut narrow = opentact_media::resample::convert(&audio, rate, 8_000).unwrap();
        narrow.extend([0; 800]);
        let mut doubled = Vec::new();
        Detector::default().listen(&narrow, |heard| doubled.push(heard));
        assert!(doubled.iter().all(|heard| !matches!(heard, Heard::Released(_, 40..))), "{codec:?}: {doubled:?}");
    }
}

#[test]
fn tones_stay_tones_between_two_who_have_nothing_else() {
    let mut world = World::new(8, Network::default());
    let (a, alice) = world.call_with(|params| params.dtmf = None);
    let (b, bob) = world.call_with(|params| params.dtmf = None);
    world.bridge(a, b);
    world.command(alice, Command::SendDtmf { digits: "0A*".into(), on_ms: 100, gap_ms: 100 });
    world.run(2000);
    assert_eq!((world.keys(a).as_str(), world.keys(bob).as_str()), ("0A*", "0A*"));
}

#[test]
fn a_tone_that_stops_with_its_packets_is_over() {
    let mut world = World::new(9, Network::default());
    let (leg, phone) = world.call_with(|params| params.dtmf = None);
    world.command(phone, Command::SendDtmf { digits: "8".into(), on_ms: 2000, gap_ms: 100 });
    world.run(500);
    world.command(phone, Command::Close);
    world.run(500);
    assert_eq!(world.keys(leg), "8");
}

#[test]
fn keys_go_by_signalling_where_that_is_the_way() {
    let signalled = |world: &World, leg: usize| {
        let told = |(of, event): &(usize, Event)| match event {
            Event::SignalKey { digit, .. } if *of == leg => Some(*digit),
            _ => None,
        };
        world.events.iter().filter_map(told).collect::<String>()
    };
    for events in [true, false] {
        let mut world = World::new(10, Network::default());
        let (a, alice) = world.call_with(|params| params.dtmf = params.dtmf.filter(|_| events));
        let (b, bob) =
            world.call_with(|params| *params = LegParams { dtmf: None, signals_keys: true, ..params.clone() });
        world.bridge(a, b);
        world.command(alice, Command::SendDtmf { digits: "4#".into(), on_ms: 150, gap_ms: 100 });
        world.run(1500);
        assert_eq!(signalled(&world, b), "4#", "events {events}");
        // And back: told by signalling, sent as events or tones.
        world.command(b, Command::PassKey { digit: '7' });
        world.command(b, Command::PassKey { digit: '8' });
        world.run(1500);
        assert_eq!(world.keys(alice), "78", "events {events}");
        assert_eq!(world.keys(b), "");
        world.command(bob, Command::SendDtmf { digits: "x9".into(), on_ms: 150, gap_ms: 100 });
        assert_eq!(signalled(&world, bob), "9");
    }
}
