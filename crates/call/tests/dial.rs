//! Dial, and calls that are rung through.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use opentact_call::*;
use world::World;

const ONE: &str = "<Dial tag='boss' timeout='20'><To>+1 (201) 555-0123</To></Dial><Say>Bye</Say>";
const TWO: &str = "<Dial><Number>12015550123</Number><Sip>phone@home.example</Sip></Dial><Say>Bye</Say>";

#[test]
fn the_callee_answers_talks_and_hangs_up_and_the_flow_goes_on() {
    let mut world = World::live(ONE);
    world.forget().leg("A", LegEvent::Ringing).tells(&[]);
    let mut world = World::live(ONE);
    assert_eq!(world.told()[4..], ["B1 is init", "B1 dial 12015550123"]);
    world.leg("B1", LegEvent::Ringing).tells(&["B1 is ringing", "tone [440.0, 480.0] x0"]);
    world.leg("B1", LegEvent::Answered).tells(&["B1 is live", "stop", "bridge A B1", "bridged A B1"]);
    world.pass(60_000).hangs_up("B1").tells(&[
        "B1 is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "Dial[0] ok: Dialled leg hung up",
        "say Bye",
        "B1 is destroyed",
    ]);
    let b = world.snapshots.iter().find(|leg| leg.parent == Some(world::A) && leg.state == CallState::Hangup).unwrap();
    assert_eq!((b.from.as_str(), b.to.as_str(), b.direction), ("+12015550100", "12015550123", Direction::Out));
    assert_eq!((b.duration, b.kind), (60, CallType::Trunk));
}

#[test]
fn a_call_that_is_not_answered_is_rung_through() {
    let mut world = World::inbound(ONE);
    world.tells(&["A is init", "A ring", "A is ringing", "B1 is init", "B1 dial 12015550123"]);
    world.leg("B1", LegEvent::Ringing).tells(&["B1 is ringing"]);
    world.leg("B1", LegEvent::Answered).tells(&["B1 is live", "A answer"]);
    world.answer().tells(&["A is live", "bridge A B1", "bridged A B1"]);
}

#[test]
fn what_a_callee_plays_before_it_answers_is_heard() {
    let mut world = World::inbound(ONE);
    world.forget().leg("B1", LegEvent::EarlyMedia).tells(&["B1 is ringing", "A progress", "bridge A B1"]);
    world.leg("B1", LegEvent::Answered).answer().tells(&["B1 is live", "A answer", "A is live", "bridged A B1"]);
    let mut world = World::live(ONE);
    world.forget().leg("B1", LegEvent::Ringing).leg("B1", LegEvent::EarlyMedia).tells(&[
        "B1 is ringing",
        "tone [440.0, 480.0] x0",
        "stop",
        "bridge A B1",
    ]);
    world.fails("B1", 486);
    assert_eq!(world.told()[..2], ["B1 is hangup 17", "unbridge A B1"]);
}

#[test]
fn the_first_of_several_to_answer_has_the_call() {
    let mut world = World::live(TWO);
    assert_eq!(world.told()[4..], ["B1 is init", "B1 dial 12015550123", "B2 is init", "B2 dial phone@home.example"]);
    world.leg("B2", LegEvent::Ringing).leg("B1", LegEvent::EarlyMedia).forget();
    world.leg("B2", LegEvent::Answered).tells(&[
        "B2 is live",
        "B1 hangup 26",
        "B1 is hangup 26",
        "stop",
        "bridge A B2",
        "bridged A B2",
        "B1 is destroyed",
    ]);
}

#[test]
fn both_answer_at_once_and_one_is_hung_up() {
    let mut world = World::live(TWO);
    world.closes = false;
    world.forget().leg("B1", LegEvent::Answered).leg("B2", LegEvent::Answered).hangs_up("B2").tells(&[
        "B1 is ringing",
        "B1 is live",
        "B2 hangup 26",
        "B2 is hangup 26",
        "bridge A B1",
        "bridged A B1",
    ]);
}

#[test]
fn a_busy_callee_runs_the_error_block() {
    let mut world = World::live("<Dial><To>12015550123</To><Error><Say>Busy</Say></Error></Dial><Pause/>");
    world.forget().fails("B1", 486).tells(&["B1 is hangup 17", "say Busy", "B1 is destroyed"]);
    world.heard();
    let step = world.steps.last().unwrap();
    assert_eq!(step.reason, "[originate] ERR USER_BUSY. no any destinations are accept the call 1/1");
    assert_eq!(step.error[0].path, "Dial[0].Error[1]");
}

#[test]
fn nobody_responds_in_time() {
    let mut world = World::live(ONE);
    world.forget().pass(20_000).tells(&[
        "B1 hangup 18",
        "B1 is hangup 18",
        "Dial[0] failed: [originate] ERR NO_USER_RESPONSE. no any destinations are accept the call 1/1",
        "say Bye",
        "B1 is destroyed",
    ]);
}

#[test]
fn the_causes_of_all_are_listed_in_order() {
    let mut world = World::live(TWO);
    world.leg("B1", LegEvent::Ringing).fails("B2", 603).forget().pass(60_000).tells(&[
        "B1 hangup 19",
        "B1 is hangup 19",
        "stop",
        "Dial[0] failed: [originate] ERR NO_ANSWER, CALL_REJECTED. no any destinations are accept the call 2/2",
        "say Bye",
        "B1 is destroyed",
    ]);
}

#[test]
fn timeouts_over_600_are_milliseconds() {
    let mut world = World::live("<Dial timeout='5000'><To>1</To></Dial><Pause/>");
    world.forget().pass(4999).tells(&[]);
    world.pass(1);
    assert_eq!(world.steps.len(), 1);
}

#[test]
fn one_after_another_where_asked_for() {
    let mut world = World::live("<Dial sequential='true' timeout='10'><To>1</To><To>2</To></Dial><Pause/>");
    assert_eq!(world.told()[4..], ["B1 is init", "B1 dial 1"]);
    world.fails("B1", 404).tells(&["B1 is hangup 1", "B2 is init", "B2 dial 2", "B1 is destroyed"]);
    world.leg("B2", LegEvent::Answered).tells(&["B2 is ringing", "B2 is live", "bridge A B2", "bridged A B2"]);
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    let mut world = World::inbound(ONE);
    world.leg("B1", LegEvent::Ringing).forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "B1 hangup 16",
        "B1 is hangup 16",
        "Dial[0] failed: Call hangup",
        "B1 is destroyed",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn the_caller_hangs_up_on_the_callee() {
    let mut world = World::live(ONE);
    world.leg("B1", LegEvent::Answered).forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "B1 hangup 16",
        "B1 is hangup 16",
        "Dial[0] ok: Call hangup",
        "B1 is destroyed",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn the_api_hangs_up_the_dialled_leg() {
    let mut world = World::live(ONE);
    world.leg("B1", LegEvent::Answered).forget();
    let leg = world.call.legs().nth(1).unwrap();
    world.handle(Input::Hangup { leg, cause: Q850::NORMAL_CLEARING });
    assert!(world.told().contains(&"Dial[0] ok: Dialled leg hung up".to_owned()));
}

#[test]
fn the_longest_conversation_is_kept() {
    let mut world = World::live("<Dial max_length='30'><To>1</To></Dial><Pause/>");
    world.leg("B1", LegEvent::Answered).forget().pass(29_999).tells(&[]);
    world.pass(1).tells(&[
        "B1 hangup 16",
        "B1 is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "Dial[0] ok: Longest conversation reached",
        "B1 is destroyed",
    ]);
}

#[test]
fn the_conversation_is_recorded_where_asked_for() {
    let mut world = World::live("<Dial tag='talk' record='record-from-answer'><To>1</To></Dial><Pause/>");
    world.forget().leg("B1", LegEvent::Answered).tells(&[
        "B1 is ringing",
        "B1 is live",
        "bridge A B1",
        "bridged A B1",
        "record talk",
    ]);
    world.hangs_up("B1");
    let told = world.told();
    assert!(told.contains(&"stop record".to_owned()) && told.contains(&"recorded talk".to_owned()), "{told:?}");
}

#[test]
fn another_document_ends_the_conversation() {
    let mut world = World::live(ONE);
    world.leg("B1", LegEvent::Answered).forget().handle(Input::Run(world::document("<Say>New</Say>"))).tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "B1 hangup 16",
        "B1 is hangup 16",
        "Dial[0] ok: Replaced by another call flow",
        "say New",
        "B1 is destroyed",
    ]);
}

#[test]
fn the_caller_is_answered_at_once_where_asked_for() {
    let mut world = World::inbound("<Dial answer_on_bridge='false'><To>1</To></Dial>");
    world.tells(&["A is init", "A ring", "A is ringing", "A answer"]);
    world.answer().tells(&["A is live", "B1 is init", "B1 dial 1"]);
}

#[test]
fn a_destination_that_is_none_is_left_out() {
    let mut world = World::live("<Dial><To>nobody</To><To>1</To></Dial><Pause/>");
    assert_eq!(world.told()[4..], ["B1 is init", "B1 dial 1"]);
    let mut world = World::live("<Dial from='7'><To>{{meta.none}}</To></Dial><Pause/>");
    assert_eq!(world.told()[4..], ["Dial[0] failed: attribute `address`: a destination is empty"]);
}

fn through(targets: &[&str]) -> World {
    let targets = targets.iter().map(|target| DialTarget::parse(target).unwrap()).collect();
    let dial = DialSpec::new(targets, Duration::from_secs(30));
    World::inbound_to(Target::Bridge { dial }, false)
}

#[test]
fn a_bridge_rings_when_the_other_side_rings_and_answers_when_it_answers() {
    let mut world = through(&["phone@home.example"]);
    world.tells(&["A is init", "B1 is init", "B1 dial phone@home.example"]);
    world.leg("B1", LegEvent::Ringing).tells(&["B1 is ringing", "A ring", "A is ringing"]);
    world.leg("B1", LegEvent::Answered).tells(&["B1 is live", "A answer"]);
    world.answer().tells(&["A is live", "bridge A B1", "bridged A B1"]);
    world.hangs_up("B1").tells(&[
        "B1 is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "A hangup 16",
        "A is hangup 16",
        "A is destroyed",
        "B1 is destroyed",
        "finished",
    ]);
}

#[test]
fn a_bridge_passes_the_refusal_back() {
    let mut world = through(&["phone@home.example"]);
    world.forget().fails("B1", 486).tells(&[
        "B1 is hangup 17",
        "A reject 486",
        "A is hangup 17",
        "A is destroyed",
        "B1 is destroyed",
        "finished",
    ]);
    let mut world = through(&["a@home.example", "b@home.example"]);
    world.forget().fails("B1", 404).fails("B2", 603);
    assert!(world.told().contains(&"A reject 603".to_owned()));
}

#[test]
fn a_bridge_nobody_answers_ends() {
    let mut world = through(&["phone@home.example"]);
    world.leg("B1", LegEvent::Ringing).forget().pass(30_000);
    assert_eq!(world.told()[2], "A reject 480");
    assert!(world.finished);
}

#[test]
fn a_caller_cancels_a_bridge_that_rings() {
    let mut world = through(&["phone@home.example"]);
    world.leg("B1", LegEvent::Ringing).forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "B1 hangup 16",
        "B1 is hangup 16",
        "B1 is destroyed",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn the_callee_leaves_before_the_caller_is_answered() {
    let mut world = through(&["phone@home.example"]);
    world.leg("B1", LegEvent::Answered).forget().hangs_up("B1");
    assert!(world.told().contains(&"A hangup 16".to_owned()));
    assert!(world.finished);
}
