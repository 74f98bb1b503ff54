use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use opentact_media::clip::Keeper;
use opentact_media::codec::{Codec, Decoder};
use opentact_media::{Clip, Command, Event, LegParams, Source, ToneSpec, ToneStep};

use crate::world::{Network, World, frequency, frequency_at, level_db};

fn sine(hz: f64, rate: u32, ms: u32) -> Source {
    let count = u64::from(rate) * u64::from(ms) / 1000;
    let samples: Vec<i16> =
        (0..count).map(|n| ((n as f64 * hz * TAU / f64::from(rate)).sin() * 10_000.0).round() as i16).collect();
    Source::pcm(samples, rate)
}

#[test]
fn a_prompt_is_sent_without_a_gap_and_its_end_is_told_with_its_last_packet() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = World::new(1, Network::default());
        let (leg, _) = world.call_in(codec);
        world.command(leg, Command::Play { id: 3, source: sine(440.0, 44_100, 1990), loops: 1 });
        world.run(1970);
        assert_eq!(world.events, []);
        world.run(30);
        assert_eq!(world.events, [(leg, Event::PlayDone { id: 3, completed: true })]);
        world.run(1000);
        let sent = &world.sent[leg];
        assert_eq!(sent.len(), 100);
        assert!(sent[0].header.marker);
        for (before, after) in sent.iter().zip(&sent[1..]) {
            assert_eq!(after.at - before.at, Duration::from_millis(20));
            assert_eq!(after.header.sequence, before.header.sequence.wrapping_add(1));
            assert_eq!(after.header.timestamp, before.header.timestamp.wrapping_add(160));
            assert!(!after.header.marker);
        }
        let audio = world.audio(leg);
        let heard = &audio[200..15_800];
        assert!((frequency(heard) - 440.0).abs() < 0.1, "{}", frequency(heard));
        let expected = 20.0 * (10_000.0f64 / 32767.0).log10();
        assert!((level_db(heard) - expected).abs() < 0.1, "{} dB", level_db(heard));
    }
}

#[test]
fn full_scale_does_not_clip_and_levels_are_exact() {
    for (level, hz) in [(0.0f32, vec![440.0f32]), (-20.0, vec![440.0]), (0.0, vec![350.0, 440.0])] {
        let mut world = World::new(2, Network::default());
        let (leg, _) = world.call();
        let source = Source::Tone(ToneSpec::cadence(&hz, 1000, 0, level));
        world.command(leg, Command::Play { id: 1, source, loops: 1 });
        world.run(1000);
        let audio = world.audio(leg);
        let peak = audio.iter().map(|s| s.unsigned_abs()).max().unwrap();
        let full = 32767.0 * 10f64.powf(f64::from(level) / 20.0);
        // µ-law's steps at the top are 1024 wide, its highest value is 32124.
        assert!((f64::from(peak) - full).abs() <= full / 32.0 + 300.0, "{peak} of {full}");
        // Each of two frequencies has half the amplitude: together 3 dB less power.
        let expected = f64::from(level) - if hz.len() == 2 { 3.01 } else { 0.0 };
        assert!((level_db(&audio) - expected).abs() < 0.1, "{} for {expected}", level_db(&audio));
    }
}

#[test]
fn a_tone_that_loops_keeps_its_phase() {
    let mut world = World::new(3, Network::default());
    let (leg, _) = world.call();
    // 33 ms: no whole number of turns, nor of packets.
    let source = Source::Tone(ToneSpec::cadence(&[440.0], 33, 0, -6.0));
    world.command(leg, Command::Play { id: 1, source, loops: 0 });
    world.run(4000);
    let audio = world.audio(leg);
    assert!((frequency(&audio) - 440.0).abs() < 0.05, "{}", frequency(&audio));
    let largest = audio.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    // The steepest step of such a sine, and a quantisation step.
    assert!(f64::from(largest) < 16384.0 * 440.0 * TAU / 8000.0 + 1100.0, "{largest}");
    world.command(leg, Command::StopPlay { id: 9 });
    assert_eq!(world.events, []);
    world.command(leg, Command::StopPlay { id: 1 });
    assert_eq!(world.events, [(leg, Event::PlayDone { id: 1, completed: false })]);
}

#[test]
fn a_cadence_sounds_and_is_silent_to_the_sample() {
    let mut world = World::new(4, Network::default());
    let (leg, _) = world.call();
    let step = |hz: f32| ToneStep { hz: vec![hz], on_ms: 100, off_ms: 50 };
    let spec = ToneSpec { steps: vec![step(400.0), step(1000.0)], level_db: -3.0 };
    world.command(leg, Command::Play { id: 1, source: Source::Tone(spec), loops: 2 });
    world.run(1000);
    let audio = world.audio(leg);
    assert_eq!(audio.len(), 4800);
    for (start, hz) in [(0, 400.0), (1200, 1000.0), (2400, 400.0), (3600, 1000.0)] {
        assert!((frequency(&audio[start..start + 800]) - hz).abs() < 2.0);
        assert!(audio[start + 800..start + 1200].iter().all(|sample| *sample == 0));
    }
}

#[test]
fn loops_follow_each_other_without_a_seam() {
    let mut world = World::new(5, Network::default());
    let (leg, _) = world.call();
    let samples: Vec<i16> = vec![8031; 250];
    let source = Source::pcm(samples, 8000);
    world.command(leg, Command::Play { id: 1, source, loops: 4 });
    world.run(1000);
    let audio = world.audio(leg);
    assert_eq!(audio.len(), 1120);
    assert!(audio[..1000].iter().all(|sample| *sample == 7932 || *sample == 8031 || *sample > 7000));
    assert!(audio[1000..].iter().all(|sample| *sample == 0));
    assert_eq!(world.events, [(leg, Event::PlayDone { id: 1, completed: true })]);
}

#[test]
fn nothing_is_nothing_to_play_however_often() {
    for source in
        [Source::pcm([], 8000), Source::Silence { ms: 0 }, Source::Tone(ToneSpec { steps: Vec::new(), level_db: 0.0 })]
    {
        for loops in [0, 1, 5] {
            let mut world = World::new(6, Network::default());
            let (leg, _) = world.call();
            world.command(leg, Command::Play { id: 1, source: source.clone(), loops });
            world.run(100);
            assert_eq!(world.events, [(leg, Event::PlayDone { id: 1, completed: true })]);
            assert!(world.sent[leg].is_empty());
        }
    }
}

/// Encodes at once, wherever that is.
struct Here;

impl Keeper for Here {
    fn take(&self, _: usize) -> bool {
        true
    }

    fn give_back(&self, _: usize) {}

    fn wake(&self, clip: Arc<Clip>) {
        while clip.encode() {}
    }
}

#[test]
fn a_prompt_still_coming_is_played_as_far_as_it_is_there_and_goes_on_without_a_seam() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut world = World::new(7, Network::default());
        let (leg, _) = world.call_in(codec);
        let clip = Clip::begin(Arc::new(Here));
        world.command(leg, Command::Play { id: 1, source: Source::Clip(clip.clone()), loops: 2 });
        world.run(100);
        assert!(world.sent[leg].is_empty());
        let sine: Vec<i16> =
            (0..16_000).map(|n| ((f64::from(n) * 440.0 * TAU / 16_000.0).sin() * 10_000.0) as i16).collect();
        clip.push(sine[..9_600].into(), 16_000).unwrap();
        world.run(500);
        world.run(200);
        // It stops where nothing follows: of 600 ms some wait in the filter and for the rest of their piece.
        let so_far = world.sent[leg].len();
        assert!((20..=30).contains(&so_far), "{codec:?}: {so_far}");
        assert_eq!(world.events, []);
        clip.push(sine[9_600..].into(), 16_000).unwrap();
        clip.finish(Ok(()));
        world.run(2000);
        assert_eq!(world.sent[leg].len(), 100, "{codec:?}");
        assert_eq!(world.events, [(leg, Event::PlayDone { id: 1, completed: true })]);
        let mut decoder = Decoder::new(codec, 16_000).unwrap();
        let mut samples = Vec::new();
        for packet in &world.sent[leg] {
            decoder.decode(&packet.payload, &mut samples);
        }
        let measured = frequency_at(&samples[samples.len() / 8..samples.len() * 3 / 8], decoder.rate());
        assert!((measured - 440.0).abs() < 0.5, "{codec:?}: {measured}");
    }
}

#[test]
fn one_that_breaks_off_is_told_with_its_reason_after_what_was_there() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let mut world = World::new(7, Network::default());
        let (leg, _) = world.call_in(codec);
        let clip = Clip::begin(Arc::new(Here));
        world.command(leg, Command::Play { id: 1, source: Source::Clip(clip.clone()), loops: 0 });
        clip.push(vec![5000; 2_500].into(), 8000).unwrap();
        clip.finish(Err("cut off".into()));
        world.run(1000);
        assert_eq!(world.sent[leg].len(), 16, "{codec:?}");
        assert_eq!(world.events, [(leg, Event::PlayFailed { id: 1, reason: "cut off".into() })]);
    }
}

#[test]
fn a_rate_that_cannot_be_resampled_is_said() {
    let mut world = World::new(7, Network::default());
    let (leg, _) = world.call();
    world.command(leg, Command::Play { id: 1, source: Source::pcm(vec![0; 8], 7), loops: 1 });
    world.run(100);
    let reason = "cannot convert 7 to 8000 samples per second".into();
    assert_eq!(world.events, [(leg, Event::PlayFailed { id: 1, reason })]);
}

#[test]
fn a_new_play_takes_the_place_of_the_old() {
    let mut world = World::new(8, Network::default());
    let (leg, _) = world.call();
    world.command(leg, Command::Play { id: 1, source: sine(440.0, 8000, 1000), loops: 1 });
    world.run(101);
    world.command(leg, Command::Play { id: 2, source: sine(880.0, 8000, 200), loops: 1 });
    world.run(1000);
    let done = |id, completed| (leg, Event::PlayDone { id, completed });
    assert_eq!(world.events, [done(1, false), done(2, true)]);
    let sent = &world.sent[leg];
    assert!(sent.iter().zip(&sent[1..]).all(|(a, b)| b.header.timestamp == a.header.timestamp.wrapping_add(160)));
}

#[test]
fn packet_times_from_10_to_60_ms_hold_what_they_say() {
    for ptime in [10u8, 20, 30, 40, 60] {
        let mut world = World::new(9, Network::default());
        let (leg, _) = world.call_with(|params| params.ptime_ms = ptime);
        world.command(leg, Command::Play { id: 1, source: Source::Silence { ms: 1200 }, loops: 1 });
        world.run(2000);
        let sent = &world.sent[leg];
        assert_eq!(sent.len(), 1200 / usize::from(ptime));
        assert!(sent.iter().all(|packet| packet.payload.len() == usize::from(ptime) * 8));
    }
}

#[test]
fn after_a_stall_packets_come_neither_in_a_burst_nor_out_of_time() {
    let mut world = World::new(10, Network::default());
    let (leg, _) = world.call();
    world.command(leg, Command::Play { id: 1, source: sine(440.0, 8000, 5000), loops: 1 });
    world.run(1000);
    world.stall(1000);
    world.run(1000);
    let sent = &world.sent[leg];
    let jump = sent.iter().zip(&sent[1..]).find(|(a, b)| b.at - a.at > Duration::from_millis(20)).unwrap();
    // What was left out is left out of the timestamps as well, and marked.
    let left_out = (jump.1.at - jump.0.at).as_millis() as u32 * 8;
    let told = jump.1.header.timestamp.wrapping_sub(jump.0.header.timestamp);
    assert!(told.abs_diff(left_out) <= 160, "{told} for {left_out}");
    assert!(jump.1.header.marker);
    assert_eq!(jump.1.header.sequence, jump.0.header.sequence.wrapping_add(1));
    let burst = sent.iter().filter(|packet| packet.at == jump.1.at).count();
    assert!(burst <= 6, "{burst} packets at once");
}

#[test]
fn silence_is_sent_between_prompts_where_asked_for() {
    let mut world = World::new(11, Network::default());
    let leg = world.add_with(|config| config.fill_silence = true);
    world.command(leg, Command::Start(LegParams::pcmu(World::address(7))));
    world.run(100);
    world.command(leg, Command::Play { id: 1, source: sine(440.0, 8000, 100), loops: 1 });
    world.run(199);
    let sent = &world.sent[leg];
    assert_eq!(sent.len(), 15);
    for (before, after) in sent.iter().zip(&sent[1..]) {
        assert_eq!(after.header.timestamp, before.header.timestamp.wrapping_add(160));
    }
}

#[test]
fn a_reinvite_changes_codec_and_address_but_not_the_stream() {
    let mut world = World::new(12, Network::default());
    let (leg, phone) = world.call();
    world.command(leg, Command::Play { id: 1, source: sine(440.0, 8000, 1000), loops: 1 });
    world.run(500);
    world.command(leg, Command::Start(LegParams::of(World::address(phone), Codec::Pcma)));
    world.run(600);
    let sent = &world.sent[leg];
    assert_eq!((sent[0].header.payload_type, sent[49].header.payload_type), (0, 8));
    for (before, after) in sent.iter().zip(&sent[1..]) {
        assert_eq!(after.header.ssrc, before.header.ssrc);
        assert_eq!(after.header.sequence, before.header.sequence.wrapping_add(1));
        assert_eq!(after.header.timestamp, before.header.timestamp.wrapping_add(160));
    }
    assert!((frequency(&world.audio(leg)) - 440.0).abs() < 0.2);
}

#[test]
fn on_hold_nothing_is_sent() {
    let mut world = World::new(13, Network::default());
    let (leg, phone) = world.call();
    let mut params = LegParams::pcmu(World::address(phone));
    params.send = false;
    world.command(leg, Command::Start(params));
    world.command(leg, Command::Play { id: 1, source: sine(440.0, 8000, 1000), loops: 1 });
    world.run(500);
    assert!(world.sent[leg].is_empty());
}

#[test]
fn a_grain_of_wake_ups_does_not_flutter() {
    let mut world = World::new(14, Network::default());
    let leg = world.add_with(|config| {
        config.grain = Duration::from_millis(5);
        config.fill_silence = true;
    });
    // Started just after a wake-up, then woken a little earlier or later each time.
    world.run(1);
    world.command(leg, Command::Start(LegParams::pcmu(World::address(7))));
    for wake in 1..200u64 {
        world.wake(leg, Duration::from_micros(wake * 5000 + [0, 1900, 400, 1300][wake as usize % 4]));
    }
    let sent = &world.sent[leg];
    assert!(sent.len() >= 49);
    for (before, after) in sent[1..].iter().zip(&sent[2..]) {
        let gap = (after.at - before.at).as_micros();
        assert!((17_500..=22_500).contains(&gap), "{gap} us");
    }
}

#[test]
fn music_takes_the_place_of_the_bridged_leg_gives_way_to_prompts_and_ends_with_the_bridge() {
    let mut world = World::new(15, Network::default());
    let ((a, speaker), (b, _)) = (world.call(), world.call());
    world.command(speaker, Command::Play { id: 1, source: sine(440.0, 8000, 500), loops: 0 });
    world.bridge(a, b);
    // What is sent in the next second.
    let hears = |world: &mut World, hz: f64| {
        world.run(100);
        let start = world.audio(b).len();
        world.run(1000);
        let heard = world.audio(b)[start..].to_vec();
        assert!(heard.len() >= 7_800, "{hz}: {}", heard.len());
        assert!((frequency(&heard) - hz).abs() < 2.0, "{hz}: {}", frequency(&heard));
    };
    hears(&mut world, 440.0);
    world.command(b, Command::Music { source: Some(sine(1000.0, 16_000, 500)) });
    hears(&mut world, 1000.0);
    world.command(b, Command::Play { id: 7, source: sine(700.0, 8000, 1_200), loops: 1 });
    hears(&mut world, 700.0);
    hears(&mut world, 1000.0);
    world.command(b, Command::Music { source: None });
    hears(&mut world, 440.0);
    world.command(b, Command::Music { source: Some(sine(1000.0, 16_000, 500)) });
    world.run(100);
    world.unbridge(a);
    world.run(100);
    let sent = world.sent[b].len();
    world.run(1000);
    assert_eq!(world.sent[b].len(), sent);
    // Nothing is told of it: nobody has asked for its end.
    assert_eq!(world.events, [(b, Event::PlayDone { id: 7, completed: true })]);
}
