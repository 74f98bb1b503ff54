//! INVITE with Replaces (RFC 3891): calls picked up and taken over; whom one then talks and writes to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::{Method, Name};
use opentact_sip::ua::{Command, Event, SessionId};
use opentact_sip::uri::Uri;
use opentact_store::types::SipTransport;
use world::phones::{hang_up, hung_up, phones, pick_up, talk};
use world::raw::Raw;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address, offer};

/// Calls the node to take the place of a dialog.
fn replace(world: &World, peer: &mut Peer, from: &str, replaces: &str) -> SessionId {
    let headers = [("Require", "replaces"), ("Replaces", replaces)];
    peer.call_with(world.sip, address(from), Uri::from_addr(None, world.sip), 40_010, &headers)
}

async fn answered(peer: &mut Peer) {
    loop {
        match peer.event().await {
            Event::Answered { response, .. } => {
                assert!(response.headers().lists(Name::Supported, "replaces"));
                return;
            }
            Event::Failed { code, .. } => panic!("refused with {code}"),
            _ => {}
        }
    }
}

/// The refusal of the same.
async fn refused(world: &World, peer: &mut Peer, from: &str, replaces: &str) -> u16 {
    replace(world, peer, from, replaces);
    loop {
        if let Event::Failed { code, .. } = peer.event().await {
            return code;
        }
    }
}

/// What one writes within a call the other gets.
async fn write(from: (&mut Peer, SessionId), to: &mut Peer) {
    let (peer, session) = from;
    peer.say(session, "hello");
    let told = async {
        loop {
            if let Event::Response { response, .. } = peer.event().await {
                return response.code();
            }
        }
    };
    let (heard, code) = tokio::join!(to.hear(), told);
    assert_eq!((heard.body(), code), (&b"hello"[..], 200));
}

/// Bob is rung by a call of alice's; the sessions of both.
async fn ring(world: &World, alice: &mut Peer, bob: &mut Peer) -> (SessionId, SessionId) {
    let calling = alice.call(world.sip, address("alice"), address("bob").uri, 40_000);
    let rung = async {
        let session = bob.invited().await;
        bob.command(Command::Provisional { session, code: 180, reason: None, headers: Vec::new(), body: None });
        bob.flush().await;
        session
    };
    let (rung, ()) = tokio::join!(rung, alice.progress());
    (calling, rung)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_call_is_picked_up() {
    let mut world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (calling, rung) = ring(&world, &mut alice, &mut bob).await;
    let replaces = format!("{};early-only", bob.replaces(rung));
    let picked = replace(&world, &mut carol, "carol", &replaces);
    let cancelled = async {
        loop {
            if let Event::Cancelled { request, .. } = bob.event().await {
                let reason = String::from_utf8_lossy(request.header(Name::Reason).unwrap()).into_owned();
                assert!(reason.contains("elsewhere"), "{reason}");
                return;
            }
        }
    };
    tokio::join!(answered(&mut carol), answered(&mut alice), cancelled);
    while world.event().await["type"] != "call_bridge" {}
    write((&mut alice, calling), &mut carol).await;
    write((&mut carol, picked), &mut alice).await;
    hang_up(&mut alice, calling);
    tokio::join!(alice.settle(), hung_up(&mut carol), bob.settle(), world.idle());
    // The one who picked up is a leg of the call, and says of whom it is.
    let mut messages = Vec::new();
    while messages.last().is_none_or(|last: &String| !last.starts_with("CallUser in alice")) {
        let event = world.event().await;
        if event["message"].as_str().unwrap().ends_with("- destroyed") {
            messages.push(event["message"].as_str().unwrap().to_owned());
        }
    }
    let expected = format!("CallUser in carol@{DOMAIN} > alice@{DOMAIN} - destroyed");
    assert!(messages.contains(&expected), "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_talks_is_replaced_and_hung_up_whoever_has_called() {
    let mut world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    for replaces_caller in [false, true] {
        let (calling, called) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
        while world.event().await["type"] != "call_bridge" {}
        let replaces = if replaces_caller { alice.replaces(calling) } else { bob.replaces(called) };
        let new = replace(&world, &mut carol, "carol", &replaces);
        let (gone, stays, session) = match replaces_caller {
            true => (&mut alice, &mut bob, called),
            false => (&mut bob, &mut alice, calling),
        };
        tokio::join!(answered(&mut carol), hung_up(gone));
        let joined = async {
            let mut bridges = 0;
            while bridges < 2 {
                bridges += u32::from(world.event().await["type"] == "call_bridge");
            }
        };
        joined.await;
        write((stays, session), &mut carol).await;
        write((&mut carol, new), stays).await;
        hang_up(&mut carol, new);
        tokio::join!(carol.settle(), hung_up(stays), gone.settle());
        world.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_is_refused_as_the_standard_says() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (calling, called) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let replaces = bob.replaces(called);
    let early = format!("{replaces};early-only");
    let unknown = replaces.replace("to-tag=", "to-tag=x");
    for (value, code) in [(&early, 486), (&unknown, 481), (&"x;to-tag=1".to_owned(), 400)] {
        assert_eq!(refused(&world, &mut carol, "carol", value).await, code, "{value}");
    }
    // Nobody learns anything without a password.
    carol.credentials = Some(("carol", "wrong"));
    assert_eq!(refused(&world, &mut carol, "carol", &unknown).await, 403);
    carol.credentials = Some(("carol", PASSWORD));
    hang_up(&mut alice, calling);
    tokio::join!(alice.settle(), hung_up(&mut bob));
    bob.settle().await;
    world.idle().await;
    assert_eq!(refused(&world, &mut carol, "carol", &replaces).await, 603);
    // A call that has come to the node and is not answered is not the node's to give away.
    let (calling, rung) = ring(&world, &mut alice, &mut bob).await;
    assert_eq!(refused(&world, &mut carol, "carol", &alice.replaces(calling)).await, 481);
    bob.command(Command::Reject { session: rung, code: 486, reason: None, headers: Vec::new() });
    tokio::join!(bob.settle(), alice.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_another_account_takes_a_place_nor_one_who_may_not_watch() {
    let mut world = World::new().await;
    let [mut alice, mut bob, _] = phones(&world).await;
    let closed = world.domain("closed.sip.localhost", |_| {}).await;
    world.user(closed, "dora", |new| new.same_domain_calls_only = true).await;
    let (calling, called) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let replaces = bob.replaces(called);
    world.another_account("1").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    world.user(other, "eve", |_| {}).await;
    let mut trunk = Peer::new().await;
    world.trunk(&trunk).await;
    assert_eq!(refused(&world, &mut trunk, "anybody", &replaces).await, 403);
    for (login, domain) in [("eve", "other.sip.localhost"), ("dora", "closed.sip.localhost")] {
        let mut stranger = Peer::new().await;
        stranger.credentials = Some((login, PASSWORD));
        let from = opentact_sip::uri::NameAddr::new(Uri::sip(Some(login), domain, None).unwrap());
        let uri = Uri::sip(None, domain, None).unwrap();
        stranger.call_with(world.sip, from, uri, 40_010, &[("Replaces", &replaces)]);
        let event = stranger.event().await;
        assert!(matches!(event, Event::Failed { code: 403, .. }), "{event:?}");
    }
    hang_up(&mut alice, calling);
    tokio::join!(alice.settle(), hung_up(&mut bob), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_moves_its_own_call_with_a_late_offer() {
    let world = World::new().await;
    let [_, mut bob, _] = phones(&world).await;
    world.number_with(&format!("<Response><Dial><To>bob@{DOMAIN}</To></Dial></Response>")).await;
    let (mut trunk, mut raw) = (Peer::new().await, Raw::new(world.sip).await);
    world.trunk(&trunk).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let calling = trunk.call_tn(world.sip, NUMBER, 40_000);
    let ((bobs, _), ()) = tokio::join!(pick_up(&mut bob), answered(&mut trunk));
    raw.invite(&format!("Replaces: {}\r\n", trunk.replaces(calling)), "").await;
    let answer = raw.answer().await;
    assert_eq!((answer.code(), answer.body().is_empty()), (200, false));
    raw.acknowledge(&answer, std::str::from_utf8(&offer(40_020)).unwrap()).await;
    hung_up(&mut trunk).await;
    trunk.settle().await;
    hang_up(&mut bob, bobs);
    let over = async { assert_eq!(*raw.asked().await.method(), Method::Bye) };
    tokio::join!(bob.settle(), over, world.idle());
}

/// The callee gets an offer of the node's own, and the caller the node's in the 200: neither waits for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_offer_is_rung_through_and_joined_by_its_ack() {
    let mut world = World::new().await;
    let [_, mut bob, _] = phones(&world).await;
    world.number_with(&format!("<Response><Dial><To>bob@{DOMAIN}</To></Dial></Response>")).await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    raw.invite("", "").await;
    let (bobs, invite) = pick_up(&mut bob).await;
    assert!(!invite.body().is_empty());
    let answer = raw.answer().await;
    assert_eq!((answer.code(), answer.body().is_empty()), (200, false));
    raw.acknowledge(&answer, std::str::from_utf8(&offer(40_020)).unwrap()).await;
    while world.event().await["type"] != "call_bridge" {}
    hang_up(&mut bob, bobs);
    let over = async { assert_eq!(*raw.asked().await.method(), Method::Bye) };
    tokio::join!(bob.settle(), over, world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_whom_a_transfer_has_joined_write_to_each_other() {
    let mut world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (first, bobs) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let (second, carols) = talk(&world, &mut alice, "alice", &mut carol, "carol").await;
    let id = alice.ua.new_request();
    let replaces = alice.replaces(second).replace(';', "%3B").replace('=', "%3D");
    let headers = vec![("Refer-To".into(), format!("<sip:carol@{DOMAIN}?Replaces={replaces}>").into())];
    alice.command(Command::InDialog { session: first, id, method: Method::Refer, headers, body: None });
    let notified = async {
        loop {
            if let Event::InDialog { id, .. } = alice.event().await {
                alice.command(Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body: None });
                return alice.settle().await;
            }
        }
    };
    notified.await;
    write((&mut bob, bobs), &mut carol).await;
    write((&mut carol, carols), &mut bob).await;
    hang_up(&mut carol, carols);
    tokio::join!(carol.settle(), hung_up(&mut bob), world.idle());
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = world.event().await;
        if event["type"] == "sms" && event["payload"]["state"] == "success" {
            told.push([event["payload"]["from"].clone(), event["payload"]["to"].clone()]);
        }
    }
    let [bob, carol] = ["bob", "carol"].map(|login| serde_json::json!(format!("{login}@{DOMAIN}")));
    assert_eq!(told, [[bob.clone(), carol.clone()], [carol, bob]]);
}
