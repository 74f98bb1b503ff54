//! Groups: who they are is asked for, and all of them are rung.

#![allow(clippy::unwrap_used)]

mod world;

use opentact_call::*;
use world::World;

const GROUP: &str = "group:6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1001";
const ASKED: &str = "members of 6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1001";
const ALICE: &str = "alice@home.example";
const BOB: &str = "bob@home.example";

fn dial(more: &str) -> String {
    format!("<Dial {more}><To>{GROUP}</To></Dial><Say>Bye</Say>")
}

#[test]
fn all_members_ring_and_the_first_to_answer_has_the_call() {
    let mut world = World::live(&dial(""));
    assert_eq!(world.told()[4..], [ASKED]);
    world.members(&[ALICE, BOB]).tells(&[
        "B1 is init",
        "B1 dial alice@home.example",
        "B2 is init",
        "B2 dial bob@home.example",
    ]);
    // Of several nobody is heard before the answer.
    world.leg("B1", LegEvent::EarlyMedia).tells(&["B1 is ringing", "tone [440.0, 480.0] x0"]);
    world.fails("B1", 603).tells(&["B1 is hangup 21", "B1 is destroyed"]);
    world.leg("B2", LegEvent::Answered).tells(&["B2 is ringing", "B2 is live", "stop", "bridge A B2", "bridged A B2"]);
}

#[test]
fn who_is_dialled_beside_a_group_rings_meanwhile_and_may_be_first() {
    let xml = format!("<Dial><To>{GROUP}</To><To>12015550123</To></Dial><Say>Bye</Say>");
    let mut world = World::live(&xml);
    assert_eq!(world.told()[4..], [ASKED, "B1 is init", "B1 dial 12015550123"]);
    world.leg("B1", LegEvent::Answered).forget();
    // Too late.
    world.members(&[ALICE]).tells(&[]);
    world.hangs_up("B1");
    assert!(world.told().contains(&"Dial[0] ok: Dialled leg hung up".to_owned()));
}

#[test]
fn a_group_of_nobody_fails_with_its_reason() {
    let mut world = World::live(&dial(""));
    world.forget().no_members(404, "group 1 does not exist").tells(&[
        "Dial[0] failed: [originate] ERR group 1 does not exist. no any destinations are accept the call 1/1",
        "say Bye",
    ]);
}

#[test]
fn one_after_the_other_a_group_is_one_turn() {
    let xml = format!("<Dial sequential='true'><To>12015550123</To><To>{GROUP}</To></Dial><Say>Bye</Say>");
    let mut world = World::live(&xml);
    world.forget().fails("B1", 486);
    assert!(world.told().contains(&ASKED.to_owned()));
    world.members(&[ALICE, BOB]).forget();
    world.fails("B2", 486).forget().fails("B3", 486);
    let reason = "USER_BUSY, USER_BUSY, USER_BUSY. no any destinations are accept the call 3/3";
    assert!(world.told().iter().any(|line| line.starts_with("Dial[0] failed") && line.ends_with(reason)));
}

#[test]
fn a_group_that_nobody_tells_of_is_given_up_in_time() {
    let mut world = World::live(&dial("timeout='20'"));
    world.forget().pass(20_000);
    assert!(world.told().contains(&"say Bye".to_owned()));
    world.members(&[ALICE]).tells(&[]);
}

#[test]
fn the_caller_leaves_while_a_group_is_looked_up() {
    let mut world = World::live(&dial(""));
    world.hangs_up("A").forget().members(&[ALICE]).tells(&[]);
}
