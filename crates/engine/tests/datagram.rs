//! What is special to UDP: requests that are too long for it, and STUN on the SIP port.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::Name;
use opentact_sip::ua::{Command, Event};
use opentact_store::types::SipTransport;
use tokio::net::{TcpListener, UdpSocket};
use world::raw::Raw;
use world::tcp::TcpPeer;
use world::{NUMBER, Peer, World};

/// A world in which every INVITE is too long for UDP and whose number forwards to a trunk at `port`; and the caller.
async fn forwarding(trunk: std::net::SocketAddr) -> (World, Peer) {
    let world = World::with(|config| config.transport.limits.udp_request = 500).await;
    let trunk = world.trunk_at(trunk, SipTransport::Udp).await;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let caller = Peer::new().await;
    world.trunk(&caller).await;
    (world, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_request_goes_over_tcp_and_so_does_its_cancel() {
    let mut trunk = TcpPeer::new().await;
    let (world, mut caller) = forwarding(trunk.address).await;
    let session = caller.call_number(world.sip, 40_000);
    let rings = async {
        let (session, request) = loop {
            if let Event::Invite { session, request, .. } = trunk.event().await {
                break (session, request);
            }
        };
        assert_eq!(request.via().unwrap().transport, "TCP");
        trunk.command(Command::Provisional { session, code: 180, reason: None, headers: vec![], body: None });
        trunk.flush().await;
    };
    tokio::join!(rings, caller.progress());
    caller.command(Command::Cancel { session, headers: Vec::new() });
    let cancelled = async { while !matches!(trunk.event().await, Event::Cancelled { .. }) {} };
    tokio::join!(cancelled, caller.settle());
    assert_eq!(trunk.accepted, 1);
    // Until the ACK of its 487 has come.
    let acknowledged = async {
        while trunk.ua.stats().transactions > 1 {
            trunk.happen().await;
        }
    };
    tokio::join!(acknowledged, world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_tcp_gets_it_over_udp_and_is_not_asked_again() {
    let mut trunk = Peer::new().await;
    let (world, mut caller) = forwarding(trunk.address).await;
    for again in [false, true] {
        caller.call_number(world.sip, 40_000);
        let failed = async { while !matches!(caller.event().await, Event::Failed { code: 486, .. }) {} };
        let (request, ()) = tokio::join!(trunk.refuse(), failed);
        assert_eq!(request.via().unwrap().transport, "UDP");
        caller.settle().await;
        if again {
            break;
        }
        // Somebody who would take it now, and say nothing.
        let listener = TcpListener::bind(trunk.address).await.unwrap();
        tokio::spawn(async move { std::mem::forget(listener.accept().await) });
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_request_is_answered_with_the_address_it_came_from() {
    let world = World::new().await;
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let request = *b"\0\x01\0\0\x21\x12\xa4\x42phone-stun-1";
    // Noise that looks like it gets no answer.
    phone.send_to(&request[..19], world.sip).await.unwrap();
    phone.send_to(&request, world.sip).await.unwrap();
    let mut answer = [0; 64];
    let (length, from) = phone.recv_from(&mut answer).await.unwrap();
    assert_eq!((length, from), (32, world.sip));
    let port = phone.local_addr().unwrap().port() ^ 0x2112;
    let mut expected = b"\x01\x01\0\x0c\x21\x12\xa4\x42phone-stun-1\0\x20\0\x08\0\x01".to_vec();
    expected.extend(port.to_be_bytes());
    expected.extend([127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42]);
    assert_eq!(answer[..length], expected);
}

/// RFC 3261 11.2.
#[tokio::test(flavor = "multi_thread")]
async fn options_tells_all_that_is_spoken_here() {
    let world = World::new().await;
    let raw = Raw::new(world.sip).await;
    raw.send(&raw.request("OPTIONS", 1, "", "", "")).await;
    let answer = raw.answer().await;
    assert_eq!(answer.code(), 200);
    let lists = |name, value| answer.headers().lists(name, value);
    for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "PRACK", "MESSAGE", "SUBSCRIBE", "REFER"] {
        assert!(lists(Name::Allow, method), "{method}");
    }
    for body in ["application/sdp", "application/dtmf-relay", "text/plain", "message/cpim"] {
        assert!(lists(Name::Accept, body), "{body}");
    }
    for tag in ["100rel", "timer", "path", "outbound", "gruu", "replaces"] {
        assert!(lists(Name::Supported, tag), "{tag}");
    }
    for event in ["dialog", "message-summary", "reg"] {
        assert!(lists(Name::AllowEvents, event), "{event}");
    }
    assert!(lists(Name::AcceptEncoding, "identity") && lists(Name::AcceptLanguage, "en"));
}
