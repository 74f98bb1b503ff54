use std::net::SocketAddr;

use super::*;

const OFFER: &str = "v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 host.atlanta.example.com\r\n\
    s=\r\n\
    i=A session\r\n\
    c=IN IP4 192.0.2.10\r\n\
    b=AS:64\r\n\
    t=0 0\r\n\
    x=unknown line\r\n\
    a=group:BUNDLE 0 1\r\n\
    m=video 51372 RTP/AVP 31 32\r\n\
    a=rtpmap:31 H261/90000\r\n\
    m=audio 49170 RTP/AVP 8 0 97 101\r\n\
    c=IN IP4 192.0.2.11\r\n\
    a=rtpmap:97 iLBC/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n\
    a=ptime:30\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

fn local() -> Local {
    Local { rtp: "198.51.100.1:20000".parse().unwrap(), session_id: 7, version: 7, direction: Direction::SendRecv }
}

fn session(text: &str) -> Session {
    Session::parse(text.as_bytes()).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn negotiator() -> Negotiator {
    Negotiator::new(4_000, address("198.51.100.1:20000"), Capabilities::default())
}

#[test]
fn unknown_lines_and_attributes_survive() {
    assert_eq!(session(OFFER).to_string(), OFFER);
    // Bare line feeds are understood.
    assert_eq!(session(&OFFER.replace("\r\n", "\n")).to_string(), OFFER);
}

#[test]
fn an_answer_keeps_every_stream_in_its_place() {
    let answer = answer(&session(OFFER), &Capabilities::default(), &local()).unwrap();
    insta::assert_snapshot!(answer.session.to_string().replace('\r', ""), @r"
    v=0
    o=- 7 7 IN IP4 198.51.100.1
    s=-
    c=IN IP4 198.51.100.1
    t=0 0
    m=video 0 RTP/AVP 31 32
    m=audio 20000 RTP/AVP 0 101
    a=rtpmap:0 PCMU/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=ptime:30
    a=sendrecv
    m=application 0 UDP/DTLS/SCTP webrtc-datachannel
    ");
    let agreed = answer.agreed;
    assert_eq!((agreed.codec, agreed.payload_type), (Codec::PCMU, 0));
    let events = Events { payload_type: 101, receive_payload_type: 101, clock: 8_000 };
    assert_eq!(agreed.telephone_event, Some(events));
    assert_eq!((agreed.remote, agreed.remote_rtcp), (address("192.0.2.11:49170"), address("192.0.2.11:49171")));
    assert_eq!((agreed.ptime, agreed.direction, agreed.index), (30, Direction::SendRecv, 1));
}

#[test]
fn the_offers_order_decides_when_asked_to() {
    let capabilities = Capabilities { preference: Preference::Offer, ..Capabilities::default() };
    assert_eq!(answer(&session(OFFER), &capabilities, &local()).unwrap().agreed.codec, Codec::PCMA);
}

#[test]
fn our_offer() {
    let capabilities = Capabilities { codecs: vec![Codec::OPUS, Codec::PCMA], ..Capabilities::default() };
    insta::assert_snapshot!(offer(&capabilities, &local()).to_string().replace('\r', ""), @r"
    v=0
    o=- 7 7 IN IP4 198.51.100.1
    s=-
    c=IN IP4 198.51.100.1
    t=0 0
    m=audio 20000 RTP/AVP 111 8 101 102
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=rtpmap:8 PCMA/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=rtpmap:102 telephone-event/48000
    a=fmtp:102 0-15
    a=ptime:20
    a=sendrecv
    ");
}

#[test]
fn two_sides_agree_on_the_same() {
    let mut caller = negotiator();
    let mut callee = Negotiator::new(
        8_000,
        address("[2001:db8::1]:30000"),
        Capabilities { codecs: vec![Codec::PCMA, Codec::PCMU], ..Capabilities::default() },
    );
    let offer = session(&caller.offer(Direction::SendRecv).to_string());
    let (answer, theirs) = callee.answer(&offer, Direction::SendRecv).unwrap();
    let ours = caller.accept(&session(&answer.to_string())).unwrap();
    assert_eq!(ours.codec, Codec::PCMA);
    assert_eq!(ours.codec, theirs.codec);
    assert_eq!(ours.payload_type, theirs.receive_payload_type);
    assert_eq!(ours.telephone_event, theirs.telephone_event);
    assert_eq!((ours.remote, theirs.remote), (address("[2001:db8::1]:30000"), address("198.51.100.1:20000")));
}

#[test]
fn nothing_common_is_refused() {
    let refuse = |text: &str| answer(&session(text), &Capabilities::default(), &local()).unwrap_err();
    let without = OFFER.replace("RTP/AVP 8 0 97 101", "RTP/AVP 97 101");
    assert_eq!(refuse(&without), SdpError::NoCommonMedia);
    assert_eq!(refuse(&without).code(), 488);
    assert_eq!(refuse(&OFFER.replace("audio 49170 RTP/AVP", "audio 49170 RTP/SAVP")), SdpError::NoCommonMedia);
    assert_eq!(refuse(&OFFER.replace("audio 49170", "audio 0")), SdpError::NoCommonMedia);
    assert_eq!(refuse(&OFFER.replace("192.0.2.11", "host.example.com")), SdpError::NoAddress);
}

#[test]
fn hold_and_resume() {
    let mut callee = negotiator();
    let mut answered = |offer: &str| {
        let (session, agreed) = callee.answer(&session(offer), Direction::SendRecv).unwrap();
        (session.media[1].attributes.last().unwrap().name.clone(), agreed.direction, session.origin.version)
    };
    let held = OFFER.replace("a=ptime:30", "a=ptime:30\r\na=sendonly");
    let old_hold = OFFER.replace("192.0.2.11", "0.0.0.0");
    let dead = OFFER.replace("a=group", "a=inactive\r\na=group");
    let (name, direction, first) = answered(OFFER);
    assert_eq!((name.as_str(), direction), ("sendrecv", Direction::SendRecv));
    assert_eq!(answered(&held), ("recvonly".into(), Direction::RecvOnly, first + 1));
    assert_eq!(answered(&held), ("recvonly".into(), Direction::RecvOnly, first + 1));
    assert_eq!(answered(&old_hold), ("recvonly".into(), Direction::RecvOnly, first + 1));
    assert_eq!(answered(&dead), ("inactive".into(), Direction::Inactive, first + 2));
    assert_eq!(answered(OFFER), ("sendrecv".into(), Direction::SendRecv, first + 3));
}

#[test]
fn an_offer_of_ours_within_the_session_keeps_the_streams() {
    let mut callee = negotiator();
    let (first, _) = callee.answer(&session(OFFER), Direction::SendRecv).unwrap();
    let hold = callee.offer(Direction::SendOnly);
    let kinds: Vec<_> = hold.media.iter().map(|m| (m.kind.as_str(), m.port)).collect();
    assert_eq!(kinds, [("video", 0), ("audio", 20_000), ("application", 0)]);
    assert_eq!(hold.direction(&hold.media[1]), Direction::SendOnly);
    assert_eq!(hold.origin.version, first.origin.version + 1);
    let again = callee.offer(Direction::SendOnly);
    assert_eq!(again, hold);
}

#[test]
fn a_withdrawn_offer_leaves_the_session_as_it_was() {
    let mut callee = negotiator();
    let (first, _) = callee.answer(&session(OFFER), Direction::SendRecv).unwrap();
    let hold = callee.offer(Direction::SendOnly);
    callee.withdraw();
    assert_eq!(callee.description(), Some(&first));
    assert_eq!(callee.accept(&session(OFFER)), Err(SdpError::NoOffer));
    let again = callee.offer(Direction::SendOnly);
    assert!(again.origin.version > hold.origin.version);
}

#[test]
fn a_payload_type_keeps_its_meaning() {
    let opus = Capabilities { codecs: vec![Codec::OPUS], ..Capabilities::default() };
    let mut callee = Negotiator::new(1, address("198.51.100.1:20000"), opus);
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 9 RTP/AVP 96 97\r\na=rtpmap:96 OPUS/48000/2\r\na=rtpmap:97 telephone-event/48000\r\n";
    let (answer, agreed) = callee.answer(&session(offer), Direction::SendRecv).unwrap();
    let events = agreed.telephone_event.map(|events| (events.payload_type, events.clock));
    assert_eq!((agreed.payload_type, events), (96, Some((97, 48_000))));
    assert_eq!(answer.media[0].formats, ["96", "97"]);
    assert_eq!(callee.offer(Direction::SendRecv).media[0].formats[0], "96");
}

#[test]
fn each_direction_has_numbers_of_its_own() {
    let capabilities = Capabilities { codecs: vec![Codec::OPUS, Codec::PCMU], ..Capabilities::default() };
    let mut caller = Negotiator::new(1, address("198.51.100.1:20000"), capabilities);
    caller.offer(Direction::SendRecv);
    let answer = session(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 97 0 100 101\r\n\
         a=rtpmap:97 opus/48000/2\r\na=fmtp:97 maxaveragebitrate=20000\r\na=rtpmap:100 telephone-event/48000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n",
    );
    let agreed = caller.accept(&answer).unwrap();
    assert_eq!((agreed.payload_type, agreed.receive_payload_type), (97, 111));
    assert_eq!(agreed.receive, [(111, Codec::OPUS), (0, Codec::PCMU)]);
    assert_eq!(agreed.fmtp.as_deref(), Some("maxaveragebitrate=20000"));
    let events = Events { payload_type: 100, receive_payload_type: 102, clock: 48_000 };
    assert_eq!(agreed.telephone_event, Some(events));
}

#[test]
fn a_number_taken_by_the_other_side_is_nothing_else_in_our_offers() {
    let capabilities = Capabilities { codecs: vec![Codec::OPUS, Codec::PCMU], ..Capabilities::default() };
    let mut callee = Negotiator::new(1, address("198.51.100.1:20000"), capabilities);
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 9 RTP/AVP 101\r\na=rtpmap:101 opus/48000\r\n";
    let (_, agreed) = callee.answer(&session(offer), Direction::SendRecv).unwrap();
    assert_eq!((agreed.payload_type, agreed.telephone_event), (101, None));
    let again = callee.offer(Direction::SendRecv);
    assert_eq!(again.media[0].formats, ["101", "0", "127", "102"]);
    assert!(again.media[0].rtpmap(101).unwrap().name.eq_ignore_ascii_case("opus"));
    assert!(again.media[0].rtpmap(127).unwrap().is_telephone_event());
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    let mut caller = negotiator();
    assert_eq!(caller.accept(&session(OFFER)), Err(SdpError::NoOffer));
    caller.offer(Direction::SendRecv);
    assert_eq!(caller.accept(&session(OFFER)), Err(SdpError::Mismatch));
    let answer = |media: &str| {
        session(&format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}"))
    };
    assert_eq!(caller.accept(&answer("m=video 9 RTP/AVP 0\r\n")), Err(SdpError::Mismatch));
    assert_eq!(caller.accept(&answer("m=audio 0 RTP/AVP 0\r\n")), Err(SdpError::NoCommonMedia));
    assert_eq!(caller.accept(&answer("m=audio 9 RTP/AVP 18\r\n")), Err(SdpError::NoCommonMedia));
    let agreed =
        caller.accept(&answer("m=audio 9 RTP/AVP 8\r\na=rtcp:77 IN IP4 192.0.2.9\r\na=maxptime:10\r\n")).unwrap();
    assert_eq!((agreed.codec, agreed.telephone_event, agreed.ptime), (Codec::PCMA, None, 10));
    assert_eq!(agreed.remote_rtcp, address("192.0.2.9:77"));
}

#[test]
fn broken_descriptions_name_the_line() {
    let error = |text: &str| Session::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error(""), SdpError::Malformed { line: 1, what: "v= missing" });
    assert_eq!(error("v=0\r\ns=-\r\n"), SdpError::Malformed { line: 1, what: "o= missing" });
    assert_eq!(error(&OFFER.replace("49170", "99999")), SdpError::Malformed { line: 12, what: "port expected in m=" });
    assert_eq!(error("o=x\r\n"), SdpError::Malformed { line: 1, what: "v= must come first" });
    assert_eq!(error("v=0\nhello"), SdpError::Malformed { line: 2, what: "not of the form letter=value" });
    assert_eq!(error(&"v=0\n".repeat(2)), SdpError::Malformed { line: 2, what: "v= repeated" });
    assert_eq!(error("v=0\n").code(), 400);
}

#[test]
fn our_description_sent_once_more_brings_an_answer_that_counts() {
    let mut callee = negotiator();
    let offer = session(&OFFER.replace("m=video 51372 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\n", ""));
    let (answer, agreed) = callee.answer(&offer, Direction::SendRecv).unwrap();
    assert_eq!(callee.description(), Some(&answer));
    let moved = session(&offer.to_string().replace("audio 49170", "audio 50000"));
    let refreshed = callee.refreshed(&moved).unwrap();
    assert_eq!((agreed.remote.port(), refreshed.remote.port()), (49_170, 50_000));
    assert_eq!((callee.description(), callee.agreed()), (Some(&answer), Some(&refreshed)));
}
