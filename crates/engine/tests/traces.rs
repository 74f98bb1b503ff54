//! Nothing is left of a call, however it ends: no leg, no session, no media port, no timer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_engine::ports::ControlError;
use opentact_sip::ua::{Command, Event};
use opentact_store::types::SipTransport;
use world::raw::Raw;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World, address, offer, sdp};

/// Answers the next call; returns with its ACK.
async fn pick_up(peer: &mut Peer, rtp: u16) -> opentact_sip::ua::SessionId {
    let session = peer.invited().await;
    peer.command(Command::Accept { session, headers: Vec::new(), body: sdp(rtp), contact: None });
    while !matches!(peer.event().await, Event::Acked { .. }) {}
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hangs_up_in_the_middle_of_a_prompt() {
    let world = World::new().await;
    world.number_with(r#"<Response><Answer/><Tone hz="440" don="60000" doff="0" timeout="60000"/></Response>"#).await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let session = peer.call_number(world.sip, 40_000);
    while !matches!(peer.event().await, Event::Answered { .. }) {}
    peer.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(peer.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_refused_for_its_address_its_number_or_its_password() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let mut stranger = Peer::new().await;
    stranger.call_number(world.sip, 40_000);
    stranger.call(world.sip, address("alice"), address("bob").uri, 40_000);
    stranger.settle().await;
    stranger.credentials = Some(("alice", "wrong"));
    stranger.call(world.sip, address("alice"), address("bob").uri, 40_000);
    stranger.settle().await;
    world.trunk(&stranger).await;
    stranger.call_number(world.sip, 40_000);
    tokio::join!(stranger.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gives_up_at_once() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    for _ in 0..20 {
        let session = peer.call_number(world.sip, 40_000);
        // Sent with the first 100: while the call is being routed, or as it is answered.
        peer.command(Command::Cancel { session, headers: Vec::new() });
    }
    tokio::join!(peer.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gives_up_while_another_phone_rings() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    world.number_with(&format!("<Response><Dial><To>alice@{DOMAIN}</To></Dial></Response>")).await;
    let (mut phone, mut caller) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    let session = caller.call_number(world.sip, 40_000);
    let (ringing, _) = tokio::join!(phone.invited(), caller.progress());
    phone.command(Command::Provisional { session: ringing, code: 180, reason: None, headers: vec![], body: None });
    let reason = ("Reason".into(), "SIP;cause=480, Q.850;cause=31".into());
    caller.command(Command::Cancel { session, headers: vec![reason] });
    let cancelled = async {
        loop {
            if let Event::Cancelled { request, .. } = phone.event().await {
                return request;
            }
        }
    };
    let (cancelled, ()) = tokio::join!(cancelled, caller.settle());
    let reason = cancelled.headers().get_by_name("Reason").unwrap();
    assert!(reason.starts_with(b"Q.850;cause=31"), "{}", String::from_utf8_lossy(reason));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_media_port_is_free_for_the_caller_or_for_the_callee() {
    // One pair.
    let world = World::with(|config| config.media.ports = 44_000..=44_001).await;
    world.domain_with(&["alice"]).await;
    world.number_with(&format!("<Response><Answer/><Dial><To>alice@{DOMAIN}</To></Dial></Response>")).await;
    let (mut phone, mut caller, mut second) = (Peer::new().await, Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    world.trunk(&second).await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    caller.call_number(world.sip, 40_000);
    // Its own leg has the pair; the callee's gets none, and the flow goes on to its end.
    while !matches!(caller.event().await, Event::Bye { .. }) {}
    world.idle().await;

    world.number_that_runs(NUMBER + 1, "<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let session = caller.call_tn(world.sip, NUMBER + 1, 40_000);
    while !matches!(caller.event().await, Event::Answered { .. }) {}
    second.call_number(world.sip, 40_000);
    match second.event().await {
        Event::Failed { code: 503, response: Some(response), .. } => {
            assert!(response.headers().get_by_name("Retry-After").is_some());
        }
        other => panic!("{other:?}"),
    }
    let refused = world.originate(&format!("alice@{DOMAIN}"), "<Response><Hangup/></Response>").await;
    assert!(matches!(refused, Err(ControlError::Unavailable { .. })), "{refused:?}");
    caller.command(Command::Bye { session, headers: Vec::new() });
    tokio::join!(caller.settle(), second.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_refused_for_what_is_wrong_with_it() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let video = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 96\r\n";
    let speex = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 speex/8000\r\n";
    for (content_type, body, code) in [
        ("application/sdp", video, 488),
        ("application/sdp", speex, 488),
        ("application/sdp", "m=nothing", 400),
        ("text/plain", "hello", 415),
    ] {
        raw.invite(&format!("Content-Type: {content_type}\r\n"), body).await;
        let answer = raw.answer().await;
        assert_eq!(answer.code(), code, "{body}");
        let explained = if code == 415 { "Accept" } else { "Warning" };
        assert!(answer.headers().get_by_name(explained).is_some(), "{body}");
        raw.acknowledge(&answer, "").await;
    }
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_offer_is_answered_by_the_ack_or_the_call_is_hung_up() {
    let mut world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"50\"/><Hangup/></Response>").await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;

    raw.invite("", "").await;
    let answer = raw.answer().await;
    assert!(!answer.body().is_empty());
    let body = String::from_utf8(offer(40_000).to_vec()).unwrap();
    raw.acknowledge(&answer, &body).await;
    assert_eq!(raw.asked().await.method().as_str(), "BYE");
    assert!(world.story().await.iter().any(|line| line.ends_with("- live")));
    world.idle().await;

    raw.invite("", "").await;
    let answer = raw.answer().await;
    raw.acknowledge(&answer, "").await;
    let bye = raw.asked().await;
    let reason = bye.headers().get_by_name("Reason").unwrap();
    assert!(reason.starts_with(b"Q.850;cause=79"), "{}", String::from_utf8_lossy(reason));
    assert!(!world.story().await.iter().any(|line| line.ends_with("- live")));
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_rejects_after_its_200_hangs_up() {
    // Without an offer the call is not live before the ACK, and may still be refused by its flow: too late for a 486.
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    raw.invite("", "").await;
    let answer = raw.answer().await;
    let online = world.engine.control().online(world.account).await.unwrap();
    let call = online[0]["uuid"].as_str().unwrap().parse().unwrap();
    let reject =
        opentact_callflow::parse("<Response><Reject reason=\"busy\"/></Response>", opentact_callflow::Mode::Strict);
    world.engine.control().run_flow(world.account, call, reject.unwrap()).await.unwrap();
    let body = String::from_utf8(offer(40_000).to_vec()).unwrap();
    raw.acknowledge(&answer, &body).await;
    assert_eq!(raw.asked().await.method().as_str(), "BYE");
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_by_rest_finds_nobody_or_a_refusal_or_is_hung_up_as_it_rings() {
    let mut world = World::new().await;
    world.domain_with(&["alice"]).await;
    let to = format!("alice@{DOMAIN}");
    let xml = "<Response><Hangup/></Response>";

    let call = world.originate(&to, xml).await.unwrap();
    assert_eq!((call["state"].as_str(), call["direction"].as_str()), (Some("init"), Some("out")));
    assert!(world.story().await.last().unwrap().ends_with("- destroyed"));
    world.idle().await;

    let mut phone = Peer::new().await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    world.originate(&to, xml).await.unwrap();
    let session = phone.invited().await;
    let cause = ("Reason".into(), "Q.850;cause=34;text=\"no circuit\"".into());
    phone.command(Command::Reject { session, code: 503, reason: None, headers: vec![cause] });
    tokio::join!(phone.settle(), world.idle());
    assert_eq!(world.destroyed().await["call"]["q850_cause"], 34);

    let call = world.originate(&to, xml).await.unwrap();
    let session = phone.invited().await;
    phone.command(Command::Provisional { session, code: 180, reason: None, headers: vec![], body: None });
    let uuid = call["uuid"].as_str().unwrap().parse().unwrap();
    world.engine.control().hangup(world.account, uuid, Some(21)).await.unwrap();
    loop {
        if let Event::Cancelled { request, .. } = phone.event().await {
            let reason = request.headers().get_by_name("Reason").unwrap();
            assert!(reason.starts_with(b"Q.850;cause=21"), "{}", String::from_utf8_lossy(reason));
            break;
        }
    }
    tokio::join!(phone.settle(), world.idle());
    assert_eq!(world.destroyed().await["call"]["q850_cause"], 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_used_ends_the_leg_and_the_others_stop_ringing() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let (mut desk, mut mobile) = (Peer::new().await, Peer::new().await);
    assert_eq!(desk.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(mobile.register(world.sip, "alice", PASSWORD, 300).await, 200);
    world.originate(&format!("alice@{DOMAIN}"), "<Response><Hangup/></Response>").await.unwrap();
    let (at_desk, at_mobile) = tokio::join!(desk.invited(), mobile.invited());
    mobile.command(Command::Provisional { session: at_mobile, code: 180, reason: None, headers: vec![], body: None });
    // No SDP in the 200.
    desk.command(Command::Accept { session: at_desk, headers: Vec::new(), body: None, contact: None });
    let hung_up = async { while !matches!(desk.event().await, Event::Bye { .. }) {} };
    let cancelled = async { while !matches!(mobile.event().await, Event::Cancelled { .. }) {} };
    tokio::join!(hung_up, cancelled);
    tokio::join!(desk.settle(), mobile.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_first_has_the_call_and_a_decline_is_for_all() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    let to = format!("alice@{DOMAIN}");
    let (mut desk, mut mobile) = (Peer::new().await, Peer::new().await);
    assert_eq!(desk.register(world.sip, "alice", PASSWORD, 300).await, 200);
    assert_eq!(mobile.register(world.sip, "alice", PASSWORD, 300).await, 200);

    world.originate(&to, "<Response><Hangup/></Response>").await.unwrap();
    // Both at once: one has the call and hears the flow's BYE, the other one's 200 crosses the CANCEL.
    let (ours, theirs) = tokio::join!(desk.invited(), mobile.invited());
    desk.command(Command::Accept { session: ours, headers: Vec::new(), body: sdp(40_000), contact: None });
    mobile.command(Command::Accept { session: theirs, headers: Vec::new(), body: sdp(40_002), contact: None });
    tokio::join!(desk.settle(), mobile.settle(), world.idle());

    world.originate(&to, "<Response><Hangup/></Response>").await.unwrap();
    let (ours, theirs) = tokio::join!(desk.invited(), mobile.invited());
    mobile.command(Command::Provisional { session: theirs, code: 180, reason: None, headers: vec![], body: None });
    desk.command(Command::Reject { session: ours, code: 603, reason: None, headers: Vec::new() });
    let cancelled = async { while !matches!(mobile.event().await, Event::Cancelled { .. }) {} };
    tokio::join!(desk.settle(), cancelled);
    tokio::join!(mobile.settle(), world.idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_runs_on_the_call_and_not_on_the_leg_it_dialled() {
    let world = World::new().await;
    world.domain_with(&["alice"]).await;
    world.number_with(&format!("<Response><Answer/><Dial><To>alice@{DOMAIN}</To></Dial></Response>")).await;
    let (mut phone, mut caller) = (Peer::new().await, Peer::new().await);
    world.trunk(&caller).await;
    assert_eq!(phone.register(world.sip, "alice", PASSWORD, 300).await, 200);
    caller.call_number(world.sip, 40_000);
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    tokio::join!(pick_up(&mut phone, 40_002), answered);

    let control = world.engine.control();
    let online = control.online(world.account).await.unwrap();
    let leg = |direction: &str| -> uuid::Uuid {
        let leg = online.iter().find(|call| call["direction"] == direction).unwrap();
        leg["uuid"].as_str().unwrap().parse().unwrap()
    };
    let (origin, child) = (leg("in"), leg("out"));
    let parent = control.get(world.account, child).await.unwrap().unwrap();
    assert_eq!(parent["parent"]["uuid"], origin.to_string());
    let document =
        || opentact_callflow::parse("<Response><Hangup/></Response>", opentact_callflow::Mode::Strict).unwrap();
    let refused = control.run_flow(world.account, child, document()).await;
    assert!(matches!(&refused, Err(ControlError::Conflict(reason)) if reason.contains(&origin.to_string())));
    let foreign = control.run_flow(uuid::Uuid::new_v4(), origin, document()).await;
    assert_eq!(foreign, Err(ControlError::NotFound("Call")));

    // The dialled leg ends for itself; the flow goes on to its end.
    control.hangup(world.account, child, None).await.unwrap();
    let hung_up = async { while !matches!(caller.event().await, Event::Bye { .. }) {} };
    tokio::join!(phone.settle(), hung_up);
    world.idle().await;
    let over = control.hangup(world.account, child, None).await;
    assert_eq!(over, Err(ControlError::NotFound("Call")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_hangs_up_who_stays_and_refuses_who_is_being_routed() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    for _ in 0..5 {
        peer.call_number(world.sip, 40_000);
    }
    let mut answered = 0;
    while answered < 5 {
        answered += usize::from(matches!(peer.event().await, Event::Answered { .. }));
    }
    let (by_itself, ()) = tokio::join!(world.engine.drain(std::time::Duration::ZERO), peer.settle());
    assert!(!by_itself);
    world.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_bridged_to_a_number_that_leads_back_to_itself_only_so_often() {
    let mut world = World::new().await;
    // The number is forwarded to a trunk that is this node: every round is a call from that trunk to the number.
    let trunk = world.trunk_at(world.sip, SipTransport::Udp).await;
    world.number(NUMBER, |lease| lease.sip_connection = Some(trunk)).await;
    let mut raw = Raw::new(world.sip).await;
    world.trunk_at(raw.address, SipTransport::Udp).await;
    let body = String::from_utf8(offer(40_000).to_vec()).unwrap();
    raw.max_forwards = 4;
    raw.invite("Content-Type: application/sdp\r\n", &body).await;
    let answer = raw.answer().await;
    assert_eq!(answer.code(), 483);
    raw.acknowledge(&answer, "").await;
    world.idle().await;
    let mut legs = std::collections::HashSet::new();
    while legs.len() < 8 || !world.engine.control().online(world.account).await.unwrap().is_empty() {
        legs.insert(world.destroyed().await["ref_id"].to_string());
    }
    assert_eq!(legs.len(), 8, "an inbound and an outbound leg a round");
}
