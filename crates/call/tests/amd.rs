//! Who has answered: the flow waits for it, or does not.

#![allow(clippy::unwrap_used)]

mod world;

use opentact_call::*;
use world::World;

const BRANCHES: &str =
    "<Switch on='amd'><Case value='human'><Say>Hello</Say></Case><Default><Say>Beep</Say></Default></Switch>";

fn detected(world: &mut World, answer: &str) {
    world.handle(Input::Detected { answer: answer.into() });
}

fn flow(inside: &str) -> Target {
    Target::Flow(world::document(inside))
}

#[test]
fn the_flow_waits_until_it_is_known_who_has_answered() {
    for (answer, said) in [("human", "say Hello"), ("machine", "say Beep")] {
        let mut world = World::detecting(flow(BRANCHES), Detection::Sync);
        world.forget().answer().tells(&["A is ringing", "A is live", "detect A"]);
        detected(&mut world, answer);
        world.tells(&[said]);
    }
}

#[test]
fn the_flow_runs_at_once_where_it_is_told_later() {
    let mut world = World::detecting(flow("<Pause length='1000'/><Say>It was {{amd}}</Say>"), Detection::Async);
    world.forget().answer().tells(&["A is ringing", "A is live", "detect A"]);
    detected(&mut world, "beep");
    world.tells(&[]).pass(1_000).tells(&["Pause[0] ok: Pause ended", "say It was beep"]);
}

#[test]
fn a_document_by_rest_waits_for_nobody() {
    let mut world = World::detecting(flow(BRANCHES), Detection::Sync);
    world.answer().forget().handle(Input::Run(world::document("<Say>At once</Say><Pause/>"))).tells(&["say At once"]);
    detected(&mut world, "human");
    world.tells(&[]);
}

#[test]
fn who_hangs_up_before_it_is_known_ends_the_call() {
    let mut world = World::detecting(flow(BRANCHES), Detection::Sync);
    world.answer().forget().hangs_up("A").tells(&["A is hangup 16", "A is destroyed", "finished"]);
    detected(&mut world, "human");
    world.tells(&[]);
}
