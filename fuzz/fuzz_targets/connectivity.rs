//! ICE and DTLS: any run of datagrams on a leg that waits for a browser is without harm, and nothing of it is heard.
#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentact_fuzz::leg_config;
use opentact_media::control::{
    DtlsIdentity, DtlsParams, Fingerprint, FingerprintHash, IceCredentials, IceParams, Security,
};
use opentact_media::leg::Input;
use opentact_media::{Command, Leg, LegParams};

const CERTIFICATE: &[u8] = include_bytes!("../identity/certificate.der");
const KEY: &[u8] = include_bytes!("../identity/key.der");

fuzz_target!(|octets: &[u8]| {
    let Some((&choice, octets)) = octets.split_first() else { return };
    let mut now = Instant::now();
    let from: SocketAddr = ([192, 0, 2, 1], 4000).into();
    let named = |name: &str| IceCredentials { ufrag: name.to_owned(), password: name.repeat(6) };
    let candidate = String::from_utf8_lossy(&octets[..octets.len().min(80)]).into_owned();
    let ice = IceParams {
        local: named("ours"),
        remote: named("them"),
        address: ([192, 0, 2, 2], 4000).into(),
        candidates: vec!["candidate:1 1 udp 1 192.0.2.1 4000 typ host".to_owned(), candidate],
        controlling: choice & 1 != 0,
        lite: choice & 2 != 0,
    };
    let dtls = DtlsParams {
        identity: DtlsIdentity::new(CERTIFICATE, KEY),
        active: choice & 4 != 0,
        fingerprint: Fingerprint { hash: FingerprintHash::Sha256, octets: vec![1; 32] },
        ice: (choice & 8 == 0).then_some(ice),
    };
    let params = LegParams { security: Security::Dtls(Arc::new(dtls)), rtcp_mux: true, ..LegParams::pcmu(from) };
    let mut leg = Leg::new(leg_config(now));
    leg.handle(now, Input::Command(Command::Start(params)));
    // A datagram is a length of two octets, then as many octets.
    let mut rest = octets;
    while let Some((&[high, low], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at(usize::from(u16::from_be_bytes([high, low])).min(after.len()));
        rest = after;
        now += Duration::from_millis(20);
        leg.handle(now, Input::Rtp { from, datagram });
        leg.handle(now, Input::Tick);
        while leg.poll().is_some() {}
    }
    assert_eq!(leg.stats().packets_received, 0);
});
