use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::sdp::{Agreed, Capabilities, CertificateHash, Direction, Negotiator};

/// Other octets each time.
fn counted(octets: &mut [u8]) {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    octets.fill(COUNT.fetch_add(1, Ordering::Relaxed));
}

fn side(policy: SrtpPolicy, private: bool) -> Negotiator {
    let negotiator = Negotiator::new(4, "192.0.2.1:4000".parse().unwrap(), Capabilities::default());
    negotiator.securing(Security::new(policy, private, counted))
}

fn described(protocol: &str, more: &str) -> Session {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 {protocol} 0\r\n{more}"
    );
    Session::parse(text.as_bytes()).unwrap()
}

fn keys(side: &Negotiator) -> Option<&SessionKeys> {
    side.protection().map(|protection| match protection {
        Protection::Keys(keys) => keys,
        Protection::Dtls(_) => panic!("DTLS"),
    })
}

fn dtls(side: &Negotiator) -> &DtlsSession {
    match side.protection() {
        Some(Protection::Dtls(session)) => session,
        other => panic!("{other:?}"),
    }
}

fn fingerprint(octet: u8) -> CertificateFingerprint {
    CertificateFingerprint { hash: CertificateHash::Sha256, octets: vec![octet; 32] }
}

fn webrtc(octet: u8, browser: bool, lite: bool) -> Negotiator {
    let side = DtlsSide { fingerprint: fingerprint(octet), lite, browser };
    let negotiator = Negotiator::new(4, "192.0.2.1:4000".parse().unwrap(), Capabilities::default());
    negotiator.securing(Security::new(SrtpPolicy::Optional, true, counted).with_dtls(side))
}

/// 30 octets of one letter.
const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh";

fn line(tag: u32, suite: &str) -> String {
    format!("a=crypto:{tag} {suite} inline:{KEY}|2^31\r\n")
}

fn agree(one: &mut Negotiator, other: &mut Negotiator) -> Result<Agreed, SdpError> {
    let offer = Session::parse(&one.offer(Direction::SendRecv).to_bytes()).unwrap();
    let (answer, _) = other.answer(&offer, Direction::SendRecv)?;
    one.accept(&Session::parse(&answer.to_bytes()).unwrap())
}

#[test]
fn both_sides_come_to_the_same_keys() {
    for (one, private) in [(SrtpPolicy::Required, false), (SrtpPolicy::Optional, true)] {
        for other in [SrtpPolicy::Required, SrtpPolicy::Optional] {
            let (mut one, mut other) = (side(one, private), side(other, false));
            agree(&mut one, &mut other).unwrap();
            let (ours, theirs) = (keys(&one).unwrap(), keys(&other).unwrap());
            assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
            assert_ne!(ours.local.key, ours.remote.key);
        }
    }
}

#[test]
fn who_never_protects_meets_only_who_need_not() {
    let (mut off, mut required) = (side(SrtpPolicy::Off, true), side(SrtpPolicy::Required, true));
    assert_eq!(agree(&mut off, &mut required).unwrap_err(), SdpError::NoCommonMedia);
    assert_eq!(agree(&mut required, &mut off).unwrap_err(), SdpError::NoCommonMedia);
    let mut optional = side(SrtpPolicy::Optional, true);
    agree(&mut optional, &mut off).unwrap();
    assert!(keys(&optional).is_none() && keys(&off).is_none());
}

#[test]
fn keys_are_offered_in_secret_or_when_they_must_be() {
    let offer = |policy, private| side(policy, private).offer(Direction::SendRecv).media.remove(0);
    let count = |media: &Media| media.attributes.iter().filter(|attribute| attribute.name == "crypto").count();
    for (policy, private, protocol, lines) in [
        (SrtpPolicy::Off, true, "RTP/AVP", 0),
        (SrtpPolicy::Optional, false, "RTP/AVP", 0),
        (SrtpPolicy::Optional, true, "RTP/AVP", 5),
        (SrtpPolicy::Required, false, "RTP/SAVP", 5),
    ] {
        let media = offer(policy, private);
        assert_eq!((media.protocol.as_str(), count(&media)), (protocol, lines), "{policy:?} {private}");
    }
}

#[test]
fn the_first_line_that_can_be_used_is_answered_with_its_tag() {
    let lines =
        [line(4, "F8_128_HMAC_SHA1_80"), line(9, "AES_CM_128_HMAC_SHA1_32"), line(1, "AES_CM_128_HMAC_SHA1_80")];
    for protocol in ["RTP/SAVP", "RTP/AVP", "RTP/SAVPF"] {
        let mut side = side(SrtpPolicy::Optional, false);
        let (answer, _) = side.answer(&described(protocol, &lines.concat()), Direction::SendRecv).unwrap();
        assert_eq!(answer.media[0].protocol, protocol);
        let crypto = answer.media[0].attribute("crypto").unwrap();
        assert!(crypto.starts_with("9 AES_CM_128_HMAC_SHA1_32 inline:"), "{crypto}");
        assert_eq!(keys(&side).unwrap().remote.key, vec![b'a'; 30]);
    }
}

#[test]
fn a_protected_offer_is_never_answered_in_the_clear() {
    for policy in [SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required] {
        for lines in [String::new(), line(1, "F8_128_HMAC_SHA1_80")] {
            let answer = side(policy, true).answer(&described("RTP/SAVP", &lines), Direction::SendRecv);
            assert_eq!(answer.unwrap_err(), SdpError::NoCommonMedia);
        }
    }
    let offered = line(1, "AES_CM_128_HMAC_SHA1_80");
    let answer = side(SrtpPolicy::Off, true).answer(&described("RTP/SAVP", &offered), Direction::SendRecv);
    assert_eq!(answer.unwrap_err(), SdpError::NoCommonMedia);
    let answer = side(SrtpPolicy::Off, true).answer(&described("RTP/AVP", &offered), Direction::SendRecv);
    assert_eq!(answer.unwrap().0.media[0].attribute("crypto"), None);
}

#[test]
fn of_two_streams_the_protected_one_is_taken() {
    let mut offer = described("RTP/AVP", "");
    let secured = described("RTP/SAVP", &line(1, "AES_CM_128_HMAC_SHA1_80"));
    offer.media.push(secured.media[0].clone());
    let (answer, agreed) = side(SrtpPolicy::Optional, false).answer(&offer, Direction::SendRecv).unwrap();
    assert_eq!((answer.media[0].port, agreed.index), (0, 1));
    let (answer, agreed) = side(SrtpPolicy::Off, false).answer(&offer, Direction::SendRecv).unwrap();
    assert_eq!((answer.media[1].port, agreed.index), (0, 0));
}

#[test]
fn a_protected_call_stays_so() {
    let mut side = side(SrtpPolicy::Optional, true);
    let offered = line(1, "AES_CM_128_HMAC_SHA1_80");
    side.answer(&described("RTP/AVP", &offered), Direction::SendRecv).unwrap();
    let before = keys(&side).unwrap().clone();
    let clear = side.answer(&described("RTP/AVP", ""), Direction::SendRecv);
    assert_eq!(clear.unwrap_err(), SdpError::NoCommonMedia);
    assert_eq!(keys(&side), Some(&before));
    side.offer(Direction::SendRecv);
    assert_eq!(side.accept(&described("RTP/AVP", "")).unwrap_err(), SdpError::Insecure);
    assert_eq!(keys(&side), Some(&before));
}

#[test]
fn of_two_callees_each_answers_for_itself() {
    let mut side = side(SrtpPolicy::Optional, true);
    side.offer(Direction::SendRecv);
    side.accept(&described("RTP/AVP", &line(2, "AES_CM_128_HMAC_SHA1_80"))).unwrap();
    assert!(keys(&side).is_some());
    side.accept(&described("RTP/AVP", "")).unwrap();
    assert!(keys(&side).is_none());
}

#[test]
fn a_key_is_new_with_each_new_offer_and_stays_with_the_same() {
    let (mut one, mut other) = (side(SrtpPolicy::Required, false), side(SrtpPolicy::Required, false));
    agree(&mut one, &mut other).unwrap();
    let first = keys(&one).unwrap().clone();
    let repeated = one.description().unwrap().clone();
    let (answer, _) = other.answer(&repeated, Direction::SendRecv).unwrap();
    one.refreshed(&answer).unwrap();
    assert_eq!(keys(&one), Some(&first));
    agree(&mut one, &mut other).unwrap();
    assert_ne!(keys(&one).unwrap().local.key, first.local.key);
    assert_ne!(keys(&one).unwrap().remote.key, first.remote.key);
}

#[test]
fn an_answer_must_take_what_was_offered() {
    for (protocol, lines) in [
        ("RTP/SAVP", String::new()),
        ("RTP/SAVP", line(9, "AES_CM_128_HMAC_SHA1_80")),
        ("RTP/SAVP", line(1, "AES_CM_128_HMAC_SHA1_80")),
        ("RTP/AVP", String::new()),
    ] {
        let mut side = side(SrtpPolicy::Required, false);
        side.offer(Direction::SendRecv);
        assert_eq!(side.accept(&described(protocol, &lines)).unwrap_err(), SdpError::Insecure, "{protocol} {lines}");
    }
    let mut side = side(SrtpPolicy::Required, false);
    side.offer(Direction::SendRecv);
    assert!(side.accept(&described("RTP/SAVP", &line(2, "AES_CM_128_HMAC_SHA1_80"))).is_ok());
}

/// What a browser offers before it knows any address of its own.
fn browsers_offer(more: &str) -> Session {
    let print = fingerprint(9);
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=mid:0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:{print}\r\na=setup:actpass\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.9 40000 typ host\r\na=rtcp-mux\r\na=sendrecv\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:126 telephone-event/8000\r\n{more}\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n"
    );
    Session::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_browser_is_answered_in_its_own_way() {
    let mut side = webrtc(1, false, false);
    let (answer, agreed) = side.answer(&browsers_offer(""), Direction::SendRecv).unwrap();
    let [audio, video] = &answer.media[..] else { panic!("{answer}") };
    assert_eq!((audio.protocol.as_str(), video.port), ("UDP/TLS/RTP/SAVPF", 0));
    assert_eq!(video.protocol, "UDP/TLS/RTP/SAVPF");
    for (name, value) in [("mid", "0"), ("setup", "passive"), ("rtcp-mux", ""), ("end-of-candidates", "")] {
        assert_eq!(audio.attribute(name), Some(value), "{name}");
    }
    assert_eq!(audio.attribute("candidate"), Some("1 1 udp 2130706431 192.0.2.1 4000 typ host"));
    assert_eq!(audio.attribute("fingerprint"), Some(fingerprint(1).to_string().as_str()));
    assert_eq!((answer.attribute("group"), video.attribute("mid")), (Some("BUNDLE 0"), Some("1")));
    assert_eq!(agreed.direction, Direction::SendRecv, "no address yet is no hold");
    let session = dtls(&side);
    let ice = session.ice.as_ref().unwrap();
    assert_eq!((session.active, &session.fingerprint), (false, &fingerprint(9)));
    assert_eq!((ice.controlling, ice.lite, ice.remote.candidates.len()), (false, false, 1));
    assert_eq!(audio.attribute("ice-ufrag"), Some(ice.local.ufrag.as_str()));
    assert!(ice.local.ufrag.len() >= 4 && ice.local.password.len() >= 22 && side.rtcp_mux());
}

#[test]
fn a_browser_is_offered_what_it_takes_and_its_answer_is_understood() {
    for (lite, controlling) in [(false, true), (true, false)] {
        let (mut ours, mut theirs) = (webrtc(1, true, lite), webrtc(2, false, false));
        agree(&mut ours, &mut theirs).unwrap();
        let offer = ours.description().unwrap();
        assert_eq!(offer.attribute("ice-lite").is_some(), lite);
        assert_eq!((offer.media[0].attribute("setup"), offer.attribute("group")), (Some("actpass"), Some("BUNDLE 0")));
        let (one, other) = (dtls(&ours), dtls(&theirs));
        assert_eq!((one.active, other.active), (true, false));
        assert_eq!((&one.fingerprint, &other.fingerprint), (&fingerprint(2), &fingerprint(1)));
        let (one, other) = (one.ice.as_ref().unwrap(), other.ice.as_ref().unwrap());
        assert_eq!((one.controlling, other.controlling), (controlling, lite));
        assert_eq!((&one.local, &one.remote.credentials), (&other.remote.credentials, &other.local));
        assert!(ours.rtcp_mux() && theirs.rtcp_mux());
    }
}

#[test]
fn told_again_everything_stays_and_a_new_name_of_ice_is_answered_by_one() {
    let mut side = webrtc(1, false, false);
    side.answer(&browsers_offer(""), Direction::SendRecv).unwrap();
    let first = dtls(&side).clone();
    let (answer, _) = side.answer(&browsers_offer("a=x-more\r\n"), Direction::SendRecv).unwrap();
    assert_eq!((dtls(&side), answer.origin.version), (&first, side.description().unwrap().origin.version));
    let mut restart = browsers_offer("");
    for attribute in &mut restart.media[0].attributes {
        if attribute.name == "ice-ufrag" {
            attribute.value = Some("efgh".to_owned());
        }
    }
    side.answer(&restart, Direction::SendRecv).unwrap();
    let (before, after) = (first.ice.unwrap(), dtls(&side).ice.clone().unwrap());
    assert_ne!(before.local, after.local);
    assert_eq!(after.remote.credentials.ufrag, "efgh");
}

#[test]
fn what_cannot_be_agreed_on_by_dtls_is_refused() {
    let refused = |offer: &Session, side: &mut Negotiator| side.answer(offer, Direction::SendRecv).unwrap_err();
    let mut without = browsers_offer("");
    without.media[0].attributes.retain(|attribute| attribute.name != "fingerprint");
    assert_eq!(refused(&without, &mut webrtc(1, false, false)), SdpError::NoCommonMedia);
    // Without a certificate, and where nothing is protected.
    assert_eq!(refused(&browsers_offer(""), &mut side(SrtpPolicy::Optional, true)), SdpError::NoCommonMedia);
    assert_eq!(refused(&browsers_offer(""), &mut side(SrtpPolicy::Off, true)), SdpError::NoCommonMedia);
    // A call that DTLS protects goes on by nothing less.
    let mut browser = webrtc(1, false, false);
    browser.answer(&browsers_offer(""), Direction::SendRecv).unwrap();
    assert_eq!(refused(&described("RTP/AVP", ""), &mut browser), SdpError::NoCommonMedia);
    let mut ours = webrtc(1, true, false);
    ours.offer(Direction::SendRecv);
    let print = format!("a=fingerprint:{}\r\n", fingerprint(2));
    for (protocol, lines) in [
        ("RTP/AVP", String::new()),
        ("RTP/AVP", format!("{print}a=setup:active\r\n")),
        ("UDP/TLS/RTP/SAVPF", "a=setup:active\r\n".to_owned()),
        ("UDP/TLS/RTP/SAVPF", format!("{print}a=setup:actpass\r\n")),
        ("UDP/TLS/RTP/SAVPF", format!("{print}a=setup:holdconn\r\n")),
    ] {
        assert_eq!(ours.accept(&described(protocol, &lines)).unwrap_err(), SdpError::Insecure, "{protocol} {lines}");
    }
}

#[test]
fn rtcp_shares_the_port_of_rtp_where_that_is_offered() {
    for (line, mux) in [("a=rtcp-mux\r\n", true), ("", false)] {
        let mut side = side(SrtpPolicy::Off, false);
        let (answer, _) = side.answer(&described("RTP/AVP", line), Direction::SendRecv).unwrap();
        assert_eq!((answer.media[0].attribute("rtcp-mux").is_some(), side.rtcp_mux()), (mux, mux));
    }
}
