//! Calls that are sent on say where they have been, and how far they may still go.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::{Name, Request};
use opentact_sip::ua::Event;
use opentact_sip::uri::{NameAddr, Uri};
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address};

const HISTORY: &[(&str, &str)] = &[
    ("Diversion", "<sip:+12025550188@pbx>;reason=no-answer, <sip:+12025550199@pbx>;reason=no-answer;privacy=full"),
    ("History-Info", "<sip:+12025550188@pbx>;index=1, <sip:+12015550150@pbx;cause=408>;index=1.1;mp=1"),
];

fn call_number(caller: &mut Peer, world: &World) {
    let from = NameAddr::new(Uri::from_addr(Some("+12025550123"), caller.address));
    caller.call_with(world.sip, from, Uri::from_addr(Some(&NUMBER.to_string()), world.sip), 40_800, HISTORY);
}

fn values(request: &Request, name: Name) -> Vec<String> {
    request.headers().values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

async fn failed(peer: &mut Peer) -> u16 {
    loop {
        if let Event::Failed { code, .. } = peer.event().await {
            return code;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_flow_sends_on_says_who_was_called_and_why_it_goes_on() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let (mut caller, mut alice, mut carrier) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    world.carrier(&carrier);
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    world
        .number_with(&format!(
            "<Response><Dial><To>alice@{DOMAIN}</To></Dial><Dial><To>12125550001</To></Dial><Hangup/></Response>"
        ))
        .await;
    call_number(&mut caller, &world);
    let (_, at_alice, at_carrier) = tokio::join!(failed(&mut caller), alice.refuse(), carrier.refuse());

    // A phone is told nothing that is private; a carrier is, and told that it is.
    let ours = |why: &str, host: &str| format!("<sip:+{NUMBER}@{host}>;reason={why};counter=1;privacy=off;screen=yes");
    let public = "<sip:+12025550188@pbx>;reason=no-answer";
    assert_eq!(values(&at_alice, Name::Diversion), [ours("unconditional", DOMAIN), public.to_owned()]);
    let private = "<sip:+12025550199@pbx>;reason=no-answer;privacy=full";
    let host = carrier.address.to_string();
    assert_eq!(
        values(&at_carrier, Name::Diversion),
        [ours("user-busy", host.rsplit_once(':').unwrap().0), public.to_owned(), private.to_owned()]
    );
    let history = values(&at_alice, Name::HistoryInfo);
    assert_eq!(history.len(), 3);
    assert_eq!(history[2], format!("<sip:alice@{DOMAIN};cause=302>;index=1.1.1;mp=1.1"));
    assert!(values(&at_carrier, Name::HistoryInfo)[2].contains(";cause=486>;index=1.1.1;mp=1.1"));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_rings_its_phone_is_no_diversion_and_what_a_phone_says_of_itself_is_not_told_on() {
    let world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let user = world.user(domain, "alice", |_| {}).await;
    world.user(domain, "bob", |_| {}).await;
    world.number(NUMBER, |lease| lease.sip_user = Some(user)).await;
    let (mut caller, mut alice, mut bob) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    call_number(&mut caller, &world);
    let (_, invite) = tokio::join!(failed(&mut caller), alice.refuse());
    assert_eq!(values(&invite, Name::Diversion), ["<sip:+12025550188@pbx>;reason=no-answer"]);
    assert_eq!(values(&invite, Name::HistoryInfo)[2], format!("<sip:alice@{DOMAIN}>;index=1.1.1;rc=1.1"));

    bob.credentials = Some(("bob", PASSWORD));
    let to = Uri::sip(Some("alice"), DOMAIN, None).unwrap();
    bob.call_with(world.sip, address("bob"), to, 40_802, HISTORY);
    let (_, invite) = tokio::join!(failed(&mut bob), alice.refuse());
    assert_eq!((values(&invite, Name::Diversion).len(), values(&invite, Name::HistoryInfo).len()), (0, 0));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_forks_no_further_than_it_may() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut desk, mut mobile) = (Peer::new().await, Peer::new().await, Peer::new().await);
    for phone in [&mut desk, &mut mobile] {
        assert_eq!(phone.register(world.sip, "bob", PASSWORD, 300).await, 200);
    }
    alice.credentials = Some(("alice", PASSWORD));
    let bob = || Uri::sip(Some("bob"), DOMAIN, None).unwrap();
    alice.call_with(world.sip, address("alice"), bob(), 40_804, &[("Max-Breadth", "1")]);
    assert_eq!(failed(&mut alice).await, 440);
    alice.call_with(world.sip, address("alice"), bob(), 40_804, &[("Max-Breadth", "2")]);
    let (code, one, other) = tokio::join!(failed(&mut alice), desk.refuse(), mobile.refuse());
    assert_eq!(code, 486);
    for invite in [one, other] {
        assert_eq!(invite.headers().get_by_name("Max-Breadth"), Some(&b"1"[..]));
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_device_rings_it_and_no_other() {
    let world = World::new().await;
    world.domain_with(&["alice", "bob"]).await;
    let (mut alice, mut desk, mut mobile) = (Peer::new().await, Peer::new().await, Peer::new().await);
    for (phone, name) in [(&mut desk, "desk"), (&mut mobile, "mobile")] {
        let contact = format!("<sip:bob@{}>;+sip.instance=\"<urn:x:{name}>\"", phone.address);
        phone.registers_with = vec![("Contact".into(), contact.into()), ("Supported".into(), "gruu".into())];
        assert_eq!(phone.register(world.sip, "bob", PASSWORD, 300).await, 200);
    }
    alice.credentials = Some(("alice", PASSWORD));
    let device = |name: &str| Uri::parse(format!("sip:bob@{DOMAIN};gr=urn:x:{name}").as_bytes()).unwrap();
    alice.call(world.sip, address("alice"), device("lost"), 40_806);
    assert_eq!(failed(&mut alice).await, 480);
    // Were the other rung too, its answer would be waited for.
    alice.call(world.sip, address("alice"), device("mobile"), 40_806);
    let (code, invite) = tokio::join!(failed(&mut alice), mobile.refuse());
    assert_eq!((code, invite.uri().unwrap().to_string()), (486, format!("sip:bob@{}", mobile.address)));
    world.idle().await;
}
