//! Registrations outlive the process.

mod world;

use std::time::Duration;

use opentact_sip::ua::{Command, Event};
use opentact_store::Json;
use opentact_store::registrations::Registration;
use opentact_store::types::now;
use uuid::Uuid;
use world::tcp::TcpPeer;
use world::{DOMAIN, PASSWORD, Peer, World};

fn flow_to(login: &str) -> String {
    format!("<Response><Answer/><Dial><To>{login}@{DOMAIN}</To></Dial></Response>")
}

async fn contacts(world: &World, user: Uuid) -> Vec<(String, &'static str)> {
    let registrations = world.engine.control().registrations(user).await;
    registrations.into_iter().map(|registration| (registration.contact, registration.transport)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_registered_before_a_restart_is_rung_after_it() {
    let world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let alice = world.user(domain, "alice", |_| {}).await;
    let bob = world.user(domain, "bob", |_| {}).await;
    world.number_with(&flow_to("alice")).await;
    let (mut phone, mut gone) = (Peer::new().await, Peer::new().await);
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(gone.register(world.sip, "bob", PASSWORD, 300).await, 200);
    let before = world.engine.control().registrations(alice).await;
    world.store.sip_users().delete(world.account, bob).await.unwrap();

    let world = world.restart().await;
    let after = world.engine.control().registrations(alice).await;
    assert_eq!((after.len(), &after[0].contact, after[0].transport), (1, &before[0].contact, "udp"));
    assert!((after[0].expires_on - before[0].expires_on).num_seconds().abs() <= 1);
    assert_eq!(contacts(&world, bob).await, [], "a user who is no more");

    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    let session = caller.call_number(world.sip, 40_400);
    tokio::select! {
        _ = phone.invited() => {}
        () = async { loop { caller.event().await; } } => {}
    }
    caller.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(caller.settle(), phone.settle());
    world.idle().await;

    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 0).await, 200);
    let world = world.restart().await;
    assert_eq!(contacts(&world, alice).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_made_again_where_that_can_be() {
    let world = World::new().await;
    let domain = world.domain(DOMAIN, |_| {}).await;
    let alice = world.user(domain, "alice", |_| {}).await;
    world.number_with(&flow_to("alice")).await;
    let mut phone = TcpPeer::new().await;
    let row = |position: i64, transport: &str, contact: String| Registration {
        sip_user: alice,
        position,
        aor: format!("alice@{DOMAIN}"),
        contact,
        transport: transport.to_owned(),
        local: "127.0.0.1:5060".to_owned(),
        remote: "127.0.0.1:45678".to_owned(),
        q: 1000,
        since: now(),
        expires_on: now() + Duration::from_secs(300),
        instance: None,
        reg_id: None,
        path: Json(Vec::new()),
        user_agent: None,
        call_id: 1,
        cseq: 1,
    };
    let rows = vec![
        row(0, "TCP", format!("sip:alice@{};transport=tcp", phone.address)),
        row(1, "TCP", "sip:alice@10.1.2.3:5060;transport=tcp".to_owned()),
        row(2, "TLS", "sip:alice@127.0.0.1:5061;transport=tls".to_owned()),
        row(3, "WSS", "sip:alice@nowhere.invalid;transport=ws".to_owned()),
    ];
    world.store.registrations().replace(&[alice], rows).await.unwrap();

    let world = world.restart().await;
    assert_eq!(contacts(&world, alice).await, [(format!("sip:alice@{};transport=tcp", phone.address), "tcp")]);
    assert_eq!(phone.accepted, 0, "not before it is needed");
    let mut caller = Peer::new().await;
    world.trunk(&caller).await;
    let session = caller.call_number(world.sip, 40_500);
    let rung = async {
        loop {
            if let Event::Invite { session, .. } = phone.event().await {
                phone.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
                return phone.settle().await;
            }
        }
    };
    tokio::select! {
        () = rung => {}
        () = async { loop { caller.event().await; } } => {}
    }
    caller.command(Command::Bye { session, headers: Vec::new() });
    caller.settle().await;
    world.idle().await;
}
