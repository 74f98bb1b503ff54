use std::time::Duration;

use opentact_media::codec::{Decoder, OpusParams};
use opentact_media::{Audience, Codec, Command, LegKey, LegParams, Source, ToneSpec};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::world::{Network, World, frequency_at, tone_db};

/// Whole turns of each in 100 ms: none leaks into another.
const TONES: [f64; 6] = [400.0, 530.0, 670.0, 810.0, 970.0, 1130.0];
const LOUD: f64 = -20.0;
const CODECS: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Wide, Codec::L16Narrow];

fn tone(hz: f64, db: f64) -> Source {
    Source::Tone(ToneSpec::cadence(&[hz as f32], 1000, 0, db as f32))
}

fn key(leg: usize) -> LegKey {
    LegKey(leg as u64)
}

/// What a leg sent since then, and its rate.
fn sent(world: &World, leg: usize, codec: Codec, since: Duration) -> (Vec<i16>, u32) {
    let mut decoder = Decoder::new(codec, 48_000).unwrap();
    let (mut before, mut samples) = (Vec::new(), Vec::new());
    for packet in &world.sent[leg] {
        // A decoder knows what was before.
        let into = if packet.at >= since { &mut samples } else { &mut before };
        decoder.decode(&packet.payload, into);
    }
    (samples, decoder.rate())
}

struct Member {
    leg: usize,
    phone: usize,
    codec: Codec,
    hz: f64,
    audience: Option<Audience>,
    volume: f32,
    muted: bool,
}

impl Member {
    /// How loud another hears it; `None`: not at all.
    fn heard_by(&self, other: &Member) -> Option<f64> {
        other.audience?;
        let heard = match self.audience? {
            Audience::All => true,
            Audience::One(only) => only == key(other.leg),
            Audience::Nobody => false,
        };
        (heard && !self.muted && other.leg != self.leg).then(|| LOUD + f64::from(self.volume))
    }
}

fn step(world: &mut World, rng: &mut StdRng, members: &mut [Member]) {
    let others: Vec<usize> = members.iter().map(|member| member.leg).collect();
    let Some(place) = (0..members.len()).collect::<Vec<_>>().choose(rng).copied() else { return };
    let member = &mut members[place];
    let one = others.choose(rng).map_or(Audience::All, |leg| Audience::One(key(*leg)));
    let audience = [Audience::All, Audience::All, Audience::Nobody, one].choose(rng).copied().unwrap_or_default();
    match (member.audience, rng.random_range(0..6)) {
        (None, _) => {
            world.join(member.leg, audience);
            (member.audience, member.volume, member.muted) = (Some(audience), 0.0, false);
        }
        (Some(_), 0 | 1) => {
            world.leave(member.leg);
            member.audience = None;
        }
        (Some(_), 2) => {
            member.muted = !member.muted;
            world.mixer.mute(key(member.leg), member.muted);
        }
        (Some(_), 3) => {
            member.volume = [-12.0, -6.0, 0.0, 3.0].choose(rng).copied().unwrap_or_default();
            world.mixer.volume(key(member.leg), member.volume);
        }
        (Some(_), _) => {
            member.audience = Some(audience);
            world.mixer.speak(key(member.leg), audience);
        }
    }
}

#[test]
fn each_hears_whom_it_should_as_loud_as_it_should_and_never_itself() {
    for seed in 0..10 {
        let mut world = World::new(seed, Network { delay: (5, 25), ..Network::default() });
        let mut rng = StdRng::seed_from_u64(seed);
        let mut members: Vec<Member> = TONES
            .iter()
            .map(|hz| {
                let codec = CODECS.choose(&mut rng).copied().unwrap_or(Codec::Pcmu);
                let ptime = [10, 20, 30].choose(&mut rng).copied().unwrap_or(20);
                let playback = [8_000, 16_000, 24_000, 48_000].choose(&mut rng).copied().unwrap_or(48_000);
                let (leg, phone) = world.call_with(|params| {
                    *params = LegParams {
                        ptime_ms: ptime,
                        opus: OpusParams { max_playback_rate: playback, ..OpusParams::default() },
                        ..LegParams::of(params.remote, codec)
                    };
                });
                world.command(phone, Command::Play { id: 1, source: tone(*hz, LOUD), loops: 0 });
                Member { leg, phone, codec, hz: *hz, audience: None, volume: 0.0, muted: false }
            })
            .collect();
        for round in 0..8 {
            for _ in 0..rng.random_range(1..=3) {
                step(&mut world, &mut rng, &mut members);
            }
            world.run(500);
            let since = world.elapsed();
            world.run(320);
            for member in &members {
                let (mut samples, rate) = sent(&world, member.leg, member.codec, since);
                let heard: Vec<_> = members.iter().map(|other| (other, other.heard_by(member))).collect();
                if heard.iter().all(|(_, level)| level.is_none()) {
                    assert!(samples.is_empty(), "seed {seed} round {round}");
                    continue;
                }
                let who = format!("seed {seed} round {round}: {:?} at {} Hz", member.codec, member.hz);
                assert!(samples.len() >= rate as usize * 3 / 10, "{who}: {} samples", samples.len());
                samples.truncate(rate as usize * 3 / 10);
                // Opus puts in what is not there; it is far below what is.
                let coded = heard.iter().any(|(other, level)| level.is_some() && other.codec == Codec::Opus);
                let (near, spared) = if coded || member.codec == Codec::Opus { (3.0, -38.0) } else { (1.0, -48.0) };
                for (other, level) in heard {
                    let measured = tone_db(&samples, rate, other.hz);
                    match level {
                        Some(level) => {
                            let from = other.codec;
                            assert!((measured - level).abs() < near, "{who}, {from:?} {} Hz: {measured} dB", other.hz);
                        }
                        None => assert!(measured < spared, "{who}: {} Hz at {measured} dB", other.hz),
                    }
                }
            }
            assert!(members.iter().all(|member| member.phone != member.leg));
        }
    }
}

#[test]
fn one_stream_without_a_gap_in_time_or_sound() {
    let mut world = World::new(1, Network { delay: (10, 10), ..Network::default() });
    let calls: Vec<_> = (0..3).map(|_| world.call_in(Codec::L16Wide)).collect();
    for (leg, _) in &calls {
        world.join(*leg, Audience::All);
        world.run(7);
    }
    world.command(calls[1].1, Command::Play { id: 1, source: tone(440.0, -10.0), loops: 0 });
    world.run(500);
    let since = world.elapsed();
    world.run(2_000);
    let packets: Vec<_> = world.sent[calls[0].0].iter().filter(|packet| packet.at >= since).collect();
    for pair in packets.windows(2) {
        assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1));
        assert_eq!(pair[1].header.timestamp, pair[0].header.timestamp.wrapping_add(320));
        assert_eq!(pair[1].at - pair[0].at, Duration::from_millis(20));
    }
    let (samples, rate) = sent(&world, calls[0].0, Codec::L16Wide, since);
    assert!((frequency_at(&samples, rate) - 440.0).abs() < 0.1);
    let steepest = samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
    // A sine of 440 Hz at 10,362: 1,791 a sample.
    assert!(steepest <= Some(1_800), "{steepest:?}");
    // Nobody else speaks: who speaks is sent nothing.
    assert!(world.sent[calls[1].0].is_empty());
}

#[test]
fn what_a_leg_plays_goes_before_its_mix_and_keys_stay_with_their_leg() {
    let mut world = World::new(1, Network::default());
    let (a, alice) = world.call();
    let (b, bob) = world.call();
    world.join(a, Audience::All);
    world.join(b, Audience::All);
    world.command(alice, Command::Play { id: 1, source: tone(440.0, LOUD), loops: 0 });
    world.command(b, Command::Play { id: 2, source: tone(1000.0, LOUD), loops: 0 });
    world.run(1_000);
    let level = |world: &World, since, hz| tone_db(&sent(world, b, Codec::Pcmu, since).0[..2400], 8_000, hz);
    let since = world.elapsed();
    world.run(400);
    assert!((level(&world, since, 1000.0) - LOUD).abs() < 0.5 && level(&world, since, 440.0) < -60.0);
    world.command(b, Command::StopPlay { id: 2 });
    world.run(100);
    let since = world.elapsed();
    world.run(400);
    assert!((level(&world, since, 440.0) - LOUD).abs() < 0.5 && level(&world, since, 1000.0) < -60.0);
    world.command(bob, Command::SendDtmf { digits: "17".into(), on_ms: 100, gap_ms: 100 });
    world.run(1_000);
    assert_eq!((world.keys(b).as_str(), world.keys(alice).as_str()), ("17", ""));
}

#[test]
fn many_at_once_are_limited_without_being_cut_off() {
    let mut world = World::new(1, Network::default());
    let (a, _) = world.call_in(Codec::L16Wide);
    world.join(a, Audience::All);
    for hz in TONES {
        let (leg, phone) = world.call_in(Codec::L16Wide);
        world.join(leg, Audience::All);
        world.command(phone, Command::Play { id: 1, source: tone(hz, -9.0), loops: 0 });
    }
    world.run(500);
    let since = world.elapsed();
    world.run(400);
    let (samples, rate) = sent(&world, a, Codec::L16Wide, since);
    let samples = &samples[..rate as usize * 3 / 10];
    for hz in TONES {
        assert!((-12.0..=-9.0).contains(&tone_db(samples, rate, hz)), "{hz}: {}", tone_db(samples, rate, hz));
    }
    // Cut off, it would stay at full scale for several samples in a row.
    assert!(samples.windows(3).all(|three| three.iter().any(|sample| sample.unsigned_abs() < 32_767)));
}
