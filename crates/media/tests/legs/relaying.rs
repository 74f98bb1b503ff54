use opentact_media::codec::Codec;
use opentact_media::{Command, Event, EventFormat, LegParams, Source, ToneSpec};

use crate::world::{Network, World, frequency, level_db};

fn tone(hz: f32) -> Source {
    Source::Tone(ToneSpec::cadence(&[hz], 1000, 0, -10.0))
}

#[test]
fn prompt_then_relay_then_prompt_is_one_stream() {
    let mut world = World::new(1, Network { delay: (10, 10), ..Network::default() });
    let (a, alice) = world.call();
    let (b, _bob) = world.call();
    world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.command(b, Command::Play { id: 2, source: tone(1000.0), loops: 0 });
    world.run(507);
    world.bridge(a, b);
    world.run(203);
    // What a leg plays itself goes first: still the prompt.
    world.command(b, Command::StopPlay { id: 2 });
    world.run(1013);
    world.command(b, Command::Play { id: 3, source: tone(1000.0), loops: 0 });
    world.run(506);
    world.unbridge(a);
    world.run(204);
    let sent = &world.sent[b];
    let (mut largest_gap, mut clock_error) = (0, 0);
    for (before, after) in sent.iter().zip(&sent[1..]) {
        assert_eq!(after.header.ssrc, before.header.ssrc);
        assert_eq!(after.header.sequence, before.header.sequence.wrapping_add(1));
        assert_eq!(after.header.timestamp, before.header.timestamp.wrapping_add(160), "at {:?}", after.at);
        largest_gap = largest_gap.max((after.at - before.at).as_millis());
        let clock = (after.at - sent[0].at).as_millis() as i64 * 8;
        let told = i64::from(after.header.timestamp.wrapping_sub(sent[0].header.timestamp));
        clock_error = clock_error.max((told - clock).abs());
    }
    assert!(largest_gap < 40, "{largest_gap} ms");
    // Two switches, each within a packet time.
    assert!(clock_error <= 320, "{clock_error} samples off the clock");
    let audio = world.audio(b);
    assert!((frequency(&audio[8000..12000]) - 440.0).abs() < 1.0);
    assert!((frequency(&audio[audio.len() - 4000..]) - 1000.0).abs() < 1.0);
    // Each change of source is a new spurt.
    assert_eq!(sent.iter().filter(|packet| packet.header.marker).count(), 2);
}

#[test]
fn loss_and_order_are_passed_on_as_they_are() {
    for seed in 0..100 {
        let network = Network { loss: 0.1, duplication: 0.05, delay: (5, 45) };
        let mut world = World::new(seed, network);
        let (a, alice) = world.call();
        let (b, bob) = world.call();
        world.bridge(a, b);
        world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
        world.run(5000);
        world.command(alice, Command::StopPlay { id: 1 });
        world.run(200);
        let heard = world.legs[a].stats();
        // What overtook the very first packet makes it too old to be sent.
        let dropped = heard.packets_received - world.sent[b].len() as u64;
        assert!(dropped <= 2, "seed {seed}: {dropped}");
        // Numbers differ by one offset each: what is missing before is missing after.
        let from_alice: Vec<_> = world.sent[alice].iter().map(|p| (p.header.sequence, p.header.timestamp)).collect();
        let first = &world.sent[b][0].header;
        let (first_sequence, first_timestamp) = *from_alice
            .iter()
            .find(|(sequence, _)| {
                let offset = first.sequence.wrapping_sub(*sequence);
                world.sent[b]
                    .iter()
                    .all(|p| from_alice.iter().any(|(s, _)| s.wrapping_add(offset) == p.header.sequence))
            })
            .unwrap_or_else(|| panic!("seed {seed}: no offset fits"));
        for packet in &world.sent[b] {
            let sequence = packet.header.sequence.wrapping_sub(first.sequence).wrapping_add(first_sequence);
            let timestamp = packet.header.timestamp.wrapping_sub(first.timestamp).wrapping_add(first_timestamp);
            assert!(from_alice.contains(&(sequence, timestamp)), "seed {seed}");
        }
        let bob = world.legs[bob].stats();
        assert!(bob.packets_lost > 20 && bob.packets_lost < 120, "seed {seed}: {bob:?}");
    }
}

#[test]
fn keys_are_passed_on_and_seen() {
    for seed in 0..100 {
        let mut world = World::new(seed, Network { loss: 0.08, duplication: 0.05, delay: (5, 45) });
        let (a, alice) = world.call_with(|params| params.dtmf = Some(EventFormat::of(96)));
        let (b, bob) = world.call();
        world.bridge(a, b);
        world.command(alice, Command::SendDtmf { digits: "12#33".into(), on_ms: 100, gap_ms: 100 });
        world.run(2000);
        assert_eq!(world.keys(a), "12#33", "seed {seed}");
        assert_eq!(world.keys(bob), "12#33", "seed {seed}");
        assert_eq!(world.keys(b), "", "seed {seed}");
        assert!(world.sent[b].iter().all(|packet| packet.header.payload_type == 101));
    }
}

#[test]
fn keys_become_tones_for_a_peer_without_events() {
    let mut world = World::new(1, Network::default());
    let (a, alice) = world.call();
    let (b, _) = world.call_with(|params| params.dtmf = None);
    world.bridge(a, b);
    world.command(alice, Command::SendDtmf { digits: "5".into(), on_ms: 100, gap_ms: 100 });
    world.run(500);
    let audio = world.audio(b);
    assert!(audio.len() >= 800 && level_db(&audio[..800]) > -12.0);
    // Relayed, not commanded.
    assert!(!world.events.contains(&(b, Event::DtmfSent)));
}

#[test]
fn two_codecs_are_transcoded() {
    let mut world = World::new(1, Network::default());
    let (a, alice) = world.call();
    let (b, bob) = world.call_in(Codec::Pcma);
    world.bridge(a, b);
    world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.command(bob, Command::Play { id: 1, source: tone(1000.0), loops: 0 });
    world.run(2000);
    assert!(world.sent[b].iter().all(|packet| packet.header.payload_type == 8));
    for (leg, hz) in [(b, 440.0), (a, 1000.0)] {
        let audio = world.audio(leg);
        assert!((frequency(&audio) - hz).abs() < 0.5);
        assert!((level_db(&audio) + 10.0).abs() < 0.1, "{}", level_db(&audio));
    }
}

#[test]
fn echo_sends_back_audio_but_no_keys() {
    let mut world = World::new(1, Network { delay: (10, 30), ..Network::default() });
    let (leg, phone) = world.call();
    world.command(leg, Command::Echo { on: true });
    world.command(phone, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.run(999);
    world.command(phone, Command::StopPlay { id: 1 });
    world.command(phone, Command::SendDtmf { digits: "42".into(), on_ms: 100, gap_ms: 100 });
    world.run(1000);
    assert_eq!((world.keys(leg).as_str(), world.keys(phone).as_str()), ("42", ""));
    assert_eq!(world.legs[phone].stats().packets_received, 50);
    assert_eq!(world.legs[phone].stats().packets_lost, 0);
}

#[test]
fn a_new_source_is_mapped_anew() {
    let mut world = World::new(1, Network::default());
    let (a, alice) = world.call();
    let (b, _) = world.call();
    let carol = world.add();
    world.bridge(a, b);
    world.command(alice, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.run(500);
    // The party moved to another phone, as a re-INVITE says.
    world.command(alice, Command::Close);
    world.command(a, Command::Start(LegParams::pcmu(World::address(carol))));
    world.command(carol, Command::Start(LegParams::pcmu(World::address(a))));
    world.command(carol, Command::Play { id: 1, source: tone(440.0), loops: 0 });
    world.run(500);
    let sent = &world.sent[b];
    assert!(sent.len() >= 48);
    for (before, after) in sent.iter().zip(&sent[1..]) {
        assert_eq!(after.header.sequence, before.header.sequence.wrapping_add(1));
        assert!(after.header.timestamp.wrapping_sub(before.header.timestamp) <= 480);
    }
}
