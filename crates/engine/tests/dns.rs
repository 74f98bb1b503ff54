//! RFC 3263: which places a host name stands for, in which order, and what happens when the first is not there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::rr::RecordType;
use opentact_engine::dns::{DnsConfig, LocateError, Locator, Target};
use opentact_sip::flow::Transport;
use opentact_sip::ua::{Command, Event};
use opentact_store::connections::NewConnection;
use opentact_store::types::SipTransport;
use tokio::net::{TcpListener, UdpSocket};
use world::dns::Dns;
use world::{NUMBER, Peer, World, sdp};

fn locator(server: SocketAddr) -> Locator {
    Locator::new(&DnsConfig { servers: vec![server], ..DnsConfig::default() }, true, false).unwrap()
}

fn target(host: &str) -> Target<'_> {
    Target { host, port: None, transport: None, usual_port: 5060 }
}

async fn hops(locator: &Locator, target: Target<'_>) -> Vec<String> {
    let hops = locator.locate(target).await.unwrap();
    hops.iter().map(|hop| format!("{} {}", hop.transport, hop.remote)).collect()
}

#[tokio::test]
async fn naptr_then_srv_then_addresses_in_order() {
    let dns = Dns::new().await;
    dns.naptr("example.com", 20, "SIP+D2U", "_sip._udp.example.com");
    dns.naptr("example.com", 10, "SIP+D2T", "_sip._tcp.example.com");
    dns.srv("_sip._udp.example.com", 1, 5080, "one.example.com");
    dns.srv("_sip._tcp.example.com", 2, 5060, "two.example.com");
    dns.srv("_sip._tcp.example.com", 1, 5070, "one.example.com");
    dns.a("one.example.com", [192, 0, 2, 1]);
    dns.a("two.example.com", [192, 0, 2, 2]);
    let locator = locator(dns.address);
    let found = hops(&locator, target("example.com")).await;
    assert_eq!(found, ["TCP 192.0.2.1:5070", "TCP 192.0.2.2:5060", "UDP 192.0.2.1:5080"]);
    assert!(!dns.asked().is_empty());
    // What is known is not asked again.
    assert_eq!(hops(&locator, target("example.com")).await, found);
    assert_eq!(dns.asked(), []);
}

#[tokio::test]
async fn what_the_uri_says_is_not_asked_for() {
    let dns = Dns::new().await;
    dns.a("example.com", [192, 0, 2, 9]);
    dns.srv("_sips._tcp.example.com", 1, 5081, "tls.example.com");
    dns.a("tls.example.com", [192, 0, 2, 3]);
    let locator = locator(dns.address);
    let with_port = Target { port: Some(5090), ..target("example.com") };
    assert_eq!(hops(&locator, with_port).await, ["UDP 192.0.2.9:5090"]);
    assert!(dns.asked().iter().all(|(_, kind)| *kind == RecordType::A));
    let tls = Target { transport: Some(Transport::Tls), usual_port: 5061, ..target("example.com") };
    assert_eq!(hops(&locator, tls).await, ["TLS 192.0.2.3:5081"]);
    assert!(dns.asked().iter().all(|(_, kind)| *kind != RecordType::NAPTR));
    // Without records of its own, a host is at its address and the usual port.
    assert_eq!(hops(&locator, target("example.com")).await, ["UDP 192.0.2.9:5060"]);
    dns.asked();
    assert_eq!(hops(&locator, target("192.0.2.7")).await, ["UDP 192.0.2.7:5060"]);
    assert_eq!(hops(&locator, target("2001:db8::7")).await, ["UDP [2001:db8::7]:5060"]);
    assert_eq!(dns.asked(), []);
}

#[tokio::test]
async fn who_says_that_there_is_no_service_has_none() {
    let dns = Dns::new().await;
    dns.srv("_sip._tcp.example.com", 0, 0, "");
    dns.a("example.com", [192, 0, 2, 9]);
    let tcp = Target { transport: Some(Transport::Tcp), ..target("example.com") };
    let locator = locator(dns.address);
    let error = locator.locate(tcp).await.unwrap_err();
    assert_eq!(error, LocateError::NoService("example.com".to_owned()));
    // Over other transports it is there.
    dns.srv("_sips._tcp.example.com", 1, 5061, "tls.example.com");
    dns.a("tls.example.com", [192, 0, 2, 3]);
    let addresses: Vec<String> =
        locator.addresses("example.com").await.unwrap().iter().map(|ip| ip.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.3", "192.0.2.9"]);
}

#[tokio::test]
async fn who_does_not_exist_is_told_by_name_and_who_is_silent_in_time() {
    let dns = Dns::new().await;
    let error = locator(dns.address).locate(target("nowhere.example.com")).await.unwrap_err();
    assert!(error.to_string().starts_with("nowhere.example.com cannot be resolved: "), "{error}");
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let config = DnsConfig { servers: vec![silent.local_addr().unwrap()], timeout: Duration::from_millis(50) };
    let error = Locator::new(&config, true, false).unwrap().locate(target("example.com")).await.unwrap_err();
    assert_eq!(error, LocateError::Timeout("example.com".to_owned()));
}

/// A node whose number forwards to a trunk that is known by name, and the caller.
async fn forwarding(dns: &Dns, transport: SipTransport) -> (World, Peer) {
    let server = dns.address;
    let world = World::with(move |config| config.dns.servers = vec![server]).await;
    let new =
        NewConnection { hostname: Some("trunk.example.com".to_owned()), transport, ..NewConnection::new("by name") };
    let trunk = world.store.connections().create(world.account, None, new).await.unwrap().uuid;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let caller = Peer::new().await;
    world.trunk(&caller).await;
    (world, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_to_the_next_server_when_the_first_has_no_room() {
    let (mut full, mut free) = (Peer::new().await, Peer::new().await);
    let dns = Dns::new().await;
    dns.srv("_sip._udp.trunk.example.com", 2, free.address.port(), "here.example.com");
    dns.srv("_sip._udp.trunk.example.com", 1, full.address.port(), "here.example.com");
    dns.a("here.example.com", [127, 0, 0, 1]);
    let (world, mut caller) = forwarding(&dns, SipTransport::Udp).await;
    caller.call_number(world.sip, 40_000);
    let refused = async {
        let session = full.invited().await;
        full.command(Command::Reject { session, code: 503, reason: None, headers: Vec::new() });
        full.settle().await;
    };
    let answered = async {
        let session = free.invited().await;
        free.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
        while !matches!(free.event().await, Event::Acked { .. }) {}
        free.command(Command::Bye { session, headers: Vec::new() });
        free.settle().await;
    };
    let heard = async {
        while !matches!(caller.event().await, Event::Bye { .. }) {}
        caller.settle().await;
    };
    tokio::join!(refused, answered, heard);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_to_the_next_server_when_nobody_listens_at_the_first() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut there = world::tcp::TcpPeer::new().await;
    let dns = Dns::new().await;
    dns.srv("_sip._tcp.trunk.example.com", 1, closed.port(), "here.example.com");
    dns.srv("_sip._tcp.trunk.example.com", 2, there.address.port(), "here.example.com");
    dns.a("here.example.com", [127, 0, 0, 1]);
    let (world, mut caller) = forwarding(&dns, SipTransport::Tcp).await;
    caller.call_number(world.sip, 40_000);
    let refused = async {
        let session = there.invited().await;
        there.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
        there.settle().await;
    };
    let heard = async {
        let event = caller.event().await;
        assert!(matches!(event, Event::Failed { code: 486, .. }), "{event:?}");
        caller.settle().await;
    };
    tokio::join!(refused, heard);
    world.idle().await;
}
