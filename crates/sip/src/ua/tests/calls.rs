//! Calls from INVITE to BYE, and the ways they can go wrong.

use super::*;

#[test]
fn call_is_answered_and_hung_up_by_the_caller() {
    let mut line = Line::new();
    let (a, _) = line.connect();
    line.bye(A, a);
    line.settle();
    assert_eq!(line.told(A), ["Ended 200"]);
    assert_eq!(line.told(B), ["Bye"]);
    assert_eq!(line.lines(A), ["INVITE", "ACK", "BYE"]);
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "200 INVITE", "200 BYE"]);
    line.assert_clean();
}

#[test]
fn call_is_hung_up_by_the_callee() {
    let mut line = Line::new();
    let (_, b) = line.connect();
    line.bye(B, b);
    line.settle();
    assert_eq!(line.told(A), ["Bye"]);
    assert_eq!(line.told(B), ["Ended 200"]);
    line.assert_clean();
}

#[test]
fn call_is_rejected() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    line.reject(B, b, 486);
    line.settle();
    assert_eq!(line.told(A), ["Progress 180", "Failed 486"]);
    assert_eq!(line.told(B), [""; 0]);
    assert_eq!(line.lines(A), ["INVITE", "ACK"]);
    line.assert_clean();
}

#[test]
fn nobody_there_fails_with_408_after_seven_invites() {
    let mut line = Line::new();
    line.call();
    line.lose(A);
    line.pass(Duration::from_millis(31_999), false);
    assert_eq!(line.told(A), [""; 0]);
    line.pass(Duration::from_millis(1), false);
    assert_eq!(line.told(A), ["Failed 408"]);
    assert_eq!(line.lines(A), ["INVITE"; 7]);
    line.assert_clean();
}

#[test]
fn cancel_waits_for_the_first_provisional() {
    let mut line = Line::new();
    let a = line.call();
    line.cancel(a);
    assert_eq!(line.lines(A), ["INVITE"]);
    line.settle();
    assert_eq!(line.lines(A), ["INVITE", "CANCEL", "ACK"]);
    assert_eq!(line.told(A), ["Failed 487"]);
    assert_eq!(line.told(B), ["Invite", "Cancelled"]);
    assert_eq!(line.lines(B), ["100 INVITE", "200 CANCEL", "487 INVITE"]);
    line.assert_clean();
}

#[test]
fn answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let mut line = Line::new();
    let (a, b) = line.ring();
    line.accept(B, b);
    line.cancel(a);
    line.settle();
    assert_eq!(line.told(A), ["Progress 180", "Failed 487"]);
    assert_eq!(line.told(B), ["Acked", "Bye"]);
    assert_eq!(line.lines(A), ["INVITE", "CANCEL", "ACK", "BYE"]);
    line.assert_clean();
}

#[test]
fn cancel_without_any_answer_gives_up_after_64_t1() {
    let mut line = Line::new();
    let (a, _) = line.ring();
    line.cancel(a);
    line.lose(A);
    line.pass(Duration::from_secs(32), false);
    assert_eq!(line.told(A), ["Progress 180", "Failed 487"]);
}

#[test]
fn call_that_rings_too_long_is_cancelled_and_fails_with_408() {
    let config = UaConfig { ring_timeout: Duration::from_secs(90), ..UaConfig::default() };
    let mut line = Line::with(config, UaConfig::default());
    line.ring();
    line.pass(Duration::from_secs(91), true);
    assert_eq!(line.told(A), ["Progress 180", "Progress 180", "Failed 408"]);
    assert_eq!(line.told(B), ["Cancelled"]);
    line.assert_clean();
}

#[test]
fn answer_is_repeated_until_it_is_acknowledged() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    line.accept(B, b);
    line.lose(B);
    line.pass(Duration::from_millis(1_600), false);
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "200 INVITE", "200 INVITE", "200 INVITE"]);
    line.pass(Duration::from_secs(5), true);
    assert_eq!(line.told(A), ["Progress 180", "Answered 200"]);
    assert_eq!(line.told(B), ["Acked"]);
}

#[test]
fn every_repeated_answer_gets_its_ack() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    line.accept(B, b);
    for (_, message) in std::mem::take(&mut line.b.outbox) {
        for _ in 0..3 {
            let flow = line.flow(A);
            line.handle(A, Input::Received { message: message.clone(), flow });
        }
    }
    assert_eq!(line.lines(A), ["INVITE", "ACK", "ACK", "ACK"]);
    assert_eq!(line.told(A), ["Progress 180", "Answered 200"]);
    line.settle();
    assert_eq!(line.told(B), ["Acked"]);
}

#[test]
fn answer_without_ack_ends_the_session_with_a_bye() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    line.accept(B, b);
    line.lose(B);
    line.pass(Duration::from_secs(32), false);
    assert_eq!(line.told(B), ["Ended 408"]);
    assert_eq!(*line.last_request(B).method(), Method::Bye);
}

#[test]
fn bye_of_the_callee_waits_for_the_ack() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    line.accept(B, b);
    line.bye(B, b);
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "200 INVITE"]);
    line.settle();
    assert_eq!(line.told(A), ["Progress 180", "Answered 200", "Bye"]);
    assert_eq!(line.told(B), ["Ended 200"]);
    line.assert_clean();
}

#[test]
fn both_hang_up_at_once() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    line.bye(A, a);
    line.bye(B, b);
    line.settle();
    assert_eq!(line.told(A), ["Ended 200"]);
    assert_eq!(line.told(B), ["Ended 200"]);
    line.assert_clean();
}

#[test]
fn caller_hangs_up_an_early_dialog() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    let to = line.last_response(B);
    let to_tag = String::from_utf8_lossy(to.to_tag().unwrap()).into_owned();
    let from_tag = String::from_utf8_lossy(to.from_tag().unwrap()).into_owned();
    line.receive(
        B,
        &format!(
            "BYE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx1\nMax-Forwards: 70\n\
             From: <sip:alice@example.com>;tag={from_tag}\nTo: <sip:bob@example.com>;tag={to_tag}\nCall-ID: call-1\n\
             CSeq: 2 BYE\nContent-Length: 0\n\n"
        ),
    );
    assert_eq!(line.told(B), ["Bye"]);
    assert_eq!(line.lines(B), ["100 INVITE", "180 INVITE", "200 BYE", "487 INVITE"]);
    assert!(line.b.ua.session(b).is_none());
}

#[test]
fn reinvite_is_answered_both_ways() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    for (from, session, to, other) in [(A, a, B, b), (B, b, A, a)] {
        line.reinvite(from, session);
        line.settle();
        assert_eq!(line.told(to), ["Reinvite"]);
        line.accept(to, other);
        line.settle();
        assert_eq!(line.told(from), ["ReinviteAnswered 200"]);
        assert_eq!(line.told(to), ["Acked"]);
    }
    line.bye(A, a);
    line.settle();
    line.assert_clean();
}

#[test]
fn refused_reinvite_leaves_the_call_up() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    line.reinvite(A, a);
    line.settle();
    line.reject(B, b, 488);
    line.settle();
    assert_eq!(line.told(A), ["ReinviteFailed 488"]);
    assert_eq!(line.a.ua.session(a).unwrap().state(), SessionState::Live);
    line.bye(B, b);
    line.settle();
    line.assert_clean();
}

#[test]
fn offers_that_cross_are_both_refused_with_491() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    line.reinvite(A, a);
    line.reinvite(B, b);
    line.settle();
    assert_eq!(line.told(A), ["ReinviteFailed 491"]);
    assert_eq!(line.told(B), ["ReinviteFailed 491"]);
    // One at a time goes.
    line.reinvite(A, a);
    line.settle();
    assert_eq!(line.told(B), ["Reinvite"]);
    // Meanwhile the other side must not even try.
    line.reinvite(B, b);
    assert_eq!(line.told(B), ["ReinviteFailed 491"]);
    line.accept(B, b);
    line.settle();
    line.bye(A, a);
    line.settle();
    line.assert_clean();
}

#[test]
fn bye_during_a_reinvite_answers_it_with_487() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    line.reinvite(A, a);
    line.settle();
    line.bye(B, b);
    line.settle();
    assert_eq!(line.told(A), ["ReinviteFailed 487", "Bye"]);
    assert_eq!(line.told(B), ["Reinvite", "Ended 200"]);
    line.assert_clean();
}

#[test]
fn reinvite_whose_100_comes_after_the_end_of_the_call_is_not_waited_for_without_end() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    line.reinvite(A, a);
    let (_, invite) = line.a.outbox.remove(0);
    let flow = line.flow(B);
    line.handle(B, Input::Received { message: invite, flow });
    let trying = line.b.outbox.remove(0).1;
    line.bye(B, b);
    // The 487 is lost, and the BYE is faster than the 100.
    line.b.outbox.retain(|(_, message)| message.starts_with(b"BYE"));
    line.settle();
    let flow = line.flow(A);
    line.handle(A, Input::Received { message: trying, flow });
    assert_eq!(line.told(A), ["Bye"]);
    line.pass(Duration::from_secs(60), false);
    line.assert_clean();
}

#[test]
fn second_fork_that_answers_is_released() {
    let mut line = Line::new();
    line.call();
    let invite = line.last_request(A);
    line.lose(A);
    let answer = |tag: &str| {
        crate::message::ResponseBuilder::reply(&invite, 200)
            .to_tag(tag)
            .header(crate::message::Name::Contact, format!("<sip:{tag}@192.0.2.2>"))
            .build()
            .bytes()
            .clone()
    };
    for tag in ["one", "two", "one", "two"] {
        let flow = line.flow(A);
        line.handle(A, Input::Received { message: answer(tag), flow });
    }
    assert_eq!(line.told(A), ["Answered 200"]);
    // The second is acknowledged and hung up; repeated answers get their own ACKs.
    assert_eq!(line.lines(A), ["INVITE", "ACK", "ACK", "BYE", "ACK", "ACK"]);
    let targets: Vec<_> = line.a.sent[1..]
        .iter()
        .map(|message| match message {
            Message::Request(request) => request.uri().unwrap().user().unwrap_or_default().to_owned(),
            Message::Response(_) => String::new(),
        })
        .collect();
    assert_eq!(targets, ["one", "two", "two", "one", "two"]);
}

#[test]
fn route_set_is_recorded_in_both_directions() {
    let mut line = Line::new();
    line.receive(
        B,
        "INVITE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKp1\n\
         Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKc1\nMax-Forwards: 69\n\
         Record-Route: <sip:192.0.2.1;lr>\nRecord-Route: <sip:192.0.2.6;lr>, <sip:192.0.2.7;lr>\n\
         From: <sip:carol@example.com>;tag=c\nTo: <sip:bob@example.com>\nCall-ID: routed\nCSeq: 7 INVITE\n\
         Contact: <sip:carol@192.0.2.9:5070>\nContent-Length: 0\n\n",
    );
    let b = line.incoming(B);
    line.accept(B, b);
    let answer = line.last_response(B);
    let echoed: Vec<_> = answer.record_routes().map(|route| route.unwrap().uri.to_string()).collect();
    assert_eq!(echoed, ["sip:192.0.2.1;lr", "sip:192.0.2.6;lr", "sip:192.0.2.7;lr"]);
    let tag = String::from_utf8_lossy(answer.to_tag().unwrap()).into_owned();
    line.receive(
        B,
        &format!(
            "ACK sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKp2\n\
             From: <sip:carol@example.com>;tag=c\nTo: <sip:bob@example.com>;tag={tag}\nCall-ID: routed\n\
             CSeq: 7 ACK\nContent-Length: 0\n\n"
        ),
    );
    line.bye(B, b);
    let bye = line.last_request(B);
    assert_eq!(bye.uri().unwrap().to_string(), "sip:carol@192.0.2.9:5070");
    let routes: Vec<_> = bye.routes().map(|route| route.unwrap().uri.to_string()).collect();
    assert_eq!(routes, ["sip:192.0.2.1;lr", "sip:192.0.2.6;lr", "sip:192.0.2.7;lr"]);
    assert_eq!(line.b.outbox.last().unwrap().0, line.flow(B));
}

#[test]
fn new_contact_moves_the_remote_target() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    let headers = vec![("Contact".into(), "<sip:alice@192.0.2.1:5060;moved>".into())];
    line.command(A, Command::Reinvite { session: a, headers, body: None });
    line.settle();
    line.accept(B, b);
    line.settle();
    line.bye(B, b);
    assert_eq!(line.last_request(B).uri().unwrap().to_string(), "sip:alice@192.0.2.1:5060;moved");
}

#[test]
fn challenge_to_a_cancelled_call_is_not_answered() {
    let mut line = Line::new();
    let a = line.a.ua.new_session();
    let credentials = Some(crate::digest::Credentials::password("alice", "secret"));
    let invite = OutgoingInvite { credentials, ..line.invite() };
    line.command(A, Command::Invite { session: a, invite });
    line.cancel(a);
    let challenge = crate::message::ResponseBuilder::reply(&line.last_request(A), 401)
        .to_tag("b")
        .header(crate::message::Name::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"")
        .build();
    let flow = line.flow(A);
    line.handle(A, Input::Received { message: challenge.bytes().clone(), flow });
    assert_eq!(line.told(A), ["Failed 487"]);
    assert_eq!(line.lines(A), ["INVITE", "ACK"]);
}

#[test]
fn sustained_load_takes_no_more_than_half_a_minute_of_tombstones() {
    let mut line = Line::new();
    let mut live = Vec::new();
    for call in 0..240 {
        let (a, _) = line.connect();
        line.bye(A, a);
        line.settle();
        line.events(A);
        line.events(B);
        line.a.sent.clear();
        line.b.sent.clear();
        line.pass(Duration::from_millis(500), true);
        if call % 80 == 79 {
            live.push((line.a.ua.stats().transactions, line.b.ua.stats().transactions));
        }
    }
    assert_eq!(live[0], live[1]);
    assert_eq!(live[1], live[2]);
    line.assert_clean();
}
