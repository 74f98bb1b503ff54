use std::path::PathBuf;

use opentact_media::recorder::Recording;
use opentact_media::{Command, RecordEnd, Source, ToneSpec};

use crate::world::{Network, World, frequency, level_db};

fn record(id: u64, channels: u8) -> Command {
    Command::Record { id, path: PathBuf::from("x.wav"), channels, max_ms: None, silence_ms: None, beep: false }
}

fn tone(hz: f32, ms: u32) -> Source {
    Source::Tone(ToneSpec::cadence(&[hz], ms, 0, -12.0))
}

fn reason(world: &World, leg: usize, id: u64) -> Option<RecordEnd> {
    world.ended.iter().find_map(|(of, recording)| match recording {
        Recording::End { id: ended, reason } if *of == leg && *ended == id => Some(*reason),
        _ => None,
    })
}

#[test]
fn left_is_what_the_party_says_and_right_what_it_hears() {
    let mut world = World::new(1, Network { delay: (5, 35), ..Network::default() });
    let (leg, phone) = world.call();
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 1000), loops: 0 });
    world.command(leg, Command::Play { id: 2, source: tone(1000.0, 1000), loops: 0 });
    world.run(200);
    world.command(leg, record(3, 2));
    world.run(2000);
    world.command(leg, Command::StopRecord { id: 3 });
    assert_eq!(reason(&world, leg, 3), Some(RecordEnd::Stopped));
    let samples = &world.recordings[&(leg, 3)];
    assert_eq!(samples.len(), 2 * 16_000);
    let channel = |which: usize| samples.chunks_exact(2).map(|frame| frame[which]).collect::<Vec<i16>>();
    for (which, hz) in [(0, 440.0), (1, 1000.0)] {
        let channel = channel(which);
        let steady = &channel[800..15_800];
        assert!((frequency(steady) - hz).abs() < 1.0, "{which}: {}", frequency(steady));
        assert!((level_db(steady) + 12.0).abs() < 0.2);
    }
}

#[test]
fn one_channel_mixes_both_also_when_they_are_relayed() {
    let mut world = World::new(2, Network { delay: (5, 25), ..Network::default() });
    let (a, alice) = world.call();
    let (b, bob) = world.call();
    world.bridge(a, b);
    world.command(alice, Command::Play { id: 1, source: tone(440.0, 1000), loops: 0 });
    world.command(bob, Command::Play { id: 1, source: tone(1000.0, 1000), loops: 0 });
    world.run(200);
    world.command(a, record(1, 1));
    world.run(1000);
    world.command(a, Command::Close);
    assert_eq!(reason(&world, a, 1), Some(RecordEnd::Closed));
    let samples = &world.recordings[&(a, 1)];
    assert_eq!(samples.len(), 8000);
    // Two tones of one level: 3 dB more than one.
    assert!((level_db(&samples[800..]) + 9.0).abs() < 0.3, "{}", level_db(&samples[800..]));
}

#[test]
fn limits_end_it() {
    let mut world = World::new(3, Network::default());
    let (leg, phone) = world.call();
    let order = |id, max_ms, silence_ms| Command::Record {
        id,
        path: PathBuf::from("x.wav"),
        channels: 1,
        max_ms,
        silence_ms,
        beep: false,
    };
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 1500), loops: 1 });
    world.command(leg, order(1, Some(1000), None));
    world.run(2000);
    assert_eq!(reason(&world, leg, 1), Some(RecordEnd::MaxLength));
    assert_eq!(world.recordings[&(leg, 1)].len(), 8000);
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 1500), loops: 1 });
    world.command(leg, order(2, None, Some(700)));
    world.run(2000);
    assert_eq!(reason(&world, leg, 2), None);
    world.run(400);
    assert_eq!(reason(&world, leg, 2), Some(RecordEnd::Silence));
    let length = world.recordings[&(leg, 2)].len();
    assert!((8 * 2200..8 * 2350).contains(&length), "{length}");
}

#[test]
fn the_beep_is_heard_and_not_recorded() {
    let mut world = World::new(4, Network::default());
    let (leg, phone) = world.call();
    world.command(
        leg,
        Command::Record { id: 1, path: "x.wav".into(), channels: 1, max_ms: None, silence_ms: None, beep: true },
    );
    assert!(world.ended.is_empty());
    world.run(1000);
    assert!((frequency(&world.audio(leg)[..2400]) - 1000.0).abs() < 2.0);
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 300), loops: 1 });
    world.run(1000);
    world.command(leg, Command::StopRecord { id: 1 });
    let samples = &world.recordings[&(leg, 1)];
    assert!((8 * 1580..=8 * 1620).contains(&samples.len()), "{}", samples.len());
    let loud: Vec<i16> = samples.iter().copied().filter(|sample| sample.unsigned_abs() > 100).collect();
    // When packets stop coming the last sound fades over 60 ms.
    assert!((8 * 280..=8 * 360).contains(&loud.len()), "{}", loud.len());
}

#[test]
fn loss_is_concealed_and_length_kept() {
    let mut world = World::new(5, Network { loss: 0.05, delay: (5, 60), ..Network::default() });
    let (leg, phone) = world.call();
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 1000), loops: 0 });
    world.run(100);
    world.command(leg, record(1, 1));
    world.run(10_000);
    world.command(leg, Command::StopRecord { id: 1 });
    let samples = &world.recordings[&(leg, 1)];
    assert_eq!(samples.len(), 80_000);
    assert!((level_db(&samples[800..]) + 12.0).abs() < 0.6, "{}", level_db(&samples[800..]));
}

#[test]
fn a_second_recording_ends_the_first() {
    let mut world = World::new(6, Network::default());
    let (leg, _) = world.call();
    world.command(leg, record(1, 1));
    world.run(100);
    world.command(leg, record(2, 1));
    assert_eq!(reason(&world, leg, 1), Some(RecordEnd::Stopped));
    world.command(leg, Command::StopRecord { id: 1 });
    assert_eq!(reason(&world, leg, 2), None);
}
