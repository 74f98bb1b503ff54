//! What happens at a limit, and that it is as before once it is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use opentact_engine::ports::{ControlError, FlowSource, Originate};
use opentact_sip::flow::Transport;
use opentact_sip::ua::{Command, Event};
use opentact_sip::uri::Uri;
use opentact_store::Search;
use opentact_store::apps::NewApp;
use opentact_store::types::DeliveryState;
use opentact_store::webhooks::DeliveryFilter;
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
async fn a_node_that_is_behind_takes_no_new_calls_but_those_for_help() {
    // However soon it is handled, it has waited longer than not at all.
    let world = World::with(|config| config.overload_delay = Duration::ZERO).await;
    world.number_with("<Response><Answer/><Hangup/></Response>").await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    peer.call_number(world.sip, 40_000);
    match peer.event().await {
        Event::Failed { code: 503, response: Some(response), .. } => {
            assert!(response.headers().get_by_name("Retry-After").is_some());
        }
        other => panic!("{other:?}"),
    }
    // Taken, and then found to be a number that a trunk may not call.
    peer.call_tn(world.sip, 911, 40_002);
    let event = peer.event().await;
    assert!(matches!(event, Event::Failed { code: 404, .. }), "{event:?}");
    world.idle().await;
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
    let filter = DeliveryFilter { sip_control_app: Some(app), ..DeliveryFilter::default() };
    let settled = async {
        loop {
            let found =
                world.store.webhooks().search(world.account, filter.clone(), Search::first(10)).await.unwrap().data;
            if found.len() == 5 && found.iter().all(|delivery| delivery.state == DeliveryState::Delivered) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
    let mut attempts: Vec<i64> = found.iter().map(|delivery| delivery.attempts).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 1, 2]);
}

/// Whether the node closes a connection on which this is sent, without an answer.
async fn is_shut_out(world: &World, message: &str) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = world.engine.sip_address(Transport::Tcp).unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    // It may be closed before.
    let _ = stream.write_all(message.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.is_empty()
}

/// Nobody is trusted, as on a node that faces the Internet.
async fn exposed() -> World {
    World::with(|config| config.defence.trusted.clear()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_hears_nothing_any_more() {
    let world = exposed().await;
    world.domain_with(&["alice"]).await;
    let mut phone = Peer::new().await;
    for login in ["alice", "nobody", "alice", "nobody", "alice"] {
        assert_eq!(phone.register(world.sip, login, "wrong", 300).await, 403, "{login}");
    }
    assert!(is_shut_out(&world, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_guessed_at_from_a_trusted_address_is_locked_there_and_nobody_else() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let mut phone = Peer::new().await;
    for login in ["alice", "nobody"] {
        for _ in 0..5 {
            assert_eq!(phone.register(world.sip, login, "wrong", 300).await, 403, "{login}");
        }
    }
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 403, "the right password helps no more");
    assert_eq!(phone.register(world.sip, "bob", PASSWORD, 300).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_answer_to_no_challenge_blames_nobody() {
    let world = exposed().await;
    world.domain_with(&["alice"]).await;
    let raw = Raw::new(world.sip).await;
    let (address, nonce) = (raw.address, "0".repeat(64));
    for number in 0..20 {
        raw.send(&format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bKforged{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@{DOMAIN}>;tag=1\r\nTo: <sip:alice@{DOMAIN}>\r\n\
             Call-ID: forged{number}\r\nCSeq: 1 REGISTER\r\nContact: <sip:x@{address}>\r\n\
             Authorization: Digest username=\"alice\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"sip:x\", \
             response=\"0\", qop=auth, nc=00000001, cnonce=\"c\"\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        assert_eq!(raw.answer().await.code(), 401);
    }
    let mut phone = Peer::new().await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_between_right_ones_are_forgiven() {
    let world = exposed().await;
    world.domain_with(&["alice"]).await;
    let mut phone = Peer::new().await;
    for _ in 0..6 {
        assert_eq!(phone.register(world.sip, "alice", "wrong", 300).await, 403);
        assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_asks_only_so_often_but_for_help() {
    let world = World::with(|config| (config.defence.user_rate_limit, config.defence.user_rate_burst) = (1, 3)).await;
    world.domain_with(&["alice", "bob"]).await;
    // From two addresses, as they are trusted: the third of four within one second is too much.
    let (mut desk, mut mobile) = (Peer::new().await, Peer::new().await);
    let mut codes = Vec::new();
    for _ in 0..10 {
        codes.push(desk.register(world.sip, "alice", PASSWORD, 300).await);
        codes.push(mobile.register(world.sip, "alice", PASSWORD, 300).await);
    }
    assert_eq!(codes[..3], [200; 3]);
    assert!(codes.contains(&503) && codes.iter().all(|code| [200, 503].contains(code)), "{codes:?}");
    assert_eq!(desk.register(world.sip, "bob", PASSWORD, 300).await, 200);
    let mut call = async |to: &str| {
        desk.credentials = Some(("alice", PASSWORD));
        let to = Uri::sip(Some(to), DOMAIN, None).unwrap();
        desk.call(world.sip, world::address("alice"), to, 40_000);
        match desk.event().await {
            Event::Failed { code, response: Some(response), .. } => (code, response),
            other => panic!("{other:?}"),
        }
    };
    // Nobody has said where help is: it was asked for all the same.
    let (code, response) = call("911").await;
    assert_eq!((code, response.reason().as_ref()), (503, "Service Unavailable"));
    let refused = async {
        loop {
            let (code, response) = call("nobody").await;
            if code == 503 {
                return response;
            }
            assert_eq!(code, 404);
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    assert_eq!(refused.reason(), "Too Many Requests");
    assert!(refused.headers().get_by_name("Retry-After").is_some());
    tokio::join!(desk.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_gets_no_answer_and_its_address_neither() {
    let world = exposed().await;
    let raw = Raw::new(world.sip).await;
    let scan = raw.request("OPTIONS", 1, "", "User-Agent: friendly-scanner\r\n", "");
    assert!(is_shut_out(&world, &scan).await);
    assert!(is_shut_out(&world, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_has_as_many_calls_as_its_channels_and_again_when_one_has_ended() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut peer = Peer::new().await;
    let trunk = world.trunk(&peer).await;
    let one = |trunk: &mut opentact_store::connections::SipConnection| trunk.channel_limit = Some(1);
    world.store.connections().update(world.account, trunk, None, None, one).await.unwrap();
    world.engine.control().invalidate(world.account);
    for _ in 0..3 {
        let session = peer.call_number(world.sip, 40_000);
        while !matches!(peer.event().await, Event::Answered { .. }) {}
        peer.call_number(world.sip, 40_002);
        match peer.event().await {
            Event::Failed { code: 503, response: Some(response), .. } => assert_eq!(response.reason(), "Trunk Limit"),
            other => panic!("{other:?}"),
        }
        peer.command(Command::Bye { session, headers: Vec::new() });
        tokio::join!(peer.settle(), world.idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_begins_as_many_calls_a_second_as_it_may() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut peer = Peer::new().await;
    let trunk = world.trunk(&peer).await;
    let one = |trunk: &mut opentact_store::connections::SipConnection| trunk.cps_limit = Some(1);
    world.store.connections().update(world.account, trunk, None, None, one).await.unwrap();
    world.engine.control().invalidate(world.account);
    let sessions: Vec<_> = (0..10).map(|call| peer.call_number(world.sip, 40_000 + 2 * call)).collect();
    let (mut answered, mut refused) = (Vec::new(), 0);
    while answered.len() + refused < sessions.len() {
        match peer.event().await {
            Event::Answered { session, .. } => answered.push(session),
            Event::Failed { code: 503, response: Some(response), .. } => {
                assert_eq!(response.reason(), "Trunk Limit");
                refused += 1;
            }
            Event::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!answered.is_empty() && refused > 0, "{} answered, {refused} refused", answered.len());
    for session in answered {
        peer.command(Command::Bye { session, headers: Vec::new() });
    }
    tokio::join!(peer.settle(), world.idle());
}

/// A call by REST to a number over a trunk, if one is named.
async fn dial(world: &World, sip_connection: Option<uuid::Uuid>, profile: uuid::Uuid) -> Result<(), ControlError> {
    let xml = "<Response><Pause length=\"60000\"/></Response>";
    let document = opentact_callflow::parse(xml, opentact_callflow::Mode::Strict).unwrap();
    let request = Originate {
        outbound_voice_profile: Some(profile),
        sip_connection,
        ..Originate::new(world.account, "12015550177", FlowSource::Document(document))
    };
    world.engine.control().originate(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_profile_has_as_many_calls_as_its_channels_whichever_way_they_go() {
    let world = World::new().await;
    world.number(NUMBER, |_| {}).await;
    let (mut carrier, mut pbx) = (Peer::new().await, Peer::new().await);
    world.carrier(&carrier);
    let trunk = world.trunk(&pbx).await;
    let new = opentact_store::voice_profiles::NewVoiceProfile {
        channel_limit: Some(1),
        ..opentact_store::voice_profiles::NewVoiceProfile::new("one")
    };
    let profile = world.store.voice_profiles().create(world.account, None, new).await.unwrap().uuid;
    for way in [None, Some(trunk), None] {
        dial(&world, way, profile).await.unwrap();
        let peer = if way.is_some() { &mut pbx } else { &mut carrier };
        let session = peer.invited().await;
        for other in [None, Some(trunk)] {
            match dial(&world, other, profile).await {
                Err(ControlError::Unavailable { reason, .. }) => {
                    assert_eq!(reason, "outbound voice profile one is at its limit of 1 channels");
                }
                other => panic!("{other:?}"),
            }
        }
        peer.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
        tokio::join!(peer.settle(), world.idle());
    }
}
