use std::f64::consts::TAU;

use opentact_media::control::TAP_MARKS;
use opentact_media::{Audience, Codec, Command, Event, Source, ToneSpec};

use crate::world::{Network, World, frequency_at, tone_db};

const CODECS: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Wide, Codec::L16Narrow];

fn sine(hz: f64, rate: u32, ms: u32) -> Vec<i16> {
    let count = rate * ms / 1000;
    (0..count).map(|n| ((f64::from(n) * hz * TAU / f64::from(rate)).sin() * 3_277.0) as i16).collect()
}

fn marked(world: &World, leg: usize) -> Vec<(u64, bool)> {
    let of = |(who, event): &(usize, Event)| match event {
        Event::Marked { id, played } if *who == leg => Some((*id, *played)),
        _ => None,
    };
    world.events.iter().filter_map(of).collect()
}

#[test]
fn both_ways_in_every_codec_at_every_rate() {
    for codec in CODECS {
        for rate in [8_000, 16_000, 24_000] {
            let mut world = World::new(1, Network { delay: (5, 25), ..Network::default() });
            let (leg, phone) = world.call_in(codec);
            let source = Source::Tone(ToneSpec::cadence(&[440.0], 1000, 0, -20.0));
            world.command(phone, Command::Play { id: 1, source, loops: 0 });
            world.command(leg, Command::Tap { rate });
            world.command(phone, Command::Tap { rate });
            world.command(leg, Command::Say { samples: sine(1000.0, rate, 1_500).into() });
            world.run(3_000);
            for (of, hz, part) in [(leg, 440.0, 1_000), (phone, 1000.0, 500)] {
                let heard = &world.tapped[of];
                assert_eq!(heard.len() as u32, rate * 3 + rate / 50, "every packet time, from the first on");
                let at = rate as usize / 1000 * part;
                let steady = &heard[at..at + rate as usize / 2];
                let (level, measured) = (tone_db(steady, rate, hz), frequency_at(steady, rate));
                assert!((level + 20.0).abs() < 1.5, "{codec:?} {rate}: {level} dB");
                assert!((measured - hz).abs() < 1.0, "{codec:?} {rate}: {measured} Hz");
            }
            // What was said is over, and is silent behind.
            let rest = &world.tapped[phone][rate as usize * 29 / 10..];
            assert!(tone_db(rest, rate, 1000.0) < -50.0);
        }
    }
}

#[test]
fn marks_are_told_when_their_time_has_come_and_what_is_hushed_is_not_played() {
    let mut world = World::new(1, Network::default());
    let (leg, _) = world.call();
    world.command(leg, Command::Tap { rate: 16_000 });
    world.command(leg, Command::Mark { id: 1 });
    world.command(leg, Command::Say { samples: sine(440.0, 16_000, 110).into() });
    world.command(leg, Command::Mark { id: 2 });
    world.command(leg, Command::Say { samples: sine(440.0, 16_000, 500).into() });
    world.command(leg, Command::Mark { id: 3 });
    world.run(0);
    // Behind nothing: at once.
    assert_eq!(marked(&world, leg), [(1, true)]);
    // The sixth packet, sent at 100 ms, has the end of the first 110.
    world.run(119);
    assert_eq!(marked(&world, leg), [(1, true)]);
    world.run(1);
    assert_eq!(marked(&world, leg), [(1, true), (2, true)]);
    world.run(100);
    world.command(leg, Command::Hush);
    assert_eq!(marked(&world, leg).last(), Some(&(3, false)));
    let sent = world.sent[leg].len();
    world.run(300);
    assert_eq!(world.sent[leg].len(), sent);
    world.command(leg, Command::Say { samples: sine(440.0, 16_000, 40).into() });
    world.command(leg, Command::Mark { id: 4 });
    world.run(60);
    assert_eq!(marked(&world, leg).last(), Some(&(4, true)));
    // The leg ends before the last.
    world.command(leg, Command::Say { samples: sine(440.0, 16_000, 40).into() });
    world.command(leg, Command::Mark { id: 5 });
    world.command(leg, Command::Close);
    assert_eq!(marked(&world, leg).last(), Some(&(5, false)));
    assert!(matches!(world.events.last(), Some((_, Event::Closed(_)))));
}

#[test]
fn too_much_is_dropped_and_said_to_be() {
    let mut world = World::new(1, Network::default());
    let (leg, _) = world.call();
    world.command(leg, Command::Tap { rate: 8_000 });
    world.command(leg, Command::Say { samples: vec![0; 8_000 * 60].into() });
    assert_eq!(world.events, []);
    world.command(leg, Command::Say { samples: vec![0; 10].into() });
    assert_eq!(world.events, [(leg, Event::SaidTooMuch { samples: 10 })]);
    for id in 0..=TAP_MARKS as u64 {
        world.command(leg, Command::Mark { id });
    }
    assert_eq!(marked(&world, leg), [(TAP_MARKS as u64, false)]);
}

#[test]
fn it_speaks_before_the_other_leg_and_before_a_mix() {
    for mixed in [false, true] {
        let mut world = World::new(1, Network::default());
        let (a, alice) = world.call();
        let (b, _) = world.call();
        if mixed {
            world.join(a, Audience::All);
            world.join(b, Audience::All);
        } else {
            world.bridge(a, b);
        }
        let source = Source::Tone(ToneSpec::cadence(&[440.0], 1000, 0, -20.0));
        world.command(alice, Command::Play { id: 1, source, loops: 0 });
        world.command(b, Command::Tap { rate: 8_000 });
        world.run(500);
        world.command(b, Command::Say { samples: sine(1000.0, 8_000, 500).into() });
        world.run(1_000);
        let audio = world.audio(b);
        let said = audio.len() - 8_000 * 3 / 4..audio.len() - 8_000 * 6 / 10;
        assert!(tone_db(&audio[said.clone()], 8_000, 1000.0) > -21.0);
        assert!(tone_db(&audio[said], 8_000, 440.0) < -50.0);
        let after = &audio[audio.len() - 2_400..];
        assert!(tone_db(after, 8_000, 440.0) > -21.0 && tone_db(after, 8_000, 1000.0) < -50.0);
    }
}
