//! What a Dial does beside ringing: the caller's ring tone, and the document that whoever answers goes through.

mod world;

use opentact_call::*;
use world::World;

const CONFIRM: &str =
    "<Dial timeout='20' confirm_url='https://a.example/confirm'><To>1</To><To>2</To></Dial><Say>Bye</Say>";
const MENU: &str =
    "<Response><Gather><Say>Press one</Say><DTMF value='1'/><Default><Hangup/></Default></Gather></Response>";

fn answered() -> World {
    let mut world = World::live(CONFIRM);
    world.forget().leg("B1", LegEvent::Ringing).leg("B1", LegEvent::Answered);
    world
}

#[test]
fn one_who_answers_is_asked_and_then_joined() {
    let mut world = answered();
    world.tells(&["B1 is ringing", "tone [440.0, 480.0] x0", "B1 is live", "GET https://a.example/confirm"]);
    let query: Vec<&str> = world.request().query.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(query, ["from", "to", "call", "state", "callee", "callee_call"]);
    world.fetched(200, MENU).tells(&["B1: say Press one"]);
    world.keys("1").tells(&[]);
    world.keys_of("B1", "1").tells(&[
        "B1: stop",
        "Gather[0].Say[0] ok: Stopped by key 1",
        "Gather[0].DTMF[1] ok: Elements done",
        "Gather[0] ok: Keys entered: 1",
        "B2 hangup 26",
        "B2 is hangup 26",
        "stop",
        "bridge A B1",
        "bridged A B1",
        "B2 is destroyed",
    ]);
}

#[test]
fn one_who_declines_is_hung_up_and_the_others_ring_on() {
    let mut world = answered();
    world.fetched(200, MENU).forget().keys_of("B1", "2");
    let told = world.told();
    assert_eq!(told[told.len() - 3..], ["B1 hangup 21", "B1 is hangup 21", "B1 is destroyed"]);
    world.fails("B2", 486);
    let reason = &world.steps.last().unwrap().reason;
    assert_eq!(reason, "[originate] ERR CALL_REJECTED, USER_BUSY. no any destinations are accept the call 2/2");
}

#[test]
fn an_empty_document_joins_at_once() {
    let mut world = answered();
    world.forget().fetched(204, "");
    assert_eq!(world.told().iter().filter(|line| *line == "bridged A B1").count(), 1);
}

#[test]
fn without_a_document_nobody_is_joined() {
    for (status, body) in [(500, ""), (200, "no XML")] {
        let mut world = answered();
        world.forget().fetched(status, body);
        assert_eq!(world.told()[..2], ["B1 hangup 21", "B1 is hangup 21"]);
    }
    let mut world = answered();
    world.forget().pass(10_000).tells(&["B1 hangup 21", "B1 is hangup 21", "drop request", "B1 is destroyed"]);
    let left = world.snapshots.iter().rfind(|leg| leg.state == CallState::Hangup).unwrap();
    assert_eq!(left.reason.as_deref(), Some("confirm_url: no answer in time"));
}

#[test]
fn two_are_asked_and_the_first_to_confirm_has_the_call() {
    let mut world = answered();
    world.leg("B2", LegEvent::Answered).fetched(200, MENU).fetched(200, MENU).forget();
    world.keys_of("B2", "1");
    let told = world.told();
    assert!(told.contains(&"bridged A B2".to_owned()) && told.contains(&"B1 hangup 26".to_owned()), "{told:?}");
    let of_first = world.steps.iter().find(|step| step.path == "Gather[0]" && !step.success).unwrap();
    assert_eq!(of_first.reason, "Call hangup");
}

#[test]
fn the_caller_leaves_while_one_is_asked() {
    let mut world = answered();
    world.fetched(200, MENU).forget().hangs_up("A");
    let told = world.told();
    assert!(told.contains(&"B1: stop".to_owned()) && told.contains(&"finished".to_owned()), "{told:?}");
    let mut world = answered();
    world.forget().hangs_up("A");
    assert!(world.told().contains(&"drop request".to_owned()) && world.finished);
}

#[test]
fn who_is_asked_leaves() {
    let mut world = answered();
    world.fetched(200, MENU).forget().hangs_up("B1").tells(&[
        "B1 is hangup 16",
        "B1: stop",
        "Gather[0].Say[0] failed: Call hangup",
        "Gather[0] failed: Call hangup",
        "B1 is destroyed",
    ]);
}

#[test]
fn they_ring_and_are_asked_only_so_long() {
    let mut world = answered();
    world.fetched(200, "<Response><Pause length='60000'/></Response>").forget().pass(20_000);
    let reason = &world.steps.iter().rfind(|step| step.name == "Dial").unwrap().reason;
    assert_eq!(reason, "[originate] ERR NO_ANSWER, NO_USER_RESPONSE. no any destinations are accept the call 2/2");
}

#[test]
fn what_is_for_two_is_not_for_one_who_is_asked() {
    let mut world = answered();
    let xml = "<Response><Dial><To>3</To></Dial><Record/><Hold/></Response>";
    world.forget().fetched(200, xml);
    let told = world.told();
    assert_eq!(
        told[..3],
        [
            "Dial[0] failed: not before the two are joined",
            "Record[1] failed: not before the two are joined",
            "Hold[2] failed: not before the two are joined",
        ]
    );
    assert!(told.contains(&"bridged A B1".to_owned()));
}

#[test]
fn a_ring_tone_is_heard_from_the_start() {
    let mut world = World::live("<Dial ring_tone='https://a.example/ring.wav'><To>1</To></Dial><Pause/>");
    assert_eq!(world.told()[4..], ["play https://a.example/ring.wav x0", "B1 is init", "B1 dial 1"]);
    world.leg("B1", LegEvent::Ringing).leg("B1", LegEvent::EarlyMedia).tells(&["B1 is ringing"]);
    world.leg("B1", LegEvent::Answered).tells(&["B1 is live", "stop", "bridge A B1", "bridged A B1"]);
}

#[test]
fn a_caller_who_is_not_answered_hears_it_as_early_media() {
    let mut world = World::inbound("<Dial ring_tone='https://a.example/ring.wav'><To>1</To></Dial>");
    world.tells(&[
        "A is init",
        "A ring",
        "A is ringing",
        "A progress",
        "play https://a.example/ring.wav x0",
        "B1 is init",
        "B1 dial 1",
    ]);
}

#[test]
fn a_ring_tone_that_cannot_be_had_is_replaced() {
    let mut world = World::live("<Dial ring_tone='https://a.example/ring.wav'><To>1</To></Dial><Pause/>");
    world.forget().leg("B1", LegEvent::Ringing).mute("HTTP 404").tells(&["B1 is ringing", "tone [440.0, 480.0] x0"]);
    let mut world = World::live("<Dial ring_tone='https://a.example/ring.wav'><To>1</To></Dial><Pause/>");
    world.forget().mute("HTTP 404").tells(&[]);
    world.leg("B1", LegEvent::Ringing).tells(&["B1 is ringing", "tone [440.0, 480.0] x0"]);
}
