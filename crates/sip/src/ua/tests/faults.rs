//! Requests that are wrong, early, late or too many get the answer of the book.

use super::*;
use crate::message::Name;

const INVITE: &str = "INVITE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKf1\n\
                      Max-Forwards: 70\nFrom: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\n\
                      Call-ID: f\nCSeq: 1 INVITE\nContact: <sip:alice@192.0.2.1>\nContent-Length: 0\n\n";

/// What B answers at last to a message.
fn answer(text: &str) -> u16 {
    let mut line = Line::new();
    line.receive(B, text);
    line.last_response(B).code()
}

#[test]
fn wrong_requests_are_refused_by_the_book() {
    assert_eq!(answer(&INVITE.replace("CSeq: 1 INVITE", "CSeq: 1 BYE")), 400);
    assert_eq!(answer(&INVITE.replace("Contact: <sip:alice@192.0.2.1>\n", "")), 400);
    assert_eq!(answer(&INVITE.replace("SIP/2.0\n", "SIP/3.0\n")), 505);
    assert_eq!(answer(&INVITE.replace("sip:bob@192.0.2.2", "http://192.0.2.2")), 416);
    assert_eq!(answer(&INVITE.replace("Max-Forwards: 70", "Require: rocket")), 420);
    assert_eq!(answer(&INVITE.replace("Max-Forwards: 70", "Max-Forwards: 0")), 483);
    assert_eq!(answer(&INVITE.replace("INVITE", "FROBNICATE")), 501);
    assert_eq!(answer(&INVITE.replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=x")), 481);
    for method in ["BYE", "CANCEL", "PRACK", "UPDATE", "INFO"] {
        assert_eq!(answer(&INVITE.replace("INVITE", method)), 481, "{method}");
    }
}

#[test]
fn every_refusal_carries_a_to_tag() {
    let mut line = Line::new();
    line.receive(B, &INVITE.replace("Max-Forwards: 70", "Require: rocket"));
    let response = line.last_response(B);
    assert!(response.to_tag().is_some());
    assert_eq!(response.header(Name::Unsupported), Some(&b"rocket"[..]));
}

#[test]
fn options_for_us_are_answered_whatever_max_forwards_is_left() {
    let mut line = Line::new();
    line.receive(B, &INVITE.replace("INVITE", "OPTIONS").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(line.told(B), ["Request OPTIONS"]);
}

#[test]
fn stray_ack_and_noise_are_not_answered() {
    let mut line = Line::new();
    line.receive(B, &INVITE.replace("INVITE", "ACK"));
    line.receive(B, "\n\n");
    line.receive(B, "GET / HTTP/1.1\n\n");
    line.receive(B, "SIP/2.0 200 OK\nCSeq: 1 INVITE\n\n");
    line.receive(B, &INVITE.replace("Via: SIP/2.0/UDP", "Via: UDP"));
    line.receive(B, &INVITE.replace("Max-Forwards: 70", &"X: y\n".repeat(600)));
    line.receive(B, &format!("INVITE sip:bob@192.0.2.2 SIP/2.0\nX: {}", "y".repeat(9_000)));
    assert_eq!(line.told(B), ["Unreadable"; 5]);
    assert!(line.b.sent.is_empty());
    assert_eq!(line.b.ua.stats(), UaStats::default());
}

#[test]
fn invite_of_rfc_2543_without_from_tag_and_cookie_is_answered_and_acknowledged() {
    let mut line = Line::new();
    let old = INVITE.replace(";tag=a", "").replace(";branch=z9hG4bKf1", ";branch=1");
    line.receive(B, &old);
    line.receive(B, &old);
    let b = line.incoming(B);
    line.accept(B, b);
    assert_eq!(line.lines(B), ["100 INVITE", "100 INVITE", "200 INVITE"]);
    let tag = String::from_utf8_lossy(line.last_response(B).to_tag().unwrap()).into_owned();
    let ack = old
        .replace("INVITE", "ACK")
        .replace("To: <sip:bob@example.com>", &format!("To: <sip:bob@example.com>;tag={tag}"));
    line.receive(B, &ack);
    assert_eq!(line.told(B), ["Acked"]);
}

#[test]
fn refused_invite_of_rfc_2543_takes_its_ack() {
    let mut line = Line::new();
    let old = INVITE.replace(";branch=z9hG4bKf1", "");
    line.receive(B, &old);
    let b = line.incoming(B);
    line.reject(B, b, 486);
    let tag = String::from_utf8_lossy(line.last_response(B).to_tag().unwrap()).into_owned();
    let ack = old
        .replace("INVITE", "ACK")
        .replace("To: <sip:bob@example.com>", &format!("To: <sip:bob@example.com>;tag={tag}"));
    line.receive(B, &ack);
    line.lose(B);
    line.pass(Duration::from_secs(60), false);
    assert_eq!(line.lines(B), ["100 INVITE", "486 INVITE"]);
}

#[test]
fn repeated_invite_gets_the_last_provisional_again() {
    let mut line = Line::new();
    line.receive(B, INVITE);
    let b = line.incoming(B);
    line.receive(B, INVITE);
    line.command(B, Command::Provisional { session: b, code: 183, reason: None, headers: Vec::new(), body: None });
    line.receive(B, INVITE);
    assert_eq!(line.lines(B), ["100 INVITE", "100 INVITE", "183 INVITE", "183 INVITE"]);
    assert!(line.last_response(B).to_tag().is_some());
    assert_eq!(line.told(B), [""; 0]);
}

#[test]
fn ringing_is_refreshed_every_minute() {
    let mut line = Line::new();
    line.receive(B, INVITE);
    let b = line.incoming(B);
    line.command(B, Command::Provisional { session: b, code: 180, reason: None, headers: Vec::new(), body: None });
    line.lose(B);
    line.pass(Duration::from_secs(125), false);
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "180 INVITE", "180 INVITE"]);
}

#[test]
fn merged_request_is_refused_with_482() {
    let mut line = Line::new();
    line.receive(B, INVITE);
    line.receive(B, &INVITE.replace("z9hG4bKf1", "z9hG4bKf2"));
    assert_eq!(line.lines(B), ["100 INVITE", "482 INVITE"]);
    assert_eq!(line.told(B), ["Invite"]);
}

#[test]
fn bye_with_an_old_number_gets_500() {
    let mut line = Line::new();
    line.receive(B, &INVITE.replace("CSeq: 1", "CSeq: 9"));
    let b = line.incoming(B);
    line.accept(B, b);
    let tag = String::from_utf8_lossy(line.last_response(B).to_tag().unwrap()).into_owned();
    let bye = INVITE
        .replace("INVITE", "BYE")
        .replace("z9hG4bKf1", "z9hG4bKf3")
        .replace("To: <sip:bob@example.com>", &format!("To: <sip:bob@example.com>;tag={tag}"));
    line.receive(B, &bye.replace("CSeq: 1", "CSeq: 8"));
    assert_eq!(line.last_response(B).code(), 500);
    assert!(line.b.ua.session(b).is_some());
    line.receive(B, &bye.replace("CSeq: 1", "CSeq: 10").replace("z9hG4bKf3", "z9hG4bKf4"));
    assert_eq!(line.last_response(B).code(), 200);
    assert_eq!(line.told(B), ["Bye"]);
}

#[test]
fn second_invite_before_the_first_is_answered_gets_500_with_retry_after() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    let tag = String::from_utf8_lossy(line.last_response(B).to_tag().unwrap()).into_owned();
    let from = String::from_utf8_lossy(line.last_response(B).from_tag().unwrap()).into_owned();
    let second = INVITE
        .replace("Call-ID: f", "Call-ID: call-1")
        .replace("tag=a", &format!("tag={from}"))
        .replace("CSeq: 1", "CSeq: 2")
        .replace("To: <sip:bob@example.com>", &format!("To: <sip:bob@example.com>;tag={tag}"));
    line.receive(B, &second);
    let response = line.last_response(B);
    assert_eq!(response.code(), 500);
    assert!(response.header(Name::RetryAfter).is_some());
    assert!(line.b.ua.session(b).is_some());
}

#[test]
fn too_many_sessions_get_503_with_retry_after() {
    let mut line = Line::with(UaConfig::default(), UaConfig { max_sessions: 1, ..UaConfig::default() });
    line.ring();
    line.receive(B, INVITE);
    let response = line.last_response(B);
    assert_eq!(response.code(), 503);
    assert_eq!(response.header(Name::RetryAfter), Some(&b"5"[..]));
}

#[test]
fn too_many_transactions_get_503_without_one_more() {
    let mut line = Line::with(UaConfig::default(), UaConfig { max_transactions: 1, ..UaConfig::default() });
    line.ring();
    line.receive(B, &INVITE.replace("INVITE", "OPTIONS"));
    assert_eq!(line.last_response(B).code(), 503);
    assert_eq!(line.b.ua.stats().transactions, 1);
}

#[test]
fn an_answered_request_makes_room_for_a_new_one() {
    let mut line = Line::with(UaConfig::default(), UaConfig { max_transactions: 2, ..UaConfig::default() });
    let unknown = |number: u32| INVITE.replace("INVITE", "INFO").replace("z9hG4bKf1", &format!("z9hG4bKf{number}"));
    for number in 1..=4 {
        line.receive(B, &unknown(number));
        assert_eq!(line.last_response(B).code(), 481, "{number}");
        assert_eq!(line.b.ua.stats().transactions, number.min(2) as usize);
    }
    // The newest is remembered, and only answered once more.
    let answers = line.b.sent.len();
    line.receive(B, &unknown(4));
    assert_eq!((line.b.sent.len(), line.b.ua.stats().transactions), (answers + 1, 2));
    // A call that rings makes room for nothing.
    line.receive(B, INVITE);
    line.receive(B, &INVITE.replace("Call-ID: f", "Call-ID: g").replace("z9hG4bKf1", "z9hG4bKg1"));
    line.receive(B, &unknown(5));
    assert_eq!(line.last_response(B).code(), 503);
    assert_eq!(line.b.ua.stats().transactions, 2);
}

#[test]
fn own_call_beyond_the_limit_fails_with_503() {
    let mut line = Line::with(UaConfig { max_sessions: 0, ..UaConfig::default() }, UaConfig::default());
    line.call();
    assert_eq!(line.told(A), ["Failed 503"]);
}

#[test]
fn answers_go_where_the_via_and_the_source_say() {
    let via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKf1";
    let source: SocketAddr = "192.0.2.1:40000".parse().unwrap();
    let went_to = |written: &str| {
        let mut line = Line::new();
        let message = Bytes::from(INVITE.replace(via, written).replace('\n', "\r\n"));
        let flow = Flow { remote: source, ..line.flow(B) };
        line.handle(B, Input::Received { message, flow });
        let via = String::from_utf8_lossy(line.last_response(B).header(Name::Via).unwrap()).into_owned();
        (line.b.outbox[0].0.remote.to_string(), via)
    };
    // RFC 3581: asked for, so back to the port it came from.
    let (to, via) = went_to("Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKf1");
    assert_eq!(to, "192.0.2.1:40000");
    assert!(via.contains("rport=40000") && via.contains("received=192.0.2.1"), "{via}");
    // RFC 3261 18.2.2: not asked for, so to the port of the Via.
    let (to, via) = went_to("Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKf1");
    assert_eq!(to, "192.0.2.1:5062");
    assert!(!via.contains("received"), "{via}");
    let (to, via) = went_to("Via: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKf1");
    assert_eq!(to, "192.0.2.1:5060");
    assert!(via.contains("received=192.0.2.1"), "{via}");
    // A NAT in between: only its own port leads back.
    let (to, _) = went_to("Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKf1");
    assert_eq!(to, "192.0.2.1:40000");
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let mut line = Line::new();
    line.receive(B, INVITE);
    let b = line.incoming(B);
    line.accept(B, b);
    line.receive(B, &INVITE.replace("INVITE", "CANCEL"));
    assert_eq!(line.last_response(B).code(), 200);
    assert_eq!(line.told(B), [""; 0]);
    assert_eq!(line.b.ua.session(b).unwrap().state(), SessionState::Live);
}

#[test]
fn nothing_is_repeated_over_a_reliable_transport_but_the_2xx() {
    let mut line = Line::new();
    let flow = Flow { transport: crate::flow::Transport::Tcp, connection: 7, ..line.flow(B) };
    let message = Bytes::from(INVITE.replace("/UDP", "/TCP").replace('\n', "\r\n"));
    line.handle(B, Input::Received { message: message.clone(), flow });
    let b = line.incoming(B);
    line.accept(B, b);
    assert!(line.b.outbox.iter().all(|(sent, _)| *sent == flow));
    line.lose(B);
    line.pass(Duration::from_secs(1), false);
    assert_eq!(line.lines(B), ["100 INVITE", "200 INVITE", "200 INVITE"]);

    let mut line = Line::new();
    line.handle(B, Input::Received { message, flow });
    let b = line.incoming(B);
    line.reject(B, b, 486);
    line.lose(B);
    line.pass(Duration::from_secs(60), false);
    assert_eq!(line.lines(B), ["100 INVITE", "486 INVITE"]);
    assert_eq!(line.b.ua.stats(), UaStats::default());
}
