//! Trunks: how they are told, what is said over them, and which is tried after which.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::{ControlError, FlowSource, Originate};
use opentact_sip::message::Request;
use opentact_sip::ua::{Command, Event, SessionId};
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::connections::NewConnection;
use opentact_store::types::{Direction, NumberRule, Party, TrunkRouting};
use opentact_store::voice_profiles::NewVoiceProfile;
use uuid::Uuid;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World};

const ANSWER: &str = "<Response><Answer/><Hangup/></Response>";

/// A trunk that is set up otherwise than most, at a peer if there is one.
async fn trunk(world: &World, peer: Option<&Peer>, change: impl FnOnce(&mut NewConnection)) -> Uuid {
    let mut new = NewConnection::new("trunk");
    if let Some(peer) = peer {
        new.ip = Some(peer.address.ip().to_string());
        new.port = peer.address.port();
    }
    change(&mut new);
    let trunk = world.store.connections().create(world.account, None, new).await.unwrap().uuid;
    world.engine.control().invalidate(world.account);
    trunk
}

/// The code that a call is answered with in the end.
async fn outcome(peer: &mut Peer) -> u16 {
    loop {
        match peer.event().await {
            Event::Answered { .. } => return 200,
            Event::Failed { code, .. } => return code,
            _ => {}
        }
    }
}

async fn invited(peer: &mut Peer) -> (SessionId, Request) {
    loop {
        if let Event::Invite { session, request, .. } = peer.event().await {
            return (session, request);
        }
    }
}

fn reject(peer: &mut Peer, session: SessionId, code: u16) {
    peer.command(Command::Reject { session, code, reason: None, headers: Vec::new() });
}

/// Calls a number by REST through the trunks, the first at priority 1, the next at 2 and so on.
async fn dial(world: &World, trunks: &[Uuid], from: Option<&str>) -> Result<(), ControlError> {
    let new = NewVoiceProfile { sip_connections: trunks.to_vec(), ..NewVoiceProfile::new("group") };
    let profile = world.store.voice_profiles().create(world.account, None, new).await.unwrap().uuid;
    let flow = FlowSource::Document(opentact_callflow::parse(ANSWER, opentact_callflow::Mode::Strict).unwrap());
    let request = Originate {
        from: from.map(str::to_owned),
        outbound_voice_profile: Some(profile),
        ..Originate::new(world.account, "12015550177", flow)
    };
    world.engine.control().originate(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_told_by_address_network_or_name() {
    for (source, code) in [("127.0.0.1", 200), ("127.0.0.0/16", 200), ("localhost", 200), ("192.0.2.0/24", 403)] {
        let world = World::new().await;
        world.number_with(ANSWER).await;
        trunk(&world, None, |new| new.sources = vec![source.to_owned()]).await;
        let mut peer = Peer::new().await;
        peer.call_number(world.sip, 40_000);
        assert_eq!(outcome(&mut peer).await, code, "{source}");
        tokio::join!(peer.settle(), world.idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_with_digest_proves_itself_from_anywhere() {
    let world = World::new().await;
    world.number_with(ANSWER).await;
    trunk(&world, None, |new| {
        (new.username, new.password) = (Some("pbx".to_owned()), Some("secret".to_owned()));
        new.authenticate = true;
    })
    .await;
    for (credentials, code) in
        [(None, 407), (Some(("pbx", "secret")), 200), (Some(("pbx", "guess")), 403), (Some(("nobody", "guess")), 403)]
    {
        let mut peer = Peer::new().await;
        peer.credentials = credentials;
        peer.call_number(world.sip, 40_000);
        assert_eq!(outcome(&mut peer).await, code, "{credentials:?}");
        tokio::join!(peer.settle(), world.idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_a_trunks_password_lock_its_user_where_they_come_from() {
    let world = World::new().await;
    world.number_with(ANSWER).await;
    trunk(&world, None, |new| {
        (new.username, new.password) = (Some("pbx".to_owned()), Some("secret".to_owned()));
        new.authenticate = true;
    })
    .await;
    let mut peer = Peer::new().await;
    for guess in 0..6 {
        // Five wrong ones are as many as may be.
        peer.credentials = Some(("pbx", if guess < 5 { "guess" } else { "secret" }));
        peer.call_number(world.sip, 40_000);
        assert_eq!(outcome(&mut peer).await, 403, "{guess}");
    }
    tokio::join!(peer.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn trunks_at_one_address_are_told_apart_by_tech_prefix() {
    let mut world = World::new().await;
    world.number_with(ANSWER).await;
    let mut peer = Peer::new().await;
    trunk(&world, Some(&peer), |_| {}).await;
    let second = trunk(&world, Some(&peer), |_| {}).await;
    let prefix = world.store.connections().get(world.account, second).await.unwrap().tech_prefix;
    let from = NameAddr::new(Uri::from_addr(Some("+12025550123"), peer.address));
    peer.call(world.sip, from, Uri::from_addr(Some(&format!("{prefix}{NUMBER}")), world.sip), 40_000);
    assert_eq!(outcome(&mut peer).await, 200);
    let call = world.destroyed().await["call"].clone();
    assert_eq!(call["sip_connection"]["uuid"], second.to_string());
    assert_eq!(call["to"], NUMBER.to_string());
    tokio::join!(peer.settle(), world.idle());
}

/// The trunk that a call of a peer to the world's number has come by.
async fn came_by(world: &mut World, peer: &mut Peer) -> Uuid {
    peer.call_number(world.sip, 40_000);
    assert_eq!(outcome(peer).await, 200);
    let event = world.destroyed().await;
    tokio::join!(peer.settle(), world.idle());
    event["call"]["sip_connection"]["uuid"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn trunks_at_one_address_are_told_apart_by_port() {
    let mut world = World::new().await;
    world.number_with(ANSWER).await;
    let mut peers = [Peer::new().await, Peer::new().await];
    let trunks = [trunk(&world, Some(&peers[0]), |_| {}).await, trunk(&world, Some(&peers[1]), |_| {}).await];
    for at in [1, 0] {
        assert_eq!(came_by(&mut world, &mut peers[at]).await, trunks[at]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trunks_at_one_address_are_told_apart_by_user() {
    let mut world = World::new().await;
    world.number_with(ANSWER).await;
    let mut trunks = Vec::new();
    for (user, password) in [("north", "secret of north"), ("south", "secret of south")] {
        let named = |new: &mut NewConnection| {
            new.ip = Some("127.0.0.1".to_owned());
            (new.username, new.password) = (Some(user.to_owned()), Some(password.to_owned()));
            new.authenticate = true;
        };
        trunks.push(trunk(&world, None, named).await);
    }
    let mut peer = Peer::new().await;
    for (credentials, at) in [(("south", "secret of south"), 1), (("north", "secret of north"), 0)] {
        peer.credentials = Some(credentials);
        assert_eq!(came_by(&mut world, &mut peer).await, trunks[at]);
    }
    peer.credentials = Some(("south", "secret of north"));
    peer.call_number(world.sip, 40_000);
    assert_eq!(outcome(&mut peer).await, 403);
    tokio::join!(peer.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_headers_are_what_each_trunk_wants() {
    let world = World::new().await;
    let (mut here, mut there) = (Peer::new().await, Peer::new().await);
    let rule = |direction, party, prefix: &str, strip, prepend: &str| NumberRule {
        direction,
        party,
        prefix: prefix.to_owned(),
        min_digits: None,
        max_digits: None,
        strip,
        prepend: prepend.to_owned(),
    };
    trunk(&world, Some(&here), |new| {
        new.routing = TrunkRouting {
            number_rules: vec![
                rule(Direction::In, Party::Called, "9", 1, ""),
                rule(Direction::In, Party::Caller, "0", 1, "+1"),
            ],
            pass_headers: vec!["X-*".to_owned()],
            ..TrunkRouting::default()
        };
    })
    .await;
    let out = trunk(&world, Some(&there), |new| {
        new.routing = TrunkRouting {
            number_rules: vec![
                rule(Direction::Out, Party::Called, "+", 1, "00"),
                rule(Direction::Out, Party::Caller, "+1", 2, ""),
            ],
            pass_headers: vec!["User-to-User".to_owned()],
            ..TrunkRouting::default()
        };
        new.codecs = vec!["PCMA".to_owned()];
    })
    .await;
    world.number(NUMBER, |lease| lease.sip_connection = Some(out)).await;
    let from = NameAddr::new(Uri::from_addr(Some("02025550123"), here.address));
    let to = Uri::from_addr(Some(&format!("9{NUMBER}")), world.sip);
    let long = "x".repeat(2_000);
    let long: &'static str = Box::leak(long.into_boxed_str());
    let headers = [("X-Account", "7"), ("X-Long", long), ("User-to-User", "abc"), ("Subject", "no")];
    here.call_with(world.sip, from, to, 40_000, &headers);
    let invite = tokio::select! {
        (session, invite) = invited(&mut there) => {
            reject(&mut there, session, 486);
            invite
        }
        code = outcome(&mut here) => panic!("{code}"),
    };
    let header = |name| invite.headers().get_by_name(name);
    assert_eq!((header("X-Account"), header("User-to-User")), (Some(&b"7"[..]), Some(&b"abc"[..])));
    assert_eq!((header("Subject"), header("X-Long")), (None, None));
    assert_eq!(invite.uri().unwrap().user_text().unwrap(), format!("00{NUMBER}"));
    assert_eq!(invite.from().unwrap().uri.user_text().unwrap(), "2025550123");
    let body = String::from_utf8_lossy(invite.body()).into_owned();
    assert!(body.contains(" RTP/AVP 8 101"), "{body}");
    tokio::join!(here.settle(), there.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_takes_no_call_without_one_of_its_codecs() {
    let world = World::new().await;
    world.number_with(ANSWER).await;
    let mut peer = Peer::new().await;
    trunk(&world, Some(&peer), |new| new.codecs = vec!["PCMA".to_owned()]).await;
    // It offers PCMU only.
    peer.call_number(world.sip, 40_000);
    assert_eq!(outcome(&mut peer).await, 488);
    tokio::join!(peer.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_trunk_is_tried_after_the_codes_that_are_given() {
    let world = World::new().await;
    world.number(NUMBER, |_| {}).await;
    let (mut first, mut second) = (Peer::new().await, Peer::new().await);
    let codes = |new: &mut NewConnection| new.routing.failover_codes = Some(vec![404]);
    let a = trunk(&world, Some(&first), codes).await;
    let b = trunk(&world, Some(&second), |new| new.priority = 2).await;
    // In whatever order the group names them.
    dial(&world, &[b, a], Some("+12025550123")).await.unwrap();
    let (session, _) = invited(&mut first).await;
    reject(&mut first, session, 404);
    let ((), (session, invite)) = tokio::join!(first.settle(), invited(&mut second));
    assert_eq!(invite.uri().unwrap().port(), Some(second.address.port()));
    assert_eq!(invite.from().unwrap().uri.user_text().unwrap(), "+12025550123");
    reject(&mut second, session, 486);
    tokio::join!(first.settle(), second.settle(), world.idle());
    // 503 is none of them.
    dial(&world, &[a, b], None).await.unwrap();
    let (session, _) = invited(&mut first).await;
    reject(&mut first, session, 503);
    tokio::join!(first.settle(), world.idle());
    assert_eq!(second.ua.stats().sessions, 0);
    let (of_a, of_b) = (world.engine.control().trunk_health(a), world.engine.control().trunk_health(b));
    assert_eq!((of_a.calls, of_a.asr, of_b.calls), (2, Some(0.0), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_trunk_is_tried_when_one_is_silent_or_rings_too_long() {
    let world = World::new().await;
    world.number(NUMBER, |_| {}).await;
    for rings in [false, true] {
        let (mut first, mut second) = (Peer::new().await, Peer::new().await);
        let a = trunk(&world, Some(&first), |new| {
            new.routing.progress_timeout = Some(1);
            new.routing.ring_timeout = Some(if rings { 1 } else { 600 });
        })
        .await;
        let b = trunk(&world, Some(&second), |new| new.priority = 2).await;
        dial(&world, &[a, b], None).await.unwrap();
        if rings {
            let (session, _) = invited(&mut first).await;
            first.command(Command::Provisional { session, code: 180, reason: None, headers: Vec::new(), body: None });
            let cancelled = async {
                loop {
                    if let Event::Cancelled { .. } = first.event().await {
                        return;
                    }
                }
            };
            let ((), (session, _)) = tokio::join!(cancelled, invited(&mut second));
            reject(&mut second, session, 486);
        } else {
            let (session, _) = invited(&mut second).await;
            reject(&mut second, session, 486);
            // It wakes up: the call it is asked to take is over already.
            let (session, _) = invited(&mut first).await;
            reject(&mut first, session, 480);
        }
        tokio::join!(first.settle(), second.settle(), world.idle());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profiles_trunks_are_called_as_its_number_by_users_without_one() {
    let world = World::new().await;
    let lease = world.number(NUMBER, |_| {}).await;
    let mut peer = Peer::new().await;
    let out = trunk(&world, Some(&peer), |_| {}).await;
    let new = NewVoiceProfile { sip_connections: vec![out], tn_lease: Some(lease), ..NewVoiceProfile::new("group") };
    let profile = world.store.voice_profiles().create(world.account, None, new).await.unwrap().uuid;
    let domain = world.domain(DOMAIN, |domain| domain.outbound_voice_profile = Some(profile)).await;
    world.user(domain, "alice", |_| {}).await;
    let mut phone = Peer::new().await;
    phone.credentials = Some(("alice", PASSWORD));
    phone.call(world.sip, world::address("alice"), Uri::sip(Some("12015550177"), DOMAIN, None).unwrap(), 40_000);
    let invite = tokio::select! {
        (session, invite) = invited(&mut peer) => {
            reject(&mut peer, session, 486);
            invite
        }
        code = outcome(&mut phone) => panic!("{code}"),
    };
    assert_eq!(invite.uri().unwrap().user_text().unwrap(), "+12015550177");
    assert_eq!(invite.from().unwrap().uri.user_text().unwrap(), format!("+{NUMBER}"));
    tokio::join!(phone.settle(), peer.settle(), world.idle());
}
