//! Hold and Unhold: what a document does that is posted to two who are joined.

mod world;

use opentact_call::*;
use world::World;

/// A and B1 talk; A's flow waits for the end of it.
fn talking() -> World {
    let mut world = World::live("<Dial><To>1</To></Dial><Say>Bye</Say>");
    world.leg("B1", LegEvent::Answered).forget();
    world
}

fn post(world: &mut World, inside: &str) {
    world.handle(Input::Run(world::document(inside)));
}

const HOLD: &str = "<Hold><Play>https://a.example/music.wav</Play></Hold><Say>After</Say>";

#[test]
fn the_other_leg_hears_music_and_is_taken_back() {
    let mut world = talking();
    post(&mut world, HOLD);
    world.tells(&[
        "unbridge A B1",
        "unbridged A B1",
        "Dial[0] ok: Replaced by another call flow",
        "B1 hold",
        "B1: play https://a.example/music.wav x0",
    ]);
    post(&mut world, "<Unhold/><Say>Bye</Say>");
    world.tells(&[
        "B1: stop",
        "Hold[0].Play[0] failed: Replaced by another call flow",
        "Hold[0] ok: Replaced by another call flow",
        "B1 resume",
        "bridge A B1",
        "bridged A B1",
    ]);
    world.hangs_up("B1").tells(&[
        "B1 is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "Unhold[0] ok: Dialled leg hung up",
        "say Bye",
        "B1 is destroyed",
    ]);
}

#[test]
fn one_document_holds_for_a_while_and_takes_back() {
    let mut world = talking();
    post(&mut world, "<Hold timeout='5000'/><Unhold/><Say>Bye</Say>");
    world.forget().pass(5000).tells(&["Hold[0] ok: Hold ended", "B1 resume", "bridge A B1", "bridged A B1"]);
}

#[test]
fn what_runs_between_may_speak_to_either() {
    let mut world = talking();
    post(
        &mut world,
        "<Hold timeout='1'/><Say>To A</Say><Say leg='bleg'>To B</Say><Say leg='both'>To both</Say><Unhold/>",
    );
    world.forget().pass(1).tells(&["Hold[0] ok: Hold ended", "say To A"]);
    world.heard().tells(&["Say[1] ok: Text spoken", "B1: say To B"]);
    world.heard().tells(&["Say[2] ok: Text spoken", "B1: say To both", "say To both"]);
    world.heard();
    assert_eq!(world.told().last().unwrap(), "bridged A B1");
}

#[test]
fn a_key_stops_what_both_hear() {
    let mut world = talking();
    post(&mut world, "<Hold timeout='1'/><Say leg='both' loop='0' dtmf_stop='any'>To both</Say><Pause/>");
    world.pass(1).forget().keys("1").tells(&["B1: stop", "stop", "Say[1] ok: Stopped by key 1"]);
}

#[test]
fn the_other_leg_leaves_while_it_waits() {
    let mut world = talking();
    post(&mut world, HOLD);
    world.forget().hangs_up("B1").tells(&[
        "B1 is hangup 16",
        "B1: stop",
        "Hold[0].Play[0] failed: Other leg hung up",
        "Hold[0] failed: Other leg hung up",
        "say After",
        "B1 is destroyed",
    ]);
    let mut world = talking();
    post(&mut world, "<Hold timeout='1'/><Pause length='10'/><Unhold/><Say>Bye</Say>");
    world.pass(1).hangs_up("B1").forget().pass(10).tells(&[
        "Pause[1] ok: Pause ended",
        "Unhold[2] failed: there is no other leg",
        "say Bye",
    ]);
}

#[test]
fn the_caller_leaves_while_the_other_waits() {
    let mut world = talking();
    post(&mut world, HOLD);
    world.forget().hangs_up("A");
    assert_eq!(
        world.told(),
        [
            "A is hangup 16",
            "B1: stop",
            "Hold[0].Play[0] failed: Call hangup",
            "Hold[0] ok: Call hangup",
            "B1 hangup 16",
            "B1 is hangup 16",
            "B1 is destroyed",
            "A is destroyed",
            "finished",
        ]
    );
}

#[test]
fn a_document_about_something_else_hangs_the_other_leg_up() {
    let mut world = talking();
    post(&mut world, HOLD);
    world.forget();
    post(&mut world, "<Say>New</Say>");
    world.tells(&[
        "B1 hangup 16",
        "B1 is hangup 16",
        "B1: stop",
        "Hold[0].Play[0] failed: Replaced by another call flow",
        "Hold[0] ok: Replaced by another call flow",
        "say New",
        "B1 is destroyed",
    ]);
    let mut world = talking();
    post(&mut world, "<Hold timeout='1'/><Dial><To>2</To></Dial>");
    world.forget().pass(1);
    assert_eq!(world.told()[..2], ["Hold[0] ok: Hold ended", "B1 hangup 16"]);
}

#[test]
fn there_is_nobody_to_hold() {
    let mut world = World::live(HOLD);
    assert_eq!(world.told()[4..], ["Hold[0] failed: there is no other leg", "say After"]);
}

#[test]
fn a_call_that_was_rung_through_is_held_too() {
    let dial = DialSpec::new(vec![DialTarget::Number("1".into())], std::time::Duration::from_secs(30));
    let mut world = World::inbound_to(Target::Bridge { dial }, false);
    world.leg("B1", LegEvent::Answered).answer().forget();
    post(&mut world, "<Hold/>");
    world.tells(&["unbridge A B1", "unbridged A B1", "B1 hold"]);
    let held = world.snapshot("B1");
    assert_eq!((held.freeswitch_call_state, held.state), ("HELD", CallState::Live));
    post(&mut world, "<Unhold/>");
    world.hangs_up("B1");
    assert!(world.finished);
}

#[test]
fn the_longest_conversation_goes_on_counting() {
    let mut world = World::live("<Dial max_length='60'><To>1</To></Dial><Say>Bye</Say>");
    world.leg("B1", LegEvent::Answered);
    post(&mut world, "<Hold timeout='10000'/><Unhold/><Say>Bye</Say>");
    world.pass(59_999).forget().pass(1).tells(&[
        "B1 hangup 16",
        "B1 is hangup 16",
        "unbridge A B1",
        "unbridged A B1",
        "Unhold[1] ok: Longest conversation reached",
        "say Bye",
        "B1 is destroyed",
    ]);
}
