//! Candidates that come after a description: any fragment is read or refused, and only so many of its candidates are kept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentact_sip::sdp::{
    Capabilities, CertificateFingerprint, CertificateHash, Direction, DtlsSide, IceFragment, Negotiator, Protection,
    Security, Session, SrtpPolicy,
};

const OFFER: &str = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=group:BUNDLE 1\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:1\na=rtcp-mux\na=setup:actpass\na=ice-ufrag:8hhY\n\
    a=ice-pwd:asd88fgpdd777uzjYhagZg\na=fingerprint:sha-256 \
    00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\n";

fuzz_target!(|octets: &[u8]| {
    let Some(fragment) = IceFragment::parse(octets) else { return };
    let fingerprint = CertificateFingerprint { hash: CertificateHash::Sha256, octets: vec![0; 32] };
    let security = Security::new(SrtpPolicy::Optional, true, |octets| octets.fill(7));
    let security = security.with_dtls(DtlsSide { fingerprint, lite: false, browser: true });
    let rtp = ([192, 0, 2, 1], 20_000).into();
    let mut negotiator = Negotiator::new(1, rtp, Capabilities::default()).securing(security);
    let offer = Session::parse(OFFER.as_bytes()).expect("an offer");
    negotiator.answer(&offer, Direction::SendRecv).expect("an answer");
    let taken = negotiator.trickled(&fragment);
    // Once more they are known.
    assert!(negotiator.trickled(&fragment).is_empty());
    let Some(Protection::Dtls(session)) = negotiator.protection() else { panic!("DTLS") };
    let kept = session.ice.as_ref().map_or(0, |ice| ice.remote.candidates.len());
    assert!(kept == taken.len() && kept <= 64);
});
