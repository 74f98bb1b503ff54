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

#[test]
fn a_recording_that_is_cut_off_is_told_and_fails_its_element() {
    let mut world = World::live("<Record tag='message'><Error><Say>Disk full</Say></Error></Record><Pause/>");
    world.forget();
    let (ended_by, incomplete) = (RecordingEnd::CutOff, Some("no space left".into()));
    let recording = Recording { duration_ms: 900, rate: 8000, bytes: 14_444, ended_by, incomplete };
    world.handle(Input::Recorded { id: 1, result: Ok(recording) }).tells(&["recorded message", "say Disk full"]);
    world.heard();
    assert_eq!(world.steps.last().unwrap().reason, "no space left");
}

#[test]
fn recordings_in_the_background_go_on_beside_other_elements() {
    let mut world = World::inbound(
        "<RecordStart tag='all'/><RecordStart tag='all'/><Record tag='part'/><RecordStop tag='all'/>\
         <RecordWait tag='all'/><RecordStop tag='none'/><RecordWait/><Pause/>",
    );
    world.stores = false;
    world.forget().answer().tells(&[
        "A is live",
        "record all",
        "RecordStart[0] ok: Recording started",
        "RecordStart[1] failed: a recording with tag `all` runs already",
        "record part",
    ]);
    world.forget();
    let stored = |id| {
        let ended_by = RecordingEnd::Stopped;
        let recording = Recording { duration_ms: 1, rate: 8000, bytes: 1, ended_by, incomplete: None };
        Input::Recorded { id, result: Ok(recording) }
    };
    world.handle(stored(2)).tells(&[
        "recorded part",
        "Record[2] ok: Recording stored",
        "stop record",
        "RecordStop[3] ok: Recording stopped",
    ]);
    world.forget();
    world.handle(stored(1)).tells(&[
        "recorded all",
        "RecordWait[4] ok: Recording stored",
        "RecordStop[5] failed: no recording with tag `none` was started",
        "RecordWait[6] ok: Recording stored",
    ]);
}

#[test]
fn a_background_recording_that_is_not_stored_in_time_or_fails_says_so() {
    let mut world = World::inbound("<RecordStart/><RecordStop/><RecordWait timeout='2000'/><RecordWait/><Pause/>");
    world.stores = false;
    world.answer().forget().pass(2000).tells(&["RecordWait[2] failed: the recording was not stored in time"]);
    world.forget();
    let result = Err("no space left".into());
    world.handle(Input::Recorded { id: 1, result }).tells(&["RecordWait[3] failed: no space left"]);
}

#[test]
fn a_background_recording_is_kept_when_the_call_ends() {
    let mut world = World::live("<RecordStart tag='all'/><Pause length='60000'/>");
    world.stores = false;
    world.forget().hangs_up("A").tells(&["A is hangup 16", "Pause[1] failed: Call hangup"]);
    world.forget();
    world.stored(RecordingEnd::Stopped).tells(&["recorded all", "A is destroyed", "finished"]);
}
