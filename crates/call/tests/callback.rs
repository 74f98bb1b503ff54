//! Callback and Redirect.

mod world;

use opentact_call::*;
use world::World;

const XML: &str = "<Callback url='https://a.example/next' tag='x'><Meta name='step' value='2'/><Error><Say>Sorry</Say></Error></Callback><Say>After</Say>";

#[test]
fn the_answer_is_run_in_place() {
    let mut world = World::live(XML);
    assert_eq!(world.told().last().unwrap(), "GET https://a.example/next");
    let query: Vec<String> = world.request().query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        query.join("&"),
        "from=+12015550100&to=12015550199&call=00000000-0000-0000-0000-00000000000a&state=live&tag=x&step=2"
    );
    world.fetched(200, "<Response><Say>Inside</Say></Response>").tells(&["say Inside"]);
    world.heard().tells(&["Callback[0].Say[0] ok: Text spoken", "Callback[0] ok: HTTP 200", "say After"]);
}

#[test]
fn an_empty_answer_runs_nothing() {
    let mut world = World::live(XML);
    world.forget().fetched(204, "").tells(&["Callback[0] ok: HTTP 204", "say After"]);
}

#[test]
fn the_call_goes_along_where_asked_for() {
    let world = World::live("<Callback body='true' method='POST'>https://a.example/</Callback>");
    assert_eq!(world.request().method, Method::Post);
    assert_eq!(world.request().body, HttpBody::Call);
}

#[test]
fn failures_run_the_error_block() {
    for (status, body, reason) in [
        (404, "", "HTTP 404"),
        (
            200,
            "<Response>",
            "the answer is no call flow: line 1, column 11: not well-formed XML: the root node was opened but never closed",
        ),
        (200, "{\"a\":1}", "the answer is no call flow: line 1, column 1: not well-formed XML: unknown token"),
    ] {
        let mut world = World::live(XML);
        world.forget().fetched(status, body).tells(&["say Sorry"]);
        world.heard();
        assert_eq!(world.steps.last().unwrap().reason, reason);
    }
    let mut world = World::live(XML);
    world.forget().unreachable("connection refused").tells(&["say Sorry"]);
}

#[test]
fn an_answer_that_does_not_come_is_dropped() {
    let mut world = World::live(XML);
    world.forget().pass(9999).tells(&[]);
    world.pass(1).tells(&["drop request", "say Sorry"]);
    world.heard();
    assert_eq!(world.steps.last().unwrap().reason, "no answer in 10000 ms");
}

#[test]
fn a_faulty_element_of_an_answer_fails_alone() {
    let mut world = World::live(XML);
    world
        .forget()
        .fetched(200, "<Response><Say lang='en-US' speed='9'>Hi</Say><Say>Inside</Say></Response>")
        .tells(&["Callback[0].Say[0] failed: unknown attribute `speed`", "say Inside"]);
}

#[test]
fn a_redirect_drops_the_rest() {
    let mut world =
        World::live("<Gather><DTMF value='1'><Redirect>https://a.example/2</Redirect></DTMF></Gather><Say>Never</Say>");
    world.forget().keys("1").fetched(200, "<Response><Say>Second</Say></Response>").tells(&[
        "GET https://a.example/2",
        "Gather[0].DTMF[0].Redirect[0] ok: HTTP 200",
        "Gather[0].DTMF[0] ok: Ended with the enclosing element",
        "Gather[0] ok: Ended with the enclosing element",
        "say Second",
    ]);
    world.heard();
    assert!(world.finished);
}

#[test]
fn the_call_ends_while_the_request_is_out() {
    let mut world = World::live(XML);
    world.forget().hangs_up("A").tells(&[
        "A is hangup 16",
        "drop request",
        "Callback[0] failed: Call hangup",
        "A is destroyed",
        "finished",
    ]);
}

#[test]
fn answers_that_ask_again_are_nested_only_so_deep() {
    let again = "<Response><Callback>https://a.example/</Callback></Response>";
    let mut world = World::live("<Callback>https://a.example/</Callback>");
    let mut asked = 0;
    while !world.finished && asked < 1000 {
        asked += 1;
        world.fetched(200, again);
    }
    assert!(world.finished && asked < 100, "{asked}");
    assert!(world.steps.iter().any(|step| step.reason == "nested too deep"));
}
