//! Record.

mod world;

use opentact_call::*;
use world::World;

#[test]
fn records_while_its_children_run() {
    let mut world =
        World::inbound("<Record tag='survey'><Say>How are you?</Say><Pause length='3000'/></Record><Pause/>");
    world.forget().answer().tells(&["A is live", "record survey", "say How are you?"]);
    world.heard().pass(3000).tells(&[
        "Record[0].Say[0] ok: Text spoken",
        "Record[0].Pause[1] ok: Pause ended",
        "stop record",
        "recorded survey",
        "Record[0] ok: Recording stored",
    ]);
}

#[test]
fn a_message_ends_by_key_silence_or_timeout() {
    let message = || {
        let mut world = World::live("<Record dtmf_stop='#' silence='3000' timeout='60000'/><Pause/>");
        world.forget();
        world
    };
    message().keys("1").keys("#").tells(&["stop record", "recorded -", "Record[0] ok: Stopped by key #"]);
    message().stored(RecordingEnd::Silence).tells(&["recorded -", "Record[0] ok: Stopped by silence"]);
    message().stored(RecordingEnd::Full).tells(&["recorded -", "Record[0] ok: Stopped by timeout"]);
    // The recorder should end by itself; when it does not, it is told to.
    message().pass(61_000).tells(&["stop record", "recorded -", "Record[0] ok: Stopped by timeout"]);
}

#[test]
fn a_recording_that_ends_ends_what_runs_inside() {
    let mut world = World::live("<Record timeout='2000'><Say>Long</Say><Say>Never</Say></Record><Pause/>");
    world.forget().stored(RecordingEnd::Full).tells(&[
        "recorded -",
        "stop",
        "Record[0].Say[0] ok: Ended with the enclosing element",
        "Record[0] ok: Stopped by timeout",
    ]);
}

#[test]
fn the_caller_hangs_up_and_the_message_is_kept() {
    let mut world = World::live("<Record tag='message'/>");
    world.forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "stop record",
        "Record[0] ok: Call hangup",
        "recorded message",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn a_call_is_destroyed_only_once_its_recording_is_stored() {
    let mut world = World::live("<Record tag='message'/>");
    world.stores = false;
    world.forget().hangs_up("A").tells(&["A is hangup 16", "stop record", "Record[0] ok: Call hangup"]);
    world.pass(3000).stored(RecordingEnd::Stopped).tells(&["recorded message", "A is destroyed", "finished"]);
}

#[test]
fn a_recording_that_is_never_stored_does_not_keep_the_call() {
    let mut world = World::live("<Record/>");
    world.stores = false;
    world.hangs_up("A").forget().pass(15_000).tells(&["A is destroyed", "finished"]);
}

#[test]
fn a_recording_that_fails_runs_the_error_block() {
    let mut world = World::live("<Record><Error><Say>Disk full</Say></Error></Record><Pause/>");
    world.forget();
    let id = 1;
    world.handle(Input::Recorded { id, result: Err("no space left".into()) }).tells(&["say Disk full"]);
    world.heard();
    assert_eq!(world.steps.last().unwrap().reason, "no space left");
}
