//! Transfers: one of two who talk hands the other on.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use opentact_call::*;
use uuid::Uuid;
use world::World;

const FLOW: &str = "<Dial><To>12015550123</To></Dial><Say>Bye</Say>";
const C: LegId = LegId(Uuid::from_u128(0x0c));

/// A and B1 talk; A's flow waits for the end of it.
fn talking() -> World {
    let mut world = World::live(FLOW);
    world.leg("B1", LegEvent::Answered).forget();
    world
}

/// The same for a call that is rung through.
fn rung_through() -> World {
    let dial = DialSpec::new(vec![DialTarget::Number("12015550123".into())], Duration::from_secs(30));
    let mut world = World::inbound_to(Target::Bridge { dial }, false);
    world.leg("B1", LegEvent::Answered).answer().forget();
    world
}

fn transfer(world: &mut World, by: &str) {
    let by = world.id(by);
    let (target, from) = (DialTarget::parse("carol@a.example").unwrap(), "bob@a.example".to_owned());
    let start = TransferStart { by, leg: C, target, from, kind: CallType::User, timeout: Duration::from_secs(20) };
    world.handle(Input::Transfer(start));
}

#[test]
fn the_callee_hands_the_caller_on_and_the_flow_goes_on_after_the_third() {
    let mut world = talking();
    transfer(&mut world, "B1");
    world.tells(&["B2 is init", "B2 dial carol@a.example from bob@a.example"]);
    world.leg("B2", LegEvent::Ringing).tells(&["B2 is ringing", "B1 is told Ringing"]);
    world.leg("B2", LegEvent::Answered).tells(&[
        "B2 is live",
        "B1 is told Done",
        "unbridge A B1",
        "unbridged A B1",
        "bridge A B2",
        "bridged A B2",
        "B1 hangup 16",
        "B1 is hangup 16",
        "B1 is destroyed",
    ]);
    world.hangs_up("B2").tells(&[
        "B2 is hangup 16",
        "unbridge A B2",
        "unbridged A B2",
        "Dial[0] ok: Dialled leg hung up",
        "say Bye",
        "B2 is destroyed",
    ]);
    assert_eq!(world.snapshots.iter().find(|leg| leg.leg == C).unwrap().parent, Some(world.id("B1")));
}

#[test]
fn the_caller_hands_the_callee_on_and_the_two_outlive_its_call() {
    let mut world = rung_through();
    transfer(&mut world, "A");
    world.forget().leg("B2", LegEvent::Answered).tells(&[
        "B2 is ringing",
        "B2 is live",
        "A is told Done",
        "unbridge A B1",
        "unbridged A B1",
        "bridge B1 B2",
        "bridged B1 B2",
        "A hangup 16",
        "A is hangup 16",
        "A is destroyed",
    ]);
    world.pass(3_600_000).tells(&[]);
    world.hangs_up("B2").tells(&[
        "B2 is hangup 16",
        "unbridge B1 B2",
        "unbridged B1 B2",
        "B1 hangup 16",
        "B1 is hangup 16",
        "B1 is destroyed",
        "B2 is destroyed",
        "finished",
    ]);
}

#[test]
fn a_transfer_that_fails_leaves_the_two_as_they_were() {
    let mut world = talking();
    transfer(&mut world, "B1");
    world.forget().fails("B2", 486).tells(&["B2 is hangup 17", "B1 is told Failed { sip: 486 }", "B2 is destroyed"]);
    assert!(world.call.may_transfer(world.id("B1")));
    world.hangs_up("B1");
    assert!(world.told().contains(&"say Bye".to_owned()));
}

#[test]
fn who_does_not_answer_a_transfer_in_time_is_given_up() {
    let mut world = talking();
    transfer(&mut world, "A");
    world.forget().leg("B2", LegEvent::Ringing).pass(20_000).tells(&[
        "B2 is ringing",
        "A is told Ringing",
        "B2 hangup 19",
        "B2 is hangup 19",
        "A is told Failed { sip: 480 }",
        "B2 is destroyed",
    ]);
}

#[test]
fn who_hands_on_may_hang_up_at_once() {
    for by in ["A", "B1"] {
        let mut world = rung_through();
        transfer(&mut world, by);
        world.hangs_up(by).forget();
        let stays = if by == "A" { "B1" } else { "A" };
        world.leg("B2", LegEvent::Answered);
        let told = world.told();
        assert!(told.contains(&format!("bridge {stays} B2")), "{told:?}");
        world.hangs_up(stays);
        let told = world.told();
        assert!(told.contains(&"B2 hangup 16".to_owned()) && world.finished, "{told:?}");
    }
}

#[test]
fn who_was_handed_on_to_nobody_is_hung_up() {
    for by in ["A", "B1"] {
        let mut world = rung_through();
        transfer(&mut world, by);
        world.hangs_up(by).forget().fails("B2", 486);
        let stays = if by == "A" { "B1" } else { "A" };
        let told = world.told();
        assert!(told.contains(&format!("{stays} hangup 17")) && world.finished, "{told:?}");
    }
}

#[test]
fn who_is_handed_on_hangs_up_and_nobody_rings_any_more() {
    let mut world = rung_through();
    transfer(&mut world, "B1");
    world.forget().hangs_up("A");
    let told = world.told();
    assert!(told.contains(&"B2 hangup 16".to_owned()) && told.contains(&"B1 is told Failed { sip: 487 }".to_owned()));
    assert!(world.finished, "{told:?}");
}

#[test]
fn legs_that_are_not_joined_or_are_in_a_transfer_hand_nobody_on() {
    let mut world = World::live("<Pause length='60000'/>");
    world.forget();
    transfer(&mut world, "A");
    world.tells(&["A is told Failed { sip: 481 }"]);
    let mut world = talking();
    transfer(&mut world, "B1");
    assert!(!world.call.may_transfer(world.id("A")) && !world.call.may_transfer(world.id("B1")));
}

#[test]
fn two_calls_are_joined_and_either_end_ends_both() {
    let other = LegId(Uuid::from_u128(0x0d));
    let mut world = talking();
    let by = world.id("B1");
    world.handle(Input::HandOver { by, with: other, tells: true }).tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "bridge A B2",
        "bridged A B2",
        "B1 hangup 16",
        "B1 is hangup 16",
        "B1 is destroyed",
    ]);
    assert_eq!(world.call.partner(world::A), Some(other));
    world.hangs_up("A");
    let told = world.told();
    assert!(told.contains(&"B2 is to leave 16".to_owned()) && world.finished, "{told:?}");

    let mut world = rung_through();
    world.handle(Input::HandOver { by: world::A, with: other, tells: false }).tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "bridge B1 B2",
        "A hangup 16",
        "A is hangup 16",
        "A is destroyed",
    ]);
    // The API ends the call by its origin, which has gone before.
    world.handle(Input::Hangup { leg: world::A, cause: Q850::TEMPORARY_FAILURE }).tells(&[
        "unbridge B1 B2",
        "B1 hangup 41",
        "B1 is hangup 41",
        "B2 is to leave 41",
        "B1 is destroyed",
        "finished",
    ]);
}
