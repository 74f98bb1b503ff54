use crate::rtp;

use super::cipher::{Aes, Cipher, Place};
use super::derive::{Derivation, Label};
use super::*;

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn master(suite: Suite) -> MasterKey {
    let octets: Vec<u8> = (1..=(suite.key_len() + suite.salt_len()) as u8).collect();
    MasterKey::new(suite, &octets).unwrap()
}

fn rtp(sequence: u16) -> Vec<u8> {
    let header = rtp::Header { marker: false, payload_type: 0, sequence, timestamp: 160, ssrc: 7 };
    [&header.octets()[..], b"some audio of a call"].concat()
}

fn receiver_report() -> Vec<u8> {
    [&octets("81c8000bcafebabe")[..], &(0..40).collect::<Vec<u8>>()].concat()
}

fn protect(outbound: &mut Outbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = [packet, &[0; MAX_TRAILER]].concat();
    let length = outbound.protect_rtp(&mut buffer, packet.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn protect_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; MAX_TRAILER]].concat();
    let length = outbound.protect_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn open(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let length = inbound.unprotect_rtp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

fn open_rtcp(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let length = inbound.unprotect_rtcp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// RFC 3711 B.3.
#[test]
fn session_keys_of_128_bits_are_those_of_the_standard() {
    let master = octets("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
    let derivation = Derivation::new(&MasterKey::new(Suite::AesCm128HmacSha1_80, &master).unwrap());
    assert_eq!(derivation.derive::<16>(Label::RtpCipher)[..], octets("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(derivation.derive::<14>(Label::RtpSalt)[..], octets("30cbbc08863d8c85d49db34a9ae1"));
    assert_eq!(
        derivation.derive::<20>(Label::RtpAuthentication)[..],
        octets("cebe321f6ff7716b6fd4ab49af256a156d38baa4")
    );
}

/// RFC 6188 7.2.
#[test]
fn session_keys_of_256_bits_are_those_of_the_standard() {
    let master = octets("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2");
    let derivation = Derivation::new(&MasterKey::new(Suite::AesCm256HmacSha1_80, &master).unwrap());
    assert_eq!(
        derivation.derive::<32>(Label::RtpCipher)[..],
        octets("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
    );
    assert_eq!(derivation.derive::<14>(Label::RtpSalt)[..], octets("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(
        derivation.derive::<20>(Label::RtpAuthentication)[..],
        octets("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
    );
}

/// RFC 3711 B.2: the first blocks, and those where the batches meet.
#[test]
fn the_keystream_is_that_of_the_standard() {
    let aes = Aes::new(&octets("2b7e151628aed2a6abf7158809cf4f3c"));
    let mut first = [0; 16];
    first[..14].copy_from_slice(&octets("f0f1f2f3f4f5f6f7f8f9fafbfcfd"));
    let mut stream = vec![0; 0xff03 * 16];
    aes.apply_keystream(first, &mut stream);
    assert_eq!(stream[..32], octets("e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab"));
    assert_eq!(stream[0xfeff * 16..0xff00 * 16], octets("ec8cdf7398607cb0f2d21675ea9ea1e4"));
    assert_eq!(stream[0xff01 * 16..0xff02 * 16], octets("6a2cc3787889374fbeb4c81b17ba6c44"));
}

/// RFC 7714 16.1.1.
#[test]
fn a_gcm_packet_is_that_of_the_standard() {
    let mut salt = [0; 12];
    salt.copy_from_slice(b"Quid pro quo");
    let cipher = Cipher::of_session(Suite::AeadAes128Gcm, &(0..16).collect::<Vec<u8>>(), salt);
    let header = octets("8040f17b8041f8d35501a0b2");
    let mut packet = [&header[..], b"Gallia est omnis divisa in partes tres"].concat();
    let place = Place { ssrc: 0x5501_a0b2, index: 0xf17b };
    let tag = cipher.seal(place, &mut packet, 12, [0; 4], false).unwrap();
    let sealed = octets("f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833");
    assert_eq!(packet[12..], sealed);
    assert_eq!(tag[..], octets("899d7f27beb16a9152cf765ee4390cce"));
}

/// What libsrtp 2.5 makes of the same packets and keys: across the end of the sequence numbers, with contributing
/// sources and an extension, and the second RTCP packet.
const LIBSRTP: [(Suite, [&str; 4]); 4] = [
    (
        Suite::AesCm128HmacSha1_80,
        [
            "806e5cba50681de55c621599d15a01ae64692748dd4c21e9654f16adbaffb49d9b3adc32ba23eb31b0ac0ee87fc02d78690c70905d30bc84115a1a8c",
            "926effff000003e8cafebabe0000000100000002bede00011122334498c97c07b2b76b591b1985f30c5b209ba2f7f04974ff0b37e92d649450dff526e6c1e026",
            "926e0000000003e8cafebabe0000000100000002bede000111223344acfde9192130f136eefa42c9a209c3505b2cb501e2ffc32afdd92389a66094603eedbe42",
            "81c8000bcafebabea85a0b5b3178bbfa3990190d8f7c76dec32d24eacb8f903ffe94a3895bcc62b0002c6a750b961dd180000001215fdb3dd712f39da10f",
        ],
    ),
    (
        Suite::AesCm128HmacSha1_32,
        [
            "806e5cba50681de55c621599d15a01ae64692748dd4c21e9654f16adbaffb49d9b3adc32ba23eb31b0ac0ee87fc02d78690c70905d30",
            "926effff000003e8cafebabe0000000100000002bede00011122334498c97c07b2b76b591b1985f30c5b209ba2f7f04974ff0b37e92d649450df",
            "926e0000000003e8cafebabe0000000100000002bede000111223344acfde9192130f136eefa42c9a209c3505b2cb501e2ffc32afdd92389a660",
            "81c8000bcafebabea85a0b5b3178bbfa3990190d8f7c76dec32d24eacb8f903ffe94a3895bcc62b0002c6a750b961dd180000001215fdb3dd712f39da10f",
        ],
    ),
    (
        Suite::AeadAes128Gcm,
        [
            "806e5cba50681de55c6215998491aa3d8700515bb920cb5b23b7b4e348c985d5de7095046bb9c7fc2123b777e0dd24ab8f9919cb850e00f945eaccdf9f7ac73411c0",
            "926effff000003e8cafebabe0000000100000002bede0001112233446435b7fe713ac7fb1577c2b506c416d6acb408d837a7cbf0ba03444b138db1d32f914f815ae8c54b2c14",
            "926e0000000003e8cafebabe0000000100000002bede0001112233449191e0e9cff5e71be1f04a570e12a8a03f0ceb332508ad67ace4c402fa73999c17deea14fe6a02c9ca10",
            "81c8000bcafebabe70d6ca1cdc9589f3b811ae674dcde02c03cb990a52a066a525eb65dcb56b893f959ce47053288e63b16ef5e8312e75e281a97f38992645e580000001",
        ],
    ),
    (
        Suite::AeadAes256Gcm,
        [
            "806e5cba50681de55c621599566c9fc6c5b019d1d5ee2d47193e3fc34ff00f61971b7cdcda3ff240e4e71fe0802ddbbdd709b07740f61f5c63b5c67d89c2e2bd417a",
            "926effff000003e8cafebabe0000000100000002bede00011122334400ae010491b31afc34acbd37d1120e7b39e2b5ae4623c0dd2903c2a26a8f855edbf6e87d47a0d69bc20f",
            "926e0000000003e8cafebabe0000000100000002bede000111223344f6a677209d831cb7b1ce1b3f46a680a051dbadbe67fa5bde076baf3c439e4b1a0c99b7837c3daf2233a0",
            "81c8000bcafebabe2e5248a31db55796bb9ee0519ee154981db74358f950786d3113957c233cf5b822b781cb20ee39d750ec6aea2df966ba2c5c7c7278604f2780000001",
        ],
    ),
];

#[test]
fn packets_are_those_of_another_implementation() {
    for (suite, [plain, last, next, rtcp]) in LIBSRTP {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let header = octets("806e5cba50681de55c621599");
        let packet = [&header[..], b"Gallia est omnis divisa in partes tres"].concat();
        assert_eq!(protect(&mut outbound, &packet).unwrap(), octets(plain), "{suite:?}");
        assert_eq!(open(&mut inbound, &octets(plain)).unwrap(), packet, "{suite:?}");
        let mut packet = octets("926effff000003e8cafebabe0000000100000002bede000111223344");
        packet.extend_from_slice(b"with sources and extension");
        assert_eq!(protect(&mut outbound, &packet).unwrap(), octets(last), "{suite:?}");
        assert_eq!(open(&mut inbound, &octets(last)).unwrap(), packet, "{suite:?}");
        packet[2..4].copy_from_slice(&[0, 0]);
        assert_eq!(protect(&mut outbound, &packet).unwrap(), octets(next), "{suite:?}");
        assert_eq!(open(&mut inbound, &octets(next)).unwrap(), packet, "{suite:?}");
        // It counts from 1.
        protect_rtcp(&mut outbound, &receiver_report());
        assert_eq!(protect_rtcp(&mut outbound, &receiver_report()), octets(rtcp), "{suite:?}");
        assert_eq!(open_rtcp(&mut inbound, &octets(rtcp)).unwrap(), receiver_report(), "{suite:?}");
    }
}

#[test]
fn every_suite_opens_what_it_protects_whatever_the_length() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        for length in 0..300_usize {
            let mut packet = rtp(length as u16);
            packet.resize(12 + length, length as u8);
            let protected = protect(&mut outbound, &packet).unwrap();
            assert_eq!(protected.len(), packet.len() + suite.rtp_tag());
            assert_eq!(open(&mut inbound, &protected).unwrap(), packet);
        }
        for _ in 0..3 {
            let protected = protect_rtcp(&mut outbound, &receiver_report());
            assert_eq!(protected.len(), receiver_report().len() + 4 + suite.rtcp_tag());
            assert_eq!(open_rtcp(&mut inbound, &protected).unwrap(), receiver_report());
        }
    }
}

#[test]
fn a_packet_is_taken_once_and_an_old_one_not_at_all() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        let packets: Vec<_> = (0..200).map(|at| protect(&mut outbound, &rtp(at)).unwrap()).collect();
        assert!(open(&mut inbound, &packets[199]).is_ok());
        assert_eq!(open(&mut inbound, &packets[199]), Err(SrtpError::Replayed));
        assert!(open(&mut inbound, &packets[72]).is_ok(), "late but in the window");
        assert_eq!(open(&mut inbound, &packets[72]), Err(SrtpError::Replayed));
        assert_eq!(open(&mut inbound, &packets[71]), Err(SrtpError::Replayed));
        let report = protect_rtcp(&mut outbound, &receiver_report());
        assert!(open_rtcp(&mut inbound, &report).is_ok());
        assert_eq!(open_rtcp(&mut inbound, &report), Err(SrtpError::Replayed));
    }
}

#[test]
fn a_changed_octet_anywhere_is_noticed() {
    for suite in Suite::ALL {
        let packet = protect(&mut Outbound::new(&master(suite)), &rtp(1)).unwrap();
        let report = protect_rtcp(&mut Outbound::new(&master(suite)), &receiver_report());
        for at in 0..packet.len() {
            let mut changed = packet.clone();
            changed[at] ^= 0x10;
            assert!(open(&mut Inbound::new(&master(suite)), &changed).is_err(), "{suite:?} {at}");
            assert!(open(&mut Inbound::new(&master(suite)), &packet[..at]).is_err(), "{suite:?} cut at {at}");
        }
        for at in 0..report.len() {
            let mut changed = report.clone();
            changed[at] ^= 0x10;
            assert!(open_rtcp(&mut Inbound::new(&master(suite)), &changed).is_err(), "{suite:?} {at}");
            assert!(open_rtcp(&mut Inbound::new(&master(suite)), &report[..at]).is_err(), "{suite:?} cut at {at}");
        }
    }
}

#[test]
fn what_fails_to_prove_itself_changes_nothing() {
    for suite in Suite::ALL {
        let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
        assert!(open(&mut inbound, &protect(&mut outbound, &rtp(10)).unwrap()).is_ok());
        let mut forged = protect(&mut outbound, &rtp(11)).unwrap();
        let good = forged.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(open(&mut inbound, &forged), Err(SrtpError::Authentication));
        // A stranger's sequence number does not move the window on.
        let mut far = rtp(40_000);
        far.resize(80, 0);
        assert_eq!(open(&mut inbound, &far), Err(SrtpError::Replayed));
        let mut ahead = rtp(30_000);
        ahead.resize(80, 0);
        assert_eq!(open(&mut inbound, &ahead), Err(SrtpError::Authentication));
        assert!(open(&mut inbound, &good).is_ok());
    }
}

#[test]
fn another_key_opens_nothing() {
    for suite in Suite::ALL {
        let other: Vec<u8> = (0..(suite.key_len() + suite.salt_len()) as u8).collect();
        let mut inbound = Inbound::new(&MasterKey::new(suite, &other).unwrap());
        let mut outbound = Outbound::new(&master(suite));
        let packet = protect(&mut outbound, &rtp(0)).unwrap();
        assert_eq!(open(&mut inbound, &packet), Err(SrtpError::Authentication));
        assert!(open(&mut inbound, &rtp(0)).is_err(), "in the clear");
        let report = protect_rtcp(&mut outbound, &receiver_report());
        assert_eq!(open_rtcp(&mut inbound, &report), Err(SrtpError::Authentication));
    }
}

#[test]
fn rtcp_in_the_clear_is_refused() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut report = protect_rtcp(&mut Outbound::new(&master(suite)), &receiver_report());
    let index = report.len() - 14;
    report[index] &= 0x7F;
    assert_eq!(open_rtcp(&mut Inbound::new(&master(suite)), &report), Err(SrtpError::Clear));
}

#[test]
fn no_sequence_number_is_sent_twice_with_one_key() {
    let mut outbound = Outbound::new(&master(Suite::AeadAes128Gcm));
    for sequence in [65_534, 65_535, 0, 1] {
        assert!(protect(&mut outbound, &rtp(sequence)).is_ok());
    }
    for sequence in [65_534, 0, 1] {
        assert_eq!(protect(&mut outbound, &rtp(sequence)), Err(SrtpError::Replayed));
    }
    assert!(protect(&mut outbound, &rtp(65_533)).is_ok(), "relayed out of order");
}

#[test]
fn sources_are_kept_apart_and_are_so_many() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut outbound, mut inbound) = (Outbound::new(&master(suite)), Inbound::new(&master(suite)));
    let of = |ssrc: u8| {
        let mut packet = rtp(5);
        packet[11] = ssrc;
        packet
    };
    for ssrc in 0..64 {
        let protected = protect(&mut outbound, &of(ssrc)).unwrap();
        assert_eq!(open(&mut inbound, &protected).unwrap(), of(ssrc));
    }
    assert_eq!(protect(&mut outbound, &of(64)), Err(SrtpError::TooManySources));
    let foreign = protect(&mut Outbound::new(&master(suite)), &of(64)).unwrap();
    assert_eq!(open(&mut inbound, &foreign), Err(SrtpError::TooManySources));
}

#[test]
fn a_key_has_the_length_of_its_suite_and_is_not_shown() {
    for suite in Suite::ALL {
        let length = suite.key_len() + suite.salt_len();
        assert!(MasterKey::new(suite, &vec![0xAB; length - 1]).is_none());
        assert!(MasterKey::new(suite, &vec![0xAB; length + 1]).is_none());
        let shown = format!("{:?}", MasterKey::new(suite, &vec![0xAB; length]).unwrap());
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("ab,"), "{shown}");
    }
}

#[test]
fn a_tag_needs_room() {
    let mut packet = rtp(0);
    let length = packet.len();
    let mut outbound = Outbound::new(&master(Suite::AesCm128HmacSha1_80));
    assert_eq!(outbound.protect_rtp(&mut packet, length), Err(SrtpError::NoRoom));
    assert_eq!(outbound.protect_rtp(&mut packet, length + 1), Err(SrtpError::Malformed));
    let mut report = receiver_report();
    let length = report.len();
    assert_eq!(outbound.protect_rtcp(&mut report, length), Err(SrtpError::NoRoom));
}
