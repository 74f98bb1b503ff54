//! What calls to the telephone network may cost: the price of a minute and the spend limits of a profile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::{ControlError, FlowSource, Originate};
use opentact_sip::ua::{Command, Event};
use opentact_store::Money;
use opentact_store::types::Json;
use opentact_store::voice_profiles::{NewVoiceProfile, OutboundVoiceProfile};
use serde_json::json;
use uuid::Uuid;
use world::{NUMBER, Peer, World, sdp};

/// A minute from the world's number costs 0.014, the first half of one 0.007.
async fn profile(world: &World, change: impl FnOnce(&mut OutboundVoiceProfile) + Send) -> Uuid {
    world.number(NUMBER, |_| {}).await;
    let profiles = world.store.voice_profiles();
    let profile = profiles.create(world.account, None, NewVoiceProfile::new("careful")).await.unwrap().uuid;
    set(world, profile, change).await;
    profile
}

async fn set(world: &World, profile: Uuid, change: impl FnOnce(&mut OutboundVoiceProfile) + Send) {
    world.store.voice_profiles().update(world.account, profile, None, change).await.unwrap();
    world.engine.control().invalidate(world.account);
}

fn money(text: &str) -> Option<Money> {
    Some(text.parse().unwrap())
}

async fn dial(world: &World, profile: Uuid) -> Result<(), ControlError> {
    let request = Originate {
        outbound_voice_profile: Some(profile),
        ..Originate::new(world.account, "+12025550177", FlowSource::Park)
    };
    world.engine.control().originate(request).await.map(drop)
}

fn refused(result: Result<(), ControlError>, code: u16) -> String {
    match result {
        Err(ControlError::Forbidden { code: found, message }) if found == code => message,
        other => panic!("{other:?}"),
    }
}

/// Payloads of the events of type `spend_limit` before the next call is destroyed.
async fn told(world: &mut World) -> Vec<serde_json::Value> {
    let mut told = Vec::new();
    loop {
        let event = world.event().await;
        if event["type"] == "spend_limit" {
            told.push(event["payload"].clone());
        }
        if event["message"].as_str().unwrap().ends_with("- destroyed") {
            return told;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_cost_too_much_are_stopped_and_that_is_told_once_a_time() {
    let mut world = World::new().await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    let profile = profile(&world, |profile| profile.hourly_spend_limit = money("0.01")).await;
    dial(&world, profile).await.unwrap();
    // One that rings may be answered.
    assert_eq!(refused(dial(&world, profile).await, 407), "Spend Limit Reached: 0.007 of 0.01 in the last hour");
    let session = carrier.invited().await;
    carrier.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
    carrier.settle().await;
    assert_eq!(told(&mut world).await.len(), 1);
    // It was not, and has cost nothing.
    dial(&world, profile).await.unwrap();
    let session = carrier.invited().await;
    carrier.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_100), contact: None });
    while !matches!(carrier.event().await, Event::Acked { .. }) {}
    carrier.command(Command::Bye { session, headers: Vec::new() });
    carrier.settle().await;
    assert_eq!(told(&mut world).await, [] as [serde_json::Value; 0]);
    for _ in 0..3 {
        refused(dial(&world, profile).await, 407);
    }
    set(&world, profile, |profile| {
        (profile.hourly_spend_limit, profile.daily_spend_limit) = (money("1"), money("0.014"));
    })
    .await;
    dial(&world, profile).await.unwrap();
    let session = carrier.invited().await;
    assert_eq!(refused(dial(&world, profile).await, 407), "Spend Limit Reached: 0.014 of 0.014 in the last day");
    carrier.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
    carrier.settle().await;
    let of = json!({"uuid": profile, "name": "careful"});
    let payload =
        |period, limit, spent| json!({"outbound_voice_profile": of, "period": period, "limit": limit, "spent": spent});
    assert_eq!(told(&mut world).await, [payload("hour", 0.01, 0.007), payload("day", 0.014, 0.014)]);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_keeps_from_going_out_is_told() {
    let mut world = World::new().await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    let profile = profile(&world, |profile| profile.allowed_countries = Json(vec!["CA".to_owned()])).await;
    for _ in 0..3 {
        refused(dial(&world, profile).await, 406);
    }
    set(&world, profile, |profile| {
        (profile.allowed_countries, profile.max_rate) = (Json(Vec::new()), money("0.001"));
    })
    .await;
    refused(dial(&world, profile).await, 408);
    set(&world, profile, |profile| (profile.max_rate, profile.channel_limit) = (None, Some(1))).await;
    dial(&world, profile).await.unwrap();
    let full = dial(&world, profile).await;
    assert!(matches!(full, Err(ControlError::Unavailable { .. })), "{full:?}");
    carrier.refuse().await;
    world.idle().await;
    let mut told = Vec::new();
    while told.len() < 3 {
        let event = world.event().await;
        if event["type"] == "call_limit" {
            assert_eq!(event["ref_id"], profile.to_string());
            told.push(event["payload"].clone());
        }
    }
    let of = json!({"uuid": profile, "name": "careful"});
    let payload =
        |limit, reason| json!({"outbound_voice_profile": of, "limit": limit, "to": "+12025550177", "reason": reason});
    assert_eq!(
        told,
        [
            payload("country", "Country Permission Violation"),
            payload("rate", "Rate Above Limit: a minute costs 0.014, more than 0.001"),
            payload("channel", "outbound voice profile careful is at its limit of 1 channels"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_that_is_too_dear_is_not_called() {
    let world = World::new().await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    let profile = profile(&world, |profile| profile.max_rate = money("0.0139")).await;
    let reason = refused(dial(&world, profile).await, 408);
    assert_eq!(reason, "Rate Above Limit: a minute costs 0.014, more than 0.0139");
    set(&world, profile, |profile| profile.max_rate = money("0.014")).await;
    dial(&world, profile).await.unwrap();
    carrier.refuse().await;
    world.idle().await;
}
