//! Session timers (RFC 4028): who refreshes, how, and what becomes of a call that nobody refreshes.

use super::*;
use crate::message::Name;

const WITHOUT_UPDATE: &[u8] = b"INVITE, ACK, BYE, CANCEL";

fn config(session_expires: u64, min_se: u64) -> UaConfig {
    UaConfig {
        session_expires: Some(Duration::from_secs(session_expires)),
        min_se: Duration::from_secs(min_se),
        ..UaConfig::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn value(header: Option<&[u8]>) -> &str {
    std::str::from_utf8(header.unwrap_or_default()).unwrap()
}

/// The 2xx to the last INVITE.
fn answer(line: &mut Line) -> Response {
    let found = line.b.sent.iter().rev().find_map(|message| match message {
        Message::Response(response) if response.is_success() => Some(response.clone()),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn caller_refreshes_by_update_at_half_of_the_interval() {
    let mut line = Line::with(config(1800, 90), config(1800, 90));
    let (a, _) = line.connect();
    let answered = answer(&mut line);
    assert_eq!(value(answered.header(Name::SessionExpires)), "1800;refresher=uac");
    assert_eq!(value(answered.header(Name::Require)), "timer");
    line.pass(seconds(899), true);
    assert_eq!(line.lines(A), ["INVITE", "ACK"]);
    line.pass(seconds(1), true);
    assert_eq!(line.lines(A), ["INVITE", "ACK", "UPDATE"]);
    let refresh = line.last_request(A);
    assert_eq!(value(refresh.header(Name::SessionExpires)), "1800;refresher=uac");
    assert!(refresh.body().is_empty());
    assert_eq!(value(line.last_response(B).header(Name::SessionExpires)), "1800;refresher=uac");

    line.pass(seconds(36_000), true);
    assert_eq!(line.lines(A).len(), 3 + 40);
    assert_eq!(line.told(A), [""; 0]);
    assert_eq!(line.told(B), [""; 0]);
    line.bye(A, a);
    line.settle();
    line.assert_clean();
}

#[test]
fn peer_without_update_is_refreshed_by_the_description_in_force() {
    let b = UaConfig { allow: Bytes::from_static(WITHOUT_UPDATE), ..config(600, 90) };
    let mut line = Line::with(config(600, 90), b);
    let (_, b) = line.connect();
    let offered = line.a.sent[0].clone();
    line.pass(seconds(300), true);
    let refresh = line.last_request(A);
    assert_eq!(line.lines(A), ["INVITE", "ACK", "INVITE"]);
    let Message::Request(offered) = offered else { panic!("an INVITE") };
    assert_eq!(refresh.body(), offered.body());
    assert_eq!(line.told(B), ["Reinvite"]);
    line.accept(B, b);
    line.settle();
    assert_eq!(line.lines(A), ["INVITE", "ACK", "INVITE", "ACK"]);
    assert_eq!(line.told(A), ["ReinviteAnswered 200"], "what it says of media is in force");
    assert_eq!(line.told(B), ["Acked"]);
}

#[test]
fn callee_refreshes_for_a_caller_without_timers() {
    let mut line = Line::with(UaConfig::default(), config(600, 90));
    line.connect();
    let answered = answer(&mut line);
    assert_eq!(value(answered.header(Name::SessionExpires)), "600;refresher=uas");
    assert_eq!(answered.header(Name::Require), None);
    line.pass(seconds(300), true);
    assert_eq!(line.last_request(B).method(), &Method::Update);
    // RFC 4028 7.2: an answer without Session-Expires ends the timer.
    line.pass(seconds(3_600), true);
    assert_eq!(line.told(B), [""; 0]);
}

#[test]
fn peer_without_timers_has_a_call_without_one() {
    let mut line = Line::with(config(600, 90), UaConfig::default());
    line.connect();
    line.pass(seconds(7_200), true);
    assert_eq!(line.lines(A), ["INVITE", "ACK"]);
    assert_eq!(line.told(A), [""; 0]);
}

#[test]
fn interval_too_short_is_refused_and_raised() {
    let mut line = Line::with(config(120, 90), config(1800, 400));
    line.call();
    line.settle();
    assert_eq!(line.lines(B), ["422 INVITE", "100 INVITE"]);
    assert_eq!(line.lines(A), ["INVITE", "ACK", "INVITE"]);
    let again = line.last_request(A);
    assert_eq!(value(again.header(Name::SessionExpires)), "400");
    assert_eq!(value(again.header(Name::MinSe)), "400");
    assert_eq!(again.cseq().unwrap().number, 2);
    let b = line.incoming(B);
    line.accept(B, b);
    line.settle();
    assert_eq!(value(answer(&mut line).header(Name::SessionExpires)), "400;refresher=uac");
    assert_eq!(line.told(A), ["Answered 200"]);
}

#[test]
fn call_that_is_not_refreshed_is_hung_up_before_the_interval_ends() {
    let mut line = Line::with(config(600, 90), config(600, 90));
    line.connect();
    // The refresh gets no answer, and ends the call on its own side after 64 * T1; B hears nothing at all.
    line.pass(seconds(567), false);
    assert_eq!(line.told(A), ["Ended 408"]);
    assert_eq!(line.told(B), [""; 0]);
    line.pass(seconds(1), false);
    assert_eq!(line.told(B), ["Ended 408"]);
    assert_eq!(line.last_request(B).method(), &Method::Bye);
    line.assert_clean();
}

#[test]
fn short_interval_ends_a_third_before_its_end() {
    let mut line = Line::with(config(90, 90), config(90, 90));
    line.connect();
    line.pass(seconds(59), false);
    assert_eq!(line.told(B), [""; 0]);
    line.pass(seconds(1), false);
    assert_eq!(line.told(B), ["Ended 408"]);
}

#[test]
fn reinvite_of_the_layer_above_is_a_refresh() {
    let mut line = Line::with(config(600, 90), config(600, 90));
    let (a, b) = line.connect();
    line.pass(seconds(200), true);
    line.reinvite(A, a);
    line.settle();
    assert_eq!(value(line.last_request(A).header(Name::SessionExpires)), "600;refresher=uac");
    line.accept(B, b);
    line.settle();
    assert_eq!(value(answer(&mut line).header(Name::SessionExpires)), "600;refresher=uac");
    line.pass(seconds(299), true);
    assert_eq!(line.lines(A), ["INVITE", "ACK", "INVITE", "ACK"]);
    line.pass(seconds(1), true);
    assert_eq!(line.last_request(A).method(), &Method::Update);
}

#[test]
fn update_with_an_offer_is_answered_like_a_reinvite_without_ack() {
    let mut line = Line::new();
    let (a, b) = line.connect();
    let id = line.a.ua.new_request();
    let body = Some(sdp("again"));
    line.command(A, Command::InDialog { session: a, id, method: Method::Update, headers: Vec::new(), body });
    line.settle();
    assert_eq!(line.told(B), ["Reinvite"]);
    line.accept(B, b);
    line.settle();
    assert_eq!(line.told(A), ["Response 200"]);
    assert_eq!(line.last_response(B).body(), b"answer");
    line.bye(B, b);
    line.settle();
    line.assert_clean();
}

#[test]
fn offer_by_update_before_the_answer_has_to_wait() {
    let mut line = Line::new();
    let (a, b) = line.ring();
    for (side, session, code) in [(A, a, 500), (B, b, 491)] {
        let id = line.end(side).ua.new_request();
        let body = Some(sdp("again"));
        line.command(side, Command::InDialog { session, id, method: Method::Update, headers: Vec::new(), body });
        line.settle();
        let told = line.told(side);
        assert_eq!(told.last().map(String::as_str), Some(&*format!("Response {code}")));
    }
}

#[test]
fn required_timer_is_refused_where_there_is_none() {
    for (b, answers) in [(UaConfig::default(), "420 INVITE"), (config(600, 90), "100 INVITE")] {
        let mut line = Line::with(UaConfig::default(), b);
        let session = line.a.ua.new_session();
        let mut invite = line.invite();
        invite.headers.push(("Require".into(), "timer".into()));
        line.command(A, Command::Invite { session, invite });
        line.settle();
        assert_eq!(line.lines(B), [answers]);
    }
}

#[test]
fn refresh_that_meets_an_offer_waits_as_the_side_that_called() {
    let b = UaConfig { allow: Bytes::from_static(WITHOUT_UPDATE), ..config(600, 90) };
    let mut line = Line::with(config(600, 90), b);
    let (a, b) = line.connect();
    line.pass(Duration::from_millis(299_900), true);
    line.reinvite(B, b);
    line.lose(B);
    line.pass(Duration::from_millis(200), true);
    assert_eq!(line.lines(B).last().unwrap(), "491 INVITE");
    // The offer that was lost comes again.
    line.pass(Duration::from_millis(400), true);
    assert_eq!(line.told(A), ["Reinvite"]);
    line.reject(A, a, 488);
    line.settle();
    let refreshes = |line: &mut Line| line.lines(A).iter().filter(|line| *line == "INVITE").count();
    // RFC 3261 14.1: 2.1 to 4 s for the owner of the Call-ID, from 300.0 s on.
    line.pass(Duration::from_millis(1_550), true);
    assert_eq!(refreshes(&mut line), 2);
    line.pass(Duration::from_millis(2_100), true);
    assert_eq!(refreshes(&mut line), 3);
}
