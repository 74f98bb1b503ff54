//! SIP over TLS: handshakes that are never done, and connections that are made again to nobody but whom they led to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use opentact_engine::EngineConfig;
use opentact_sip::flow::Transport;
use opentact_sip::ua::{Command, Event, SessionId};
use opentact_store::connections::NewConnection;
use opentact_store::types::SipTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use world::tcp::TcpPeer;
use world::tls::Authority;
use world::{NUMBER, Peer, World};

/// True when the node has let go of a connection that has said nothing.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0; 64])).await.unwrap(), Ok(0) | Err(_))
}

async fn answers_keep_alives(node: SocketAddr) {
    let mut stream = TcpStream::connect(node).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_never_done_ends() {
    let tls = Authority::new().node();
    let world = World::with(|config: &mut EngineConfig| {
        config.transport.tls = Some(tls);
        config.transport.limits.connect = Duration::from_millis(50);
    })
    .await;
    let mut silent = TcpStream::connect(world.engine.sip_address(Transport::Tls).unwrap()).await.unwrap();
    assert!(is_closed(&mut silent).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_are_not_done_keep_nobody_else_out() {
    let tls = Authority::new().node();
    let world = World::with(|config: &mut EngineConfig| {
        config.transport.tls = Some(tls);
        config.transport.limits.handshakes = 1;
        config.transport.limits.connections = 1;
    })
    .await;
    let node = world.engine.sip_address(Transport::Tls).unwrap();
    let _silent = TcpStream::connect(node).await.unwrap();
    let mut second = TcpStream::connect(node).await.unwrap();
    assert!(is_closed(&mut second).await);
    answers_keep_alives(world.engine.sip_address(Transport::Tcp).unwrap()).await;
}

/// A world whose number forwards to a trunk of this name over TLS, and the caller.
async fn forwarding(authority: &Authority, trunk: SocketAddr) -> (World, Peer) {
    let tls = authority.node();
    let world = World::with(|config| config.transport.tls = Some(tls)).await;
    let new = NewConnection {
        hostname: Some("localhost".to_owned()),
        port: trunk.port(),
        transport: SipTransport::Tls,
        ..NewConnection::new("by name")
    };
    let trunk = world.store.connections().create(world.account, None, new).await.unwrap().uuid;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let caller = Peer::new().await;
    world.trunk(&caller).await;
    (world, caller)
}

async fn answered_call(world: &World, caller: &mut Peer, peer: &mut TcpPeer) -> SessionId {
    let session = caller.call_number(world.sip, 40_000);
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    tokio::join!(answered, peer.pick_up(40_002));
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_made_again_to_who_proves_to_be_the_same() {
    let authority = Authority::new();
    let mut peer = TcpPeer::tls(authority.shown("localhost")).await;
    let (world, mut caller) = forwarding(&authority, peer.address).await;
    let session = answered_call(&world, &mut caller, &mut peer).await;
    peer.disconnect().await;
    caller.command(Command::Bye { session, headers: Vec::new() });
    let hung_up = async { while !matches!(peer.event().await, Event::Bye { .. }) {} };
    tokio::join!(caller.settle(), hung_up);
    assert_eq!((peer.accepted, peer.refused), (2, 0));
    peer.settle().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_to_be_another_is_told_nothing() {
    let authority = Authority::new();
    let shown = authority.shown("localhost");
    let mut peer = TcpPeer::tls(shown.clone()).await;
    let (world, mut caller) = forwarding(&authority, peer.address).await;
    let session = answered_call(&world, &mut caller, &mut peer).await;
    *shown.lock() = authority.server("elsewhere.example.com");
    peer.disconnect().await;
    caller.command(Command::Bye { session, headers: Vec::new() });
    let refused = async {
        while peer.refused == 0 {
            peer.happen().await;
        }
    };
    tokio::join!(caller.settle(), refused);
    assert_eq!(peer.accepted, 1);
    world.idle().await;
}
