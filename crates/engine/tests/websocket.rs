//! SIP over WebSocket (RFC 7118): phones that can be reached by their own connection only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use futures_util::SinkExt;
use opentact_sip::message::Name;
use opentact_sip::sdp::SrtpPolicy;
use opentact_sip::ua::{Command, Event};
use opentact_sip::uri::{NameAddr, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use world::ws::{WsPeer, closed, connect, next};
use world::{DOMAIN, NUMBER, Peer, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_called_by_the_connection_it_has_registered_over() {
    // It is no browser: it takes no more than RTP/AVP.
    let world = World::with(|config| config.srtp = SrtpPolicy::Off).await;
    world.domain_with(&["web"]).await;
    let node = world.websocket().await;
    let mut phone = WsPeer::new(node, "web").await;
    assert_eq!(phone.register().await, 200);

    world.originate(&format!("web@{DOMAIN}"), "<Response><Pause length=\"60\"/></Response>").await.unwrap();
    let (session, request) = loop {
        if let Event::Invite { session, request, .. } = phone.event().await {
            break (session, request);
        }
    };
    assert_eq!(request.uri().unwrap(), phone.contact());
    let via = request.via().unwrap();
    assert_eq!((via.transport, via.host, via.port), ("WS", "127.0.0.1", Some(node.port())));
    let contact = request.contacts().next().unwrap().unwrap().uri;
    assert_eq!((contact.port(), contact.param("transport")), (Some(node.port()), Some("ws")));

    let contact = Some(phone.contact());
    phone.command(Command::Accept { session, headers: Vec::new(), body: world::sdp(40_002), contact });
    while !matches!(phone.event().await, Event::Acked { .. }) {}
    phone.command(Command::Bye { session, headers: Vec::new() });
    while phone.ua.stats().sessions > 0 {
        phone.event().await;
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_has_left_is_no_longer_registered() {
    let world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let user = world.user(domain, "web", |_| {}).await;
    let node = world.websocket().await;
    let mut phone = WsPeer::new(node, "web").await;
    assert_eq!(phone.register().await, 200);
    let registrations = world.engine.control().registrations(user).await;
    assert_eq!((registrations.len(), registrations[0].transport), (1, "ws"));
    phone.socket.close(None).await.unwrap();
    closed(&mut phone.socket).await;
    let forgotten = async { while !world.engine.control().registrations(user).await.is_empty() {} };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.expect("still registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_trunks_address_in_a_browser_is_not_the_trunk() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Hangup/></Response>").await;
    let trunk = Peer::new().await;
    world.trunk_at("192.0.2.7:5060".parse().unwrap(), opentact_store::types::SipTransport::Udp).await;
    let mut phone = WsPeer::new(world.websocket().await, "web").await;
    let from = NameAddr::new(Uri::from_addr(Some("+12025550123"), trunk.address));
    phone.call(from, Uri::from_addr(Some(&NUMBER.to_string()), world.sip));
    let event = phone.event().await;
    assert!(matches!(event, Event::Failed { code: 403, .. }), "{event:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_alives_of_both_kinds_are_answered() {
    let world = World::new().await;
    let mut socket = connect(world.websocket().await, Some("chat, sip"), "192.0.2.7").await.unwrap();
    for crlf in [Message::text("\r\n\r\n"), Message::binary("\r\n\r\n".as_bytes())] {
        socket.send(crlf).await.unwrap();
        assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::text("\r\n"));
    }
    // Neither a pong nor nothing at all asks for an answer.
    for silent in ["\r\n", ""] {
        socket.send(Message::text(silent)).await.unwrap();
    }
    socket.send(Message::Ping("here?".into())).await.unwrap();
    assert_eq!(next(&mut socket).await.unwrap().unwrap(), Message::Pong("here?".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_one_message_as_text_or_binary() {
    let world = World::new().await;
    let node = world.websocket().await;
    let mut socket = connect(node, Some("sip"), "192.0.2.7").await.unwrap();
    let options = |branch: &str| {
        format!(
            "OPTIONS sip:{node} SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b.invalid>;tag=1\r\nTo: <sip:{node}>\r\nCall-ID: {branch}@b.invalid\r\nCSeq: 1 OPTIONS\r\n\r\n"
        )
    };
    for message in [Message::text(options("one")), Message::binary(options("two"))] {
        socket.send(message).await.unwrap();
        let answer = next(&mut socket).await.unwrap().unwrap().into_text().unwrap();
        let opentact_sip::message::Message::Response(answer) =
            opentact_sip::message::Message::parse(answer.as_bytes().to_vec().into()).unwrap()
        else {
            panic!("{answer}")
        };
        assert_eq!(answer.code(), 200);
        assert!(answer.header(Name::Via).unwrap().ends_with(b"received=192.0.2.7"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_subprotocols_are_refused() {
    let world = World::new().await;
    let node = world.websocket().await;
    for protocol in [None, Some("chat")] {
        match connect(node, protocol, "192.0.2.7").await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_ends_the_connection() {
    let world = World::with(|config| config.transport.limits.message = 1_000).await;
    let node = world.websocket().await;
    for (length, code) in [(1_001, CloseCode::Size), (100_000, CloseCode::Protocol)] {
        let mut socket = connect(node, Some("sip"), "192.0.2.7").await.unwrap();
        socket.send(Message::text("x".repeat(length))).await.unwrap();
        assert_eq!(closed(&mut socket).await.unwrap().code, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_many_connections_gets_no_more_and_others_do() {
    let limits = |config: &mut opentact_engine::EngineConfig| {
        config.transport.limits.per_address = 2;
        config.transport.limits.connections = 3;
    };
    let world = World::with(limits).await;
    let node = world.websocket().await;
    let refused = async |address| match connect(node, Some("sip"), address).await {
        Err(Error::Http(response)) => {
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"5".parse().unwrap()));
        }
        other => panic!("{other:?}"),
    };
    let mut first = connect(node, Some("sip"), "192.0.2.7").await.unwrap();
    let _second = connect(node, Some("sip"), "192.0.2.7").await.unwrap();
    refused("192.0.2.7").await;
    let _other = connect(node, Some("sip"), "192.0.2.8").await.unwrap();
    refused("192.0.2.9").await;
    first.close(None).await.unwrap();
    // The end of the stream: the node has let go of the connection.
    while next(&mut first).await.is_some_and(|frame| frame.is_ok()) {}
    let mut again = connect(node, Some("sip"), "192.0.2.7").await;
    while again.is_err() {
        again = connect(node, Some("sip"), "192.0.2.7").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_no_ping_is_gone() {
    let world = World::with(|config| config.transport.limits.ping = Duration::from_millis(20)).await;
    let node = world.websocket().await;
    let mut silent = TcpStream::connect(node).await.unwrap();
    let hello = format!(
        "GET /sip HTTP/1.1\r\nHost: {node}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    );
    silent.write_all(hello.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    silent.read_to_end(&mut heard).await.unwrap();
    let frames = &heard[heard.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4..];
    // RFC 6455 5.2: an empty ping first, and a close with 1001 last.
    assert_eq!(&frames[..2], [0x89, 0]);
    assert!(frames.windows(4).any(|at| at[0] == 0x88 && at[2..] == 1001_u16.to_be_bytes()), "{frames:?}");

    // The library answers, for as long as it is read.
    let mut there = WsPeer::new(node, "web").await;
    let mut pings = 0;
    while pings < 5 {
        match futures_util::StreamExt::next(&mut there.socket).await.unwrap().unwrap() {
            Message::Ping(_) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
}
