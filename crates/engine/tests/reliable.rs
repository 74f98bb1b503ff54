//! What is said before the answer: reliably where the other side can, late offers, and offers within it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_sip::message::{Method, Name, Response};
use opentact_sip::ua::{Command, Event, SessionId};
use opentact_store::types::SipTransport;
use world::raw::Raw;
use world::{DOMAIN, PASSWORD, Peer, World, offer, sdp};

const TONE: &str = r#"<Response><Tone hz="440" don="60000" doff="0" timeout="60000"/></Response>"#;

/// A phone that is rung by every call of the trunk's number.
async fn phone_and_trunk(world: &World) -> (Peer, Peer) {
    world.domain_with(&["alice"]).await;
    world.number_with(&format!("<Response><Dial><To>alice@{DOMAIN}</To></Dial></Response>")).await;
    let (mut phone, caller) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    (phone, caller)
}

fn provisional(session: SessionId, code: u16, rtp: Option<u16>) -> Command {
    let body = rtp.and_then(sdp);
    Command::Provisional { session, code, reason: None, headers: Vec::new(), body }
}

async fn progress(peer: &mut Peer, code: u16) -> Response {
    loop {
        if let Event::Progress { response, .. } = peer.event().await
            && response.code() == code
        {
            return response;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_legs_are_told_reliably_and_the_answer_before_the_200_counts() {
    let world = World::new().await;
    let (mut phone, mut caller) = phone_and_trunk(&world).await;
    let number = opentact_sip::uri::Uri::from_addr(Some(&world::NUMBER.to_string()), world.sip);
    let from =
        opentact_sip::uri::NameAddr::new(opentact_sip::uri::Uri::from_addr(Some("+12025550123"), caller.address));
    let session = caller.call_with(world.sip, from, number, 40_000, &[("Require", "100rel")]);
    let answering = async {
        let rung = phone.invited().await;
        phone.command(provisional(rung, 180, None));
        phone.command(provisional(rung, 183, Some(40_002)));
        phone.command(Command::Accept { session: rung, headers: Vec::new(), body: sdp(40_004), contact: None });
        while !matches!(phone.event().await, Event::Acked { .. }) {}
    };
    let calling = async {
        let told = progress(&mut caller, 180).await;
        assert!(told.headers().lists(Name::Require, "100rel"));
        let told = progress(&mut caller, 183).await;
        assert!(told.headers().has(Name::RSeq) && !told.body().is_empty());
        loop {
            if let Event::Answered { response, .. } = caller.event().await {
                // The 183 has said it, and has been acknowledged.
                assert!(response.body().is_empty());
                return;
            }
        }
    };
    tokio::join!(answering, calling);
    caller.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(caller.settle(), phone.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_offer_hears_what_is_played_before_the_answer() {
    let world = World::new().await;
    world.number_with(TONE).await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let rtp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    raw.invite("Supported: 100rel\r\n", "").await;
    let told = raw.provisional(183).await;
    assert!(!told.body().is_empty());
    let ours = String::from_utf8(offer(rtp.local_addr().unwrap().port()).to_vec()).unwrap();
    raw.prack(&told, &ours).await;
    assert_eq!(raw.answer().await.code(), 200);
    let mut packet = [0; 1500];
    let (length, _) = rtp.recv_from(&mut packet).await.unwrap();
    assert_eq!((length, packet[1] & 0x7f), (172, 0));
    raw.send(&raw.request("CANCEL", 1, "", "", "")).await;
    assert_eq!(raw.answer_to(&Method::Invite).await.code(), 487);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_offer_before_the_answer_that_is_not_answered_ends_the_call() {
    let world = World::new().await;
    world.number_with(TONE).await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    raw.invite("Supported: 100rel\r\n", "").await;
    let told = raw.provisional(183).await;
    raw.prack(&told, "").await;
    let refused = raw.answer_to(&Method::Invite).await;
    assert_eq!(refused.code(), 488);
    raw.acknowledge(&refused, "").await;
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_before_the_answer_moves_the_media() {
    let world = World::new().await;
    world.number_with(TONE).await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let before = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let after = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let text = |socket: &tokio::net::UdpSocket| {
        String::from_utf8(offer(socket.local_addr().unwrap().port()).to_vec()).unwrap()
    };
    raw.invite("Supported: 100rel\r\nContent-Type: application/sdp\r\n", &text(&before)).await;
    let told = raw.provisional(183).await;
    let mut packet = [0; 1500];
    before.recv_from(&mut packet).await.unwrap();
    raw.prack(&told, "").await;
    assert_eq!(raw.answer().await.code(), 200);
    let tag = String::from_utf8_lossy(told.to_tag().unwrap()).into_owned();
    let headers = format!("Contact: <sip:raw@{}>\r\nContent-Type: application/sdp\r\n", raw.address);
    raw.send(&raw.request("UPDATE", 1, &tag, &headers, &text(&after))).await;
    let answer = raw.answer_to(&Method::Update).await;
    assert_eq!((answer.code(), answer.body().is_empty()), (200, false));
    after.recv_from(&mut packet).await.unwrap();
    raw.send(&raw.request("CANCEL", 1, "", "", "")).await;
    assert_eq!(raw.answer_to(&Method::Invite).await.code(), 487);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_for_its_prack_is_taken_back_with_the_call() {
    let world = World::new().await;
    world.number_with("<Response><Tone hz='440' timeout='40'/><Answer/><Hangup/></Response>").await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let offered = String::from_utf8(offer(40_200).to_vec()).unwrap();
    raw.invite("Supported: 100rel\r\nContent-Type: application/sdp\r\n", &offered).await;
    raw.provisional(183).await;
    let refused = raw.answer_to(&Method::Invite).await;
    assert_eq!(refused.code(), 480);
    raw.acknowledge(&refused, "").await;
    world.idle().await;
}
