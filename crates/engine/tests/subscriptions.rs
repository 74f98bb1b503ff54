//! Who watches the calls, messages and contacts of a SIP user is told how they are.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use opentact_sip::digest::{Challenge, Credentials};
use opentact_sip::message::{Method, Name, Request, Response};
use opentact_sip::ua::{Command, Event, OutgoingRequest};
use opentact_sip::uri::{NameAddr, Uri};
use world::raw::Raw;
use world::{DOMAIN, PASSWORD, Peer, World, address, sdp};

/// A phone with one subscription.
struct Watcher {
    raw: Raw,
    node: std::net::SocketAddr,
    login: &'static str,
    cseq: u32,
    /// Of its dialog.
    tag: String,
    event: &'static str,
    watched: String,
}

impl Watcher {
    fn of(world: &World, raw: Raw, login: &'static str, event: &'static str, watched: &str) -> Self {
        let watched = if watched.contains('@') { watched.to_owned() } else { format!("{watched}@{DOMAIN}") };
        Self { raw, node: world.sip, login, cseq: 0, tag: String::new(), event, watched }
    }

    async fn new(world: &World, login: &'static str, event: &'static str, watched: &str) -> Self {
        Self::of(world, Raw::new(world.sip).await, login, event, watched)
    }

    /// Subscribes, or refreshes what it has, and returns the final answer.
    async fn subscribe(&mut self, expires: u32, headers: &str) -> Response {
        let uri = format!("sip:{}", self.watched);
        let answer = self.ask(&uri, expires, headers).await;
        if answer.code() != 401 {
            return answer;
        }
        let (_, challenge) = Challenge::all(answer.headers()).remove(0);
        let credentials = Credentials::password(self.login, PASSWORD);
        let value = challenge.answer(&credentials, &Method::Subscribe, &uri, b"", 1, "cnonce").unwrap();
        let answer = self.ask(&uri, expires, &format!("Authorization: {value}\r\n{headers}")).await;
        if answer.is_success() {
            self.tag = String::from_utf8(answer.to_tag().unwrap().to_vec()).unwrap();
        }
        answer
    }

    async fn ask(&mut self, uri: &str, expires: u32, headers: &str) -> Response {
        self.cseq += 1;
        let (cseq, address, node, event) = (self.cseq, self.raw.address, self.node, self.event);
        let tag = if self.tag.is_empty() { String::new() } else { format!(";tag={}", self.tag) };
        let text = format!(
            "SUBSCRIBE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch=z9hG4bK{event}{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:{login}@{DOMAIN}>;tag=w\r\nTo: <{uri}>{tag}\r\nCall-ID: {event}@{address}\r\n\
             CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:{login}@{address}>\r\nEvent: {event}\r\nExpires: {expires}\r\n\
             Route: <sip:{node};lr>\r\n{headers}Content-Length: 0\r\n\r\n",
            login = self.login,
        );
        self.raw.send(&text).await;
        self.raw.answer().await
    }

    /// The next NOTIFY that says this, those before passed over.
    async fn told(&self, what: &str) -> Request {
        loop {
            let request = self.raw.asked().await;
            assert_eq!(*request.method(), Method::Notify);
            if state(&request).contains(what) || body(&request).contains(what) {
                return request;
            }
        }
    }
}

fn state(request: &Request) -> String {
    String::from_utf8_lossy(request.header(Name::SubscriptionState).unwrap()).into_owned()
}

fn body(request: &Request) -> String {
    String::from_utf8_lossy(request.body()).into_owned()
}

async fn world() -> World {
    let world = World::with(|config| config.subscribe.interval = Duration::ZERO).await;
    world.domain_with(&["alice", "desk", "porter"]).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_shows_the_calls_of_a_user() {
    let world = world().await;
    let (mut alice, mut desk) = (Peer::new().await, Peer::new().await);
    assert_eq!(desk.register(world.sip, "desk", PASSWORD, 300).await, 200);
    let mut porter = Watcher::new(&world, "porter", "dialog", "desk").await;
    let granted = porter.subscribe(600, "").await;
    assert_eq!((granted.code(), granted.expires()), (200, Ok(Some(600))));
    let first = porter.told("version=\"0\" state=\"full\"").await;
    assert!(!body(&first).contains("<dialog "));
    assert!(first.headers().is_content("application/dialog-info+xml"));
    assert!(state(&first).starts_with("active;expires="));

    alice.credentials = Some(("alice", PASSWORD));
    let call = alice.call(world.sip, address("alice"), Uri::sip(Some("desk"), DOMAIN, None).unwrap(), 40_700);
    let rings = async {
        let session = desk.invited().await;
        let (code, reason, headers, body) = (180, None, Vec::new(), None);
        desk.command(Command::Provisional { session, code, reason, headers, body });
        desk.flush().await;
        session
    };
    let heard = async { while !matches!(alice.event().await, Event::Progress { .. }) {} };
    let (session, (), early) = tokio::join!(rings, heard, porter.told("<state>early</state>"));
    assert!(body(&early).contains("direction=\"recipient\""));
    assert!(body(&early).contains(&format!("<remote><identity>sip:alice@{DOMAIN}</identity></remote>")));

    desk.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_702), contact: None });
    let acked = async { while !matches!(desk.event().await, Event::Acked { .. }) {} };
    let answered = async { while !matches!(alice.event().await, Event::Answered { .. }) {} };
    let ((), (), confirmed) = tokio::join!(acked, answered, porter.told("<state>confirmed</state>"));
    // As the phone knows its dialog: what it takes to pick up or replace the call.
    let session = desk.ua.session(session).unwrap();
    for (name, value) in [
        ("call-id", session.call_id()),
        ("local-tag", session.local_tag()),
        ("remote-tag", session.remote_tag().unwrap()),
    ] {
        assert!(body(&confirmed).contains(&format!("{name}=\"{}\"", String::from_utf8_lossy(value))), "{name}");
    }

    alice.command(Command::Bye { session: call, headers: Vec::new() });
    let over = async { while !matches!(desk.event().await, Event::Bye { .. }) {} };
    let ((), (), _) = tokio::join!(alice.settle(), over, porter.told("<state>terminated</state>"));
    desk.settle().await;
    world.idle().await;

    // Who leaves is told for the last time.
    assert_eq!(porter.subscribe(0, "").await.code(), 200);
    let last = porter.told("terminated;reason=timeout").await;
    assert!(!body(&last).contains("<dialog "));
    assert_eq!(world.engine.stats().await.unwrap().subscriptions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_told_that_messages_wait() {
    let world = world().await;
    let (mut alice, mut phone) = (Peer::new().await, Peer::new().await);
    let mut desk = Watcher::new(&world, "desk", "message-summary", "desk").await;
    assert_eq!(desk.subscribe(600, "").await.code(), 200);
    desk.told("Messages-Waiting: no\r\n").await;
    let to = Uri::sip(Some("desk"), DOMAIN, None).unwrap();
    let id = alice.ua.new_request();
    let flow = alice.flow_to(world.sip);
    let request = OutgoingRequest {
        body: Some(("text/plain".into(), "are you there".into())),
        credentials: Some(Credentials::password("alice", PASSWORD)),
        ..OutgoingRequest::new(flow, Method::Message, to.clone(), address("alice"), NameAddr::new(to))
    };
    alice.command(Command::Request { id, request });
    let kept = async { while !matches!(alice.event().await, Event::Response { .. }) {} };
    let ((), summary) = tokio::join!(kept, desk.told("Messages-Waiting: yes\r\n"));
    assert!(body(&summary).contains(&format!("Message-Account: sip:desk@{DOMAIN}\r\nText-Message: 1/0\r\n")));
    assert_eq!(phone.register(world.sip, "desk", PASSWORD, 300).await, 200);
    let takes = async {
        loop {
            if let Event::Request { id, .. } = phone.event().await {
                phone.command(Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body: None });
                return phone.flush().await;
            }
        }
    };
    tokio::join!(takes, desk.told("Messages-Waiting: no\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_told_of_its_own_contacts() {
    let world = world().await;
    let mut phone = Peer::new().await;
    let mut desk = Watcher::new(&world, "desk", "reg", "desk").await;
    assert_eq!(desk.subscribe(600, "Accept: application/reginfo+xml\r\n").await.code(), 200);
    desk.told("state=\"terminated\"").await;
    assert_eq!(phone.register(world.sip, "desk", PASSWORD, 300).await, 200);
    desk.told(&format!("<uri>sip:desk@{}</uri>", phone.address)).await;
    assert_eq!(phone.register(world.sip, "desk", PASSWORD, 0).await, 200);
    let gone = desk.told("state=\"terminated\"").await;
    assert!(!body(&gone).contains("<contact "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_watched_is_refused() {
    let mut world = World::with(|config| config.subscribe.max_per_user = 1).await;
    world.domain_with(&["desk", "porter"]).await;
    world.another_account("0").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    world.user(other, "eve", |_| {}).await;
    for (event, watched, expires, headers, code) in [
        ("presence", "desk", 600, "", 489),
        ("dialog", "desk", 600, "Accept: application/pidf+xml\r\n", 406),
        ("dialog", "desk", 59, "", 423),
        ("dialog", "nobody", 600, "", 404),
        ("dialog", "eve@other.sip.localhost", 600, "", 403),
        ("message-summary", "desk", 600, "", 403),
        ("reg", "desk", 600, "", 403),
    ] {
        let mut porter = Watcher::new(&world, "porter", event, watched).await;
        let answer = porter.subscribe(expires, headers).await;
        assert_eq!(answer.code(), code, "{event} of {watched}");
        match code {
            489 => assert!(answer.headers().lists(Name::AllowEvents, "dialog")),
            423 => assert_eq!(answer.header(Name::MinExpires), Some(&b"60"[..])),
            _ => {}
        }
    }
    let mut first = Watcher::new(&world, "porter", "dialog", "desk").await;
    assert_eq!(first.subscribe(600, "").await.code(), 200);
    let mut second = Watcher::new(&world, "porter", "message-summary", "porter").await;
    assert_eq!(second.subscribe(600, "").await.code(), 403);
    first.told("active").await;
    assert_eq!(first.subscribe(0, "").await.code(), 200);
    first.told("terminated").await;
    assert_eq!(second.subscribe(600, "").await.code(), 200);
    second.told("active").await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_watch_any_more_is_told_so_with_the_next_refresh() {
    let world = World::with(|config| config.subscribe.interval = Duration::ZERO).await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let (desk, porter) = (world.user(domain, "desk", |_| {}).await, world.user(domain, "porter", |_| {}).await);
    let mut dismissed = Watcher::new(&world, "porter", "dialog", "desk").await;
    let mut left = Watcher::new(&world, "desk", "dialog", "porter").await;
    for watcher in [&mut dismissed, &mut left] {
        assert_eq!(watcher.subscribe(600, "").await.code(), 200);
        watcher.told("active").await;
    }
    world.store.sip_users().update(world.account, porter, None, None, |user| user.is_active = false).await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(dismissed.subscribe(600, "").await.code(), 200);
    dismissed.told("terminated;reason=rejected").await;
    assert_eq!(left.subscribe(600, "").await.code(), 200);
    left.told("terminated;reason=noresource").await;
    assert!(world.store.sip_users().get(world.account, desk).await.unwrap().is_active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_sends_its_watchers_away_for_a_while() {
    let world = world().await;
    let mut porter = Watcher::new(&world, "porter", "dialog", "desk").await;
    assert_eq!(porter.subscribe(600, "").await.code(), 200);
    porter.told("active").await;
    let drained = world.engine.drain(Duration::from_secs(5));
    let (_, last) = tokio::join!(drained, porter.told("terminated"));
    assert_eq!(state(&last), "terminated;reason=probation;retry-after=5");
    assert_eq!(porter.subscribe(600, "").await.code(), 481);
    porter.tag.clear();
    assert_eq!(porter.subscribe(600, "").await.code(), 503);
}
