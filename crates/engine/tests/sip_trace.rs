//! What a call looked like on the wire is found by the call, also once it has ended.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::LegMessage;
use opentact_sip::ua::Event;
use uuid::Uuid;
use world::{Peer, World};

const FLOW: &str = "<Response><Answer/><Hangup/></Response>";

/// A call of a trunk that has ended.
async fn ended_call(world: &mut World, peer: &mut Peer) -> Uuid {
    world.number_with(FLOW).await;
    world.trunk(peer).await;
    peer.call_number(world.sip, 40_000);
    while !matches!(peer.event().await, Event::Bye { .. }) {}
    let ended = world.destroyed().await;
    tokio::join!(peer.settle(), world.idle());
    ended["call"]["uuid"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_has_ended_shows_its_messages_to_its_account_only() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    let call = ended_call(&mut world, &mut peer).await;
    let messages = world.engine.control().trace(world.account, call).await.unwrap();
    let story: Vec<(&str, String)> = messages
        .iter()
        .map(|LegMessage { message, .. }| {
            let line = message.octets.split(|octet| *octet == b' ').take(2).collect::<Vec<_>>();
            let word = if line[0] == b"SIP/2.0" { line[1] } else { line[0] };
            (message.direction, String::from_utf8_lossy(word).into_owned())
        })
        .collect();
    for expected in [("in", "INVITE"), ("out", "200"), ("in", "ACK"), ("out", "BYE"), ("in", "200")] {
        assert!(story.iter().any(|(way, word)| (*way, word.as_str()) == expected), "{expected:?} in {story:?}");
    }
    assert_eq!(story[0], ("in", "INVITE".to_owned()));
    assert!(messages.iter().all(|traced| traced.leg == call && traced.message.local == world.sip));
    assert!(messages.iter().all(|traced| traced.message.remote == peer.address));
    assert!(world.engine.control().trace(Uuid::new_v4(), call).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_none_shows_none() {
    let mut world = World::with(|config| config.trace.messages = 0).await;
    let mut peer = Peer::new().await;
    let call = ended_call(&mut world, &mut peer).await;
    assert!(world.engine.control().trace(world.account, call).await.unwrap().is_empty());
}
