//! Calls for help: their own trunk, and nothing that keeps them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::ControlError;
use opentact_sip::message::{Name, Request};
use opentact_sip::ua::{Command, Event};
use opentact_sip::uri::Uri;
use opentact_store::connections::NewConnection;
use opentact_store::voice_profiles::NewVoiceProfile;
use uuid::Uuid;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address};

/// A trunk at a peer with as few calls as can be allowed.
async fn narrow_trunk(world: &World, peer: &Peer) -> Uuid {
    let new = NewConnection {
        ip: Some(peer.address.ip().to_string()),
        port: peer.address.port(),
        channel_limit: Some(1),
        cps_limit: Some(1),
        ..NewConnection::new("psap")
    };
    world.store.connections().create(world.account, None, new).await.unwrap().uuid
}

/// A domain with a user whose number is the world's, who may call nobody outside, under a profile that allows nothing.
async fn shy_user(world: &World, emergency_connection: Option<Uuid>) -> Uuid {
    let lease = world.number(NUMBER, |_| {}).await;
    let new = NewVoiceProfile {
        is_active: false,
        allowed_countries: vec!["GB".to_owned()],
        daily_spend_limit: Some(opentact_store::Money::ZERO),
        emergency_connection,
        ..NewVoiceProfile::new("nothing")
    };
    let profile = world.store.voice_profiles().create(world.account, None, new).await.unwrap().uuid;
    let domain = world.domain(DOMAIN, |domain| domain.outbound_voice_profile = Some(profile)).await;
    world.user(domain, "alice", |new| (new.tn_lease, new.same_domain_calls_only) = (Some(lease), true)).await;
    profile
}

async fn phone() -> Peer {
    let mut phone = Peer::new().await;
    phone.credentials = Some(("alice", PASSWORD));
    phone
}

fn call(world: &World, phone: &mut Peer, number: &str, headers: &[(&'static str, &'static str)]) {
    let to = Uri::sip(Some(number), DOMAIN, None).unwrap();
    phone.call_with(world.sip, address("alice"), to, 40_000, headers);
}

async fn end(phone: &mut Peer) -> u16 {
    loop {
        if let Event::Failed { code, .. } = phone.event().await {
            return code;
        }
    }
}

/// Refuses the next call with 486; the others go on ringing.
async fn refuse(peer: &mut Peer) -> Request {
    loop {
        if let Event::Invite { session, request, .. } = peer.event().await {
            peer.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
            peer.flush().await;
            return request;
        }
    }
}

fn asserted(invite: &Request) -> String {
    String::from_utf8_lossy(invite.headers().get(Name::PAssertedIdentity).unwrap()).into_owned()
}

async fn told(world: &mut World) -> serde_json::Value {
    loop {
        let event = world.event().await;
        if event["type"] == "emergency_call" {
            return event["payload"].clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_is_called_with_the_users_number_whatever_keeps_other_calls() {
    let mut world = World::new().await;
    let (mut psap, mut alice) = (Peer::new().await, phone().await);
    // Without any balance.
    world.another_account("0").await;
    let trunk = narrow_trunk(&world, &psap).await;
    shy_user(&world, Some(trunk)).await;
    // More at once than the trunk's channels and calls a second.
    let mut others = [phone().await, phone().await];
    let mut sessions = Vec::new();
    for other in &mut others {
        call(&world, other, "112", &[]);
        sessions.push(tokio::select! {
            session = psap.invited() => session,
            event = other.event() => panic!("{event:?}"),
        });
    }
    call(&world, &mut alice, "911", &[("Privacy", "id")]);
    let (code, invite) = tokio::join!(end(&mut alice), refuse(&mut psap));
    assert_eq!((code, invite.uri().unwrap().user()), (486, Some("911")));
    assert_eq!(invite.from().unwrap().uri.user(), Some("+12015550150"));
    assert!(asserted(&invite).contains("+12015550150"), "{}", asserted(&invite));
    for session in sessions {
        psap.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
    }
    let [one, two] = &mut others;
    let codes = tokio::join!(end(one), end(two), psap.settle());
    assert_eq!((codes.0, codes.1), (486, 486));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_route_help_cannot_be_called_and_that_is_told() {
    let mut world = World::new().await;
    let mut alice = phone().await;
    let lease = world.number(NUMBER, |_| {}).await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    world.user(domain, "alice", |new| new.tn_lease = Some(lease)).await;
    call(&world, &mut alice, "911", &[]);
    let (code, payload) = tokio::join!(end(&mut alice), told(&mut world));
    assert_eq!(code, 503);
    let expected = serde_json::json!({
        "number": "911", "from": "+12015550150", "state": "no_route", "reason": "there is no route for emergency calls",
    });
    assert_eq!(payload, expected);
    let refused = world.originate("911", "<Response><Hangup/></Response>").await;
    assert!(matches!(refused, Err(ControlError::Unavailable { .. })), "{refused:?}");
    assert_eq!(told(&mut world).await["state"], "no_route");
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_trunk_takes_calls_of_accounts_that_have_none_or_whose_own_is_off() {
    let mut world = World::new().await;
    let mut psap = Peer::new().await;
    let node = narrow_trunk(&world, &psap).await;
    world.another_account("100").await;
    let own = narrow_trunk(&world, &Peer::new().await).await;
    world.store.connections().update(world.account, own, None, None, |trunk| trunk.is_active = false).await.unwrap();
    shy_user(&world, Some(own)).await;
    let world = world.restart_with(|config| config.router.emergency.trunk = Some(node)).await;
    let mut alice = phone().await;
    call(&world, &mut alice, "911", &[]);
    let (code, invite) = tokio::join!(end(&mut alice), psap.refuse());
    assert_eq!((code, invite.uri().unwrap().user()), (486, Some("911")));
    assert_eq!(invite.from().unwrap().uri.user(), Some("+12015550150"));
    world.idle().await;
}
