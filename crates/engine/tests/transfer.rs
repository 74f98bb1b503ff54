//! Transfers by REFER, blind and with Replaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::{Method, Name};
use opentact_sip::ua::{Command, Event, SessionId};
use world::phones::{hang_up, hung_up, phones, pick_up, talk};
use world::{DOMAIN, NUMBER, Peer, World};

/// Hands on; what the REFER is answered and what its NOTIFYs say.
async fn refer(peer: &mut Peer, session: SessionId, to: &str) -> (u16, Vec<String>) {
    let id = peer.ua.new_request();
    let headers = vec![("Refer-To".into(), format!("<{to}>").into())];
    peer.command(Command::InDialog { session, id, method: Method::Refer, headers, body: None });
    let (mut code, mut told) = (0, Vec::new());
    loop {
        match peer.event().await {
            Event::Response { id: of, response } if of == id => {
                code = response.code();
                if code != 202 {
                    return (code, told);
                }
            }
            Event::InDialog { id, request, .. } if *request.method() == Method::Notify => {
                peer.command(Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body: None });
                assert!(request.headers().get(Name::Event).unwrap().starts_with(b"refer"));
                told.push(String::from_utf8_lossy(request.body()).trim().to_owned());
                if request.headers().get(Name::SubscriptionState).unwrap().starts_with(b"terminated") {
                    return (code, told);
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callee_hands_the_caller_on() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (calling, called) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let to = format!("sip:carol@{DOMAIN}");
    let ((code, told), (_, invite)) = tokio::join!(refer(&mut bob, called, &to), pick_up(&mut carol));
    assert_eq!((code, told.as_slice()), (202, &["SIP/2.0 100 Trying".to_owned(), "SIP/2.0 200 OK".to_owned()][..]));
    let referred = format!("<sip:bob@{DOMAIN}>");
    assert_eq!(invite.header(Name::ReferredBy), Some(referred.as_bytes()));
    bob.settle().await;
    hang_up(&mut alice, calling);
    tokio::join!(alice.settle(), hung_up(&mut carol), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_hands_the_callee_on_and_is_no_longer_needed() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (calling, _) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let to = format!("sip:carol@{DOMAIN}");
    let ((code, told), (rung, _)) = tokio::join!(refer(&mut alice, calling, &to), pick_up(&mut carol));
    assert_eq!((code, told.last().unwrap().as_str()), (202, "SIP/2.0 200 OK"));
    alice.settle().await;
    hang_up(&mut carol, rung);
    tokio::join!(carol.settle(), hung_up(&mut bob), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_busy_or_does_not_exist_is_told_and_the_two_go_on() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (_, called) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let to = format!("sip:carol@{DOMAIN}");
    let ((_, told), _) = tokio::join!(refer(&mut bob, called, &to), carol.refuse());
    assert_eq!(told.last().unwrap(), "SIP/2.0 486 Busy Here");
    let (_, told) = refer(&mut bob, called, &format!("sip:nobody@{DOMAIN}")).await;
    assert_eq!(told.last().unwrap(), "SIP/2.0 404 Not Found");
    // No number without a way there: the rights are those of the user.
    let (_, told) = refer(&mut bob, called, &format!("sip:+12065550001@{DOMAIN}")).await;
    assert_eq!(told.last().unwrap(), "SIP/2.0 403 Forbidden");
    hang_up(&mut bob, called);
    tokio::join!(bob.settle(), hung_up(&mut alice), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_hands_nobody_on_and_what_is_no_address_is_refused() {
    let world = World::new().await;
    let [_, mut bob, _] = phones(&world).await;
    world.number_with(&format!("<Response><Dial><To>bob@{DOMAIN}</To></Dial></Response>")).await;
    let mut trunk = Peer::new().await;
    world.trunk(&trunk).await;
    let calling = trunk.call_tn(world.sip, NUMBER, 40_000);
    let answered = async { while !matches!(trunk.event().await, Event::Answered { .. }) {} };
    let ((called, _), ()) = tokio::join!(pick_up(&mut bob), answered);
    assert_eq!(refer(&mut trunk, calling, &format!("sip:carol@{DOMAIN}")).await.0, 403);
    assert_eq!(refer(&mut bob, called, "tel:+12065550001").await.0, 400);
    hang_up(&mut trunk, calling);
    tokio::join!(trunk.settle(), bob.settle(), world.idle());
}

/// Refer-To for the other party of a session.
fn replacing(peer: &Peer, session: SessionId, to: &str) -> String {
    let replaces = peer.replaces(session).replace(';', "%3B").replace('=', "%3D");
    format!("sip:{to}@{DOMAIN}?Replaces={replaces}")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_whom_one_talks_to_are_joined() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (first, _) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let (second, carols) = talk(&world, &mut alice, "alice", &mut carol, "carol").await;
    let to = replacing(&alice, second, "carol");
    let (code, told) = refer(&mut alice, first, &to).await;
    assert_eq!((code, told.as_slice()), (202, &["SIP/2.0 200 OK".to_owned()][..]));
    alice.settle().await;
    hang_up(&mut carol, carols);
    tokio::join!(carol.settle(), hung_up(&mut bob), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_was_called_joins_the_two_as_well() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (alices, first) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let (second, _) = talk(&world, &mut bob, "bob", &mut carol, "carol").await;
    let to = replacing(&bob, second, "carol");
    assert_eq!(refer(&mut bob, first, &to).await.1, ["SIP/2.0 200 OK"]);
    bob.settle().await;
    hang_up(&mut alice, alices);
    tokio::join!(alice.settle(), hung_up(&mut carol), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_replaces_a_call_of_somebody_else_or_one_that_is_not_there() {
    let world = World::new().await;
    let [mut alice, mut bob, mut carol] = phones(&world).await;
    let (first, bobs) = talk(&world, &mut alice, "alice", &mut bob, "bob").await;
    let (second, _) = talk(&world, &mut alice, "alice", &mut carol, "carol").await;
    let to = replacing(&alice, second, "carol");
    assert_eq!(refer(&mut bob, bobs, &to).await.1, ["SIP/2.0 403 Forbidden"]);
    let unknown = to.replace("Replaces=", "Replaces=x");
    assert_eq!(refer(&mut alice, first, &unknown).await.1, ["SIP/2.0 481 Call/Transaction Does Not Exist"]);
    hang_up(&mut alice, first);
    hang_up(&mut alice, second);
    tokio::join!(alice.settle(), bob.settle(), carol.settle(), world.idle());
}
