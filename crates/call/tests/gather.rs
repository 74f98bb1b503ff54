//! Gather.

mod world;

use world::World;

const MENU: &str = "<Gather tag='menu'><Say>One or two</Say><Pause/><DTMF value='1'><Say>First</Say></DTMF><DTMF value='2'><Say>Second</Say></DTMF><Default><Say>Wrong</Say></Default><Error><Say>Nothing</Say></Error></Gather><Pause/>";

#[test]
fn a_call_that_rings_is_answered_first() {
    let mut world = World::inbound("<Gather><Say>Press</Say></Gather>");
    world.tells(&["A is init", "A ring", "A is ringing", "A answer"]);
    world.answer().tells(&["A is live", "say Press"]);
}

#[test]
fn a_key_stops_the_prompt_at_once_and_chooses() {
    let mut world = World::live(MENU);
    world.forget().keys("2").tells(&["stop", "Gather[0].Say[0] ok: Stopped by key 2", "say Second"]);
    world.heard().tells(&[
        "Gather[0].DTMF[3].Say[0] ok: Text spoken",
        "Gather[0].DTMF[3] ok: Elements done",
        "Gather[0] ok: Keys entered: 2",
    ]);
    let step = world.steps.last().unwrap();
    let inside: Vec<&str> = step.children.iter().map(|child| child.path.as_str()).collect();
    assert_eq!(inside, ["Gather[0].Say[0]", "Gather[0].DTMF[3]"]);
    assert_eq!(step.tag.as_deref(), Some("menu"));
}

#[test]
fn prompts_play_in_turn_then_the_time_for_a_key_runs() {
    let mut world = World::live(MENU);
    world.forget().heard().tells(&["Gather[0].Say[0] ok: Text spoken"]);
    world.pass(1000).tells(&["Gather[0].Pause[1] ok: Pause ended"]);
    world.pass(4999).tells(&[]);
    world.pass(1).tells(&["say Nothing"]);
    world.heard().tells(&[
        "Gather[0].Error[5].Say[0] ok: Text spoken",
        "Gather[0].Error[5] ok: Elements done",
        "Gather[0] failed: No keys entered",
    ]);
}

#[test]
fn keys_that_match_nothing_run_the_default() {
    let mut world = World::live(MENU);
    world.forget().keys("7").tells(&["stop", "Gather[0].Say[0] ok: Stopped by key 7", "say Wrong"]);
}

#[test]
fn keys_that_match_nothing_are_no_failure() {
    let mut world = World::live("<Gather><DTMF value='1'/><Error><Hangup/></Error></Gather><Pause/>");
    world.forget().keys("7").tells(&["Gather[0] ok: Keys entered: 7, none matches"]);
}

#[test]
fn the_prompts_are_repeated_while_nothing_is_entered() {
    let mut world = World::live("<Gather attempts='3' timeout='1000'><Say>Press</Say></Gather><Pause/>");
    world.forget();
    for _ in 0..2 {
        world.heard().pass(1000).tells(&["Gather[0].Say[0] ok: Text spoken", "say Press"]);
    }
    world.heard().pass(1000).tells(&["Gather[0].Say[0] ok: Text spoken", "Gather[0] failed: No keys entered"]);
}

#[test]
fn several_keys_end_by_length_finish_key_or_silence() {
    let gather = |keys: &str| {
        let mut world = World::live("<Gather dtmf_length='4' timeout='2000'/><Pause/>");
        world.forget().keys(keys);
        world
    };
    gather("1234").tells(&["Gather[0] ok: Keys entered: 1234, none matches"]);
    gather("12#").tells(&["Gather[0] ok: Keys entered: 12, none matches"]);
    let mut slow = gather("1");
    slow.pass(1900).keys("2").pass(1900).keys("*").pass(1999).tells(&[]);
    slow.pass(1).tells(&["Gather[0] ok: Keys entered: 12*, none matches"]);
    gather("#").tells(&["Gather[0] failed: No keys entered"]);
}

#[test]
fn the_form_of_2021_ends_with_a_star_and_counts_the_time_of_an_attempt() {
    let mut world = World::live("<Gather numDigits='4' timeout='2000'/><Pause/>");
    world.forget().keys("1").pass(1900).keys("#").pass(99).tells(&[]);
    world.pass(1).tells(&["Gather[0] ok: Keys entered: 1#, none matches"]);
    let mut world = World::live("<Gather numDigits='4'/><Pause/>");
    world.forget().keys("12*").tells(&["Gather[0] ok: Keys entered: 12, none matches"]);
}

#[test]
fn the_cases_of_2021_are_chosen_too() {
    let mut world = World::live(
        "<Gather><Switch><Case dtmf='1'><Say>First</Say></Case><Default><Say>Other</Say></Default></Switch></Gather><Pause/>",
    );
    world.forget().keys("1").heard().tells(&[
        "say First",
        "Gather[0].Switch[0].Case[0].Say[0] ok: Text spoken",
        "Gather[0].Switch[0].Case[0] ok: Elements done",
        "Gather[0].Switch[0] ok: Elements done",
        "Gather[0] ok: Keys entered: 1",
    ]);
    let mut world = World::live("<Gather><Case dtmf='1'><Say>First</Say></Case></Gather><Pause/>");
    world.forget().keys("1").tells(&["say First"]);
}

#[test]
fn a_prompt_that_is_not_to_be_interrupted_goes_on() {
    let mut world = World::live("<Gather dtmf_length='2' interrupt='false'><Say>Listen</Say></Gather><Pause/>");
    world.forget().keys("1").tells(&[]);
    world.heard().tells(&["Gather[0].Say[0] ok: Text spoken"]);
    world.keys("2").tells(&["Gather[0] ok: Keys entered: 12, none matches"]);
}

#[test]
fn a_url_is_asked_and_its_answer_run() {
    let mut world = World::live(
        "<Gather tag='pin' dtmf_length='2' url='https://a.example/pin?x=1'><Error><Say>Sorry</Say></Error></Gather><Pause/>",
    );
    world.forget().keys("42").tells(&["GET https://a.example/pin?x=1"]);
    let query: Vec<String> = world.request().query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        query.join("&"),
        "dtmf=42&from=+12015550100&to=12015550199&call=00000000-0000-0000-0000-00000000000a&state=live&tag=pin&code=42&attempts=1&success=true"
    );
    world.fetched(200, "<Response><Say>Welcome</Say></Response>").tells(&["say Welcome"]);
    world.heard().tells(&["Gather[0].Say[0] ok: Text spoken", "Gather[0] ok: Keys entered: 42"]);
}

#[test]
fn a_url_that_fails_runs_the_error_block() {
    let xml = "<Gather url='https://a.example/pin'><Error><Say>Sorry</Say></Error></Gather><Pause/>";
    let mut world = World::live(xml);
    world.forget().keys("4").fetched(500, "").tells(&["GET https://a.example/pin", "say Sorry"]);
    world.heard();
    assert_eq!(world.steps.last().unwrap().reason, "HTTP 500");
    let mut world = World::live(xml);
    world.forget().keys("4").pass(10_000).tells(&["GET https://a.example/pin", "drop request", "say Sorry"]);
}

#[test]
fn the_caller_hangs_up_while_keys_are_awaited() {
    let mut world = World::live(MENU);
    world.forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "stop",
        "Gather[0].Say[0] failed: Call hangup",
        "Gather[0] failed: Call hangup",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn keys_are_no_keys_of_a_block_that_runs() {
    let mut world = World::live(MENU);
    world.keys("1").forget().keys("22").tells(&[]);
}

#[test]
fn the_finish_key_may_be_a_choice() {
    let xml = "<Gather dtmf_length='3'><DTMF value='#'><Say>Operator</Say></DTMF><DTMF value='12'/></Gather><Pause/>";
    World::live(xml).forget().keys("#1").pass(5000).tells(&["Gather[0] ok: Keys entered: #1, none matches"]);
    let mut world = World::live(&xml.replace("dtmf_length='3'", ""));
    world.forget().keys("#").tells(&["say Operator"]);
    World::live(xml)
        .forget()
        .keys("12#")
        .tells(&["Gather[0].DTMF[1] ok: Elements done", "Gather[0] ok: Keys entered: 12"]);
}
