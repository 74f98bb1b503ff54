use std::net::SocketAddr;
use std::time::Duration;

use opentact_media::rtcp::{self, Packet};
use opentact_media::{Codec, Command, Event, LegParams, Source};

use crate::world::{Network, World};

#[test]
fn reports_come_every_five_seconds_or_so_and_tell_loss_and_round_trip() {
    let mut world = World::new(1, Network { loss: 0.05, delay: (20, 20), ..Network::default() });
    let (leg, phone) = world.call();
    for one in [leg, phone] {
        world.command(one, Command::Play { id: 1, source: Source::Silence { ms: 1000 }, loops: 0 });
    }
    world.run(60_000);
    let reports = world.rtcp_sent.len();
    assert!((18..=32).contains(&reports), "{reports} reports of two in a minute");
    for compound in &world.rtcp_sent {
        assert!(rtcp::parse(compound).all(|packet| packet.is_ok()));
        assert_eq!(compound.len() % 4, 0);
    }
    let stats = world.legs[leg].stats();
    let round_trip = stats.round_trip_ms.unwrap();
    assert!((round_trip - 40.0).abs() < 0.1, "{round_trip}");
    let lost = stats.remote_lost.unwrap();
    assert!((80..=200).contains(&lost), "{lost} of 3000 at 5 %");
    assert!((80..=200).contains(&stats.packets_lost));
    assert!(stats.jitter_ms < 0.1, "{}", stats.jitter_ms);
}

#[test]
fn jitter_is_measured() {
    let mut world = World::new(2, Network { delay: (0, 20), ..Network::default() });
    let (leg, phone) = world.call();
    world.command(phone, Command::Play { id: 1, source: Source::Silence { ms: 1000 }, loops: 0 });
    world.run(20_000);
    let jitter = world.legs[leg].stats().jitter_ms;
    // The mean difference of two delays even between 0 and 20 ms is 6.7 ms.
    assert!((4.0..10.0).contains(&jitter), "{jitter}");
}

#[test]
fn the_last_report_says_goodbye() {
    let mut world = World::new(3, Network::default());
    let (leg, _) = world.call();
    world.command(leg, Command::Play { id: 1, source: Source::Silence { ms: 100 }, loops: 1 });
    world.run(200);
    world.command(leg, Command::Close);
    let packets: Vec<_> = rtcp::parse(&world.rtcp_sent[0]).map(Result::unwrap).collect();
    assert!(matches!(packets[..], [Packet::Sender { .. }, Packet::SourceDescription, Packet::Goodbye { .. }]));
    let Packet::Sender { info, .. } = packets[0] else { panic!() };
    assert_eq!((info.packets, info.octets), (5, 800));
    assert!(matches!(world.events.last(), Some((of, Event::Closed(_))) if *of == leg));
    world.command(leg, Command::Close);
    world.run(1000);
    assert_eq!(world.events.iter().filter(|(_, event)| matches!(event, Event::Closed(_))).count(), 1);
}

#[test]
fn silence_is_told_each_time_its_limit_passes() {
    let mut world = World::new(4, Network::default());
    let (leg, phone) = world.call();
    let timeouts = |world: &World| world.events.iter().filter(|(of, e)| *of == leg && *e == Event::Timeout).count();
    world.run(29_000);
    assert_eq!(timeouts(&world), 0);
    world.run(60_000);
    assert_eq!(timeouts(&world), 2);
    world.command(phone, Command::Play { id: 1, source: Source::Silence { ms: 100 }, loops: 1 });
    world.run(29_000);
    assert_eq!(timeouts(&world), 2);
    world.run(2_000);
    assert_eq!(timeouts(&world), 3);
}

#[test]
fn the_first_who_sends_is_latched_and_strangers_are_not_heard() {
    let mut world = World::new(5, Network::default());
    let leg = world.add();
    // The SDP names an address behind a NAT.
    world.command(leg, Command::Start(LegParams::pcmu(SocketAddr::from(([192, 168, 1, 1], 5000)))));
    let (phone, stranger) = (world.add(), world.add());
    for one in [phone, stranger] {
        world.command(one, Command::Start(LegParams::pcmu(World::address(leg))));
    }
    world.command(phone, Command::Play { id: 1, source: Source::Silence { ms: 1000 }, loops: 1 });
    world.run(100);
    world.command(stranger, Command::Play { id: 1, source: Source::Silence { ms: 200 }, loops: 1 });
    world.command(leg, Command::Play { id: 1, source: Source::Silence { ms: 200 }, loops: 1 });
    world.run(2000);
    let stats = world.legs[leg].stats();
    assert_eq!((stats.packets_received, stats.packets_discarded), (50, 10));
    assert_eq!(world.legs[phone].stats().packets_received, 10);
    assert_eq!(world.legs[stranger].stats().packets_received, 0);
}

#[test]
fn a_stranger_who_was_first_gives_way_to_the_address_that_was_told() {
    let mut world = World::new(5, Network::default());
    let (leg, phone) = world.call();
    let stranger = world.add();
    world.command(stranger, Command::Start(LegParams::pcmu(World::address(leg))));
    world.command(stranger, Command::Play { id: 1, source: Source::Silence { ms: 1000 }, loops: 1 });
    world.run(100);
    world.command(phone, Command::Play { id: 1, source: Source::Silence { ms: 500 }, loops: 1 });
    world.command(leg, Command::Play { id: 1, source: Source::Silence { ms: 500 }, loops: 1 });
    world.run(1000);
    let stats = world.legs[leg].stats();
    assert!((25 + 4..=25 + 6).contains(&stats.packets_received), "{stats:?}");
    assert!(world.legs[phone].stats().packets_received >= 24);
}

#[test]
fn a_phone_that_went_silent_is_followed_to_another_port() {
    let mut world = World::new(7, Network::default());
    let (leg, phone) = world.call();
    world.command(phone, Command::Play { id: 1, source: Source::Silence { ms: 100 }, loops: 1 });
    world.run(500);
    let elsewhere = world.add();
    world.command(elsewhere, Command::Start(LegParams::pcmu(World::address(leg))));
    world.command(elsewhere, Command::Play { id: 1, source: Source::Silence { ms: 1000 }, loops: 1 });
    world.run(2000);
    // Not heard while the old port may still be in use.
    let stats = world.legs[leg].stats();
    assert!((20..30).contains(&stats.packets_discarded), "{stats:?}");
    assert_eq!(stats.packets_received + stats.packets_discarded, 55);
    world.command(leg, Command::Play { id: 1, source: Source::Silence { ms: 100 }, loops: 1 });
    world.run(200);
    assert_eq!(world.legs[elsewhere].stats().packets_received, 5);
}

#[test]
fn garbage_is_counted_and_survived() {
    let mut world = World::new(6, Network::default());
    let (leg, phone) = world.call();
    let from = World::address(phone);
    let to = World::address(leg);
    let rtcp = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() + 1);
    for length in 0..64usize {
        let junk: Vec<u8> = (0..length).map(|n| (n * 37 + length) as u8 | 0x80).collect();
        world.send(from, to, &junk);
        world.send(rtcp(from), rtcp(to), &junk);
    }
    world.run(1000);
    assert!(world.legs[leg].stats().packets_discarded > 100);
    assert!(world.elapsed() >= Duration::from_secs(1));
}

#[test]
fn opinion_follows_loss_delay_and_jitter() {
    let measure = |network: Network, codec: Codec| {
        let mut world = World::new(7, network);
        let (leg, phone) = world.call_in(codec);
        for one in [leg, phone] {
            world.command(one, Command::Play { id: 1, source: Source::Silence { ms: 1000 }, loops: 0 });
        }
        world.run(60_000);
        let stats = world.legs[leg].stats();
        assert_eq!(stats.codec, Some(codec));
        (stats.mos.unwrap(), stats.lowest_mos.unwrap(), stats.remote_mos.unwrap())
    };
    let network = |loss, delay| Network { loss, delay, ..Network::default() };
    let (good, lowest, remote) = measure(network(0.0, (10, 10)), Codec::Pcmu);
    assert!(good > 4.3 && lowest > 4.3 && remote > 4.3, "{good} {lowest} {remote}");
    let (lossy, lowest, remote) = measure(network(0.05, (10, 10)), Codec::Pcmu);
    assert!((3.6..4.1).contains(&lossy) && (3.4..4.2).contains(&remote), "{lossy} {remote}");
    assert!(lowest < lossy, "{lowest} in the worst interval, {lossy} in all");
    let (far, ..) = measure(network(0.0, (300, 300)), Codec::Opus);
    assert!((3.0..4.0).contains(&far), "{far}");
    let (shaky, ..) = measure(network(0.0, (10, 90)), Codec::G722);
    assert!(shaky < good, "{shaky} with jitter, {good} without");
}

#[test]
fn who_is_never_heard_has_no_score() {
    let mut world = World::new(8, Network::default());
    let leg = world.add();
    assert_eq!(world.legs[leg].stats().codec, None);
    world.command(leg, Command::Start(LegParams::pcmu(World::address(7))));
    world.run(10_000);
    let stats = world.legs[leg].stats();
    assert_eq!((stats.mos, stats.lowest_mos, stats.remote_mos), (None, None, None));
    assert_eq!(stats.codec, Some(Codec::Pcmu));
}
