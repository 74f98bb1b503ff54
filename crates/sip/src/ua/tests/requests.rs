//! Requests outside of dialogs and within, and digest.

use super::*;
use crate::digest::{Algorithm, Challenger, Credentials, Ha1, Verdict};
use crate::message::Name;
use crate::uri::NameAddr;

fn register(line: &Line, credentials: Option<Credentials>) -> OutgoingRequest {
    let (uri, aor): (_, NameAddr) = ("sip:example.com".parse().unwrap(), "<sip:alice@example.com>".parse().unwrap());
    OutgoingRequest {
        contact: Some("sip:alice@192.0.2.1".parse().unwrap()),
        expires: Some(600),
        credentials,
        ..OutgoingRequest::new(line.flow(A), Method::Register, uri, aor.clone(), aor)
    }
}

fn request_of(line: &mut Line, side: Side) -> (RequestId, Request) {
    match &line.events(side)[..] {
        [Event::Request { id, request, .. }] | [Event::InDialog { id, request, .. }] => (*id, request.clone()),
        other => panic!("no single request: {other:?}"),
    }
}

/// B challenges what A has asked, or judges its answer.
fn challenge(line: &mut Line, challenger: &mut Challenger, stale: bool) -> RequestId {
    let (id, _) = request_of(line, B);
    let headers = challenger
        .challenge("example.com", &[Algorithm::parse("SHA-256").unwrap()], stale, 0)
        .into_iter()
        .map(|value| ("WWW-Authenticate".into(), value.into()))
        .collect();
    line.command(B, Command::Respond { id, code: 401, reason: None, headers, body: None });
    id
}

#[test]
fn options_are_asked_and_answered() {
    let mut line = Line::new();
    let id = line.a.ua.new_request();
    let request = OutgoingRequest { method: Method::Options, ..register(&line, None) };
    line.command(A, Command::Request { id, request });
    line.settle();
    let (asked, request) = request_of(&mut line, B);
    assert_eq!(*request.method(), Method::Options);
    line.respond(B, asked, 200);
    line.settle();
    assert_eq!(line.told(A), ["Response 200"]);
    assert!(line.last_response(B).to_tag().is_some());
    line.assert_clean();
}

#[test]
fn request_without_answer_fails_with_408() {
    let mut line = Line::new();
    let id = line.a.ua.new_request();
    let request = register(&line, None);
    line.command(A, Command::Request { id, request });
    line.lose(A);
    line.pass(Duration::from_secs(32), false);
    assert_eq!(line.told(A), ["RequestFailed 408"]);
    assert_eq!(line.lines(A), ["REGISTER"; 11]);
    line.assert_clean();
}

#[test]
fn request_the_layer_above_never_answers_is_forgotten() {
    let mut line = Line::new();
    let id = line.a.ua.new_request();
    let request = register(&line, None);
    line.command(A, Command::Request { id, request });
    line.settle();
    assert_eq!(line.b.ua.stats().requests, 1);
    line.pass(Duration::from_secs(64), true);
    assert_eq!(line.told(A), ["RequestFailed 408"]);
    line.assert_clean();
}

#[test]
fn challenge_is_answered_inside() {
    let mut line = Line::new();
    let id = line.a.ua.new_request();
    let request = register(&line, Some(Credentials::password("alice", "secret")));
    line.command(A, Command::Request { id, request });
    line.settle();
    let mut challenger = Challenger::new([7; 32], 0);
    challenge(&mut line, &mut challenger, false);
    line.settle();
    let (asked, request) = request_of(&mut line, B);
    let algorithms = [Algorithm::parse("SHA-256").unwrap()];
    let verdict = challenger.verify_headers(
        request.headers().get_all(Name::Authorization),
        "example.com",
        request.method(),
        &algorithms,
        |user, algorithm| Some(Ha1::new(algorithm.hash(), user, "example.com", "secret")),
        0,
    );
    assert_eq!(verdict, Verdict::Ok("alice".into()));
    assert_eq!(request.cseq().unwrap().number, 2);
    line.respond(B, asked, 200);
    line.settle();
    assert_eq!(line.told(A), ["Response 200"]);
    line.assert_clean();
}

#[test]
fn refused_answer_is_not_tried_again_but_a_stale_nonce_is() {
    let mut line = Line::new();
    let id = line.a.ua.new_request();
    let request = register(&line, Some(Credentials::password("alice", "wrong")));
    line.command(A, Command::Request { id, request });
    line.settle();
    let mut challenger = Challenger::new([7; 32], 0);
    challenge(&mut line, &mut challenger, false);
    line.settle();
    challenge(&mut line, &mut challenger, true);
    line.settle();
    challenge(&mut line, &mut challenger, false);
    line.settle();
    assert_eq!(line.told(A), ["Response 401"]);
    assert_eq!(line.lines(A), ["REGISTER"; 3]);
    line.assert_clean();
}

#[test]
fn challenged_invite_is_sent_again_and_its_ack_and_bye_carry_credentials() {
    let mut line = Line::new();
    let a = line.a.ua.new_session();
    let invite = OutgoingInvite { credentials: Some(Credentials::password("alice", "secret")), ..line.invite() };
    line.command(A, Command::Invite { session: a, invite });
    line.settle();
    let b = line.incoming(B);
    let value = Challenger::new([7; 32], 0).challenge("example.com", &[Algorithm::parse("MD5").unwrap()], false, 0);
    let headers = vec![("Proxy-Authenticate".into(), value[0].clone().into())];
    line.command(B, Command::Reject { session: b, code: 407, reason: None, headers });
    line.settle();
    let b = line.incoming(B);
    line.accept(B, b);
    line.settle();
    assert_eq!(line.told(A), ["Answered 200"]);
    assert_eq!(line.lines(A), ["INVITE", "ACK", "INVITE", "ACK"]);
    let (invite, ack) = (line.a.sent[2].headers().clone(), line.a.sent[3].headers().clone());
    assert!(invite.get(Name::ProxyAuthorization).is_some());
    assert_eq!(invite.get(Name::ProxyAuthorization), ack.get(Name::ProxyAuthorization));
    assert_eq!((invite.cseq().unwrap().number, ack.cseq().unwrap().number), (2, 2));
    line.bye(A, a);
    let bye = line.last_request(A);
    let value = String::from_utf8_lossy(bye.header(Name::ProxyAuthorization).unwrap()).into_owned();
    assert!(value.contains("nc=00000002"), "{value}");
    line.settle();
    line.assert_clean();
}

#[test]
fn info_goes_both_ways() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    for (from, session, to) in [(A, a, B), (B, b, A)] {
        let id = line.end(from).ua.new_request();
        let body = Some(("application/dtmf-relay".into(), "Signal=5".into()));
        line.command(from, Command::InDialog { session, id, method: Method::Info, headers: Vec::new(), body });
        line.settle();
        let (asked, request) = request_of(&mut line, to);
        assert_eq!(request.body(), b"Signal=5");
        line.respond(to, asked, 200);
        line.settle();
        assert_eq!(line.told(from), ["Response 200"]);
    }
    line.bye(A, a);
    line.settle();
    line.assert_clean();
}

#[test]
fn requests_in_an_early_dialog_are_answered() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    for method in [Method::Info, Method::Notify, Method::Options] {
        let id = line.b.ua.new_request();
        line.command(B, Command::InDialog { session: b, id, method: method.clone(), headers: Vec::new(), body: None });
        line.settle();
        let told = line.events(A);
        let Some(Event::InDialog { id, request, .. }) = told.last() else { panic!("{told:?}") };
        assert_eq!(*request.method(), method);
        line.respond(A, *id, 488);
        line.settle();
        assert_eq!(line.told(B), ["Response 488"]);
    }
}

#[test]
fn unknown_method_in_an_early_dialog_is_answered() {
    let mut line = Line::new();
    let (_, b) = line.ring();
    let id = line.b.ua.new_request();
    let method = Method::parse(b"FROBNICATE").unwrap();
    line.command(B, Command::InDialog { session: b, id, method, headers: Vec::new(), body: None });
    line.settle();
    assert_eq!(line.told(B), ["Response 501"]);
    assert!(line.last_response(A).header(Name::Allow).is_some());
}

#[test]
fn peer_that_has_forgotten_the_dialog_ends_the_session() {
    let mut line = Line::new();
    let (a, _) = line.connect();
    let id = line.a.ua.new_request();
    line.command(A, Command::InDialog { session: a, id, method: Method::Info, headers: Vec::new(), body: None });
    line.settle();
    let (asked, _) = request_of(&mut line, B);
    line.respond(B, asked, 481);
    line.settle();
    assert_eq!(line.told(A), ["Response 481", "Ended 481"]);
    assert!(line.a.ua.session(a).is_none());
}

#[test]
fn failed_flow_fails_what_waits_for_an_answer() {
    let mut line = Line::new();
    line.call();
    let id = line.a.ua.new_request();
    let request = register(&line, None);
    line.command(A, Command::Request { id, request });
    let flow = line.flow(A);
    line.handle(A, Input::TransportFailed { flow });
    assert_eq!(line.told(A), ["Failed 503", "RequestFailed 503"]);
    line.lose(A);
    line.assert_clean();
}
