//! Several listeners, and how each network is told that it sees the node. All of 127.0.0.0/8 is this machine, so its parts
//! are the networks here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use opentact_engine::media::MediaConfig;
use opentact_engine::transport::{Outside, View};
use opentact_sip::flow::Transport;
use opentact_sip::message::{Headers, Method, Response};
use opentact_sip::sdp::Session;
use opentact_sip::ua::{Command, Event, OutgoingInvite, SessionId};
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::types::SipTransport;
use tokio::net::UdpSocket;
use world::raw::Raw;
use world::tcp::TcpPeer;
use world::{NUMBER, Peer, World, offer, sdp};

const ANSWER: &str = "<Response><Answer/><Hangup/></Response>";
const TONE: &str = r#"<Response><Tone hz="440" don="60000" doff="0" timeout="60000"/></Response>"#;
const HEARD: &str = r#"<Response><Answer/><Tone hz="440" don="60000" doff="0" timeout="60000"/></Response>"#;
const INSIDE: [u8; 4] = [127, 0, 0, 77];
const OUTSIDE: [u8; 4] = [127, 0, 9, 77];

fn seen_from(network: &str, told: &str) -> Outside {
    Outside::new(vec![View { peers: network.parse().unwrap(), told: told.parse().ok() }])
}

fn contact(headers: &Headers) -> String {
    headers.contacts().next().unwrap().unwrap().uri.host().to_owned()
}

/// Origin and connection of a description.
fn media(body: &[u8]) -> (String, String) {
    let session = Session::parse(body).unwrap();
    let connection = session.connection.or(session.media[0].connection.clone()).unwrap();
    (session.origin.address.address, connection.address)
}

fn both(address: &str) -> (String, String) {
    (address.to_owned(), address.to_owned())
}

async fn answered(peer: &mut Peer) -> Response {
    loop {
        if let Event::Answered { response, .. } = peer.event().await {
            return response;
        }
    }
}

/// One peer calls the other through the node; what the callee was told by INVITE and the caller by the answer.
async fn call(world: &World, tn: u64, caller: &mut Peer, callee: &mut Peer) -> ([String; 2], [(String, String); 2]) {
    let session = caller.call_tn(world.sip, tn, 40_000);
    let called = async {
        let (session, request) = loop {
            if let Event::Invite { session, request, .. } = callee.event().await {
                break (session, request);
            }
        };
        callee.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
        while !matches!(callee.event().await, Event::Acked { .. }) {}
        request
    };
    let (response, request) = tokio::join!(answered(caller), called);
    let via = request.via().unwrap().host.to_string();
    assert_eq!(via, contact(request.headers()));
    caller.command(Command::Bye { session, headers: Vec::new() });
    let hung_up = async { while !matches!(callee.event().await, Event::Bye { .. }) {} };
    tokio::join!(caller.settle(), hung_up);
    callee.settle().await;
    ([via, contact(response.headers())], [media(request.body()), media(response.body())])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_network_is_told_where_it_sees_signalling_and_media() {
    let world = World::with(|config| {
        config.transport.outside = seen_from("127.0.9.0/24", "203.0.113.5");
        config.media_outside = seen_from("127.0.9.0/24", "203.0.113.6");
    })
    .await;
    let (mut inside, mut outside) = (Peer::at(INSIDE).await, Peer::at(OUTSIDE).await);
    for (tn, peer) in [(NUMBER, &inside), (NUMBER + 1, &outside)] {
        let trunk = world.trunk(peer).await;
        world.number(tn, |lease| lease.sip_connection = Some(trunk)).await;
    }
    let (signalling, audio) = call(&world, NUMBER, &mut outside, &mut inside).await;
    assert_eq!(signalling, ["127.0.0.1", "203.0.113.5"]);
    assert_eq!(audio, [both("127.0.0.1"), both("203.0.113.6")]);

    let (signalling, audio) = call(&world, NUMBER + 1, &mut inside, &mut outside).await;
    assert_eq!(signalling, ["203.0.113.5", "127.0.0.1"]);
    assert_eq!(audio, [both("203.0.113.6"), both("127.0.0.1")]);
    world.idle().await;
}

/// Whatever message brings the description: 183, UPDATE before the answer.
#[tokio::test(flavor = "multi_thread")]
async fn offers_that_follow_are_answered_with_the_same_address() {
    let world = World::with(|config| config.media_outside = seen_from("127.0.0.0/8", "203.0.113.6")).await;
    world.number_with(TONE).await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let ours = String::from_utf8(offer(40_000).to_vec()).unwrap();
    raw.invite("Supported: 100rel\r\nContent-Type: application/sdp\r\n", &ours).await;
    let told = raw.provisional(183).await;
    assert_eq!(media(told.body()), both("203.0.113.6"));
    raw.prack(&told, "").await;
    assert_eq!(raw.answer().await.code(), 200);
    let tag = String::from_utf8_lossy(told.to_tag().unwrap()).into_owned();
    let headers = format!("Contact: <sip:raw@{}>\r\nContent-Type: application/sdp\r\n", raw.address);
    raw.send(&raw.request("UPDATE", 1, &tag, &headers, &ours)).await;
    assert_eq!(media(raw.answer_to(&Method::Update).await.body()), both("203.0.113.6"));
    raw.send(&raw.request("CANCEL", 1, "", "", "")).await;
    assert_eq!(raw.answer_to(&Method::Invite).await.code(), 487);
    world.idle().await;
}

/// Calls over one family with a socket for audio, and hears something of a number that plays.
async fn hears(world: &World, node: SocketAddr, ip: IpAddr) {
    let mut caller = Peer::at(ip).await;
    world.trunk(&caller).await;
    let ear = UdpSocket::bind((ip, 0)).await.unwrap();
    let port = ear.local_addr().unwrap().port();
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let offer = format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    let session: SessionId = caller.ua.new_session();
    let uri = Uri::from_addr(Some(&NUMBER.to_string()), node);
    let invite = OutgoingInvite {
        flow: caller.flow_to(node),
        uri: uri.clone(),
        from: NameAddr::new(Uri::from_addr(Some("+12025550123"), caller.address)),
        to: NameAddr::new(uri),
        contact: None,
        call_id: None,
        route: Vec::new(),
        headers: Vec::new(),
        body: Some((Bytes::from_static(b"application/sdp"), offer.into())),
        credentials: None,
    };
    caller.command(Command::Invite { session, invite });
    let response = answered(&mut caller).await;
    caller.flush().await;
    let here = node.ip().to_string();
    assert_eq!(contact(response.headers()).trim_matches(['[', ']']), here);
    assert_eq!(media(response.body()), both(&here));
    let mut packet = [0; 2_000];
    let heard = ear.recv_from(&mut packet);
    let (length, _) = tokio::time::timeout(std::time::Duration::from_secs(20), heard).await.unwrap().unwrap();
    assert_eq!((length, packet[1] & 0x7f), (12 + 160, 0));
    caller.command(Command::Bye { session, headers: Vec::new() });
    caller.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_answers_and_both_families_are_heard() {
    let world = World::with(|config| {
        config.transport.udp = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"].map(|one| one.parse().unwrap()).to_vec();
        config.media = MediaConfig { address: Ipv6Addr::UNSPECIFIED.into(), ..config.media.clone() };
        config.defence.trusted.push("::1/128".parse().unwrap());
        // Who is on this machine is told of media at the address of the listener.
        let view = |peers: &str, told: &str| View { peers: peers.parse().unwrap(), told: told.parse().ok() };
        config.media_outside = Outside::new(vec![
            view("127.0.0.0/16", "127.0.0.1"),
            view("127.1.0.0/16", "127.0.0.2"),
            view("::1/128", "::1"),
        ]);
    })
    .await;
    world.number_with(HEARD).await;
    let listeners = world.engine.sip_addresses(Transport::Udp).to_vec();
    let callers = [IpAddr::from([127, 0, 1, 1]), IpAddr::from([127, 1, 1, 1]), Ipv6Addr::LOCALHOST.into()];
    for (node, ip) in listeners.into_iter().zip(callers) {
        hears(&world, node, ip).await;
    }
    world.idle().await;
}

/// Two listeners that outside is told of as one: what comes by one is answered by it and no other.
#[tokio::test(flavor = "multi_thread")]
async fn answers_leave_by_the_listener_that_was_called() {
    let world = World::with(|config| {
        config.transport.udp = ["127.0.0.1:0", "127.0.0.2:0"].map(|one| one.parse().unwrap()).to_vec();
        config.transport.outside = seen_from("127.0.0.0/8", "203.0.113.5");
    })
    .await;
    for node in world.engine.sip_addresses(Transport::Udp) {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let options = format!(
            "OPTIONS sip:{node} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-{node};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:a@b.invalid>;tag=1\r\nTo: <sip:{node}>\r\nCall-ID: {node}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        peer.send_to(options.as_bytes(), node).await.unwrap();
        let mut answer = [0; 4_096];
        let (_, from) = peer.recv_from(&mut answer).await.unwrap();
        assert_eq!(from, *node);
    }
}

/// Calls go out by the listener that is on the way, whatever its place among them.
#[tokio::test(flavor = "multi_thread")]
async fn calls_leave_by_the_listener_that_leads_to_the_callee() {
    let world = World::with(|config| {
        config.transport.udp = ["[::1]:0", "127.0.0.2:0", "127.0.0.1:0"].map(|one| one.parse().unwrap()).to_vec();
        config.defence.trusted.push("::1/128".parse().unwrap());
    })
    .await;
    let here = world.engine.sip_addresses(Transport::Udp).to_vec();
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    let ways = [(IpAddr::from([127, 0, 0, 1]), here[2]), (Ipv6Addr::LOCALHOST.into(), here[0])];
    for (tn, (ip, expected)) in (NUMBER..).zip(ways) {
        let mut callee = Peer::at(ip).await;
        let trunk = world.trunk(&callee).await;
        world.number(tn, |lease| lease.sip_connection = Some(trunk)).await;
        caller.call_tn(here[2], tn, 40_000);
        let failed = async { while !matches!(caller.event().await, Event::Failed { code: 486, .. }) {} };
        let (request, ()) = tokio::join!(callee.refuse(), failed);
        let via = request.via().unwrap();
        assert_eq!(via.port, Some(expected.port()));
        assert_eq!(via.host.trim_matches(['[', ']']), expected.ip().to_string());
        caller.settle().await;
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_listens_on_both_families_and_tells_each_network_its_own() {
    let world = World::with(|config| {
        config.transport.tcp = ["127.0.0.1:0", "[::1]:0"].map(|one| one.parse().unwrap()).to_vec();
        config.defence.trusted.push("::1/128".parse().unwrap());
        config.transport.outside = seen_from("127.0.0.0/8", "203.0.113.5");
    })
    .await;
    world.number_with(ANSWER).await;
    let listeners = world.engine.sip_addresses(Transport::Tcp);
    for (node, told) in listeners.iter().zip(["203.0.113.5", "[::1]"]) {
        let mut peer = TcpPeer::new().await;
        world.trunk_at(SocketAddr::new(node.ip(), peer.address.port()), SipTransport::Tcp).await;
        peer.call_number(*node, 40_000).await;
        let response = loop {
            if let Event::Answered { response, .. } = peer.event().await {
                break response;
            }
        };
        assert_eq!(contact(response.headers()), told);
        peer.settle().await;
    }
    world.idle().await;
}
