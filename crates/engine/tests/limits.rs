//! What happens at a limit, and that it is as before once it is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::ControlError;
use opentact_sip::ua::{Command, Event};
use opentact_store::apps::NewApp;
use world::http::serve;
use world::raw::Raw;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_asks_callers_to_come_again() {
    let world = World::with(|config| config.max_calls = 1).await;
    world.domain_with(&["alice"]).await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    for _ in 0..2 {
        let session = peer.call_number(world.sip, 40_000);
        while !matches!(peer.event().await, Event::Answered { .. }) {}
        peer.call_number(world.sip, 40_002);
        match peer.event().await {
            Event::Failed { code: 503, response: Some(response), .. } => {
                assert!(response.headers().get_by_name("Retry-After").is_some());
            }
            other => panic!("{other:?}"),
        }
        let refused = world.originate(&format!("alice@{DOMAIN}"), "<Response><Hangup/></Response>").await;
        assert!(matches!(refused, Err(ControlError::Unavailable { .. })), "{refused:?}");
        peer.command(Command::Bye { session, headers: Vec::new() });
        tokio::join!(peer.settle(), world.idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_gone_when_its_phone_is() {
    let world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let user = world.user(domain, "alice", |_| {}).await;
    let (mut desk, mut mobile) = (Peer::new().await, Peer::new().await);
    assert_eq!(desk.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(mobile.register(world.sip, "alice", PASSWORD, 300).await, 200);
    let registrations = async || world.engine.control().registrations(user).await.len();
    assert_eq!(registrations().await, 2);
    assert_eq!(desk.register(world.sip, "alice", PASSWORD, 0).await, 200);
    assert_eq!(registrations().await, 1);
    // Without a contact it only asks, and asking keeps nothing.
    assert_eq!(mobile.register(world.sip, "alice", PASSWORD, 0).await, 200);
    assert_eq!(mobile.register(world.sip, "alice", PASSWORD, 0).await, 200);
    let stats = world.engine.stats().await.unwrap();
    assert_eq!((stats.bindings, stats.registered, registrations().await), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_registers_and_noise_leaves_nothing() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let raw = Raw::new(world.sip).await;
    for number in 0..3_000 {
        let domain = if number % 2 == 0 { DOMAIN } else { "elsewhere.invalid" };
        let address = raw.address;
        raw.send(&format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bKflood{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:user{number}@{domain}>;tag=1\r\nTo: <sip:user{number}@{domain}>\r\n\
             Call-ID: flood{number}\r\nCSeq: 1 REGISTER\r\nContact: <sip:x@{address}>\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        raw.send(&"\0".repeat(number % 500)).await;
        raw.send("INVITE sip:x SIP/2.0\r\n\r\n").await;
        raw.send(&format!("INVITE sip:x@x SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{number}\r\n\r\n")).await;
    }
    world.idle().await;
    let mut phone = Peer::new().await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_told_every_state_in_order_also_when_it_falters() {
    let world = World::new().await;
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let (server, told) = serve(move |_, _| {
        // The first time it is asked it has no time.
        match failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            _ => "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(),
        }
    })
    .await;
    let app = NewApp {
        xml: Some("<Response><Answer/><Hangup/></Response>".to_owned()),
        webhook_url: Some(format!("http://{server}/told?app=1")),
        ..NewApp::new("app")
    };
    let app = world.store.apps().create(world.account, None, app).await.unwrap().uuid;
    world.number(NUMBER, |lease| lease.sip_control_app = Some(app)).await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    peer.call_number(world.sip, 40_000);
    peer.settle().await;
    world.idle().await;
    let all = async {
        while told.lock().len() < 6 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), all).await.unwrap();
    let states = ["init", "init", "ringing", "live", "hangup", "destroyed"];
    let expected = states.map(|state| format!("/told?app=1&state={state}&from=%2B12025550123&to={NUMBER}"));
    assert_eq!(*told.lock(), expected);
}
