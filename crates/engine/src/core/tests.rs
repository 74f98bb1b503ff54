//! Faults within, which nothing from outside should be able to cause.

#[path = "../../tests/world/mod.rs"]
mod world;

use opentact_call::LegId;
use opentact_sip::ua::{Command, Event};
use uuid::Uuid;

use super::{Core, Message};
use crate::control::ControlRequest;
use world::{DOMAIN, PASSWORD, Peer, World, sdp};

async fn meddle(world: &World, act: impl FnOnce(&mut Core) + Send + 'static) {
    world.engine.control.core.send(Message::Control(ControlRequest::Meddle(Box::new(act)))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_machine_is_lost_is_hung_up_and_destroyed_on_every_leg() {
    let mut world = World::new().await;
    world.domain_with(&["alice"]).await;
    world.number_with(&format!("<Response><Answer/><Dial><To>alice@{DOMAIN}</To></Dial></Response>")).await;
    let (mut phone, mut caller) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    caller.call_number(world.sip, 40_000);
    let answers = async {
        let session = phone.invited().await;
        phone.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
        while !matches!(phone.event().await, Event::Acked { .. }) {}
    };
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    tokio::join!(answers, answered);

    meddle(&world, |core| {
        let call = core.calls.keys().next().copied().unwrap();
        core.abandon(call);
    })
    .await;
    let hung_up = async |peer: &mut Peer| loop {
        if let Event::Bye { request, .. } = peer.event().await {
            return request.headers().get_by_name("Reason").unwrap().starts_with(b"Q.850;cause=41");
        }
    };
    assert_eq!(tokio::join!(hung_up(&mut phone), hung_up(&mut caller)), (true, true));
    tokio::join!(phone.settle(), caller.settle());
    for _ in 0..2 {
        let call = &world.destroyed().await["call"];
        assert_eq!(call["q850_cause"], 41);
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_over_one_message_costs_no_call() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    let session = caller.call_number(world.sip, 40_000);
    while !matches!(caller.event().await, Event::Answered { .. }) {}
    meddle(&world, |core| {
        core.settling = true;
        panic!("of no consequence");
    })
    .await;
    let (told, enrolled) = tokio::sync::oneshot::channel();
    meddle(&world, |core| {
        let call = core.calls.values().next().unwrap();
        let context = call.book.context().clone();
        told.send(core.enrol(LegId(Uuid::new_v4()), context, || panic!("no call comes of it"))).unwrap();
    })
    .await;
    assert_eq!(enrolled.await, Ok(false));
    caller.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(caller.settle(), world.idle());
}
