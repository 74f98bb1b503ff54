//! Trunks that are asked whether they are there, and those we register with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::digest::{Algorithm, Authorization, Challenger, Ha1, Hash, Verdict};
use opentact_sip::message::{Method, Name, Request};
use opentact_sip::ua::{Command, Event, ExtraHeaders, RequestId};
use opentact_store::connections::NewConnection;
use serde_json::Value;
use uuid::Uuid;
use world::{Peer, World};

async fn trunk(world: &World, peer: &Peer, change: impl FnOnce(&mut NewConnection)) -> Uuid {
    let mut new = NewConnection::new("provider");
    new.ip = Some(peer.address.ip().to_string());
    new.port = peer.address.port();
    change(&mut new);
    let trunk = world.store.connections().create(world.account, None, new).await.unwrap().uuid;
    world.engine.control().invalidate(world.account);
    trunk
}

async fn asked(peer: &mut Peer, method: Method) -> (RequestId, Request) {
    loop {
        match peer.event().await {
            Event::Request { id, request, .. } if *request.method() == method => return (id, request),
            _ => {}
        }
    }
}

fn respond(peer: &mut Peer, id: RequestId, code: u16, headers: ExtraHeaders) {
    peer.command(Command::Respond { id, code, reason: None, headers, body: None });
}

/// The next event, while the peer answers every OPTIONS with this code.
async fn event_while(world: &mut World, peer: &mut Peer, code: u16) -> Value {
    let answering = async {
        loop {
            let (id, _) = asked(peer, Method::Options).await;
            respond(peer, id, code, Vec::new());
        }
    };
    tokio::select! {
        event = world.event() => event,
        () = answering => panic!("it goes on for ever"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_down_when_it_says_so_and_up_when_it_answers_anything_else() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    let trunk = trunk(&world, &peer, |new| new.options_ping = true).await;
    for (code, state) in [(404, "up"), (503, "down"), (200, "up")] {
        let event = event_while(&mut world, &mut peer, code).await;
        assert_eq!(event["type"], "sip_connection");
        assert_eq!(event["message"], format!("SIP connection provider - {state}"));
        assert_eq!((&event["payload"]["state"], &event["ref_id"]), (&state.into(), &trunk.to_string().into()));
        let health = world.engine.control().trunk_health(trunk);
        assert_eq!(health.state, state);
        assert!(health.since.is_some());
    }
    world.store.connections().update(world.account, trunk, None, None, |row| row.options_ping = false).await.unwrap();
    world.engine.control().invalidate(world.account);
    let unknown = async {
        while world.engine.control().trunk_health(trunk).state != "unknown" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), unknown).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn we_register_with_a_trunk_and_unregister_when_it_is_deleted() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    let trunk = trunk(&world, &peer, |new| {
        new.register = true;
        (new.username, new.password) = (Some("me".to_owned()), Some("secret".to_owned()));
    })
    .await;
    let mut registrar = Challenger::new([7; 32], 0);
    let algorithms = [Algorithm::Sha256];
    let secret = Ha1::new(Hash::Sha256, "me", "provider.example", "secret");
    for expires in [600, 0] {
        if expires == 0 {
            world.store.connections().delete(world.account, trunk).await.unwrap();
            world.engine.control().invalidate(world.account);
        }
        let (id, request) = asked(&mut peer, Method::Register).await;
        assert_eq!(request.headers().get(Name::Authorization), None);
        let challenge = registrar.challenge("provider.example", &algorithms, false, 0).remove(0);
        respond(&mut peer, id, 401, vec![("WWW-Authenticate".into(), challenge.into())]);
        let (id, request) = asked(&mut peer, Method::Register).await;
        assert_eq!(request.expires().unwrap(), Some(expires));
        assert_eq!(request.to().unwrap().uri.user_text().unwrap(), "me");
        let contact = request.contacts().next().unwrap().unwrap();
        assert_eq!(contact.uri.user_text().unwrap(), "me");
        assert_eq!(contact.uri.port(), Some(world.sip.port()));
        let authorization = request.headers().get(Name::Authorization).unwrap();
        let authorization = Authorization::parse(authorization).unwrap();
        let verdict =
            registrar.verify(&authorization, "provider.example", &Method::Register, &algorithms, Some(&secret), 0);
        assert_eq!(verdict, Verdict::Ok("me".to_owned()));
        let granted = format!("{contact};expires=120");
        respond(&mut peer, id, 200, vec![("Contact".into(), granted.into())]);
        if expires > 0 {
            let event = tokio::select! {
                event = world.event() => event,
                _ = asked(&mut peer, Method::Register) => panic!("too early"),
            };
            assert_eq!(event["message"], "SIP connection provider - registered");
            let shown = world.engine.control().trunk_health(trunk).registration.unwrap();
            assert_eq!((shown.state, shown.code), ("registered", None));
            let left = shown.expires_on.unwrap() - chrono::Utc::now();
            assert!(left <= chrono::TimeDelta::seconds(120), "as long as was granted");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_is_told_with_its_code() {
    let mut world = World::new().await;
    let mut peer = Peer::new().await;
    let trunk = trunk(&world, &peer, |new| {
        new.register = true;
        new.username = Some("me".to_owned());
    })
    .await;
    let (id, _) = asked(&mut peer, Method::Register).await;
    respond(&mut peer, id, 403, Vec::new());
    let event = tokio::select! {
        event = world.event() => event,
        _ = asked(&mut peer, Method::Register) => panic!("too early"),
    };
    assert_eq!(event["message"], "SIP connection provider - refused");
    assert_eq!(event["payload"]["registration"]["code"], 403);
    assert_eq!(world.engine.control().trunk_health(trunk).registration.unwrap().code, Some(403));
}
