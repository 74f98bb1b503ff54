//! Calls from outside, over real sockets, through the store and the event hub.

mod world;

use opentact_sip::ua::{Command, Event};
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::lerg::LergBlock;
use world::{NUMBER, Peer, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_calls_a_number_hears_its_flow_and_is_hung_up() {
    let mut world = World::new().await;
    world.number_with(r#"<Response><Answer/><Tone hz="440" don="200" doff="0"/><Hangup tag="done"/></Response>"#).await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let rtp = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();

    peer.call_number(world.sip, rtp.local_addr().unwrap().port());
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
    stranger.call_number(world.sip, 40_000);
    let event = stranger.event().await;
    assert!(matches!(event, Event::Failed { code: 403, .. }), "{event:?}");

    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    peer.call_number(world.sip, 40_000);
    let event = peer.event().await;
    assert!(matches!(event, Event::Failed { code: 404, .. }), "{event:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_while_it_rings_ends_the_call() {
    let mut world = World::new().await;
    world.number_with(r#"<Response><Pause length="60000"/><Answer/></Response>"#).await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let session = peer.call_number(world.sip, 40_000);
    assert!(matches!(peer.event().await, Event::Progress { .. }));
    peer.command(Command::Cancel { session, headers: Vec::new() });
    let event = peer.event().await;
    assert!(matches!(event, Event::Failed { code: 487, .. }), "{event:?}");
    insta::assert_snapshot!(world.story().await.join("\n"), @r"
    CallSCA in +12025550123 > 12015550150 - init
    CallSCA in +12025550123 > 12015550150 - ringing
    CallSCA in +12025550123 > 12015550150 - hangup
    Pause: success false, reason: Call hangup
    CallSCA in +12025550123 > 12015550150 - destroyed
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_takes_no_new_call_and_ends_with_the_last() {
    let world = World::new().await;
    world.number_with("<Response><Answer/><Pause length=\"60000\"/></Response>").await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let session = peer.call_number(world.sip, 40_000);
    while !matches!(peer.event().await, Event::Answered { .. }) {}

    let drain = world.engine.drain(std::time::Duration::from_secs(20));
    let rest = async {
        // The order to drain and this INVITE come to the core in the order they were given.
        tokio::task::yield_now().await;
        peer.call_number(world.sip, 40_002);
        match peer.event().await {
            Event::Failed { code: 503, response: Some(response), .. } => {
                assert!(response.headers().get_by_name("Retry-After").is_some());
            }
            other => panic!("{other:?}"),
        }
        peer.command(Command::Bye { session, headers: Vec::new() });
        peer.event().await
    };
    let (by_itself, _) = tokio::join!(drain, rest);
    assert!(by_itself);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_where_the_lerg_says() {
    let world = World::new().await;
    let xml = "<Response><Geo states='VA' county='FAIRFAX'><Reject reason='busy'/></Geo>\
               <Geo states='VA'><Reject code='480'/></Geo><Geo states='DC'><Reject code='404'/></Geo>\
               <Geo states='NJ' county='HUDSON'><Reject code='403'/></Geo></Response>";
    world.number_with(xml).await;
    let mut peer = Peer::new().await;
    world.trunk(&peer).await;
    let block = |block: &str, county: Option<&str>| LergBlock {
        block: block.to_owned(),
        country: "US".to_owned(),
        state: "VA".to_owned(),
        rate_center: "ALEXANDRIA".to_owned(),
        lata: None,
        ocn: None,
        carrier: None,
        county: county.map(str::to_owned),
    };
    // Of the area code and exchange, then of the exchange in the LERG, then of its block of a thousand.
    for (known, from, code) in [
        (None, "+12012001234", 403),
        (None, "+12025550123", 404),
        (Some(block("202555A", None)), "+12025550123", 480),
        (Some(block("2025550", Some("FAIRFAX"))), "+12025550123", 486),
    ] {
        world.store.lerg().save(known.into_iter().collect()).await.unwrap();
        world.engine.control().invalidate(world.account);
        let from = NameAddr::new(Uri::from_addr(Some(from), peer.address));
        peer.call(world.sip, from, Uri::from_addr(Some(&NUMBER.to_string()), world.sip), 40_000);
        let refused = loop {
            if let Event::Failed { code, .. } = peer.event().await {
                break code;
            }
        };
        assert_eq!(refused, code);
    }
    world.idle().await;
}
