//! Reliable provisional responses, and offers before the answer.

use super::*;
use crate::message::Name;

const REQUIRED: (&str, &str) = ("Require", "100rel");

fn without() -> UaConfig {
    UaConfig { extensions: &[], ..UaConfig::default() }
}

/// A calls B with a further header.
fn call(line: &mut Line, header: Option<(&'static str, &'static str)>) -> (SessionId, SessionId) {
    let a = line.a.ua.new_session();
    let mut invite = line.invite();
    invite.headers.extend(header.map(|(name, value)| (name.into(), value.into())));
    line.command(A, Command::Invite { session: a, invite });
    line.settle();
    (a, line.incoming(B))
}

fn say(line: &mut Line, session: SessionId, code: u16, body: Option<Body>) {
    line.command(B, Command::Provisional { session, code, reason: None, headers: Vec::new(), body });
}

fn header(message: &Message, name: Name) -> String {
    String::from_utf8_lossy(message.headers().get(name).unwrap_or_default()).into_owned()
}

#[test]
fn caller_who_requires_it_is_told_reliably() {
    let mut line = Line::new();
    let (a, b) = call(&mut line, Some(REQUIRED));
    say(&mut line, b, 180, None);
    let ringing = line.b.sent.last().unwrap().clone();
    assert_eq!(header(&ringing, Name::Require), "100rel");
    line.settle();
    let prack = line.last_request(A);
    let rack = format!("{} 1 INVITE", header(&ringing, Name::RSeq));
    assert_eq!((prack.method(), prack.header(Name::RAck)), (&Method::Prack, Some(rack.as_bytes())));
    assert_eq!(prack.cseq().unwrap().number, 2);
    line.accept(B, b);
    line.settle();
    assert_eq!(line.lines(A), ["INVITE", "PRACK", "ACK"]);
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "200 PRACK", "200 INVITE"]);
    assert_eq!(line.told(A), ["Progress 180", "Answered 200"]);
    // The BYE counts on from the PRACK.
    line.bye(A, a);
    line.settle();
    assert_eq!(line.last_request(A).cseq().unwrap().number, 3);
    line.assert_clean();
}

#[test]
fn whoever_only_can_is_told_reliably_of_media_and_of_nothing_else() {
    let mut line = Line::new();
    let (_, b) = call(&mut line, None);
    say(&mut line, b, 180, None);
    say(&mut line, b, 183, Some(sdp("answer")));
    line.settle();
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "183 INVITE", "200 PRACK"]);

    let mut line = Line::with(without(), UaConfig::default());
    let (_, b) = call(&mut line, None);
    say(&mut line, b, 183, Some(sdp("answer")));
    line.settle();
    assert_eq!(line.lines(A), ["INVITE"]);
    assert_eq!(header(line.b.sent.last().unwrap(), Name::RSeq), "");
}

#[test]
fn whoever_cannot_refuses_the_requirement() {
    let mut line = Line::with(UaConfig::default(), without());
    let a = line.a.ua.new_session();
    let mut invite = line.invite();
    invite.headers.push((REQUIRED.0.into(), REQUIRED.1.into()));
    line.command(A, Command::Invite { session: a, invite });
    line.settle();
    assert_eq!(line.told(A), ["Failed 420"]);
    assert_eq!(header(&line.b.sent[0], Name::Unsupported), "100rel");
    line.assert_clean();
}

#[test]
fn second_waits_for_the_acknowledgement_of_the_first() {
    let mut line = Line::new();
    let (_, b) = call(&mut line, Some(REQUIRED));
    say(&mut line, b, 180, None);
    say(&mut line, b, 181, None);
    say(&mut line, b, 183, Some(sdp("answer")));
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE"]);
    line.settle();
    assert_eq!(line.told(A), ["Progress 180", "Progress 181", "Progress 183"]);
    let numbers: Vec<u32> = line.b.sent.iter().filter_map(|told| header(told, Name::RSeq).parse().ok()).collect();
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
    line.accept(B, b);
    line.settle();
    assert_eq!(line.told(B), ["Acked"]);
}

#[test]
fn what_is_lost_is_said_again_at_intervals_that_double() {
    let mut line = Line::new();
    let (_, b) = call(&mut line, Some(REQUIRED));
    say(&mut line, b, 183, Some(sdp("answer")));
    line.lose(B);
    line.pass(Duration::from_millis(7_400), false);
    // 0, 0.5, 1.5 and 3.5 seconds.
    assert_eq!(line.lines(B)[1..], ["183 INVITE"; 4]);
    line.pass(Duration::from_millis(200), true);
    assert_eq!(line.told(A), ["Progress 183"]);
    line.accept(B, b);
    line.settle();
    assert_eq!(line.told(A), ["Answered 200"]);
    line.pass(Duration::from_secs(20), true);
    assert_eq!(line.lines(A), ["INVITE", "PRACK", "ACK"]);
}

#[test]
fn lost_prack_is_sent_again_and_a_repeated_response_gets_no_second_one() {
    let mut line = Line::new();
    let (_, b) = call(&mut line, Some(REQUIRED));
    say(&mut line, b, 180, None);
    let ringing = line.b.outbox.pop().unwrap().1;
    let flow = line.flow(A);
    for _ in 0..3 {
        line.handle(A, Input::Received { message: ringing.clone(), flow });
    }
    assert_eq!(line.told(A), ["Progress 180"]);
    assert_eq!(line.lines(A), ["INVITE", "PRACK"]);
    line.lose(A);
    line.pass(Duration::from_millis(600), true);
    let pracks: Vec<Message> = line.a.sent[1..].to_vec();
    assert!(pracks.len() >= 2 && pracks.iter().all(|prack| prack.bytes() == pracks[0].bytes()));
    assert_eq!(line.lines(B).last().unwrap(), "200 PRACK");
    line.accept(B, b);
    line.settle();
    assert_eq!(line.told(A), ["Answered 200"]);
}

#[test]
fn nobody_acknowledges_and_the_call_is_refused() {
    let mut line = Line::new();
    let (_, b) = call(&mut line, Some(REQUIRED));
    say(&mut line, b, 180, None);
    line.lose(B);
    line.accept(B, b);
    line.pass(Duration::from_secs(32), false);
    assert_eq!(line.lines(B).last().unwrap(), "504 INVITE");
    assert_eq!(line.told(B), ["Ended 408"]);
}

#[test]
fn answer_waits_for_the_acknowledgement_and_repeats_no_description() {
    let mut line = Line::new();
    let (a, b) = call(&mut line, None);
    say(&mut line, b, 183, Some(sdp("early")));
    line.accept(B, b);
    assert_eq!(line.lines(B), ["100 INVITE", "183 INVITE"]);
    line.settle();
    assert_eq!(line.lines(B), ["100 INVITE", "183 INVITE", "200 PRACK", "200 INVITE"]);
    assert!(line.last_response(B).body().is_empty());
    let early = line.a.ua.session(a).unwrap().early_answer().unwrap().clone();
    assert_eq!(early, sdp("early"));
    assert_eq!(line.told(A), ["Progress 183", "Answered 200"]);
    assert_eq!(line.told(B), ["Acked"]);
}

#[test]
fn caller_gives_up_before_the_acknowledgement() {
    let mut line = Line::new();
    let (a, b) = call(&mut line, Some(REQUIRED));
    say(&mut line, b, 180, None);
    line.accept(B, b);
    line.lose(B);
    line.cancel(a);
    line.settle();
    assert_eq!(line.told(A), ["Failed 487"]);
    assert_eq!(line.told(B), ["Cancelled"]);
    line.assert_clean();
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "200 CANCEL", "487 INVITE"]);
}

/// The INVITE of a caller that is no user agent of ours.
const INVITE: &str = "INVITE sip:bob@192.0.2.2 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport
Max-Forwards: 70
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.com>
Call-ID: raw
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.1>
Supported: 100rel
";

fn within(line: &mut Line, cseq: &str, headers: &str, body: &str) {
    let tag = String::from_utf8_lossy(line.last_response(B).to_tag().unwrap()).into_owned();
    let method = cseq.split(' ').nth(1).unwrap();
    line.receive(
        B,
        &format!(
            "{method} sip:bob@192.0.2.2 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{};rport
Max-Forwards: 70
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.com>;tag={tag}
Call-ID: raw
CSeq: {cseq}
{headers}Content-Type: application/sdp
Content-Length: {}

{body}",
            cseq.replace(' ', ""),
            body.len()
        ),
    );
}

fn rseq(line: &mut Line) -> String {
    let told = line.b.sent.iter().rev().find(|message| message.headers().has(Name::RSeq)).unwrap();
    header(told, Name::RSeq)
}

#[test]
fn late_offer_goes_in_the_provisional_response_and_its_answer_in_the_prack() {
    let mut line = Line::new();
    line.receive(B, &format!("{INVITE}Content-Length: 0\n\n"));
    let b = line.incoming(B);
    say(&mut line, b, 183, Some(sdp("offer")));
    let rack = format!("RAck: {} 1 INVITE\n", rseq(&mut line));
    within(&mut line, "2 PRACK", &rack, "answer");
    match &line.events(B)[..] {
        [Event::Pracked { session, request }] => assert_eq!((*session, request.body()), (b, &b"answer"[..])),
        other => panic!("{other:?}"),
    }
    line.accept(B, b);
    let answer = line.last_response(B);
    assert_eq!((answer.code(), answer.body().len()), (200, 0));
}

#[test]
fn prack_for_something_else_is_refused() {
    let mut line = Line::new();
    line.receive(B, &format!("{INVITE}Content-Length: 0\n\n"));
    let b = line.incoming(B);
    say(&mut line, b, 183, Some(sdp("offer")));
    let number: u32 = rseq(&mut line).parse().unwrap();
    let racks =
        [format!("{} 1 INVITE", number + 1), format!("{number} 2 INVITE"), format!("{number} 1 BYE"), "x".into()];
    for (at, rack) in racks.iter().enumerate() {
        within(&mut line, &format!("{} PRACK", at + 2), &format!("RAck: {rack}\n"), "");
        assert_eq!(line.last_response(B).code(), 481, "{rack}");
    }
    within(&mut line, "9 PRACK", &format!("RAck: {number} 1 INVITE\n"), "answer");
    assert_eq!(line.last_response(B).code(), 200);
    // Once is enough.
    within(&mut line, "10 PRACK", &format!("RAck: {number} 1 INVITE\n"), "answer");
    assert_eq!(line.last_response(B).code(), 481);
    assert_eq!(line.told(B), ["Pracked"]);
}

#[test]
fn offers_in_prack_and_update_before_the_answer_go_up() {
    let mut line = Line::new();
    line.receive(B, &format!("{INVITE}Content-Type: application/sdp\nContent-Length: 5\n\noffer"));
    let b = line.incoming(B);
    // RFC 3311 5.2: the first offer has no answer yet.
    say(&mut line, b, 180, None);
    within(&mut line, "2 UPDATE", "Contact: <sip:alice@192.0.2.1>\n", "again");
    assert_eq!(line.last_response(B).code(), 500);
    assert!(line.last_response(B).header(Name::RetryAfter).is_some());
    say(&mut line, b, 183, Some(sdp("answer")));
    let rack = format!("RAck: {} 1 INVITE\n", rseq(&mut line));
    within(&mut line, "3 PRACK", &rack, "second");
    let Some(Event::InDialog { id, request, .. }) = line.events(B).pop() else { panic!("no offer") };
    assert_eq!((request.method(), request.body()), (&Method::Prack, &b"second"[..]));
    within(&mut line, "4 UPDATE", "Contact: <sip:alice@192.0.2.9>\n", "third");
    assert_eq!(line.last_response(B).code(), 500, "one after the other");
    let body = Some(sdp("second answer"));
    line.command(B, Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body });
    assert_eq!(line.last_response(B).body(), b"second answer");
    within(&mut line, "5 UPDATE", "Contact: <sip:alice@192.0.2.9>\n", "third");
    let Some(Event::InDialog { id, .. }) = line.events(B).pop() else { panic!("no offer") };
    let body = Some(sdp("third answer"));
    line.command(B, Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body });
    assert!(line.last_response(B).header(Name::Contact).is_some());
    assert_eq!(line.b.ua.session(b).unwrap().remote_target().unwrap().host(), "192.0.2.9");
}

/// A callee that is no user agent of ours.
fn answers(line: &mut Line, status: &str, tag: &str, headers: &str, body: &str) {
    let via = header(&line.a.sent[0], Name::Via);
    let from = header(&line.a.sent[0], Name::From);
    line.receive(
        A,
        &format!(
            "SIP/2.0 {status}
Via: {via}
From: {from}
To: <sip:bob@example.com>;tag={tag}
Call-ID: call-1
CSeq: 1 INVITE
{headers}Content-Type: application/sdp
Content-Length: {}

{body}",
            body.len()
        ),
    );
}

#[test]
fn prack_takes_contact_tag_and_route_of_the_response_it_is_for() {
    let mut line = Line::new();
    let a = line.call();
    let first = "Contact: <sip:one@192.0.2.3>\nRecord-Route: <sip:192.0.2.7;lr>\nRequire: 100rel\nRSeq: 7\n";
    answers(&mut line, "183 Session Progress", "one", first, "one");
    let prack = line.last_request(A);
    assert_eq!(prack.uri().unwrap().to_string(), "sip:one@192.0.2.3");
    assert_eq!(prack.header(Name::Route), Some(&b"<sip:192.0.2.7;lr>"[..]));
    assert_eq!((prack.to_tag(), prack.header(Name::RAck)), (Some(&b"one"[..]), Some(&b"7 1 INVITE"[..])));
    // Another place rings, with numbers of its own.
    answers(&mut line, "180 Ringing", "two", "Contact: <sip:two@192.0.2.4>\nRequire: 100rel\nRSeq: 900\n", "");
    assert_eq!(line.last_request(A).uri().unwrap().to_string(), "sip:two@192.0.2.4");
    // The first says something that comes too early: what is between is missing.
    answers(&mut line, "183 Session Progress", "one", &first.replace(": 7", ": 9"), "one");
    assert_eq!(line.lines(A), ["INVITE", "PRACK", "PRACK"]);
    answers(&mut line, "183 Session Progress", "one", &first.replace(": 7", ": 8"), "other");
    assert_eq!((line.last_request(A).to_tag(), line.lines(A).len()), (Some(&b"one"[..]), 4));
    assert_eq!(line.told(A), ["Progress 183", "Progress 180", "Progress 183"]);
    answers(&mut line, "200 OK", "one", "Contact: <sip:one@192.0.2.3>\n", "");
    assert_eq!(line.a.ua.session(a).unwrap().early_answer().unwrap().1, "one");
}

#[test]
fn update_of_an_early_dialog_is_taken_once_its_answer_is_there() {
    let mut line = Line::new();
    line.call();
    let from = header(&line.a.sent[0], Name::From);
    let update = |number: u32| {
        format!(
            "UPDATE sip:alice@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{number};rport
Max-Forwards: 70
From: <sip:bob@example.com>;tag=one
To: {from}
Call-ID: call-1
CSeq: {number} UPDATE
Contact: <sip:one@192.0.2.3>
Content-Type: application/sdp
Content-Length: 5

again"
        )
    };
    answers(&mut line, "180 Ringing", "one", "Contact: <sip:one@192.0.2.3>\n", "");
    let offer = update(1);
    line.receive(A, &offer);
    assert_eq!(line.last_response(A).code(), 491);
    let reliably = "Contact: <sip:one@192.0.2.3>\nRequire: 100rel\nRSeq: 1\n";
    answers(&mut line, "183 Session Progress", "one", reliably, "answer");
    let offer = update(2);
    line.receive(A, &offer);
    assert_eq!(line.told(A), ["Progress 180", "Progress 183", "InDialog UPDATE"]);
}

#[test]
fn call_that_has_ended_sends_no_prack() {
    let mut line = Line::new();
    line.call();
    answers(&mut line, "486 Busy Here", "one", "", "");
    answers(&mut line, "183 Session Progress", "one", "Contact: <sip:b@192.0.2.3>\nRequire: 100rel\nRSeq: 1\n", "late");
    assert_eq!(line.lines(A), ["INVITE", "ACK"]);
    assert_eq!(line.told(A), ["Failed 486"]);
}
