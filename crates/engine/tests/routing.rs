//! Who may call whom, by which way and as whom.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::ControlError;
use opentact_sip::ua::Event;
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, SipTransport};
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address};

const OUTSIDE: &str = "+12025550199";
const HANG_UP: &str = "<Response><Hangup/></Response>";

/// The final answer to a call of alice's to `user` of her domain.
async fn alice_calls(world: &World, alice: &mut Peer, user: &str) -> u16 {
    alice.credentials = Some(("alice", PASSWORD));
    alice.call(world.sip, address("alice"), Uri::sip(Some(user), DOMAIN, None).unwrap(), 40_000);
    loop {
        match alice.event().await {
            Event::Failed { code, .. } => return code,
            Event::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_share_a_trunk_are_told_apart_by_the_number_called() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    let mut codes = Vec::new();
    for (tn, reason) in [(NUMBER, "busy"), (NUMBER + 1, "rejected")] {
        world.trunk(&peer).await;
        world.number_that_runs(tn, &format!("<Response><Reject reason=\"{reason}\"/></Response>")).await;
        world.another_account("1").await;
    }
    // The third account has a number and no trunk from there.
    world.number_that_runs(NUMBER + 2, HANG_UP).await;
    for tn in NUMBER..NUMBER + 3 {
        peer.call_tn(world.sip, tn, 40_000);
        loop {
            if let Event::Failed { code, .. } = peer.event().await {
                codes.push(code);
                break;
            }
        }
    }
    assert_eq!(codes, [486, 603, 404]);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reaches_a_carrier_or_a_foreign_trunk_but_by_the_way_that_is_meant() {
    let mut world = World::new().await;
    let (carrier, mut pbx) = (Peer::new().await, Peer::new().await);
    world.carrier(&carrier);
    world.trunk(&pbx).await;
    let own = world.originate(&format!("sip:{OUTSIDE}@{}", pbx.address), HANG_UP).await;
    own.unwrap();
    pbx.refuse().await;

    world.another_account("100").await;
    let refused = |result| matches!(result, Err(ControlError::Invalid { field: "to", .. }));
    for address in [carrier.address, pbx.address] {
        assert!(refused(world.originate(&format!("sip:{OUTSIDE}@{address}"), HANG_UP).await), "{address}");
        assert!(refused(world.originate(&format!("sip:{OUTSIDE}@{address};transport=tcp"), HANG_UP).await));
        assert!(refused(world.originate(&format!("bob@{address}"), HANG_UP).await), "{address}");
    }
    // A trunk of its own that is the carrier would be a carrier without a price.
    let trunk = world.trunk_at(carrier.address, SipTransport::Udp).await;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    caller.call_number(world.sip, 40_000);
    let event = caller.event().await;
    assert!(matches!(event, Event::Failed { code: 403, .. }), "{event:?}");

    for to in ["sips:bob@127.0.0.1;transport=udp", "sip:bob@10.0.0.1", "sip:bob@127.0.0.1:1;transport=sctp"] {
        assert!(world.originate(to, HANG_UP).await.is_err(), "{to}");
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sip_address_is_called_without_the_headers_it_names() {
    let world = World::new().await;
    let mut pbx = Peer::new().await;
    let to = format!("sip:bob@{};x=y?Route=%3Csip:10.0.0.1%3E&Subject=hi", pbx.address);
    world.originate(&to, HANG_UP).await.unwrap();
    let invite = pbx.refuse().await;
    assert_eq!(invite.uri().unwrap().as_str(), format!("sip:bob@{};x=y", pbx.address));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_calls_a_number_as_their_own_one_else_as_the_profile_s() {
    let world = World::new().await;
    let (mut carrier, mut alice) = (Peer::new().await, Peer::new().await);
    world.carrier(&carrier);
    let (of_profile, of_alice) = (world.number(NUMBER, |_| {}).await, world.number(NUMBER + 1, |_| {}).await);
    let profile = world.profile(Some(of_profile)).await;
    let domain = world.domain(DOMAIN, |domain| domain.outbound_voice_profile = Some(profile)).await;
    let user = world.user(domain, "alice", |_| {}).await;

    let (code, invite) = tokio::join!(alice_calls(&world, &mut alice, OUTSIDE), carrier.refuse());
    assert_eq!(code, 486);
    assert_eq!(invite.from().unwrap().uri.user(), Some(format!("+{NUMBER}").as_str()));
    assert_eq!(invite.uri().unwrap().user(), Some(OUTSIDE));

    let users = world.store.sip_users();
    let own = users.update(world.account, user, None, None, |user| user.tn_lease = Some(of_alice));
    own.await.unwrap();
    world.engine.control().invalidate(world.account);
    let (_, invite) = tokio::join!(alice_calls(&world, &mut alice, "12025550199"), carrier.refuse());
    assert_eq!(invite.from().unwrap().uri.user(), Some(format!("+{}", NUMBER + 1).as_str()));
    assert_eq!(invite.uri().unwrap().user(), Some(OUTSIDE));

    // Within the domain it is alice who calls.
    world.user(domain, "bob", |_| {}).await;
    let mut bob = Peer::new().await;
    assert_eq!(bob.register(world.sip, "bob", PASSWORD, 300).await, 200);
    let (_, invite) = tokio::join!(alice_calls(&world, &mut alice, "bob"), bob.refuse());
    assert_eq!(invite.from().unwrap().uri.as_str(), format!("sip:alice@{DOMAIN}"));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_calls_no_number_without_profile_balance_country_or_leave() {
    let mut world = World::new().await;
    let (carrier, mut alice) = (Peer::new().await, Peer::new().await);
    world.carrier(&carrier);
    world.another_account("0").await;
    let lease = world.number(NUMBER, |_| {}).await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let user = world.user(domain, "alice", |_| {}).await;
    assert_eq!(alice_calls(&world, &mut alice, OUTSIDE).await, 403);

    let profile = world.profile(Some(lease)).await;
    let domains = world.store.domains();
    let set = domains.update(world.account, domain, None, |domain| domain.outbound_voice_profile = Some(profile));
    set.await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(alice_calls(&world, &mut alice, OUTSIDE).await, 402);

    let payment =
        NewTransaction { amount: "5".parse().unwrap(), ref_type: RefType::Payment, ref_uuid: None, description: None };
    world.store.transactions().book(world.account, payment).await.unwrap();
    let profiles = world.store.voice_profiles();
    let germany = profiles.update(world.account, profile, None, |profile| {
        profile.allowed_countries = opentact_store::types::Json(vec!["DE".to_owned()]);
    });
    germany.await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(alice_calls(&world, &mut alice, OUTSIDE).await, 403);

    // Where the domain leads elsewhere, who is to stay in it stays in it.
    let trunk = world.trunk(&Peer::new().await).await;
    let set = domains.update(world.account, domain, None, |domain| domain.sip_connection = Some(trunk));
    set.await.unwrap();
    let users = world.store.sip_users();
    let stays = users.update(world.account, user, None, None, |user| user.same_domain_calls_only = true);
    stays.await.unwrap();
    world.engine.control().invalidate(world.account);
    assert_eq!(alice_calls(&world, &mut alice, OUTSIDE).await, 403);
    assert_eq!(alice_calls(&world, &mut alice, "reception").await, 403);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_makes_and_takes_no_calls() {
    let mut world = World::new().await;
    world.another_account("100").await;
    let other = world.domain("other.sip.localhost", |_| {}).await;
    world.user(other, "bob", |_| {}).await;
    let (mut bob, mut alice, mut network) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&network).await;
    world.number_with("<Response><Answer/></Response>").await;
    assert_eq!(bob.register_at(world.sip, "bob", "other.sip.localhost", 300).await, 200);
    let accounts = world.store.accounts();
    let disabled = accounts.update(world.account, |account| account.disabled_on = Some(account.created_on));
    disabled.await.unwrap();
    world.engine.control().invalidate(world.account);

    network.call_number(world.sip, 40_000);
    assert!(matches!(network.event().await, Event::Failed { code: 403, .. }));
    assert_eq!(bob.register_at(world.sip, "bob", "other.sip.localhost", 300).await, 403);
    let refused = world.originate("bob@other.sip.localhost", HANG_UP).await;
    assert!(matches!(refused, Err(ControlError::Conflict(_))), "{refused:?}");

    world.another_account("100").await;
    world.domain_with(&["alice"]).await;
    alice.credentials = Some(("alice", PASSWORD));
    alice.call(world.sip, address("alice"), Uri::sip(Some("bob"), "other.sip.localhost", None).unwrap(), 40_000);
    let event = alice.event().await;
    assert!(matches!(event, Event::Failed { code: 480, .. }), "{event:?}");
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_calls_as_somebody_of_another_account() {
    let mut world = World::new().await;
    world.domain_with(&["alice"]).await;
    let mut alice = Peer::new().await;
    assert_eq!(alice.register(world.sip, "alice", PASSWORD, 300).await, 200);
    for from in [format!("boss@{DOMAIN}"), format!("sip:boss@{DOMAIN}")] {
        world.originate_as(Some(&from), &format!("alice@{DOMAIN}"), HANG_UP).await.unwrap();
        assert_eq!(alice.refuse().await.from().unwrap().uri.as_str(), format!("sip:boss@{DOMAIN}"));
    }
    world.another_account("100").await;
    for from in [format!("boss@{DOMAIN}"), format!("sip:boss@{DOMAIN}"), format!("boss@{}", DOMAIN.to_uppercase())] {
        let refused = world.originate_as(Some(&from), &format!("alice@{DOMAIN}"), HANG_UP).await;
        assert!(matches!(refused, Err(ControlError::Invalid { field: "from", .. })), "{refused:?}");
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_claims_a_domain_is_asked_for_the_password_before_anything_is_looked_up() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let mut stranger = Peer::new().await;
    for (from, user) in [("alice", "alice"), ("nobody", OUTSIDE), ("alice", "nobody")] {
        stranger.call(world.sip, address(from), Uri::sip(Some(user), DOMAIN, None).unwrap(), 40_000);
        let event = stranger.event().await;
        assert!(matches!(event, Event::Failed { code: 407, .. }), "{event:?}");
    }
    // From elsewhere, to the domain: as much a stranger.
    let from = NameAddr::new(Uri::sip(Some("x"), "example.com", None).unwrap());
    stranger.call(world.sip, from, Uri::sip(Some("alice"), DOMAIN, None).unwrap(), 40_000);
    let event = stranger.event().await;
    assert!(matches!(event, Event::Failed { code: 407, .. }), "{event:?}");
    world.idle().await;
}
