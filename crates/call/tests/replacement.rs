//! Somebody calls to take the place of a leg: one that rings, or one of two who talk.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use opentact_call::*;
use uuid::Uuid;
use world::World;

const FLOW: &str = "<Dial><To>12015550123</To><To>12015550124</To></Dial><Say>Bye</Say>";
const N: LegId = LegId(Uuid::from_u128(0x0e));
const C: LegId = LegId(Uuid::from_u128(0x0c));

/// A's flow rings B1 and B2.
fn ringing() -> World {
    let mut world = World::live(FLOW);
    world.leg("B1", LegEvent::Ringing).forget();
    world
}

/// A and B1 talk.
fn talking() -> World {
    let mut world = ringing();
    world.leg("B1", LegEvent::Answered).forget();
    world
}

fn replace(world: &mut World, place: &str) {
    let place = world.id(place);
    let (from, to) = ("carol@a.example".to_owned(), "+12015550100".to_owned());
    world.handle(Input::Replace(ReplacementStart { place, leg: N, from, to, kind: CallType::User }));
}

#[test]
fn who_picks_up_has_the_call_and_the_flow_goes_on_after() {
    let mut world = ringing();
    assert!(world.call.may_replace(world.id("B1")) && !world.call.may_replace(world::A));
    assert_eq!(world.call.faces(world.id("B1")), Some(world::A));
    replace(&mut world, "B1");
    world.tells(&["B3 is init", "B3 answer"]);
    world.leg("B3", LegEvent::Answered);
    let told = world.told();
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|line| !line.ends_with("destroyed")).collect();
    assert_eq!(
        told,
        [
            "B3 is ringing",
            "B3 is live",
            "B1 hangup 26",
            "B1 is hangup 26",
            "B2 hangup 26",
            "B2 is hangup 26",
            "stop",
            "bridge A B3",
            "bridged A B3"
        ]
    );
    world.hangs_up("B3").tells(&[
        "B3 is hangup 16",
        "unbridge A B3",
        "unbridged A B3",
        "Dial[0] ok: Dialled leg hung up",
        "say Bye",
        "B3 is destroyed",
    ]);
    assert_eq!(world.snapshots.iter().find(|leg| leg.leg == N).unwrap().parent, Some(world.id("B1")));
}

#[test]
fn early_media_of_who_rang_ends_with_the_pick_up() {
    let mut world = World::live("<Dial><To>12015550123</To></Dial>");
    world.leg("B1", LegEvent::EarlyMedia);
    let told = world.told();
    assert!(told.contains(&"bridge A B1".to_owned()), "{told:?}");
    replace(&mut world, "B1");
    world.forget().leg("B2", LegEvent::Answered);
    let told = world.told();
    let at = |line: &str| told.iter().position(|told| told == line);
    assert!(at("unbridge A B1").unwrap() < at("bridge A B2").unwrap(), "{told:?}");
}

#[test]
fn who_picks_up_too_late_is_hung_up() {
    let mut world = ringing();
    replace(&mut world, "B1");
    world.forget().leg("B2", LegEvent::Answered);
    let told = world.told();
    assert!(told.contains(&"B3 hangup 26".to_owned()) && told.contains(&"bridged A B2".to_owned()), "{told:?}");
}

#[test]
fn one_who_talks_is_replaced_and_hung_up() {
    let mut world = talking();
    assert_eq!(world.call.faces(world.id("B1")), Some(world::A));
    replace(&mut world, "B1");
    world.forget().leg("B3", LegEvent::Answered).tells(&[
        "B3 is ringing",
        "B3 is live",
        "unbridge A B1",
        "unbridged A B1",
        "bridge A B3",
        "bridged A B3",
        "B1 hangup 16",
        "B1 is hangup 16",
        "B1 is destroyed",
    ]);
    world.hangs_up("A");
    assert!(world.told().contains(&"B3 hangup 16".to_owned()) && world.finished);
}

#[test]
fn the_caller_is_replaced_and_its_call_outlives_it() {
    let mut world = talking();
    replace(&mut world, "A");
    world.forget().leg("B3", LegEvent::Answered);
    let told = world.told();
    assert!(told.contains(&"bridge B1 B3".to_owned()) && told.contains(&"A hangup 16".to_owned()), "{told:?}");
    world.hangs_up("B1");
    assert!(world.told().contains(&"B3 hangup 16".to_owned()) && world.finished);
}

#[test]
fn nobody_is_replaced_when_the_two_have_parted_or_the_newcomer_has_left() {
    for place in ["A", "B1"] {
        for leaves in ["A", "B1"] {
            let mut world = talking();
            replace(&mut world, place);
            world.forget().hangs_up(leaves);
            let told = world.told();
            assert!(told.contains(&"B3 hangup 16".to_owned()), "{place} {leaves} {told:?}");
        }
        let mut world = talking();
        replace(&mut world, place);
        world.forget().hangs_up("B3").tells(&["B3 is hangup 16", "B3 is destroyed"]);
        assert!(world.call.may_replace(world.id(place)));
    }
}

#[test]
fn one_at_a_time_takes_a_place_and_nobody_hands_on_meanwhile() {
    let mut world = talking();
    replace(&mut world, "B1");
    assert!(!world.call.may_replace(world::A) && !world.call.may_transfer(world::A));
    let place = world::A;
    let (from, to, leg) = ("dora@a.example".to_owned(), "x".to_owned(), LegId(Uuid::from_u128(0x0f)));
    let start = ReplacementStart { place, leg, from, to, kind: CallType::User };
    world.forget().handle(Input::Replace(start)).tells(&[
        "B4 is init",
        "B4 reject 481",
        "B4 is hangup 16",
        "B4 is destroyed",
    ]);
}

#[test]
fn whom_a_transfer_rings_is_picked_up_too() {
    let mut world = talking();
    let by = world.id("B1");
    let (target, from) = (DialTarget::parse("dora@a.example").unwrap(), "bob@a.example".to_owned());
    let start = TransferStart { by, leg: C, target, from, kind: CallType::User, timeout: Duration::from_secs(20) };
    world.handle(Input::Transfer(start));
    assert_eq!(world.call.faces(C), Some(world::A));
    replace(&mut world, "B3");
    world.forget().leg("B4", LegEvent::Answered);
    let told = world.told();
    assert!(told.contains(&"B1 is told Done".to_owned()) && told.contains(&"bridged A B4".to_owned()), "{told:?}");
}
