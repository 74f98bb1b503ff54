//! Answer, Say, Play, Tone, Pause, Hangup, Meta, Error, and how a flow begins and ends.

mod world;

use opentact_call::*;
use world::World;

#[test]
fn a_call_is_answered_spoken_to_and_hung_up_at_the_end_of_the_document() {
    let mut world = World::inbound("<Answer/><Say>Hello</Say>");
    world.tells(&["A is init", "A ring", "A is ringing", "A answer"]);
    world.answer().tells(&["A is live", "Answer[0] ok: Call answered", "say Hello"]);
    world.pass(2000).heard().tells(&[
        "Say[1] ok: Text spoken",
        "A hangup 16",
        "A is hangup 16",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn answer_waits_for_its_delay() {
    let mut world = World::inbound("<Answer delay='500'/><Pause/>");
    world.forget().answer().tells(&["A is live"]);
    world.pass(499).tells(&[]);
    world.pass(1).tells(&["Answer[0] ok: Call answered"]);
}

#[test]
fn answer_on_a_live_call_does_nothing() {
    let mut world = World::live("<Answer/><Pause/>");
    world.tells(&["A is init", "A is ringing", "A answer", "A is live", "Answer[0] ok: Call answered"]);
}

#[test]
fn prompts_before_the_answer_are_early_media() {
    let mut world = World::inbound("<Say>Wait</Say><Play>https://a.example/b.wav</Play><Answer/><Pause/>");
    world.tells(&["A is init", "A ring", "A is ringing", "A progress", "say Wait"]);
    world.heard().tells(&["Say[0] ok: Text spoken", "play https://a.example/b.wav"]);
    assert_eq!(
        world
            .call
            .leg(Now { instant: std::time::Instant::now(), utc: chrono::Utc::now() }, world::A)
            .unwrap()
            .freeswitch_call_state,
        "EARLY"
    );
    world.heard().tells(&["Play[1] ok: Sound played", "A answer"]);
    world.answer().tells(&["A is live", "Answer[2] ok: Call answered"]);
}

#[test]
fn the_caller_hangs_up_in_the_middle_of_a_sentence() {
    let mut world = World::live("<Say>Long</Say><Say>Never</Say>");
    world.forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "stop",
        "Say[0] failed: Call hangup",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn a_key_stops_a_prompt_that_allows_it() {
    let mut world = World::live("<Say dtmf_stop='#*'>Long</Say><Say>Next</Say>");
    world.forget().keys("1").tells(&[]);
    world.keys("*").tells(&["stop", "Say[0] ok: Stopped by key *", "say Next"]);
    world.keys("*").tells(&[]);
}

#[test]
fn a_voice_that_does_not_exist_fails_and_its_error_block_runs() {
    let mut world = World::live("<Say code='nobody'>Hi<Error tag='sorry'><Pause length='100'/></Error></Say><Pause/>");
    world.forget().mute("no voice `nobody`").tells(&[]);
    world.pass(100).tells(&[
        "Say[0].Error[0].Pause[0] ok: Pause ended",
        "Say[0].Error[0] ok: Elements done",
        "Say[0] failed: no voice `nobody`",
    ]);
    let step = world.steps.last().unwrap();
    assert_eq!(step.error[0].tag.as_deref(), Some("sorry"));
    assert_eq!(step.error[0].children[0].path, "Say[0].Error[0].Pause[0]");
    assert!(step.children.is_empty());
    assert_eq!(step.message(), "Say: success false, reason: no voice `nobody`");
}

#[test]
fn an_error_block_may_follow_its_element_and_speak_the_reason() {
    let mut world =
        World::live("<Play>https://a.example/none.wav</Play><Error say='true'><Hangup cause='17'/></Error>");
    world.forget().mute("HTTP 404").tells(&["say HTTP 404"]);
    world.heard().tells(&[
        "Error[1].Hangup[0] ok: Call hangup",
        "Error[1] ok: Call hangup",
        "Play[0] failed: HTTP 404",
        "A hangup 17",
        "A is hangup 17",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn an_error_block_does_not_run_when_all_is_well() {
    let mut world = World::live("<Say>Hi</Say><Error><Hangup/></Error><Pause/>");
    world.forget().heard().tells(&["Say[0] ok: Text spoken"]);
}

#[test]
fn a_recording_of_the_call_is_played_by_its_tag() {
    let mut world = World::live("<Play record='greeting' loop='2'/>");
    assert_eq!(world.told().last().unwrap(), "play recording greeting x2");
}

#[test]
fn a_tone_without_attributes_is_the_ringback_of_the_callees_country() {
    let mut world = World::live("<Tone timeout='3000'/><Pause/>");
    assert_eq!(world.told().last().unwrap(), "tone [440.0, 480.0] x0");
    world.pass(3000).tells(&["stop", "Tone[0] ok: Tone played"]);
}

#[test]
fn a_tone_ends_with_its_cadence() {
    let mut world = World::live("<Tone hz='950x2;1400' don='330' doff='0,0,1000' v='-20'/><Pause/>");
    assert_eq!(world.told().last().unwrap(), "tone [950.0]");
    world.heard().tells(&["Tone[0] ok: Tone played"]);
}

#[test]
fn nobody_is_there_to_hear_a_prompt_for_the_other_leg() {
    let mut world = World::live("<Say leg='bleg'>Hi</Say><Pause/>");
    assert_eq!(world.told().last().unwrap(), "Say[0] failed: there is no other leg");
}

#[test]
fn pause_waits_or_ends_by_a_key() {
    let mut world = World::live("<Pause length='2000'/><Pause length='9000' dtmf_stop='any'/><Pause/>");
    world.forget().pass(1999).keys("5").tells(&[]);
    world.pass(1).tells(&["Pause[0] ok: Pause ended"]);
    world.keys("5").tells(&["Pause[1] ok: Stopped by key 5"]);
}

#[test]
fn hangup_carries_its_cause_and_tag_and_nothing_runs_after_it() {
    let mut world = World::live("<Hangup cause='21' tag='fraud'/><Say>Never</Say>");
    world.tells(&[
        "A is init",
        "A is ringing",
        "A answer",
        "A is live",
        "Hangup[0] ok: Call hangup",
        "A hangup 21",
        "A is hangup 21",
        "A is destroyed",
        "finished",
    ]);
    let hangup = world.snapshots.iter().find(|leg| leg.state == CallState::Hangup).unwrap();
    assert_eq!(hangup.hangup_tag.as_deref(), Some("fraud"));
    assert_eq!(hangup.q850.map(Q850::text), Some("Call rejected"));
}

#[test]
fn reject_refuses_a_call_that_rings() {
    let mut world = World::inbound("<Reject reason='busy'/>");
    world.tells(&[
        "A is init",
        "A ring",
        "A is ringing",
        "Reject[0] ok: Call rejected",
        "A reject 486",
        "A is hangup 17",
        "A is destroyed",
        "finished",
    ]);
    let mut world = World::live("<Reject/><Error><Pause/></Error>");
    world.forget().pass(1000);
    assert_eq!(world.steps.last().unwrap().reason, "Call is already answered");
}

#[test]
fn variables_are_replaced_when_the_element_runs() {
    let mut world =
        World::live("<Meta name='who'>Ann</Meta><Say>Hi {{meta.who}}, you called from {{from}}{{nothing}}</Say>");
    assert_eq!(world.told().last().unwrap(), "say Hi Ann, you called from +12015550100");
}

#[test]
fn a_variable_that_does_not_fit_fails_the_element() {
    let mut world = World::live("<Pause length='{{from}}'/><Say>Next</Say>");
    let told = world.told();
    assert_eq!(told[4], "Pause[0] failed: attribute `length`: `+12015550100` is not milliseconds from 0 to 86400000");
    assert_eq!(told[5], "say Next");
}

#[test]
fn an_element_with_a_fault_fails_and_the_flow_goes_on() {
    let mut world = World::live("<Sya>Hello</Sya><Error><Pause length='10'/></Error><Conference/><Say>Next</Say>");
    world.forget().pass(10).tells(&[
        "Error[1].Pause[0] ok: Pause ended",
        "Error[1] ok: Elements done",
        "Sya[0] failed: unknown element `Sya`, did you mean `Say`?",
        "Conference[2] failed: `Conference` is not supported by this version",
        "say Next",
    ]);
}

#[test]
fn call_runs_its_elements_when_the_field_equals() {
    let mut world = World::live(
        "<Call field='from' value='+1201'><Hangup/></Call><Call field='STATE' value='live'/><Call field='state' value='live'><Pause length='1'/></Call><Call field='tn' value='null'><Say>No number</Say></Call>",
    );
    world.forget().pass(1).tells(&["Call[2].Pause[0] ok: Pause ended", "Call[2] ok: Elements done", "say No number"]);
}

#[test]
fn switch_chooses_by_a_variable() {
    let mut world = World::live(
        "<Meta name='lang' value='de'/><Switch on='meta.lang'><Case value='en'><Hangup/></Case><Case value='de'><Say>Hallo</Say></Case><Default><Hangup/></Default></Switch><Pause/>",
    );
    world.forget().heard().tells(&[
        "Switch[1].Case[1].Say[0] ok: Text spoken",
        "Switch[1].Case[1] ok: Elements done",
        "Switch[1] ok: Elements done",
    ]);
}

#[test]
fn another_document_replaces_what_runs() {
    let mut world = World::live("<Say>Long</Say><Say>Never</Say>");
    world.forget().handle(Input::Run(world::document("<Say>Instead</Say>"))).tells(&[
        "stop",
        "Say[0] failed: Replaced by another call flow",
        "say Instead",
    ]);
    world.heard();
    assert!(world.finished);
}

#[test]
fn an_empty_document_hangs_up() {
    let mut world = World::inbound("");
    world.tells(&[
        "A is init",
        "A ring",
        "A is ringing",
        "A hangup 16",
        "A is hangup 16",
        "A is destroyed",
        "finished",
    ]);
}
