//! What calls to and from the telephone network cost, and what happens where nobody can pay.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use opentact_engine::ledger::{SpeechPrices, Steps};
use opentact_engine::ports::{ControlError, FlowSource, Originate};
use opentact_sip::ua::{Command, Event, SessionId};
use opentact_store::Money;
use opentact_store::search::Search;
use opentact_store::transactions::{NewTransaction, Transaction, TransactionFilter};
use opentact_store::types::RefType;
use serde_json::Value;
use world::{NUMBER, Peer, World, sdp};

async fn dial(world: &World) -> Result<Value, ControlError> {
    let request = Originate::new(world.account, "+12025550177", FlowSource::Park);
    world.engine.control().originate(request).await
}

async fn accept(carrier: &mut Peer, session: SessionId) {
    carrier.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_100), contact: None });
    while !matches!(carrier.event().await, Event::Acked { .. }) {}
}

/// The next event of this type.
async fn told(world: &mut World, kind: &str) -> Value {
    loop {
        let event = world.event().await;
        if event["type"] == kind {
            return event;
        }
    }
}

async fn charges(world: &World, of: RefType) -> Vec<Transaction> {
    let filter = TransactionFilter { ref_type: Some(of), ..TransactionFilter::default() };
    world.store.transactions().search(world.account, filter, Search::default()).await.unwrap().data
}

/// Leaves the account with this much.
async fn leave(world: &World, balance: &str) {
    let balance: Money = balance.parse().unwrap();
    let has = world.store.accounts().get(world.account).await.unwrap().balance;
    let spent = NewTransaction::charge(has - balance, RefType::Payment, world.account, "Withdrawn");
    world.store.transactions().book(world.account, spent).await.unwrap();
}

fn is_empty(result: &Result<Value, ControlError>) -> bool {
    matches!(result, Err(ControlError::InsufficientBalance))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_out_is_charged_when_it_has_ended_and_one_nobody_answers_is_not() {
    let mut world = World::new().await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    world.number(NUMBER, |_| {}).await;
    dial(&world).await.unwrap();
    carrier.refuse().await;
    let call = dial(&world).await.unwrap();
    let session = carrier.invited().await;
    accept(&mut carrier, session).await;
    carrier.command(Command::Bye { session, headers: Vec::new() });
    carrier.settle().await;
    let event = told(&mut world, "balance").await;
    assert_eq!((&event["payload"], &event["source_action"]), (&99.993.into(), &"voice_charge_out".into()));
    let charged = charges(&world, RefType::VoiceOutgoing).await;
    assert_eq!(charged.len(), 1);
    assert_eq!(charged[0].amount, "-0.007".parse().unwrap());
    assert_eq!(charged[0].ref_uuid.unwrap().to_string(), call["uuid"].as_str().unwrap());
    let description = charged[0].description.as_deref().unwrap();
    assert!(
        description.starts_with("Call to 12025550177, ") && description.ends_with(" s at 0.014 a minute"),
        "{description}"
    );
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_for_one_call_is_spent_by_one_of_a_hundred() {
    let world = World::new().await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    world.number(NUMBER, |_| {}).await;
    leave(&world, "0.013").await;
    let calls = (0..100).map(|_| dial(&world));
    let results = futures_util::future::join_all(calls).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|result| is_empty(result)).count(), 99);
    // It was not answered: what was held for it is free.
    carrier.refuse().await;
    world.idle().await;
    dial(&world).await.unwrap();
    carrier.refuse().await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_when_the_balance_is_used_up() {
    // Every second is charged, and the next is asked for at once.
    let steps = Steps { first: Duration::from_secs(1), each: Duration::from_secs(1) };
    let mut world = World::with(|config| config.router.billing = steps).await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    world.number(NUMBER, |_| {}).await;
    // Two seconds.
    leave(&world, "0.0005").await;
    dial(&world).await.unwrap();
    let session = carrier.invited().await;
    accept(&mut carrier, session).await;
    while !matches!(carrier.event().await, Event::Bye { .. }) {}
    let ended = loop {
        let event = told(&mut world, "call_state").await;
        if event["payload"]["state"] == "destroyed" {
            break event;
        }
    };
    assert_eq!(
        (&ended["call"]["meta"]["reason"], &ended["call"]["q850_cause"]),
        (&"Not Enough Balance".into(), &21.into())
    );
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_the_network_is_charged_and_refused_where_nobody_can_pay() {
    let mut world = World::new().await;
    let mut carrier = Peer::new().await;
    world.carrier(&carrier);
    world.number_with("<Response><Answer/><Hangup/></Response>").await;
    carrier.call_number(world.sip, 40_100);
    while !matches!(carrier.event().await, Event::Bye { .. }) {}
    let event = told(&mut world, "balance").await;
    assert_eq!((&event["payload"], &event["source_action"]), (&99.99575.into(), &"voice_charge_in".into()));
    let charged = charges(&world, RefType::VoiceIncoming).await;
    assert_eq!(charged.iter().map(|charged| charged.amount).collect::<Vec<_>>(), ["-0.00425".parse().unwrap()]);
    assert!(charged[0].description.as_deref().unwrap().starts_with("Call from +12025550123, "));
    world.idle().await;

    leave(&world, "0.004").await;
    // The balance of a second ago does not count any more.
    world.engine.control().invalidate(world.account);
    carrier.call_number(world.sip, 40_100);
    assert!(matches!(carrier.event().await, Event::Failed { code: 402, .. }));
    let ended = loop {
        let event = told(&mut world, "call_state").await;
        if event["payload"]["state"] == "destroyed" {
            break event;
        }
    };
    assert_eq!(ended["call"]["meta"]["reason"], "Not Enough Balance");
    assert_eq!(charges(&world, RefType::VoiceIncoming).await.len(), 1);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_charged_by_what_is_spoken_and_heard() {
    let speech = SpeechPrices { asr_minute: "0.6".parse().unwrap(), tts_thousand: "1".parse().unwrap() };
    let mut world = World::with(|config| config.router.speech = speech).await;
    let xml = "<Response><Answer/><Say>Hello you</Say><Say>Hello you</Say>\
               <Record asr=\"true\" timeout=\"1200\"/><Hangup/></Response>";
    world.number_with(xml).await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    caller.call_number(world.sip, 40_000);
    caller.settle().await;
    let transcript = told(&mut world, "call_transcript").await;
    let call = transcript["payload"]["call"].as_str().unwrap().to_owned();
    let said = charges(&world, RefType::Tts).await;
    // Nine characters, each time, although they were spoken once.
    assert_eq!(said.iter().map(|said| said.amount.to_string()).collect::<Vec<_>>(), ["-0.009", "-0.009"]);
    assert_eq!(said[0].ref_uuid.unwrap().to_string(), call);
    assert_eq!(said[0].description.as_deref(), Some("Speech, 9 characters at 1 a thousand"));
    let heard = charges(&world, RefType::Asr).await;
    assert_eq!(heard.len(), 1);
    // It was written with the transcript that was told. Some more than a second was recorded.
    assert_eq!(heard[0].amount, "-0.02".parse().unwrap());
    assert_eq!(heard[0].ref_uuid.unwrap().to_string(), transcript["payload"]["record"].as_str().unwrap());
    assert_eq!(world.store.accounts().get(world.account).await.unwrap().balance, "99.962".parse().unwrap());
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_money_nothing_is_spoken_or_heard() {
    let speech = SpeechPrices { asr_minute: "0.6".parse().unwrap(), tts_thousand: "1".parse().unwrap() };
    let mut world = World::with(|config| config.router.speech = speech).await;
    let xml = "<Response><Answer/><Say>Hello</Say><Gather input=\"speech\"/>\
               <Record asr=\"true\" timeout=\"100\"/><Hangup/></Response>";
    world.number_with(xml).await;
    leave(&world, "0.001").await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    caller.call_number(world.sip, 40_000);
    let (mut reasons, mut transcript) = (Vec::new(), None);
    let watch = async {
        while transcript.is_none() {
            let event = world.event().await;
            match event["type"].as_str() {
                Some("call_flow") if event["success"] == false => reasons.push(event["call_flow"]["reason"].clone()),
                Some("call_transcript") => transcript = Some(event["payload"]["error"].clone()),
                _ => {}
            }
        }
    };
    tokio::join!(caller.settle(), watch);
    assert_eq!(reasons, ["not enough account balance", "not enough account balance"]);
    assert_eq!(transcript.unwrap(), "not enough account balance");
    assert!(charges(&world, RefType::Tts).await.is_empty() && charges(&world, RefType::Asr).await.is_empty());
    world.idle().await;
}
