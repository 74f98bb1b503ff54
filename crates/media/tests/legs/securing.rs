//! SRTP between legs, and what it keeps out.

use std::sync::Arc;

use opentact_media::control::{MasterKey, Security, SrtpKeys, Suite};
use opentact_media::rtp::Header;
use opentact_media::srtp::{MAX_TRAILER, Outbound};
use opentact_media::tone::ToneSpec;
use opentact_media::{Codec, Command, LegParams, RecordOrder, Source};

use crate::world::{Network, World, frequency};

fn key(suite: Suite, octet: u8) -> MasterKey {
    MasterKey::new(suite, &vec![octet; suite.key_len() + suite.salt_len()]).unwrap()
}

fn secured(params: &mut LegParams, local: MasterKey, remote: MasterKey) {
    params.security = Security::Srtp(Arc::new(SrtpKeys { local, remote }));
}

/// A leg and a phone with keys that fit.
fn call(world: &mut World, suite: Suite) -> (usize, usize) {
    let (leg, phone) = (world.add(), world.add());
    for (one, other, local, remote) in [(leg, phone, 1, 2), (phone, leg, 2, 1)] {
        let mut params = LegParams::pcmu(World::address(other));
        secured(&mut params, key(suite, local), key(suite, remote));
        world.command(one, Command::Start(params));
    }
    (leg, phone)
}

fn tone(hz: f32) -> Command {
    Command::Play { id: 1, source: Source::Tone(ToneSpec::cadence(&[hz], 3000, 0, -10.0)), loops: 1 }
}

#[test]
fn a_tone_is_heard_through_every_suite_across_a_relay_with_loss_and_reordering() {
    for suite in Suite::ALL {
        let network = Network { loss: 0.02, duplication: 0.02, delay: (10, 50) };
        let mut world = World::new(7, network);
        let (a, one) = call(&mut world, suite);
        let (b, two) = call(&mut world, suite);
        world.bridge(a, b);
        world.command(two, Command::Record(RecordOrder::new(9, "x")));
        world.command(one, tone(440.0));
        world.run(3500);
        let heard = &world.recordings[&(two, 9)];
        assert!((frequency(&heard[4000..20_000]) - 440.0).abs() < 5.0, "{suite:?}");
        let stats = world.legs[b].stats();
        assert!(stats.packets_sent > 120, "{suite:?} {stats:?}");
        assert!(world.legs[two].stats().packets_received > 100, "{suite:?}");
        // Duplicates are refused as replays.
        assert!(world.legs[a].stats().packets_duplicate == 0 && world.legs[a].stats().packets_discarded > 0);
        assert!(world.legs[two].stats().round_trip_ms.is_none_or(|time| time > 0.0));
    }
}

#[test]
fn reports_are_understood_on_both_sides() {
    let mut world = World::new(3, Network { delay: (20, 20), ..Network::default() });
    let (leg, phone) = call(&mut world, Suite::AeadAes128Gcm);
    for one in [leg, phone] {
        world.command(one, tone(300.0));
    }
    world.run(20_000);
    for one in [leg, phone] {
        let time = world.legs[one].stats().round_trip_ms.unwrap();
        assert!((35.0..45.0).contains(&time), "{time} ms");
    }
}

#[test]
fn what_is_not_protected_with_the_key_is_neither_heard_nor_answered() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut world = World::new(5, Network::default());
    let (leg, phone) = call(&mut world, suite);
    let stranger = "10.9.9.9:4000".parse().unwrap();
    let mut guessed = Outbound::new(&key(suite, 3));
    for sequence in 0..50 {
        let header = Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1 };
        let clear = [&header.octets()[..], &[0x55; 160]].concat();
        world.send(stranger, World::address(leg), &clear);
        let mut wrong = [&clear[..], &[0; MAX_TRAILER]].concat();
        let length = guessed.protect_rtp(&mut wrong, clear.len()).unwrap();
        world.send(stranger, World::address(leg), &wrong[..length]);
        world.send(stranger, World::address(leg), &[0x80, 0xC8, 0, 1, 0, 0, 0, 1]);
        world.send(stranger, World::address(leg), &vec![sequence as u8; usize::from(sequence)]);
    }
    world.run(100);
    let stats = world.legs[leg].stats();
    assert_eq!((stats.packets_received, stats.packets_discarded), (0, 200));
    // Nobody was latched to: the phone is heard.
    world.command(phone, tone(440.0));
    world.run(1000);
    assert!(world.legs[leg].stats().packets_received > 40);
}

#[test]
fn a_replayed_stream_is_not_heard() {
    let mut world = World::new(6, Network::default());
    let (leg, phone) = call(&mut world, Suite::AeadAes256Gcm);
    world.command(phone, tone(440.0));
    world.run(1000);
    let overheard = world.datagrams[phone].clone();
    let before = world.legs[leg].stats();
    for datagram in &overheard {
        world.send(World::address(phone), World::address(leg), datagram);
    }
    world.run(1);
    let after = world.legs[leg].stats();
    assert!(overheard.len() > 40 && after.packets_received - before.packets_received <= 1);
    assert!(after.packets_discarded - before.packets_discarded >= overheard.len() as u64 - 1);
}

#[test]
fn the_same_keys_told_again_go_on_and_others_take_their_place() {
    let suite = Suite::AeadAes128Gcm;
    let mut world = World::new(8, Network::default());
    let (leg, phone) = call(&mut world, suite);
    world.command(phone, tone(440.0));
    world.run(500);
    let mut params = LegParams::pcmu(World::address(phone));
    secured(&mut params, key(suite, 1), key(suite, 2));
    params = LegParams { security: params.security, ..LegParams::of(params.remote, Codec::Pcma) };
    world.command(leg, Command::Start(params.clone()));
    // A replay from before is still known as one.
    let first = world.datagrams[phone][0].clone();
    world.send(World::address(phone), World::address(leg), &first);
    world.run(1);
    assert_eq!(world.legs[leg].stats().packets_discarded, 1);
    secured(&mut params, key(suite, 4), key(suite, 5));
    params = LegParams { security: params.security, ..LegParams::of(params.remote, Codec::Pcmu) };
    world.command(leg, Command::Start(params));
    let received = world.legs[leg].stats().packets_received;
    world.run(200);
    assert_eq!(world.legs[leg].stats().packets_received, received, "still protected with the old key");
    let mut theirs = LegParams::pcmu(World::address(leg));
    secured(&mut theirs, key(suite, 5), key(suite, 4));
    world.command(phone, Command::Start(theirs));
    world.run(500);
    assert!(world.legs[leg].stats().packets_received > received + 20);
}
