//! Step reports, whole.

mod world;

use opentact_call::*;
use world::World;

#[test]
fn a_menu_that_dials_and_fails() {
    let mut world = World::inbound(
        "<Answer/><Gather tag='menu' numDigits='1'><Say>Press one</Say><DTMF value='1'><Dial tag='boss' timeout='20'><To>12015550123</To><To>boss@home.example</To><Error say='true'><Record tag='message' beep='true'/></Error></Dial></DTMF></Gather>",
    );
    world.answer().keys("1").leg("B2", LegEvent::Ringing).fails("B1", 486).pass(20_000).heard().hangs_up("A");
    insta::assert_debug_snapshot!(world.steps);
}

#[test]
fn faults_of_a_fetched_document() {
    let mut world = World::live("<Callback url='https://a.example/{{from}}' tag='next'/>");
    world.fetched(
        200,
        "<Response>\n<Say vioce='x' tag='hi'>Hi</Say>\n<Error><Play>{{meta.none}}</Play></Error>\n<Queue name='x'/>\n</Response>",
    );
    assert!(world.finished);
    insta::assert_debug_snapshot!(world.steps);
}
