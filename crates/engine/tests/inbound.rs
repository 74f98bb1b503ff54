//! Calls from outside, over real sockets, through the store and the event hub.

mod world;

use bytes::Bytes;
use opentact_sip::ua::{Command, Event, OutgoingInvite};
use opentact_sip::uri::{NameAddr, Uri};
use world::{NUMBER, Peer, World};

fn offer(port: u16) -> Bytes {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
    .into()
}

fn invite(world: &World, peer: &Peer, rtp: u16) -> OutgoingInvite {
    let uri = Uri::from_addr(Some(&NUMBER.to_string()), world.sip);
    OutgoingInvite {
        flow: peer.flow_to(world.sip),
        uri: uri.clone(),
        from: NameAddr::new(Uri::from_addr(Some("+12025550123"), peer.address)),
        to: NameAddr::new(uri),
        contact: None,
        call_id: None,
        route: Vec::new(),
        headers: Vec::new(),
        body: Some((Bytes::from_static(b"application/sdp"), offer(rtp))),
        credentials: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_calls_a_number_hears_its_flow_and_is_hung_up() {
    let mut world = World::new().await;
    world.number_with(r#"<Response><Answer/><Tone hz="440" don="200" doff="0"/><Hangup tag="done"/></Response>"#).await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let rtp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();

    let session = peer.ua.new_session();
    let invite = invite(&world, &peer, rtp.local_addr().unwrap().port());
    peer.command(Command::Invite { session, invite });
    let mut answered = false;
    loop {
        match peer.event().await {
            Event::Answered { .. } => answered = true,
            Event::Progress { .. } => {}
            Event::Bye { request, .. } => {
                let reason = request.headers().get_by_name("Reason").unwrap();
                assert!(reason.starts_with(b"Q.850;cause=16"), "{}", String::from_utf8_lossy(reason));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(answered);
    insta::assert_snapshot!(world.story().await.join("\n"), @r"
    CallSCA in +12025550123 > 12015550150 - init
    CallSCA in +12025550123 > 12015550150 - ringing
    CallSCA in +12025550123 > 12015550150 - live
    Answer: success true, reason: Call answered
    Tone: success true, reason: Tone played
    Hangup: success true, reason: Call hangup
    CallSCA in +12025550123 > 12015550150 - hangup
    CallSCA in +12025550123 > 12015550150 - destroyed
    ");
    let mut packet = [0; 1500];
    let (length, _) = rtp.try_recv_from(&mut packet).unwrap();
    assert_eq!((length, packet[1] & 0x7f), (172, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_source_is_forbidden_and_an_unknown_number_not_found() {
    let world = World::new().await;
    let mut stranger = Peer::new().await;
    let session = stranger.ua.new_session();
    let first = invite(&world, &stranger, 40_000);
    stranger.command(Command::Invite { session, invite: first });
    let event = stranger.event().await;
    assert!(matches!(event, Event::Failed { code: 403, .. }), "{event:?}");

    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let session = peer.ua.new_session();
    let second = invite(&world, &peer, 40_000);
    peer.command(Command::Invite { session, invite: second });
    let event = peer.event().await;
    assert!(matches!(event, Event::Failed { code: 404, .. }), "{event:?}");
}
