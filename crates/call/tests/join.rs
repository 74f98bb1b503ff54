//! Two calls joined by the API, and calls recorded from their answer.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use opentact_call::*;
use uuid::Uuid;
use world::World;

/// A leg of another call.
const OTHER: LegId = LegId(Uuid::from_u128(0x0e));
const FLOW: &str = "<Dial><To>12015550123</To></Dial><Say>Bye</Say>";

fn join(world: &mut World, leg: &str) {
    let leg = world.id(leg);
    assert!(world.call.may_join(leg));
    world.handle(Input::Join { leg, with: OTHER, tells: true });
}

#[test]
fn what_a_call_plays_ends_when_it_is_joined_with_another() {
    let mut world = World::live("<Say>Please hold</Say><Say>Never</Say>");
    world.forget();
    join(&mut world, "A");
    world.tells(&["stop", "Say[0] failed: Joined with another call", "bridge A B1", "bridged A B1"]);
    world.hangs_up("A").tells(&[
        "A is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "B1 is to leave 16",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn whoever_an_origin_talked_to_is_hung_up() {
    let mut world = World::live(FLOW);
    world.leg("B1", LegEvent::Answered).forget();
    join(&mut world, "A");
    world.tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "B1 hangup 16",
        "B1 is hangup 16",
        "Dial[0] ok: Joined with another call",
        "bridge A B2",
        "bridged A B2",
        "B1 is destroyed",
    ]);
}

#[test]
fn a_dialled_leg_leaves_its_origin_for_another_call() {
    let mut world = World::live(FLOW);
    world.leg("B1", LegEvent::Answered).forget();
    join(&mut world, "B1");
    let told = world.told();
    assert!(told.contains(&"bridge B1 B2".to_owned()) && told.contains(&"A hangup 16".to_owned()), "{told:?}");
    // It outlives its origin, and the API can end it.
    let leg = world.id("B1");
    world.handle(Input::Hangup { leg, cause: Q850::NORMAL_CLEARING });
    let told = world.told();
    assert!(told.contains(&"B2 is to leave 16".to_owned()) && told.contains(&"finished".to_owned()), "{told:?}");
}

#[test]
fn a_document_takes_a_joined_call_back() {
    let mut world = World::live("<Pause length='60000'/>");
    join(&mut world, "A");
    world.forget().handle(Input::Run(world::document("<Say>Goodbye</Say>"))).tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "B1 is to leave 16",
        "say Goodbye",
    ]);
}

#[test]
fn who_is_left_by_a_call_ends_and_lets_that_be() {
    let mut world = World::live("<Pause length='60000'/>");
    join(&mut world, "A");
    let leg = world.id("A");
    world.forget().handle(Input::Left { leg, cause: Q850::NORMAL_CLEARING }).tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "A hangup 16",
        "A is hangup 16",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn a_parked_call_that_is_joined_waits_for_no_document() {
    let mut world = World::outbound(Target::Park { timeout: Duration::from_secs(30) });
    world.answer().forget();
    join(&mut world, "A");
    world.tells(&["bridge A B1", "bridged A B1"]).pass(60_000).tells(&[]);
}

#[test]
fn who_is_not_live_or_is_being_handed_on_is_not_joined() {
    let mut world = World::inbound("<Say>Hello</Say>");
    assert!(!world.call.may_join(world.id("A")));
    let mut world2 = World::live(FLOW);
    world2.forget();
    // It rings, and talks to nobody.
    let rung = world2.id("B1");
    assert!(!world2.call.may_join(rung));
    let leg = world.id("A");
    world.forget().handle(Input::Join { leg, with: OTHER, tells: true }).tells(&[]);
}

#[test]
fn a_call_is_recorded_from_its_answer_to_its_end() {
    let mut world = World::recorded(Target::Park { timeout: Duration::from_secs(30) }, "sale");
    world.forget().answer().tells(&["A is ringing", "A is live", "record sale"]);
    world.hangs_up("A").tells(&["A is hangup 16", "stop record", "recorded sale", "A is destroyed", "finished"]);
}
