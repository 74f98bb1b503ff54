//! Two legs that do not speak the same.

use opentact_media::codec::Codec;
use opentact_media::{Command, Event, EventFormat, LegParams, RecordOrder, Source, ToneSpec};

use crate::world::{Network, World, frequency_at, level_db};

const DECODED: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide];

fn tone(hz: f32) -> Source {
    Source::Tone(ToneSpec::cadence(&[hz], 1000, 0, -10.0))
}

/// Samples per second of what `World::audio` gives of this codec.
fn rate(codec: Codec) -> u32 {
    match codec {
        Codec::G722 | Codec::L16Wide => 16_000,
        _ => 8_000,
    }
}

#[test]
fn every_pair_of_codecs_hears_the_tone_of_the_other_without_a_gap() {
    for one in DECODED {
        for other in DECODED {
            let mut world = World::new(1, Network { delay: (20, 24), ..Network::default() });
            let (a, alice) = world.call_in(one);
            let (b, bob) = world.call_in(other);
            world.bridge(a, b);
            world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
            world.command(bob, Command::Play { id: 1, source: tone(1000.0), loops: 0 });
            world.run(5000);
            for (leg, codec, hz) in [(b, other, 440.0), (a, one, 1000.0)] {
                let sent = &world.sent[leg];
                assert!(sent.len() > 240, "{one:?} {other:?}: {} packets", sent.len());
                let step = codec.clock_rate() / 50;
                for (before, after) in sent.iter().zip(&sent[1..]) {
                    assert_eq!(after.header.payload_type, codec.payload_type());
                    assert_eq!(after.header.ssrc, before.header.ssrc);
                    assert_eq!(after.header.sequence, before.header.sequence.wrapping_add(1));
                    assert_eq!(after.header.timestamp, before.header.timestamp.wrapping_add(step));
                }
                let audio = world.audio(leg);
                let second = rate(codec) as usize;
                let steady = &audio[second..second * 4];
                let measured = frequency_at(steady, rate(codec));
                assert!((measured - hz).abs() < 1.0, "{one:?} {other:?}: {measured} Hz");
                let level = level_db(steady);
                assert!((level + 10.0).abs() < 1.0, "{one:?} {other:?}: {level} dB");
            }
        }
    }
}

#[test]
fn loss_on_the_way_in_is_no_loss_on_the_way_out() {
    for seed in 0..20 {
        for (one, other) in [(Codec::Opus, Codec::Pcmu), (Codec::Pcmu, Codec::G722), (Codec::G722, Codec::Opus)] {
            let mut world = World::new(seed, Network { loss: 0.05, duplication: 0.02, delay: (5, 65) });
            let (a, alice) = world.call_in(one);
            let (b, _) = world.call_in(other);
            world.bridge(a, b);
            world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
            world.run(10_000);
            let sent = &world.sent[b];
            // One packet a packet time from the first to the end.
            let lasted = (sent[sent.len() - 1].at - sent[0].at).as_millis() as usize;
            assert_eq!(sent.len(), lasted / 20 + 1, "seed {seed}");
            let audio = world.audio(b);
            let second = rate(other) as usize;
            let level = level_db(&audio[second..second * 9]);
            assert!((level + 10.0).abs() < 1.5, "seed {seed}, {one:?} to {other:?}: {level} dB");
        }
    }
}

#[test]
fn keys_are_passed_on_in_the_numbers_and_on_the_clock_of_the_other_side() {
    let events = |payload_type, clock_rate| Some(EventFormat { clock_rate, ..EventFormat::of(payload_type) });
    for seed in 0..50 {
        let mut world = World::new(seed, Network { loss: 0.05, duplication: 0.05, delay: (5, 35) });
        let (a, alice) = world.call_with(|params| {
            *params = LegParams { dtmf: events(110, 48_000), ..LegParams::of(params.remote, Codec::Opus) };
        });
        let (b, bob) = world.call_with(|params| params.dtmf = events(96, 8_000));
        world.bridge(a, b);
        world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
        world.command(bob, Command::Play { id: 1, source: tone(440.0), loops: 0 });
        world.run(500);
        world.command(alice, Command::SendDtmf { digits: "12#33".into(), on_ms: 120, gap_ms: 100 });
        world.command(bob, Command::SendDtmf { digits: "98*7".into(), on_ms: 120, gap_ms: 100 });
        world.run(3000);
        for (leg, phone, heard, told) in [(a, bob, "12#33", 96), (b, alice, "98*7", 110)] {
            assert_eq!(world.keys(leg), heard, "seed {seed}");
            assert_eq!(world.keys(phone), heard, "seed {seed}");
            let sent = &world.sent[if leg == a { b } else { a }];
            assert!(sent.iter().any(|packet| packet.header.payload_type == told));
            assert!(sent.iter().zip(&sent[1..]).all(|(x, y)| y.header.sequence == x.header.sequence.wrapping_add(1)));
        }
        for (leg, event) in &world.events {
            if let Event::Dtmf { duration_ms, .. } = event {
                assert!((100..=140).contains(duration_ms), "seed {seed}: {duration_ms} ms at {leg}");
            }
        }
    }
}

#[test]
fn a_reinvite_begins_and_ends_transcoding() {
    let mut world = World::new(3, Network::default());
    let (a, alice) = world.call();
    let (b, bob) = world.call();
    world.bridge(a, b);
    world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.run(1000);
    let before = world.sent[b].len();
    for codec in [Codec::Opus, Codec::Pcmu] {
        for (one, other) in [(b, bob), (bob, b)] {
            world.command(one, Command::Start(LegParams::of(World::address(other), codec)));
        }
        world.run(1000);
    }
    let sent = &world.sent[b];
    let opus: Vec<_> = sent.iter().filter(|packet| packet.header.payload_type == 111).collect();
    assert!((47..=50).contains(&opus.len()), "{}", opus.len());
    // RFC 7160: another clock is another source.
    assert_ne!(opus[0].header.ssrc, sent[0].header.ssrc);
    assert!(
        sent[before..].iter().zip(&sent[before + 1..]).all(|(x, y)| {
            y.header.sequence == x.header.sequence.wrapping_add(1) && (y.at - x.at).as_millis() <= 60
        })
    );
    let last = &sent[sent.len() - 40..];
    assert!(last.iter().all(|packet| packet.header.payload_type == 0));
    // Passed on as they are: at once, not at this leg's pace.
    assert!(last.iter().all(|packet| world.sent[alice].iter().any(|source| source.payload == packet.payload)));
}

#[test]
fn who_is_silent_is_not_filled_up_and_comes_back() {
    let mut world = World::new(4, Network::default());
    let (a, alice) = world.call();
    let (b, _) = world.call_in(Codec::G722);
    world.bridge(a, b);
    world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.run(1000);
    world.command(alice, Command::StopPlay { id: 1 });
    world.run(10_000);
    // A second of fading and silence after it, then nothing.
    let quiet = world.sent[b].len();
    assert!((95..=105).contains(&quiet), "{quiet}");
    world.command(alice, Command::Play { id: 2, source: tone(440.0), loops: 0 });
    world.run(1000);
    let sent = &world.sent[b][quiet..];
    assert!(sent.len() >= 47 && sent[0].header.marker);
}

#[test]
fn what_cannot_be_decoded_is_passed_on_to_its_like_only() {
    let mut world = World::new(5, Network::default());
    let (a, alice) = world.call_in(Codec::G729);
    let (b, _) = world.call_in(Codec::G729);
    let (c, _) = world.call();
    let packet = |sequence: u16| {
        let header = opentact_media::rtp::Header {
            marker: sequence == 0,
            payload_type: 18,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 7,
        };
        let mut datagram = header.octets().to_vec();
        datagram.extend_from_slice(&[sequence as u8; 20]);
        datagram
    };
    world.bridge(a, b);
    for sequence in 0..10 {
        world.send(World::address(alice), World::address(a), &packet(sequence));
        world.run(20);
    }
    let sent: Vec<u8> = world.sent[b].iter().map(|packet| packet.payload[0]).collect();
    assert_eq!(sent, (0..10).collect::<Vec<u8>>());
    assert!(world.sent[b].iter().all(|packet| packet.payload.len() == 20 && packet.header.payload_type == 18));
    world.unbridge(a);
    world.bridge(a, c);
    world.send(World::address(alice), World::address(a), &packet(10));
    world.run(100);
    assert!(world.sent[c].is_empty());
    // A prompt takes its time though nobody hears it.
    world.command(a, Command::Play { id: 9, source: Source::Silence { ms: 200 }, loops: 1 });
    world.run(100);
    assert!(!world.events.iter().any(|(_, event)| matches!(event, Event::PlayDone { id: 9, .. })));
    world.run(200);
    assert!(world.events.contains(&(a, Event::PlayDone { id: 9, completed: true })));
}

#[test]
fn prompts_keys_and_recordings_work_in_every_codec() {
    for codec in DECODED {
        let mut world = World::new(6, Network { delay: (5, 25), ..Network::default() });
        let (leg, phone) = world.call_with(|params| {
            *params = LegParams { dtmf: None, ..LegParams::of(params.remote, codec) };
        });
        let record = RecordOrder { channels: 2, beep: true, ..RecordOrder::new(2, "x.wav") };
        world.command(leg, Command::Record(record));
        world.run(500);
        let samples: Vec<i16> = (0..48_000)
            .map(|n| ((f64::from(n) * 500.0 * std::f64::consts::TAU / 16_000.0).sin() * 10_000.0) as i16)
            .collect();
        world.command(leg, Command::Play { id: 1, source: Source::pcm(samples, 16_000), loops: 1 });
        world.command(phone, Command::SendDtmf { digits: "5".into(), on_ms: 1000, gap_ms: 100 });
        world.run(3200);
        world.command(leg, Command::StopRecord { id: 2 });
        let recorded = &world.recordings[&(leg, 2)];
        let channel = |which: usize| recorded.chunks_exact(2).map(|frame| frame[which]).collect::<Vec<i16>>();
        let rate = codec.recording_rate();
        let piece = |from: usize, to: usize| from * rate as usize / 8_000..to * rate as usize / 8_000;
        let said = channel(1);
        let hz = frequency_at(&said[piece(4_000, 20_000)], rate);
        assert!((hz - 500.0).abs() < 1.0, "{codec:?}: {hz}");
        let expected = 20.0 * (10_000.0f64 / 32_767.0).log10();
        let level = level_db(&said[piece(4_000, 20_000)]);
        assert!((level - expected).abs() < 1.0, "{codec:?}: {level}");
        let heard = channel(0);
        // Two tones of a key, -12 dB each.
        let level = level_db(&heard[piece(2_000, 7_000)]);
        assert!((level + 9.0).abs() < 1.5, "{codec:?}: {level}");
        assert!(world.events.contains(&(leg, Event::PlayDone { id: 1, completed: true })), "{codec:?}");
    }
}
