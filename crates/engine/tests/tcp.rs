//! SIP over TCP: calls both ways, connections that are used again, and connections that end in the middle.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::{Duration, Instant};

use opentact_sip::flow::Transport;
use opentact_sip::ua::{Command, Event};
use opentact_store::connections::NewConnection;
use opentact_store::types::SipTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use world::tcp::TcpPeer;
use world::{NUMBER, Peer, World, sdp};

/// Nothing that is answered at once takes as long; a transaction that hears of no failure takes 32 s.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A world whose number forwards to a trunk over TCP, and the caller.
async fn forwarding(trunk: std::net::SocketAddr) -> (World, Peer) {
    let world = World::new().await;
    let trunk = world.trunk_at(trunk, SipTransport::Tcp).await;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let caller = Peer::new().await;
    world.trunk(&caller).await;
    (world, caller)
}

async fn answered(caller: &mut Peer) {
    while !matches!(caller.event().await, Event::Answered { .. }) {}
}

async fn pick_up(peer: &mut TcpPeer) -> opentact_sip::ua::SessionId {
    let session = peer.invited().await;
    peer.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
    while !matches!(peer.event().await, Event::Acked { .. }) {}
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_comes_over_tcp_and_is_hung_up_by_its_flow() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"100\"/><Hangup/></Response>").await;
    let mut peer = TcpPeer::new().await;
    world.trunk_at(peer.address, SipTransport::Tcp).await;
    let start = Instant::now();
    peer.call_number(world.engine.sip_address(Transport::Tcp).unwrap(), 40_000).await;
    while !matches!(peer.event().await, Event::Answered { .. }) {}
    // Said by a timer and by nobody's message: it must not wait for one.
    while !matches!(peer.event().await, Event::Bye { .. }) {}
    assert!(start.elapsed() < AT_ONCE);
    assert_eq!(peer.accepted, 0, "the BYE came over the caller's own connection");
    peer.settle().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_trunk_share_a_connection() {
    let mut peer = TcpPeer::new().await;
    let (world, mut caller) = forwarding(peer.address).await;
    for _ in 0..3 {
        caller.call_number(world.sip, 40_000);
        let (session, ()) = tokio::join!(pick_up(&mut peer), answered(&mut caller));
        peer.command(Command::Bye { session, headers: Vec::new() });
        let hung_up = async { while !matches!(caller.event().await, Event::Bye { .. }) {} };
        tokio::join!(peer.settle(), hung_up);
    }
    assert_eq!(peer.accepted, 1);
    caller.settle().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_outlives_its_connection() {
    let mut peer = TcpPeer::new().await;
    let (world, mut caller) = forwarding(peer.address).await;
    let session = caller.call_number(world.sip, 40_000);
    tokio::join!(pick_up(&mut peer), answered(&mut caller));
    peer.disconnect().await;
    caller.command(Command::Bye { session, headers: Vec::new() });
    let hung_up = async { while !matches!(peer.event().await, Event::Bye { .. }) {} };
    tokio::join!(caller.settle(), hung_up);
    assert_eq!(peer.accepted, 2, "the BYE came over a second connection");
    peer.settle().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_while_it_rings_fails_the_call_at_once() {
    let mut peer = TcpPeer::new().await;
    let (world, mut caller) = forwarding(peer.address).await;
    let start = Instant::now();
    caller.call_number(world.sip, 40_000);
    let rings = async {
        let session = peer.invited().await;
        peer.command(Command::Provisional { session, code: 180, reason: None, headers: vec![], body: None });
        peer.flush().await;
    };
    tokio::join!(rings, caller.progress());
    peer.disconnect().await;
    let event = caller.event().await;
    assert!(matches!(event, Event::Failed { code: 503, .. }), "{event:?}");
    assert!(start.elapsed() < AT_ONCE);
    caller.settle().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_and_the_call_fails_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (world, mut caller) = forwarding(address).await;
    let start = Instant::now();
    caller.call_number(world.sip, 40_000);
    let event = caller.event().await;
    assert!(matches!(event, Event::Failed { code: 503, .. }), "{event:?}");
    assert!(start.elapsed() < AT_ONCE);
    caller.settle().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_does_not_read_is_disconnected() {
    let world = World::with(|config| config.transport.limits.write_queue = 8).await;
    let node = world.engine.sip_address(Transport::Tcp).unwrap();
    let mut stream = TcpStream::connect(node).await.unwrap();
    let local = stream.local_addr().unwrap();
    let mut asked = 0_u32;
    let asking = async {
        loop {
            asked += 1;
            let options = format!(
                "OPTIONS sip:{node} SIP/2.0\r\nVia: SIP/2.0/TCP {local};branch=z9hG4bK{asked}\r\nMax-Forwards: 70\r\n\
                 From: <sip:a@b.invalid>;tag=1\r\nTo: <sip:{node}>\r\nCall-ID: {asked}@b.invalid\r\nCSeq: 1 OPTIONS\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            // An error once the node has closed.
            if stream.write_all(options.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("still connected");
    // The node is well, and speaks with others.
    let mut other = TcpStream::connect(node).await.unwrap();
    other.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    other.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_ours_is_pinged_and_ends_when_answers_do() {
    let world = World::with(|config| {
        config.transport.limits.keep_alive = Duration::from_millis(20);
        config.transport.limits.pong = Duration::from_secs(1);
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trunk = listener.local_addr().unwrap();
    let new = NewConnection {
        ip: Some(trunk.ip().to_string()),
        port: trunk.port(),
        transport: SipTransport::Tcp,
        options_ping: true,
        ..NewConnection::new("pinged")
    };
    world.store.connections().create(world.account, None, new).await.unwrap();
    world.engine.control().invalidate(world.account);
    let (mut stream, _) = listener.accept().await.unwrap();
    // The OPTIONS, and nothing but pings after it.
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
    }
    for _ in 0..3 {
        stream.write_all(b"\r\n").await.unwrap();
        let mut ping = [0; 4];
        stream.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, b"\r\n\r\n");
    }
    // The last is not answered: whoever is there is gone, as far as can be seen.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}
