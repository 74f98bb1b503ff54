//! ICE and DTLS between legs: which way packets take, with whose keys, and who is not let in.

use std::sync::Arc;

use opentact_media::control::{DtlsIdentity, DtlsParams, IceCredentials, IceParams, Security};
use opentact_media::tone::ToneSpec;
use opentact_media::{Command, LegParams, RecordOrder, Source};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{Network, World, frequency};

fn identity() -> DtlsIdentity {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    DtlsIdentity::new(certificate.der(), &key.serialize_der())
}

fn credentials(name: &str) -> IceCredentials {
    IceCredentials { ufrag: format!("{name}ufrag"), password: format!("{name}{}", "p".repeat(22)) }
}

/// A leg and a browser; either may be changed before it starts. The first begins neither ICE nor DTLS.
pub struct Pair {
    pub legs: [usize; 2],
    pub params: [LegParams; 2],
}

impl Pair {
    pub fn new(world: &mut World) -> Self {
        let legs = [world.add(), world.add()];
        let identities = [identity(), identity()];
        let names = [credentials("one"), credentials("two")];
        let params = [0, 1].map(|at| {
            let other = 1 - at;
            let address = World::address(legs[other]);
            let candidate = format!("candidate:1 1 udp 2130706431 {} {} typ host", address.ip(), address.port());
            let dtls = DtlsParams {
                identity: identities[at].clone(),
                active: at == 1,
                fingerprint: identities[other].fingerprint(),
                ice: Some(IceParams {
                    local: names[at].clone(),
                    remote: names[other].clone(),
                    address: World::address(legs[at]),
                    candidates: vec![candidate, "candidate:2 1 udp 1 x.local 9 typ host".to_owned()],
                    controlling: at == 1,
                    lite: false,
                }),
            };
            let mut params = LegParams::pcmu("127.0.0.1:9".parse().unwrap());
            params.security = Security::Dtls(Arc::new(dtls));
            params.rtcp_mux = true;
            params
        });
        Self { legs, params }
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut DtlsParams)) {
        let Security::Dtls(dtls) = &mut self.params[at].security else { panic!("DTLS") };
        change(Arc::make_mut(dtls));
    }

    pub fn start(&self, world: &mut World) {
        for (leg, params) in self.legs.iter().zip(&self.params) {
            world.command(*leg, Command::Start(params.clone()));
        }
    }

    /// Both sides play a tone for a while; packets each has heard.
    fn talk(&self, world: &mut World, ms: u64) -> [u64; 2] {
        let before = self.legs.map(|leg| world.legs[leg].stats().packets_received);
        for leg in self.legs {
            let tone = Source::Tone(ToneSpec::cadence(&[440.0], ms as u32, 0, -10.0));
            world.command(leg, Command::Play { id: 1, source: tone, loops: 1 });
        }
        world.run(ms);
        let after = self.legs.map(|leg| world.legs[leg].stats().packets_received);
        [after[0] - before[0], after[1] - before[1]]
    }
}

#[test]
fn a_way_and_keys_are_found_through_loss_and_delay() {
    for lite in [false, true] {
        let mut world = World::new(1, Network { loss: 0.1, duplication: 0.05, delay: (10, 40) });
        let mut pair = Pair::new(&mut world);
        pair.change(0, |dtls| dtls.ice.as_mut().unwrap().lite = lite);
        pair.start(&mut world);
        world.run(8000);
        world.command(pair.legs[0], Command::Record(RecordOrder::new(9, "x")));
        let [one, other] = pair.talk(&mut world, 4000);
        assert!(one > 150 && other > 150, "{one} {other}");
        let heard = &world.recordings[&(pair.legs[0], 9)];
        assert!((frequency(&heard[4000..20_000]) - 440.0).abs() < 5.0);
        world.run(10_000);
        // Reports went and came by the RTP port.
        assert!(world.rtcp_sent.is_empty());
        assert!(pair.legs.iter().all(|leg| world.legs[*leg].stats().round_trip_ms.is_some()));
    }
}

#[test]
fn another_certificate_is_nobody() {
    let mut world = World::new(2, Network::default());
    let mut pair = Pair::new(&mut world);
    pair.change(0, |dtls| dtls.fingerprint = identity().fingerprint());
    pair.start(&mut world);
    world.run(5000);
    assert_eq!(pair.talk(&mut world, 2000)[0], 0, "heard");
    assert_eq!(world.legs[pair.legs[0]].stats().packets_received, 0);
    // Nothing was sent to it either that it could read.
    assert_eq!(world.legs[pair.legs[1]].stats().packets_received, 0);
}

#[test]
fn another_password_finds_no_way() {
    let mut world = World::new(3, Network::default());
    let mut pair = Pair::new(&mut world);
    pair.change(1, |dtls| dtls.ice.as_mut().unwrap().remote.password = "x".repeat(24));
    pair.start(&mut world);
    world.run(5000);
    assert_eq!(pair.talk(&mut world, 1000), [0, 0]);
}

#[test]
fn without_ice_the_handshake_goes_where_the_descriptions_say() {
    let mut world = World::new(4, Network { delay: (20, 20), ..Network::default() });
    let mut pair = Pair::new(&mut world);
    for at in [0, 1] {
        pair.change(at, |dtls| dtls.ice = None);
        pair.params[at].remote = World::address(pair.legs[1 - at]);
    }
    // Behind a NAT the description of one is of no use.
    pair.params[0].remote = "10.99.0.1:4000".parse().unwrap();
    pair.start(&mut world);
    world.run(3000);
    let [one, other] = pair.talk(&mut world, 2000);
    assert!(one > 90 && other > 90, "{one} {other}");
}

#[test]
fn what_is_told_again_goes_on_and_ice_may_begin_anew() {
    let mut world = World::new(5, Network::default());
    let mut pair = Pair::new(&mut world);
    pair.start(&mut world);
    world.run(3000);
    pair.start(&mut world);
    let [one, other] = pair.talk(&mut world, 1000);
    assert!(one > 45 && other > 45, "{one} {other}");
    let names = [credentials("three"), credentials("four")];
    for at in [0, 1] {
        pair.change(at, |dtls| {
            let ice = dtls.ice.as_mut().unwrap();
            (ice.local, ice.remote) = (names[at].clone(), names[1 - at].clone());
        });
    }
    pair.start(&mut world);
    let [one, other] = pair.talk(&mut world, 1000);
    assert!(one > 45 && other > 45, "no gap while the new way is looked for: {one} {other}");
    world.run(3000);
    let [one, other] = pair.talk(&mut world, 1000);
    assert!(one > 45 && other > 45, "{one} {other}");
}

#[test]
fn candidates_may_come_later() {
    let mut world = World::new(7, Network { delay: (10, 30), ..Network::default() });
    let mut pair = Pair::new(&mut world);
    let mut candidates = [Vec::new(), Vec::new()];
    for (at, candidates) in candidates.iter_mut().enumerate() {
        pair.change(at, |dtls| std::mem::swap(candidates, &mut dtls.ice.as_mut().unwrap().candidates));
    }
    pair.start(&mut world);
    world.run(2000);
    assert_eq!(pair.talk(&mut world, 500), [0, 0], "neither knows where the other is");
    // One is enough: who is asked learns where from.
    let lines = std::mem::take(&mut candidates[1]);
    world.command(pair.legs[1], Command::Candidates { lines });
    world.run(3000);
    let [one, other] = pair.talk(&mut world, 1000);
    assert!(one > 45 && other > 45, "{one} {other}");
    // More than are looked at.
    let lines = (0..200).map(|n| format!("candidate:{n} 1 udp 1 10.0.9.{n} 4000 typ host")).collect();
    world.command(pair.legs[0], Command::Candidates { lines });
    let [one, other] = pair.talk(&mut world, 1000);
    assert!(one > 45 && other > 45, "{one} {other}");
}

#[test]
fn noise_of_every_kind_neither_harms_nor_is_heard() {
    let mut world = World::new(6, Network::default());
    let pair = Pair::new(&mut world);
    pair.start(&mut world);
    let mut rng = StdRng::seed_from_u64(6);
    let stranger = "10.66.0.1:4000".parse().unwrap();
    let mut noise = |world: &mut World| {
        for _ in 0..300 {
            let mut datagram: Vec<u8> = (0..rng.random_range(1..300)).map(|_| rng.random()).collect();
            match rng.random_range(0..4) {
                0 if datagram.len() >= 20 => {
                    let length = ((datagram.len() - 20) & !3) as u16;
                    datagram.truncate(20 + usize::from(length));
                    datagram[..2].copy_from_slice(&[0, 1]);
                    datagram[2..4].copy_from_slice(&length.to_be_bytes());
                    datagram[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
                }
                1 if datagram.len() >= 13 => {
                    let length = (datagram.len() - 13) as u16;
                    datagram[..11].copy_from_slice(&[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 1]);
                    datagram[11..13].copy_from_slice(&length.to_be_bytes());
                }
                2 => datagram[0] = 0x80,
                _ => {}
            }
            for leg in pair.legs {
                world.send(stranger, World::address(leg), &datagram);
            }
        }
    };
    noise(&mut world);
    world.run(3000);
    noise(&mut world);
    let [one, other] = pair.talk(&mut world, 1000);
    assert!(one > 45 && other > 45, "{one} {other}");
    assert!((45..=60).contains(&one), "only what the peer sent");
}
