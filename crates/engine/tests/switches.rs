//! A domain's switches: systems that call as the domain by where their calls come from (domain.md, inbound call 1).
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::Request;
use opentact_sip::ua::Event;
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::sip_switches::NewSwitch;
use uuid::Uuid;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address};

const OUTSIDE: &str = "+12025550199";

async fn switch(world: &World, domain: Uuid, ip: Option<&str>, host: Option<&str>) -> Uuid {
    let new = NewSwitch {
        name: "switch".to_owned(),
        description: None,
        remote_ip: ip.map(str::to_owned),
        remote_domain: host.map(str::to_owned),
        is_active: true,
    };
    let switch = world.store.sip_switches().create(world.account, None, domain, new).await.unwrap().uuid;
    world.engine.control().invalidate(world.account);
    switch
}

/// From of a system that names no domain.
fn nameless(user: &str, peer: &Peer) -> NameAddr {
    NameAddr::new(Uri::from_addr(Some(user), peer.address))
}

fn at_the_node(world: &World, user: &str) -> Uri {
    Uri::from_addr(Some(user), world.sip)
}

fn in_domain(user: &str, domain: &str) -> Uri {
    Uri::sip(Some(user), domain, None).unwrap()
}

/// The final answer to a call.
async fn call(world: &World, peer: &mut Peer, from: NameAddr, to: Uri) -> u16 {
    peer.call(world.sip, from, to, 40_000);
    loop {
        match peer.event().await {
            Event::Failed { code, .. } => return code,
            Event::Answered { .. } => return 200,
            _ => {}
        }
    }
}

/// The same where somebody rings, who is busy: what came there.
async fn rings(world: &World, peer: &mut Peer, from: NameAddr, to: Uri, callee: &mut Peer) -> Request {
    let (code, invite) = tokio::join!(call(world, peer, from, to), callee.refuse());
    assert_eq!(code, 486);
    invite
}

fn user(name: &NameAddr) -> &str {
    name.uri.user().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_told_by_address_network_or_name_and_by_nothing_else() {
    let cases = [
        (Some("127.0.0.1"), None, 404),
        (Some("127.0.0.0/16"), None, 404),
        (Some("192.0.2.0/24"), Some("localhost"), 404),
        (Some("192.0.2.0/24"), None, 403),
    ];
    for (ip, host, code) in cases {
        let world = World::new().await;
        let domain = world.domain(DOMAIN, |_| {}).await;
        let switch = switch(&world, domain, ip, host).await;
        let mut peer = Peer::new().await;
        let from = nameless("pbx", &peer);
        assert_eq!(call(&world, &mut peer, from.clone(), at_the_node(&world, "nobody")).await, code, "{ip:?} {host:?}");
        world.store.sip_switches().update(world.account, switch, None, |row| row.is_active = false).await.unwrap();
        world.engine.control().invalidate(world.account);
        assert_eq!(call(&world, &mut peer, from, at_the_node(&world, "nobody")).await, 403);
        world.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_calls_users_and_by_the_domains_profile_numbers_and_nothing_further() {
    let world = World::new().await;
    let (mut carrier, mut peer, mut alice) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.carrier(&carrier);
    let lease = world.number(NUMBER, |_| {}).await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    world.user(domain, "alice", |_| {}).await;
    switch(&world, domain, Some("127.0.0.1"), None).await;
    let from = nameless("+12025550123", &peer);
    assert_eq!(call(&world, &mut peer, from.clone(), at_the_node(&world, OUTSIDE)).await, 403, "no profile yet");

    let profile = world.profile(Some(lease)).await;
    let domains = world.store.domains();
    domains.update(world.account, domain, None, |row| row.outbound_voice_profile = Some(profile)).await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    for to in [at_the_node(&world, "alice"), in_domain("alice", DOMAIN)] {
        let invite = rings(&world, &mut peer, from.clone(), to, &mut alice).await;
        assert_eq!(user(&invite.from().unwrap()), "+12025550123");
    }
    // A caller that the account does not lease becomes the profile's number.
    let invite = rings(&world, &mut peer, from.clone(), at_the_node(&world, OUTSIDE), &mut carrier).await;
    assert_eq!((user(&invite.from().unwrap()), invite.uri().unwrap().user()), ("+12015550150", Some(OUTSIDE)));
    // What is dialled at a host that is not ours is dialled in the domain: nothing is relayed.
    assert_eq!(call(&world, &mut peer, from, in_domain("somebody", "elsewhere.example.com")).await, 404);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_to_a_domain_does_so_with_a_switch_too() {
    let mut world = World::new().await;
    let (mut peer, mut shy) = (Peer::new().await, Peer::new().await);
    let profile = world.profile(None).await;
    let domain = world.domain(DOMAIN, |domain| domain.outbound_voice_profile = Some(profile)).await;
    let lonely = |new: &mut opentact_store::sip_users::NewSipUser| new.same_domain_calls_only = true;
    world.user(domain, "shy", lonely).await;
    switch(&world, domain, Some("127.0.0.1"), None).await;
    assert_eq!(shy.register(world.sip, "shy", PASSWORD, 300).await, 200);
    let from = nameless("pbx", &peer);
    rings(&world, &mut peer, from.clone(), in_domain("shy", DOMAIN), &mut shy).await;
    // Nor does it call further for a user who may not.
    assert_eq!(call(&world, &mut peer, address("shy"), at_the_node(&world, OUTSIDE)).await, 403);
    // Another domain's switch is a stranger to the user, whatever it says.
    world.another_account("100").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    switch(&world, other, Some("127.0.0.1"), None).await;
    let from = NameAddr::new(in_domain("pbx", "other.sip.localhost"));
    assert_eq!(call(&world, &mut peer, from, in_domain("shy", DOMAIN)).await, 403);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_that_share_an_address_are_told_apart_by_name_or_by_whose_the_caller_number_is() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    switch(&world, domain, Some("127.0.0.1"), None).await;
    world.number(NUMBER, |_| {}).await;
    world.another_account("100").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    switch(&world, other, Some("127.0.0.0/16"), None).await;
    let stranger = nameless("+12025550123", &peer);
    assert_eq!(call(&world, &mut peer, stranger.clone(), at_the_node(&world, "nobody")).await, 403);
    assert_eq!(call(&world, &mut peer, stranger, in_domain("nobody", DOMAIN)).await, 404);
    let own = nameless("+12015550150", &peer);
    assert_eq!(call(&world, &mut peer, own, at_the_node(&world, "nobody")).await, 404);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_trunk_a_switch_names_its_domain_and_a_phone_shows_its_password() {
    let world = World::new().await;
    let (trunk, mut peer, mut alice) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&trunk).await;
    world.number_with("<Response><Reject reason=\"rejected\"/></Response>").await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let user = world.user(domain, "alice", |_| {}).await;
    switch(&world, domain, Some("127.0.0.1"), None).await;
    let from = nameless("+12025550123", &peer);
    // The trunk's: it calls the account's numbers.
    assert_eq!(call(&world, &mut peer, from.clone(), at_the_node(&world, "12015550150")).await, 603);
    // The switch's: numbers outside, for which there is no profile.
    assert_eq!(call(&world, &mut peer, from, in_domain("12015550150", DOMAIN)).await, 403);
    // REGISTER is never a switch's; who has been challenged is who that says.
    assert_eq!(alice.register(world.sip, "alice", "guess", 300).await, 403);
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(world.engine.control().registrations(user).await.len(), 1);
    world.idle().await;
}
