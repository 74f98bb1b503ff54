//! Trunks that are told by the certificate they show, and what we show to who asks (RFC 5922).
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::net::Ipv4Addr;
use std::sync::Arc;

use opentact_engine::dns::DnsConfig;
use opentact_sip::flow::Transport;
use opentact_sip::ua::{Command, Event};
use opentact_store::connections::NewConnection;
use opentact_store::types::SipTransport;
use rustls::ClientConfig;
use world::dns::Dns;
use world::tcp::TcpPeer;
use world::tls::Authority;
use world::{NUMBER, Peer, World};

const ANSWER: &str = "<Response><Answer/><Hangup/></Response>";
/// A trunk by this name; where it is nobody can look up.
const TRUNK: &str = "sbc.example.com";

async fn world_of(authority: &Authority) -> World {
    let (tls, dns) = (authority.asking_node(), Dns::new().await);
    let world = World::with(|config| {
        config.transport.tls = Some(tls);
        config.transport.udp.push((Ipv4Addr::LOCALHOST, 0).into());
        config.dns = DnsConfig { servers: vec![dns.address], ..DnsConfig::default() };
    })
    .await;
    world.number_with(ANSWER).await;
    let hostname = Some(TRUNK.to_owned());
    let new = NewConnection { hostname, transport: SipTransport::Tls, ..NewConnection::new("by certificate") };
    world.store.connections().create(world.account, None, new).await.unwrap();
    world.engine.control().invalidate(world.account);
    world
}

/// What a call over TLS by who shows this is answered with.
async fn outcome(world: &World, shown: Arc<ClientConfig>) -> u16 {
    let mut peer = TcpPeer::new().await;
    peer.call_number_as(shown, world.engine.sip_address(Transport::Tls).unwrap(), 40_000).await;
    let code = loop {
        match peer.event().await {
            Event::Answered { .. } => break 200,
            Event::Failed { code, .. } => break code,
            _ => {}
        }
    };
    peer.settle().await;
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_told_by_the_name_in_its_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut world = world_of(&authority).await;
    assert_eq!(outcome(&world, authority.client(Some("SBC.example.com"))).await, 200);
    assert_eq!(world.destroyed().await["call"]["sip_connection"]["name"], "by certificate");
    // Of the others none is turned away by TLS: phones have no certificate, or one of their maker.
    assert_eq!(outcome(&world, authority.client(Some("another.example.com"))).await, 403);
    assert_eq!(outcome(&world, other.stranger_to(&authority, TRUNK)).await, 403);
    assert_eq!(outcome(&world, authority.client(None)).await, 403);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_shows_no_certificate_whoever_is_connected() {
    let authority = Authority::new();
    let world = world_of(&authority).await;
    let mut trunk = TcpPeer::new().await;
    let tls = world.engine.sip_address(Transport::Tls).unwrap();
    trunk.call_number_as(authority.client(Some(TRUNK)), tls, 40_000).await;
    while !matches!(trunk.event().await, Event::Answered { .. }) {}
    // Flows have numbers of their own for each transport: that of a socket may be that of a connection.
    for udp in world.engine.sip_addresses(Transport::Udp) {
        let mut stranger = Peer::new().await;
        stranger.call_number(*udp, 40_002);
        let code = loop {
            match stranger.event().await {
                Event::Answered { .. } => break 200,
                Event::Failed { code, .. } => break code,
                _ => {}
            }
        };
        assert_eq!(code, 403, "{udp}");
    }
    trunk.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_asked_for_a_certificate_proves_nothing() {
    let authority = Authority::new();
    let (tls, dns) = (authority.node(), Dns::new().await);
    let world = World::with(|config| {
        config.transport.tls = Some(tls);
        config.dns = DnsConfig { servers: vec![dns.address], ..DnsConfig::default() };
    })
    .await;
    let new = NewConnection { hostname: Some(TRUNK.to_owned()), ..NewConnection::new("by certificate") };
    world.store.connections().create(world.account, None, new).await.unwrap();
    assert_eq!(outcome(&world, authority.client(Some(TRUNK))).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nobody_without_a_certificate_is_shown_ours() {
    let authority = Authority::new();
    let mut peer = TcpPeer::tls(authority.closed()).await;
    let world = world_of(&authority).await;
    let new = NewConnection {
        hostname: Some("localhost".to_owned()),
        port: peer.address.port(),
        transport: SipTransport::Tls,
        ..NewConnection::new("closed")
    };
    let trunk = world.store.connections().create(world.account, None, new).await.unwrap().uuid;
    world.number(NUMBER + 1, |lease| lease.sip_connection = Some(trunk)).await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    let session = caller.call_tn(world.sip, NUMBER + 1, 40_000);
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    tokio::join!(answered, peer.pick_up(40_002));
    assert_eq!((peer.accepted, peer.refused), (1, 0));
    caller.command(Command::Bye { session, headers: Vec::new() });
    let hung_up = async { while !matches!(peer.event().await, Event::Bye { .. }) {} };
    tokio::join!(caller.settle(), hung_up);
    peer.settle().await;
    world.idle().await;
}
