//! Who a callee is told is calling, and what a caller may withhold.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::Request;
use opentact_sip::uri::Uri;
use opentact_store::types::SipTransport;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address};

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get_by_name(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn from(request: &Request) -> String {
    request.from().unwrap().uri.user_text().unwrap().into_owned()
}

/// A trunk calls a number that leads to another trunk: what the second is told.
async fn passed_on(headers: &[(&'static str, &'static str)]) -> Request {
    let world = World::new().await;
    let (mut caller, mut callee) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    let trunk = world.trunk_at(callee.address, SipTransport::Udp).await;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let uri = Uri::from_addr(Some(&format!("+{NUMBER}")), world.sip);
    caller.call_with(world.sip, address("alice"), uri, 40_000, headers);
    let (invite, ()) = tokio::join!(callee.refuse(), caller.settle());
    world.idle().await;
    invite
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunks_word_on_who_calls_counts_for_more_than_from() {
    let invite = passed_on(&[("P-Asserted-Identity", "<sip:+12025550177@pbx.example>")]).await;
    assert_eq!(from(&invite), "+12025550177");
    assert!(header(&invite, "P-Asserted-Identity").unwrap().starts_with("<sip:+12025550177@"));
    assert_eq!(header(&invite, "Privacy"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_number_is_not_in_from() {
    let headers = [("P-Asserted-Identity", "<sip:+12025550177@pbx.example>"), ("Privacy", "id")];
    let invite = passed_on(&headers).await;
    assert_eq!(invite.from().unwrap().uri.as_str(), "sip:anonymous@anonymous.invalid");
    assert_eq!(header(&invite, "P-Asserted-Identity"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_withholds_the_number_is_known_to_the_carrier_alone() {
    let world = World::new().await;
    let (mut alice, mut bob, mut network) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.carrier(&network);
    let lease = world.number(NUMBER, |_| {}).await;
    let profile = world.profile(Some(lease)).await;
    let domain = world.domain(DOMAIN, |new| new.outbound_voice_profile = Some(profile)).await;
    world.user(domain, "alice", |_| {}).await;
    world.user(domain, "bob", |_| {}).await;
    bob.register(world.sip, "bob", PASSWORD, 300).await;
    alice.credentials = Some(("alice", PASSWORD));
    // Nobody believes a phone that asserts an identity.
    let headers = [("Privacy", "id"), ("P-Asserted-Identity", "<sip:+12025550111@evil.example>")];

    let number = Uri::sip(Some("+12025550199"), DOMAIN, None).unwrap();
    alice.call_with(world.sip, address("alice"), number, 40_000, &headers);
    let (outside, ()) = tokio::join!(network.refuse(), alice.settle());
    assert_eq!(outside.from().unwrap().uri.as_str(), "sip:anonymous@anonymous.invalid");
    assert!(header(&outside, "P-Asserted-Identity").unwrap().contains(&format!("+{NUMBER}@")));
    assert_eq!(header(&outside, "Privacy").as_deref(), Some("id"));

    let user = Uri::sip(Some("bob"), DOMAIN, None).unwrap();
    alice.call_with(world.sip, address("alice"), user, 40_000, &headers);
    let (inside, ()) = tokio::join!(bob.refuse(), alice.settle());
    assert_eq!(from(&inside), "anonymous");
    assert_eq!(header(&inside, "P-Asserted-Identity"), None);
    world.idle().await;
}
