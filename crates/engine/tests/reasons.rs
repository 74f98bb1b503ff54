//! Why a call has ended, told from leg to leg.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::Request;
use opentact_sip::ua::{Command, Event, SessionId};
use world::{DOMAIN, PASSWORD, Peer, World, sdp};

fn reason(request: &Request) -> String {
    let lines = request.headers().iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Reason"));
    lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>().join(", ")
}

async fn pick_up(peer: &mut Peer) -> SessionId {
    let session = peer.invited().await;
    accept(peer, session).await;
    session
}

async fn accept(peer: &mut Peer, session: SessionId) {
    peer.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
    while !matches!(peer.event().await, Event::Acked { .. }) {}
}

async fn bye(peer: &mut Peer) -> Request {
    loop {
        if let Event::Bye { request, .. } = peer.event().await {
            return request;
        }
    }
}

async fn cancelled(peer: &mut Peer) -> Request {
    loop {
        if let Event::Cancelled { request, .. } = peer.event().await {
            return request;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_of_either_side_is_told_to_the_other() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    alice.credentials = Some(("alice", PASSWORD));
    let headers = || vec![("Reason".into(), "Q.850;cause=31;text=\"why not\"".into())];
    for caller_ends in [true, false] {
        let calling = alice.call(world.sip, world::address("alice"), world::address("bob").uri, 40_000);
        let answered = async { while !matches!(alice.event().await, Event::Answered { .. }) {} };
        let (called, ()) = tokio::join!(pick_up(&mut bob), answered);
        let told = if caller_ends {
            alice.command(Command::Bye { session: calling, headers: headers() });
            tokio::join!(alice.settle(), bye(&mut bob)).1
        } else {
            bob.command(Command::Bye { session: called, headers: headers() });
            tokio::join!(bob.settle(), bye(&mut alice)).1
        };
        assert!(reason(&told).starts_with("Q.850;cause=31"), "{}", reason(&told));
        tokio::join!(alice.settle(), bob.settle());
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_the_race_is_told_that_the_call_was_taken_elsewhere() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let to = format!("<To>alice@{DOMAIN}</To><To>bob@{DOMAIN}</To>");
    world.number_with(&format!("<Response><Dial>{to}</Dial></Response>")).await;
    let (mut alice, mut bob, mut caller) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    let session = caller.call_number(world.sip, 40_000);
    let calling = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    let both = async {
        let (first, second) = tokio::join!(alice.invited(), bob.invited());
        bob.command(Command::Provisional { session: second, code: 180, reason: None, headers: vec![], body: None });
        tokio::join!(accept(&mut alice, first), cancelled(&mut bob)).1
    };
    let (told, ()) = tokio::join!(both, calling);
    assert!(reason(&told).starts_with("SIP;cause=200;text=\"Call completed elsewhere\""), "{}", reason(&told));
    caller.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(caller.settle(), alice.settle(), bob.settle(), world.idle());
}
