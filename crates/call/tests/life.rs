//! How calls begin, wait and end.

mod world;

use std::time::Duration;

use opentact_call::*;
use world::{A, World};

fn ask() -> HttpRequest {
    HttpRequest {
        query: vec![("from".into(), "+12015550100".into())],
        timeout: Some(Duration::from_secs(5)),
        ..HttpRequest::get("https://a.example/flow")
    }
}

#[test]
fn a_parked_call_runs_what_comes_by_the_api() {
    let mut world = World::inbound_to(Target::Park { timeout: PARK }, false);
    world.tells(&["A is init", "A ring", "A is ringing"]);
    world.pass(29_000).handle(Input::Run(world::document("<Answer/><Pause/>"))).tells(&["A answer"]);
    world.pass(60_000).tells(&[]);
}

#[test]
fn a_parked_call_ends_when_nothing_comes() {
    let mut world = World::inbound_to(Target::Park { timeout: PARK }, false);
    world.forget().pass(30_000).tells(&["A hangup 102", "A is hangup 102", "A is destroyed", "finished"]);
    let mut world = World::inbound_to(Target::Park { timeout: PARK }, true);
    world.answer().forget().pass(30_000).tells(&["A hangup 16", "A is hangup 16", "A is destroyed", "finished"]);
}

#[test]
fn a_flow_is_fetched_while_the_call_rings() {
    let mut world = World::inbound_to(Target::Fetch { request: ask(), fallback: None }, false);
    world.tells(&["A is init", "A ring", "A is ringing", "GET https://a.example/flow"]);
    world.fetched(200, "<Response><Answer/></Response>").tells(&["A answer"]);
}

#[test]
fn a_flow_that_cannot_be_fetched_ends_the_call() {
    let fetch = || World::inbound_to(Target::Fetch { request: ask(), fallback: None }, false);
    let ended = ["A hangup 41", "A is hangup 41", "A is destroyed", "finished"];
    let mut world = fetch();
    world.forget().fetched(500, "").tells(&ended);
    assert_eq!(world.snapshots.last().unwrap().reason.as_deref(), Some("call flow: HTTP 500"));
    fetch().forget().unreachable("connection refused").tells(&ended);
    fetch().forget().fetched(200, "no xml").tells(&ended);
    fetch().forget().pass(5000).tells(&[&["drop request"], &ended[..]].concat());
}

#[test]
fn a_flow_that_cannot_be_fetched_has_a_fallback() {
    let fallback = Some(HttpRequest::get("https://b.example/flow"));
    let mut world = World::inbound_to(Target::Fetch { request: ask(), fallback: fallback.clone() }, false);
    world.forget().fetched(404, "").tells(&["GET https://b.example/flow"]);
    assert_eq!(world.request().query, [("error".to_owned(), "HTTP 404".to_owned())]);
    world.fetched(200, "<Response><Say>Later</Say></Response>").tells(&["A progress", "say Later"]);
    let mut world = World::inbound_to(Target::Fetch { request: ask(), fallback }, false);
    world.pass(5000).forget().fetched(500, "").tells(&["A hangup 41", "A is hangup 41", "A is destroyed", "finished"]);
}

#[test]
fn an_app_that_has_no_flow_yet_parks_the_call() {
    let mut world = World::inbound_to(Target::Fetch { request: ask(), fallback: None }, false);
    world.forget().fetched(204, "").tells(&[]);
    world.handle(Input::Run(world::document("<Answer/>"))).tells(&["A answer"]);
}

#[test]
fn the_caller_gives_up_while_the_flow_is_fetched() {
    let mut world = World::inbound_to(Target::Fetch { request: ask(), fallback: None }, false);
    world.forget().hangs_up("A").tells(&["A is hangup 16", "drop request", "A is destroyed", "finished"]);
}

#[test]
fn an_outbound_call_runs_its_flow_once_answered() {
    let mut world = World::outbound(Target::Flow(world::document("<Say>Hi</Say>")));
    world.tells(&["A is init", "A dial 12015550123 from 12015550199"]);
    world.leg("A", LegEvent::Ringing).tells(&["A is ringing"]);
    world.answer().tells(&["A is live", "say Hi"]);
}

#[test]
fn who_answers_without_ringing_has_rung() {
    let mut world = World::outbound(Target::Flow(world::document("<Pause/>")));
    world.forget().answer().tells(&["A is ringing", "A is live"]);
    let live = world.snapshots.last().unwrap();
    assert!(live.ring_on.is_some() && live.ring_on <= live.answer_on);
}

#[test]
fn an_outbound_call_is_refused() {
    let mut world = World::outbound(Target::Flow(world::document("<Say>Hi</Say>")));
    world.forget().fails("A", 486).tells(&["A is hangup 17", "A is destroyed", "finished"]);
    let last = world.snapshots.last().unwrap();
    assert_eq!(last.message(), "CallSCA out 12015550199 > 12015550123 - destroyed");
    assert_eq!((last.duration, last.answer_on, last.reason.as_deref()), (0, None, Some("SIP 486")));
}

#[test]
fn an_outbound_call_that_nobody_answers_is_given_up() {
    let mut world = World::outbound(Target::Park { timeout: PARK });
    world.leg("A", LegEvent::Ringing).forget().pass(60_000).tells(&[
        "A hangup 19",
        "A is hangup 19",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn a_flow_given_before_the_answer_is_the_one_that_runs() {
    let mut world = World::outbound(Target::Park { timeout: PARK });
    world.forget().handle(Input::Run(world::document("<Say>New</Say>"))).tells(&[]);
    world.answer().tells(&["A is ringing", "A is live", "say New"]);
}

#[test]
fn the_api_hangs_up_at_any_time() {
    let cause = Q850::CALL_REJECTED;
    for world in [
        &mut World::inbound("<Pause/>"),
        &mut World::live("<Pause/>"),
        &mut World::outbound(Target::Park { timeout: PARK }),
    ] {
        world.forget().handle(Input::Hangup { leg: A, cause });
        let told = world.told();
        assert_eq!(told[..2], ["A hangup 21", "A is hangup 21"]);
        assert_eq!(told[told.len() - 2..], ["A is destroyed", "finished"]);
        // And once more is nothing.
        world.handle(Input::Hangup { leg: A, cause }).hangs_up("A").tells(&[]);
    }
}

#[test]
fn the_longest_call_is_kept() {
    let target = Target::Flow(world::document("<Answer/><Pause length='100000'/>"));
    let mut world = World::inbound_with(target, false, Some(Duration::from_secs(60)));
    world.pass(2000).answer().forget().pass(59_999).tells(&[]);
    world.pass(1).tells(&[
        "A hangup 16",
        "A is hangup 16",
        "Pause[1] failed: Call hangup",
        "A is destroyed",
        "finished",
    ]);
    let last = world.snapshots.last().unwrap();
    assert_eq!(last.duration, 60);
    assert_eq!(last.reason.as_deref(), Some("longest call length reached"));
}

#[test]
fn a_call_whose_media_is_never_closed_is_destroyed_all_the_same() {
    let mut world = World::live("<Pause/>");
    world.closes = false;
    world.hangs_up("A").forget().pass(14_999).tells(&[]);
    world.pass(1).tells(&["A is destroyed", "finished"]);
    world.leg("A", LegEvent::Closed).tells(&[]);
}

#[test]
fn states_look_like_those_of_freeswitch() {
    let mut world = World::live("<Hangup/>");
    world.forget();
    let seen: Vec<_> =
        world.snapshots.iter().map(|leg| (leg.freeswitch_call_state, leg.freeswitch_channel_state)).collect();
    assert_eq!(
        seen,
        [
            ("DOWN", "CS_INIT"),
            ("RINGING", "CS_ROUTING"),
            ("ACTIVE", "CS_EXECUTE"),
            ("HANGUP", "CS_HANGUP"),
            ("HANGUP", "CS_DESTROY")
        ]
    );
}

#[test]
fn the_same_call_makes_the_same_legs() {
    let legs = || {
        let world = World::live("<Dial><To>1</To><To>2</To></Dial>");
        world.call.legs().collect::<Vec<_>>()
    };
    assert_eq!(legs(), legs());
    assert_eq!(legs()[1].0.get_version_num(), 7);
    assert_ne!(legs()[1], legs()[2]);
}
