//! SIP users: registration, calls between them, and a flow that rings one.

mod world;

use opentact_sip::ua::{Command, Event};
use opentact_sip::uri::Uri;
use world::{DOMAIN, PASSWORD, Peer, World, address, sdp};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_registers_with_the_right_password_only() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let mut phone = Peer::new().await;
    assert_eq!(phone.register(world.sip, "alice", "wrong", 300).await, 403);
    assert_eq!(phone.register(world.sip, "nobody", PASSWORD, 300).await, 403);
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 5).await, 423);
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 0).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_rings_a_registered_phone_and_goes_on_when_it_hangs_up() {
    let mut world = World::new().await;
    world.domain_with(&["alice"]).await;
    world
        .number_with(&format!(
            r#"<Response><Answer/><Dial timeout="30"><To>alice@{DOMAIN}</To></Dial><Hangup tag="after"/></Response>"#
        ))
        .await;
    let mut phone = Peer::new().await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;

    caller.call_number(world.sip, 40_100);
    let ringing = async {
        loop {
            if let Event::Invite { session, request, .. } = phone.event().await {
                assert_eq!(request.from().unwrap().uri.user(), Some("+12025550123"));
                phone.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_102), contact: None });
                while !matches!(phone.event().await, Event::Acked { .. }) {}
                phone.command(Command::Bye { session, headers: Vec::new() });
                return phone.event().await;
            }
        }
    };
    let hung_up = async { while !matches!(caller.event().await, Event::Bye { .. }) {} };
    tokio::join!(ringing, hung_up);

    // Which of the two legs' media is closed first is open; each leg's own order is not.
    let mut story = world.story().await;
    story.extend(world.story().await);
    let (callee, caller): (Vec<_>, Vec<_>) = story.into_iter().partition(|line| line.starts_with("CallUser"));
    insta::assert_snapshot!(callee.join("\n"), @r"
    CallUser out +12025550123 > alice@home.sip.localhost - init
    CallUser out +12025550123 > alice@home.sip.localhost - ringing
    CallUser out +12025550123 > alice@home.sip.localhost - live
    CallUser out +12025550123 > alice@home.sip.localhost - hangup
    CallUser out +12025550123 > alice@home.sip.localhost - destroyed
    ");
    let bridges = caller.iter().filter(|line| line.starts_with("Calls ")).count();
    assert_eq!(bridges, 2, "bridged and unbridged");
    let caller: Vec<_> = caller.into_iter().filter(|line| !line.starts_with("Calls ")).collect();
    insta::assert_snapshot!(caller.join("\n"), @r"
    CallSCA in +12025550123 > 12015550150 - init
    CallSCA in +12025550123 > 12015550150 - ringing
    CallSCA in +12025550123 > 12015550150 - live
    Answer: success true, reason: Call answered
    Dial: success true, reason: Dialled leg hung up
    Hangup: success true, reason: Call hangup
    CallSCA in +12025550123 > 12015550150 - hangup
    CallSCA in +12025550123 > 12015550150 - destroyed
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_calls_another_and_the_refusal_comes_back_as_it_is() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    let uri = Uri::sip(Some("bob"), DOMAIN, None).unwrap();
    alice.credentials = Some(("alice", PASSWORD));
    alice.call(world.sip, address("alice"), uri, 40_200);
    let refuse = async {
        loop {
            if let Event::Invite { session, .. } = bob.event().await {
                bob.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
                bob.settle().await;
                return;
            }
        }
    };
    let refused = async {
        loop {
            if let Event::Failed { code, .. } = alice.event().await {
                return code;
            }
        }
    };
    let ((), code) = tokio::join!(refuse, refused);
    assert_eq!(code, 486);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_registered_cannot_be_reached() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let mut alice = Peer::new().await;
    alice.credentials = Some(("alice", PASSWORD));
    let uri = Uri::sip(Some("bob"), DOMAIN, None).unwrap();
    alice.call(world.sip, address("alice"), uri, 40_300);
    let event = alice.event().await;
    assert!(matches!(event, Event::Failed { code: 480, .. }), "{event:?}");
    let uri = Uri::sip(Some("carol"), DOMAIN, None).unwrap();
    alice.call(world.sip, address("alice"), uri, 40_300);
    let event = alice.event().await;
    assert!(matches!(event, Event::Failed { code: 404, .. }), "{event:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_the_path_that_the_registration_took() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    // The phone is its own proxy: what counts is the route.
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    let edge = bob.address;
    let path = format!("<sip:p1.example.com;lr>, <sip:{edge};lr>");
    bob.registers_with = vec![("Path".into(), path.into()), ("Supported".into(), "path".into())];
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    alice.credentials = Some(("alice", PASSWORD));
    alice.call(world.sip, address("alice"), Uri::sip(Some("bob"), DOMAIN, None).unwrap(), 40_600);
    let routes = async {
        loop {
            if let Event::Invite { session, request, .. } = bob.event().await {
                let routes: Vec<_> = request.routes().map(|route| route.unwrap().uri.to_string()).collect();
                bob.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
                bob.settle().await;
                return routes;
            }
        }
    };
    let refused = async { while !matches!(alice.event().await, Event::Failed { code: 486, .. }) {} };
    let (routes, ()) = tokio::join!(routes, refused);
    assert_eq!(routes, ["sip:p1.example.com;lr".to_owned(), format!("sip:{edge};lr")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_of_a_login_does_not_answer_on_the_phone_of_the_former() {
    let world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    world.user(domain, "alice", |_| {}).await;
    let former = world.user(domain, "bob", |_| {}).await;
    let (mut alice, mut old, mut new) = (Peer::new().await, Peer::new().await, Peer::new().await);
    assert_eq!(old.register(world.sip, "bob", PASSWORD, 300).await, 200);
    world.store.sip_users().delete(world.account, former).await.unwrap();
    let latter = world.user(domain, "bob", |_| {}).await;
    world.engine.control().invalidate(world.account);
    alice.credentials = Some(("alice", PASSWORD));
    alice.call(world.sip, address("alice"), Uri::sip(Some("bob"), DOMAIN, None).unwrap(), 40_700);
    let event = alice.event().await;
    assert!(matches!(event, Event::Failed { code: 480, .. }), "{event:?}");
    assert_eq!(new.register(world.sip, "bob", PASSWORD, 300).await, 200);
    let registrations = world.engine.control().registrations(latter).await;
    let contacts: Vec<_> = registrations.iter().map(|registration| registration.contact.as_str()).collect();
    assert_eq!(contacts, [format!("sip:bob@{}", new.address)]);
    assert!(world.engine.control().registrations(former).await.is_empty());
}
