//! What a trunk reaches in the domains of its account (domain.md, inbound call 2).
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::ua::Event;
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::apps::NewApp;
use opentact_store::types::SipTransport;
use world::{DOMAIN, PASSWORD, Peer, World};

fn call(caller: &mut Peer, world: &World, user: &str, domain: &str) {
    let from = NameAddr::new(Uri::from_addr(Some("+12025550123"), caller.address));
    caller.call(world.sip, from, Uri::sip(Some(user), domain, None).unwrap(), 40_900);
}

async fn end(peer: &mut Peer) -> u16 {
    loop {
        match peer.event().await {
            Event::Failed { code, .. } => return code,
            Event::Answered { .. } => return 200,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_reaches_the_users_of_its_account_unless_they_keep_to_their_domain() {
    let mut world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    world.user(domain, "alice", |_| {}).await;
    world.user(domain, "shy", |new| new.same_domain_calls_only = true).await;
    let (mut caller, mut alice) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    call(&mut caller, &world, "alice", DOMAIN);
    let (code, invite) = tokio::join!(end(&mut caller), alice.refuse());
    assert_eq!((code, invite.from().unwrap().uri.user()), (486, Some("+12025550123")));
    for (user, code) in [("shy", 403), ("nobody", 404)] {
        call(&mut caller, &world, user, DOMAIN);
        assert_eq!(end(&mut caller).await, code, "{user}");
    }
    // Another account's domain is none of its business.
    world.another_account("0").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    world.user(other, "eve", |_| {}).await;
    call(&mut caller, &world, "eve", "other.sip.localhost");
    assert_eq!(end(&mut caller).await, 404);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_user_of_a_domain_is_for_its_app_or_else_for_its_connection() {
    let world = World::new().await;
    let (mut caller, mut pbx) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    let trunk = world.trunk_at(pbx.address, SipTransport::Udp).await;
    let xml = "<Response><Reject reason=\"busy\"/></Response>";
    let app = NewApp { xml: Some(xml.to_owned()), ..NewApp::new("reception") };
    let app = world.store.apps().create(world.account, None, app).await.unwrap().uuid;
    world
        .domain("app.sip.localhost", |domain| {
            (domain.sip_control_app, domain.sip_connection) = (Some(app), Some(trunk))
        })
        .await;
    world.domain("pbx.sip.localhost", |domain| domain.sip_connection = Some(trunk)).await;
    call(&mut caller, &world, "reception", "app.sip.localhost");
    assert_eq!(end(&mut caller).await, 486);
    call(&mut caller, &world, "4711", "pbx.sip.localhost");
    let (code, invite) = tokio::join!(end(&mut caller), pbx.refuse());
    assert_eq!((code, invite.uri().unwrap().user()), (486, Some("4711")));
    world.idle().await;
}
