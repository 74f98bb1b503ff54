//! MESSAGE between SIP users: to all phones, or kept until the next registration; and within a call.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use bytes::Bytes;
use opentact_sip::digest::Credentials;
use opentact_sip::message::{Method, Name, Request, Response};
use opentact_sip::ua::{Command, Event, OutgoingRequest, RequestId};
use opentact_sip::uri::{NameAddr, Uri};
use world::{DOMAIN, PASSWORD, Peer, World, address, sdp};

fn plain(text: &str) -> Option<(Bytes, Bytes)> {
    Some((Bytes::from_static(b"text/plain"), text.to_owned().into()))
}

/// Sends a MESSAGE as a user with [`PASSWORD`]; the answer comes as an event.
fn write(peer: &mut Peer, world: &World, from: &'static str, to: Uri, body: Option<(Bytes, Bytes)>) -> RequestId {
    write_with(peer, world, address(from), to, body, &[])
}

fn write_with(
    peer: &mut Peer,
    world: &World,
    from: NameAddr,
    to: Uri,
    body: Option<(Bytes, Bytes)>,
    headers: &[(&'static str, &'static str)],
) -> RequestId {
    let id = peer.ua.new_request();
    let request = OutgoingRequest {
        credentials: Some(Credentials::password(from.uri.user().unwrap(), PASSWORD)),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body,
        ..OutgoingRequest::new(peer.flow_to(world.sip), Method::Message, to.clone(), from, NameAddr::new(to))
    };
    peer.command(Command::Request { id, request });
    id
}

async fn answer(peer: &mut Peer) -> Response {
    loop {
        if let Event::Response { response, .. } = peer.event().await {
            return response;
        }
    }
}

/// The next MESSAGE, answered so.
async fn receive(peer: &mut Peer, code: u16) -> Request {
    loop {
        if let Event::Request { id, request, .. } = peer.event().await {
            peer.command(Command::Respond { id, code, reason: None, headers: Vec::new(), body: None });
            peer.settle().await;
            return request;
        }
    }
}

fn text(request: &Request) -> &str {
    std::str::from_utf8(request.body()).unwrap()
}

fn user(login: &str) -> Uri {
    Uri::sip(Some(login), DOMAIN, None).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_every_phone_of_a_user() {
    let mut world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut desk, mut mobile) = (Peer::new().await, Peer::new().await, Peer::new().await);
    for phone in [&mut desk, &mut mobile] {
        assert_eq!(phone.register(world.sip, "bob", PASSWORD, 300).await, 200);
    }
    write(&mut alice, &world, "alice", user("bob"), plain("Grüße"));
    let (at_desk, at_mobile, response) =
        tokio::join!(receive(&mut desk, 200), receive(&mut mobile, 200), answer(&mut alice));
    assert_eq!(response.code(), 200);
    for request in [at_desk, at_mobile] {
        assert_eq!(text(&request), "Grüße");
        assert_eq!(request.from().unwrap().uri.to_string(), format!("sip:alice@{DOMAIN}"));
        assert_eq!(request.max_forwards(), Ok(Some(69)));
        assert!(request.header(Name::Contact).is_none(), "RFC 3428 section 4");
    }
    let created = world.event().await;
    assert_eq!(
        (created["type"].as_str(), created["message"].as_str()),
        (Some("sms"), Some("SMS: type: sip, state: created"))
    );
    let delivered = world.event().await["payload"].clone();
    assert_eq!((delivered["state"].as_str(), delivered["delivered"].as_bool()), (Some("success"), Some(true)));
    assert_eq!(delivered["from"], format!("alice@{DOMAIN}"));
    assert_eq!(delivered["thread"].as_str().map(str::len), Some(32));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_gets_what_was_written_in_order_with_the_next_registration() {
    let world = World::with(|config| config.messages.max_waiting = 3).await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    for number in ["one", "two", "three"] {
        write(&mut alice, &world, "alice", user("bob"), plain(number));
        assert_eq!(answer(&mut alice).await.code(), 202);
    }
    write(&mut alice, &world, "alice", user("bob"), plain("four"));
    let full = answer(&mut alice).await;
    assert_eq!((full.code(), &*full.reason()), (480, "Too Many Messages Waiting"));

    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    for number in ["one", "two"] {
        let request = receive(&mut bob, 200).await;
        assert_eq!(text(&request), number);
        assert!(request.header(Name::Date).is_some_and(|date| date.ends_with(b" GMT")));
    }
    // Not now: it comes again with the next registration.
    assert_eq!(text(&receive(&mut bob, 480).await), "three");
    world.idle().await;
    // Over a restart too.
    let world = world.restart().await;
    assert_eq!(text(&receive(&mut bob, 200).await), "three");
    world.idle().await;
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    world.idle().await;
    write(&mut alice, &world, "alice", user("bob"), plain("five"));
    let (received, response) = tokio::join!(receive(&mut bob, 200), answer(&mut alice));
    assert_eq!((text(&received), response.code()), ("five", 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_will_never_take_is_refused_to_its_sender() {
    let mut world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    write(&mut alice, &world, "alice", user("bob"), plain("no"));
    let (_, response) = tokio::join!(receive(&mut bob, 405), answer(&mut alice));
    assert_eq!(response.code(), 405);
    world.event().await;
    let failed = world.event().await["payload"].clone();
    assert_eq!((failed["state"].as_str(), failed["reason"].as_str()), (Some("failed"), Some("405 Method Not Allowed")));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_somebody_types_is_told_to_who_is_there_and_kept_for_nobody() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    let typing =
        || Some((Bytes::from_static(b"application/im-iscomposing+xml"), Bytes::from_static(b"<isComposing/>")));
    write(&mut alice, &world, "alice", user("bob"), typing());
    assert_eq!(answer(&mut alice).await.code(), 480);
    write_with(&mut alice, &world, address("alice"), user("bob"), plain("now or never"), &[("Expires", "0")]);
    assert_eq!(answer(&mut alice).await.code(), 480);
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    world.idle().await;
    write(&mut alice, &world, "alice", user("bob"), typing());
    let (request, response) = tokio::join!(receive(&mut bob, 200), answer(&mut alice));
    assert_eq!((text(&request), response.code()), ("<isComposing/>", 200));
    assert_eq!(
        world.store.sip_messages().search(world.account, Default::default(), Default::default()).await.unwrap().data,
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_refused_as_a_call_would_be() {
    let world = World::with(|config| config.messages.max_octets = 10).await;
    world.domain_with(&["alice", "bob"]).await;
    let closed = world.domain("closed.sip.localhost", |_| {}).await;
    world.user(closed, "dora", |new| new.same_domain_calls_only = true).await;
    let mut alice = Peer::new().await;
    let cases = [
        (user("carol"), plain("hi"), 404),
        (user("+12125550001"), plain("hi"), 501),
        (Uri::sip(Some("dora"), "closed.sip.localhost", None).unwrap(), plain("hi"), 403),
        (user("bob"), plain("eleven octets"), 413),
        (user("bob"), None, 400),
        (user("bob"), Some((Bytes::from_static(b"text/plain"), Bytes::from_static(b"\xff\xfe"))), 415),
        (user("bob"), Some((Bytes::from_static(b"image/png"), Bytes::from_static(b"png"))), 415),
    ];
    for (to, body, code) in cases {
        write(&mut alice, &world, "alice", to.clone(), body);
        let response = answer(&mut alice).await;
        assert_eq!(response.code(), code, "{to}");
        if code == 415 {
            assert!(response.headers().lists(Name::Accept, "text/plain"));
        }
    }
    // Nobody writes in the name of another, nor through us from outside.
    let id = alice.ua.new_request();
    let flow = alice.flow_to(world.sip);
    let request = OutgoingRequest {
        body: plain("hi"),
        credentials: Some(Credentials::password("bob", "wrong")),
        ..OutgoingRequest::new(flow, Method::Message, user("bob"), address("bob"), address("bob"))
    };
    alice.command(Command::Request { id, request });
    assert_eq!(answer(&mut alice).await.code(), 403);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_sees_nobody_who_withholds_the_name_and_its_owner_does() {
    let mut world = World::new().await;
    world.domain_with(&["alice"]).await;
    let first = world.account;
    world.another_account("0").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    world.user(other, "eve", |_| {}).await;
    let (mut alice, mut eve) = (Peer::new().await, Peer::new().await);
    assert_eq!(eve.register_at(world.sip, "eve", "other.sip.localhost", 300).await, 200);
    let to = Uri::sip(Some("eve"), "other.sip.localhost", None).unwrap();
    write_with(&mut alice, &world, address("alice"), to, plain("guess"), &[("Privacy", "id")]);
    let (request, response) = tokio::join!(receive(&mut eve, 200), answer(&mut alice));
    assert_eq!(response.code(), 200);
    assert_eq!(request.from().unwrap().uri.host(), "anonymous.invalid");
    world.idle().await;
    let rows = async |account| {
        let found = world.store.sip_messages().search(account, Default::default(), Default::default()).await.unwrap();
        found.data.into_iter().map(|row| (row.from, row.delivered)).collect::<Vec<_>>()
    };
    assert_eq!(rows(world.account).await, [("anonymous".to_owned(), true)]);
    assert_eq!(rows(first).await, [(format!("alice@{DOMAIN}"), true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_within_a_call_goes_to_the_other_side_of_it() {
    let mut world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    alice.credentials = Some(("alice", PASSWORD));
    let session = alice.call(world.sip, address("alice"), user("bob"), 40_400);
    let answers = async {
        let session = bob.invited().await;
        bob.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_402), contact: None });
        while !matches!(bob.event().await, Event::Acked { .. }) {}
        session
    };
    let answered = async { while !matches!(alice.event().await, Event::Answered { .. }) {} };
    let (bobs, ()) = tokio::join!(answers, answered);
    while world.event().await["type"] != "call_bridge" {}

    alice.say(session, "to you");
    let (heard, response) = tokio::join!(bob.hear(), answer(&mut alice));
    assert_eq!((text(&heard), response.code()), ("to you", 200));
    bob.say(bobs, "and back");
    let (heard, response) = tokio::join!(alice.hear(), answer(&mut bob));
    assert_eq!((text(&heard), response.code()), ("and back", 200));
    alice.command(Command::Bye { session, headers: Vec::new() });
    let over = async { while !matches!(bob.event().await, Event::Bye { .. }) {} };
    tokio::join!(alice.settle(), over);
    bob.settle().await;
    world.idle().await;

    let (mut lines, mut thread) = (Vec::new(), Vec::new());
    while lines.len() < 2 {
        let event = world.event().await;
        if event["type"] == "sms" && event["payload"]["state"] == "success" {
            let payload = &event["payload"];
            thread.push(payload["thread"].clone());
            lines.push(format!("{}: {}", payload["from"].as_str().unwrap(), payload["message"].as_str().unwrap()));
        }
    }
    assert_eq!(lines, [format!("alice@{DOMAIN}: to you"), format!("bob@{DOMAIN}: and back")]);
    assert_eq!(thread[0], thread[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_fetched_in_time_is_given_up() {
    let mut world = World::with(|config| config.messages.keep = Duration::ZERO).await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut bob) = (Peer::new().await, Peer::new().await);
    write(&mut alice, &world, "alice", user("bob"), plain("too late"));
    assert_eq!(answer(&mut alice).await.code(), 202);
    // The sweep comes first thing with the start.
    let restarted = world.restart().await;
    world = restarted;
    assert_eq!(world.event().await["payload"]["state"], "created");
    let failed = world.event().await["payload"].clone();
    assert_eq!((failed["state"].as_str(), failed["reason"].as_str()), (Some("failed"), Some("Expired")));
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    world.idle().await;
}
