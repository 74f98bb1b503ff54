use opentact_media::codec::Codec;
use opentact_media::control::MAX_RECORDINGS;
use opentact_media::recorder::Recording;
use opentact_media::{Command, Event, LegParams, RecordEnd, RecordOrder, Source, ToneSpec};

use crate::world::{Network, World, frequency, frequency_at, level_db};

fn record(id: u64, channels: u8) -> Command {
    Command::Record(RecordOrder { channels, ..RecordOrder::new(id, "x.wav") })
}

/// The samples of one channel of two.
fn channel(samples: &[i16], which: usize) -> Vec<i16> {
    samples.chunks_exact(2).map(|frame| frame[which]).collect()
}

/// Samples per second of a recording.
fn rate(world: &World, leg: usize, id: u64) -> u32 {
    let mut rates = world.ended.iter().filter_map(|(of, recording)| match recording {
        Recording::Begin { id: begun, rate, .. } if *of == leg && *begun == id => Some(*rate),
        _ => None,
    });
    rates.next_back().unwrap()
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
    for (which, hz) in [(0, 440.0), (1, 1000.0)] {
        let channel = channel(samples, which);
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
    let order =
        |id, max_ms, silence_ms| Command::Record(RecordOrder { max_ms, silence_ms, ..RecordOrder::new(id, "x.wav") });
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
    world.command(leg, Command::Record(RecordOrder { beep: true, ..RecordOrder::new(1, "x.wav") }));
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
fn recordings_do_not_disturb_each_other() {
    let mut world = World::new(6, Network::default());
    let (leg, phone) = world.call();
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 1000), loops: 0 });
    world.run(200);
    world.command(leg, record(1, 2));
    world.run(500);
    world.command(leg, record(2, 1));
    world.run(500);
    world.command(leg, Command::StopRecord { id: 1 });
    world.run(500);
    world.command(leg, Command::StopRecord { id: 2 });
    assert_eq!(world.recordings[&(leg, 1)].len(), 2 * 8000);
    assert_eq!(world.recordings[&(leg, 2)].len(), 8000);
    assert!((level_db(&world.recordings[&(leg, 2)][800..]) + 12.0).abs() < 0.2);
    // One too many fails and leaves the others alone.
    for id in 0..=MAX_RECORDINGS as u64 {
        world.command(leg, record(10 + id, 1));
    }
    let last = 10 + MAX_RECORDINGS as u64;
    let failed =
        |event: &Event| matches!(event, Event::RecordDone { id, reason: RecordEnd::Failed, .. } if *id == last);
    assert!(world.events.iter().any(|(of, event)| *of == leg && failed(event)));
    world.command(leg, Command::Close);
    assert_eq!(reason(&world, leg, last - 1), Some(RecordEnd::Closed));
}

#[test]
fn the_best_codec_of_the_legs_decides_the_rate() {
    // Nothing of a tone of 5 kHz passes through a narrow codec.
    for (own, other, expected) in [
        (Codec::Pcmu, Codec::Pcma, 8_000),
        (Codec::G722, Codec::G722, 16_000),
        (Codec::Opus, Codec::Opus, 16_000),
        (Codec::Pcmu, Codec::Opus, 16_000),
        (Codec::Pcma, Codec::G722, 16_000),
        (Codec::G722, Codec::Pcmu, 16_000),
        (Codec::Opus, Codec::L16Wide, 16_000),
    ] {
        let mut world = World::new(7, Network { delay: (5, 25), ..Network::default() });
        let (a, alice) = world.call_in(own);
        let (b, bob) = world.call_in(other);
        world.bridge(a, b);
        let hz = |codec: Codec| if codec.recording_rate() == 8_000 { 440.0 } else { 5_000.0 };
        world.command(alice, Command::Play { id: 1, source: tone(hz(own), 1000), loops: 0 });
        world.command(bob, Command::Play { id: 1, source: tone(hz(other), 1000), loops: 0 });
        world.run(300);
        let order = RecordOrder { rate: other.recording_rate(), channels: 2, ..RecordOrder::new(1, "x.wav") };
        world.command(a, Command::Record(order));
        world.run(3000);
        world.command(a, Command::StopRecord { id: 1 });
        assert_eq!(rate(&world, a, 1), expected, "{own:?} {other:?}");
        let samples = &world.recordings[&(a, 1)];
        assert_eq!(samples.len(), 2 * 3 * expected as usize, "{own:?} {other:?}");
        for (which, codec) in [(0, own), (1, other)] {
            let channel = channel(samples, which);
            let steady = &channel[expected as usize / 2..];
            let measured = frequency_at(steady, expected);
            assert!((measured - f64::from(hz(codec))).abs() < 2.0, "{own:?} {other:?} {which}: {measured}");
            let level = level_db(steady);
            assert!((level + 12.0).abs() < 1.0, "{own:?} {other:?} {which}: {level}");
        }
    }
}

#[test]
fn a_change_of_codec_and_hold_are_in_time() {
    let mut world = World::new(8, Network { delay: (5, 25), ..Network::default() });
    let (leg, phone) = world.call_in(Codec::G722);
    let again = |world: &mut World, codec, hold: bool| {
        for (one, other) in [(leg, phone), (phone, leg)] {
            let mut params = LegParams::of(World::address(other), codec);
            params.receive = !hold || one == phone;
            params.send = !hold || one == leg;
            world.command(one, Command::Start(params));
        }
    };
    world.command(phone, Command::Play { id: 1, source: tone(440.0, 1000), loops: 0 });
    world.run(300);
    world.command(leg, record(1, 1));
    world.run(2000);
    again(&mut world, Codec::Pcmu, false);
    world.run(2000);
    again(&mut world, Codec::Pcmu, true);
    world.run(2000);
    again(&mut world, Codec::Opus, false);
    world.run(2000);
    world.command(leg, Command::StopRecord { id: 1 });
    let samples = &world.recordings[&(leg, 1)];
    assert_eq!((rate(&world, leg, 1), samples.len()), (16_000, 8 * 16_000));
    for second in [1, 3, 7] {
        let steady = &samples[second * 16_000 - 4_000..second * 16_000 + 12_000];
        let measured = frequency_at(steady, 16_000);
        assert!((measured - 440.0).abs() < 1.0, "second {second}: {measured}");
        assert!((level_db(steady) + 12.0).abs() < 1.0, "second {second}: {}", level_db(steady));
    }
    let held = &samples[5 * 16_000 - 8_000..6 * 16_000 - 1_000];
    assert!(held.iter().all(|sample| sample.abs() < 20), "{}", level_db(held));
}

#[test]
fn a_leg_that_has_not_begun_is_recorded_from_its_beginning() {
    let mut world = World::new(9, Network::default());
    let (leg, phone) = (world.add(), world.add());
    world.command(leg, record(1, 1));
    world.run(1000);
    assert!(world.ended.is_empty());
    for (one, other) in [(leg, phone), (phone, leg)] {
        world.command(one, Command::Start(LegParams::of(World::address(other), Codec::G722)));
    }
    world.run(1000);
    world.command(leg, Command::StopRecord { id: 1 });
    assert_eq!((rate(&world, leg, 1), world.recordings[&(leg, 1)].len()), (16_000, 16_000));
    // One that never begins is an empty file.
    let leg = world.add();
    world.command(leg, record(2, 1));
    world.command(leg, Command::Close);
    assert_eq!(reason(&world, leg, 2), Some(RecordEnd::Closed));
    assert!(!world.recordings.contains_key(&(leg, 2)));
}

#[test]
fn pauses_that_are_not_sent_keep_their_length() {
    let mut world = World::new(10, Network { delay: (5, 25), ..Network::default() });
    let (leg, phone) = world.call_with(|params| {
        *params = LegParams::of(params.remote, Codec::Opus);
        params.opus.dtx = true;
    });
    world.command(leg, record(1, 1));
    for _ in 0..3 {
        world.command(phone, Command::Play { id: 1, source: tone(440.0, 1000), loops: 1 });
        world.run(1000);
        world.command(phone, Command::Play { id: 2, source: Source::Silence { ms: 2000 }, loops: 1 });
        world.run(2000);
    }
    world.command(leg, Command::StopRecord { id: 1 });
    let samples = &world.recordings[&(leg, 1)];
    assert_eq!(samples.len(), 9 * 16_000);
    for turn in 0..3 {
        let second = &samples[(3 * turn * 16_000)..][..48_000];
        assert!((level_db(&second[4_000..12_000]) + 12.0).abs() < 1.0, "turn {turn}");
        assert!(level_db(&second[24_000..44_000]) < -50.0, "turn {turn}: {}", level_db(&second[24_000..44_000]));
    }
}
