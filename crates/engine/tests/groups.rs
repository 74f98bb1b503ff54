//! Groups of SIP users, dialled by a flow.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::ua::{Command, Event};
use uuid::Uuid;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, sdp};

async fn group(world: &World, domain: Uuid, users: Vec<Uuid>) -> Uuid {
    world
        .store
        .sip_user_groups()
        .create(world.account, None, domain, "reception".to_owned(), users, None)
        .await
        .unwrap()
        .uuid
}

async fn number_that_dials(world: &World, tn: u64, group: Uuid) {
    let xml = format!("<Response><Dial><To>group:{group}</To></Dial><Hangup/></Response>");
    world.number_that_runs(tn, &xml).await;
}

/// What the element `Dial` says of itself.
async fn dial_reason(world: &mut World) -> String {
    loop {
        let event = world.event().await;
        if event["type"] == "call_flow" && event["command"] == "Dial" {
            return event["call_flow"]["reason"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_phones_of_all_members_ring_and_one_who_is_away_or_declines_spoils_nothing() {
    let mut world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let mut users = Vec::new();
    for login in ["alice", "bob", "away"] {
        users.push(world.user(domain, login, |_| {}).await);
    }
    let group = group(&world, domain, users.clone()).await;
    number_that_dials(&world, NUMBER, group).await;
    let (mut caller, mut alice, mut desk, mut mobile) =
        (Peer::new().await, Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    for (phone, login) in [(&mut alice, "alice"), (&mut desk, "bob"), (&mut mobile, "bob")] {
        assert_eq!(phone.register(world.sip, login, PASSWORD, 300).await, 200);
    }
    caller.call_number(world.sip, 40_000);
    caller.flush().await;
    let (alices, desks, mobiles) = tokio::join!(alice.invited(), desk.invited(), mobile.invited());
    // A 6xx ends the ringing of a user's phones, not that of the other members (RFC 3261 16.7 is of one user).
    alice.command(Command::Reject { session: alices, code: 603, reason: None, headers: Vec::new() });
    alice.settle().await;
    mobile.command(Command::Accept { session: mobiles, headers: Vec::new(), body: sdp(40_100), contact: None });
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    let cancelled =
        async { while !matches!(desk.event().await, Event::Cancelled { session, .. } if session == desks) {} };
    let talks = async { while !matches!(mobile.event().await, Event::Acked { .. }) {} };
    tokio::join!(answered, cancelled, talks);
    mobile.command(Command::Bye { session: mobiles, headers: Vec::new() });
    let over = async { while !matches!(caller.event().await, Event::Bye { .. }) {} };
    tokio::join!(over, mobile.settle(), desk.settle());
    assert_eq!(dial_reason(&mut world).await, "Dialled leg hung up");
    // The leg that has talked is bob's.
    let ended = loop {
        let event = world.destroyed().await;
        if event["call"]["direction"] == "out" && event["call"]["q850_cause"] == 16 {
            break event;
        }
    };
    assert_eq!(ended["call"]["sip_user"]["uuid"], users[1].to_string());
    tokio::join!(caller.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_nobody_or_that_is_none_fails_with_its_reason() {
    let mut world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let user = world.user(domain, "alice", |_| {}).await;
    let group = group(&world, domain, vec![user]).await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    number_that_dials(&world, NUMBER, group).await;
    let none = Uuid::new_v4();
    number_that_dials(&world, NUMBER + 1, none).await;
    let reasons = ["nobody of the group is registered".to_owned(), format!("group {none} does not exist")];
    for (tn, expected) in (NUMBER..).zip(reasons) {
        caller.call_tn(world.sip, tn, 40_000);
        let (reason, ()) = tokio::join!(dial_reason(&mut world), caller.settle());
        assert!(reason.starts_with(&format!("[originate] ERR {expected}.")), "{reason}");
    }
    // Nor is one called by REST as if it were somebody.
    assert!(world.originate(&format!("group:{group}"), "<Response><Hangup/></Response>").await.is_err());
    world.idle().await;
}
