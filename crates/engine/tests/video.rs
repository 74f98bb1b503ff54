//! Video between two phones, passed on beside their audio; and candidates of ICE that come after the offer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use opentact_sip::message::Method;
use opentact_sip::sdp::{Media, Session};
use opentact_sip::ua::{Command, Event, SessionId};
use world::phones::{hang_up, hung_up, phones};
use world::{Peer, World, address, described, offer};

/// Only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a phone has its video: RTP and RTCP.
struct Camera {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Camera {
    fn new() -> Camera {
        // Two ports beside each other are not always free at once.
        let pair = |_| {
            let rtp = UdpSocket::bind("127.0.0.1:0").ok()?;
            let next = rtp.local_addr().ok()?.port().checked_add(1)?;
            Some(Camera { rtp, rtcp: UdpSocket::bind(("127.0.0.1", next)).ok()? })
        };
        let camera = (0..100).find_map(pair).expect("two ports");
        for socket in [&camera.rtp, &camera.rtcp] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        camera
    }

    fn port(&self) -> u16 {
        self.rtp.local_addr().unwrap().port()
    }

    /// The offer or answer of a phone that has it.
    fn description(&self, audio: u16, formats: &str) -> Bytes {
        let video = format!("m=video {} RTP/AVP {formats}\r\na=rtcp-fb:* nack pli\r\n", self.port());
        let text = String::from_utf8(offer(audio).to_vec()).unwrap();
        (text + &video).into()
    }
}

fn hear(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let (length, _) = socket.recv_from(&mut buffer).expect("a packet");
    buffer[..length].to_vec()
}

const BOTH: &str = "96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1";

/// The second is called by the first; both describe themselves so.
async fn talk(
    world: &World,
    [caller, callee]: [&mut Peer; 2],
    [offer, answer]: [Bytes; 2],
) -> ([SessionId; 2], [Session; 2]) {
    let calling = caller.call_describing(world.sip, address("alice"), address("bob").uri, &[], offer);
    let answered = async {
        loop {
            if let Event::Answered { response, .. } = caller.event().await {
                return Session::parse(response.body()).unwrap();
            }
        }
    };
    let picked_up = async {
        loop {
            if let Event::Invite { session, request, .. } = callee.event().await {
                let body = described(answer.clone());
                callee.command(Command::Accept { session, headers: Vec::new(), body, contact: None });
                while !matches!(callee.event().await, Event::Acked { .. }) {}
                return (session, Session::parse(request.body()).unwrap());
            }
        }
    };
    let (told, (called, asked)) = tokio::join!(answered, picked_up);
    ([calling, called], [told, asked])
}

fn here(media: &Media) -> SocketAddr {
    ([127, 0, 0, 1], media.port).into()
}

#[tokio::test]
async fn video_of_two_phones_goes_on_ports_of_its_own_as_it_is() {
    let world = World::new().await;
    let [mut alice, mut bob, _] = phones(&world).await;
    let cameras = [Camera::new(), Camera::new()];
    // Bob takes one of the two, by another number.
    let descriptions = [
        cameras[0].description(40_000, BOTH),
        cameras[1].description(40_002, "120\r\na=rtpmap:120 H264/90000\r\na=fmtp:120 packetization-mode=1"),
    ];
    let (sessions, [told, asked]) = talk(&world, [&mut alice, &mut bob], descriptions).await;
    assert_eq!((told.media.len(), asked.media.len()), (2, 2));
    assert_eq!((told.media[1].formats.join(" ").as_str(), asked.media[1].formats.join(" ").as_str()), ("97", "96 97"));
    assert_eq!(asked.media[1].rtpmap(96).unwrap().name, "VP8");
    let ends = [here(&told.media[1]), here(&asked.media[1])];
    assert!(ends.iter().all(|end| end.port() != told.media[0].port && end.port() != asked.media[0].port));
    let packet = |payload_type: u8, sequence: u16| {
        let [high, low] = sequence.to_be_bytes();
        let mut packet = vec![0x80, 0x80 | payload_type, high, low, 0, 0, 0x10, 0, 0xAB, 0xCD, 0xEF, 1];
        packet.resize(1100, low);
        packet
    };
    // Bob sends by the numbers of the offer, and is sent by those of his answer (RFC 3264 6.1).
    for (from, to, theirs, ours) in [(0, 1, 97, 120), (1, 0, 97, 97)] {
        // Until the legs are joined nothing comes through.
        let seen = &cameras[to].rtp;
        seen.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let comes = |sequence: &u16| {
            cameras[from].rtp.send_to(&packet(theirs, *sequence), ends[from]).unwrap();
            seen.recv(&mut [0; 2000]).is_ok()
        };
        let first = (0..1000).find(comes).expect("video comes through");
        seen.set_read_timeout(Some(PATIENCE)).unwrap();
        for sequence in first + 1..first + 50 {
            cameras[from].rtp.send_to(&packet(theirs, sequence), ends[from]).unwrap();
            // What was on its way before is heard first.
            let next = std::iter::repeat_with(|| hear(seen)).find(|heard| *heard >= packet(ours, sequence));
            assert_eq!(next, Some(packet(ours, sequence)));
        }
        // A picture is asked for by who sees.
        let ask = [0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 206, 0, 2, 0, 0, 0, 7, 0xAB, 0xCD, 0xEF, 1];
        let rtcp = SocketAddr::new(ends[to].ip(), ends[to].port() + 1);
        cameras[to].rtcp.send_to(&ask, rtcp).unwrap();
        assert_eq!(hear(&cameras[from].rtcp), ask);
    }
    hang_up(&mut alice, sessions[0]);
    alice.flush().await;
    hung_up(&mut bob).await;
}

#[tokio::test]
async fn who_has_no_video_is_heard_without() {
    let world = World::new().await;
    let [mut alice, mut bob, _] = phones(&world).await;
    let camera = Camera::new();
    let refused = String::from_utf8(camera.description(40_002, "96").to_vec()).unwrap();
    let refused = refused.replace(&format!("m=video {}", camera.port()), "m=video 0");
    let shown = camera.description(40_000, BOTH);
    for (description, answer, streams) in [
        (shown.clone(), refused.into(), 2),
        // What nobody can pass on is not even asked for.
        (camera.description(40_000, "34\r\na=rtpmap:34 H263/90000"), offer(40_002), 1),
    ] {
        let (sessions, [told, asked]) = talk(&world, [&mut alice, &mut bob], [description, answer]).await;
        assert_eq!((asked.media.len(), told.media.len(), told.media[1].port), (streams, 2, 0));
        assert!(told.media[0].port != 0);
        hang_up(&mut alice, sessions[0]);
        alice.flush().await;
        hung_up(&mut bob).await;
        alice.settle().await;
    }
}

#[tokio::test]
async fn candidates_that_come_later_are_taken_by_info() {
    let world = World::new().await;
    let [mut alice, mut bob, _] = phones(&world).await;
    let print = ["00"; 32].join(":");
    let browser = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=rtcp-mux\r\na=setup:actpass\r\na=ice-options:trickle\r\n\
         a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=fingerprint:sha-256 {print}\r\n"
    );
    let (sessions, [told, _]) = talk(&world, [&mut alice, &mut bob], [browser.into(), offer(40_002)]).await;
    assert_eq!(told.media[0].attribute("ice-options"), Some("trickle"));
    let fragment = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
        a=candidate:1 1 UDP 2130706431 127.0.0.1 PORT typ host\r\na=end-of-candidates\r\n";
    // A candidate is one when it is asked.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let fragment = fragment.replace("PORT", &socket.local_addr().unwrap().port().to_string());
    const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
    for (package, content, body, code) in [
        ("trickle-ice", FRAGMENT, fragment.as_str(), 200),
        ("trickle-ice", FRAGMENT, "candidate", 400),
        ("trickle-ice", "text/plain", fragment.as_str(), 415),
        ("conference", FRAGMENT, fragment.as_str(), 469),
    ] {
        let id = alice.ua.new_request();
        let headers = vec![("Info-Package".into(), package.to_owned().into())];
        let body = Some((content.to_owned().into(), body.to_owned().into()));
        alice.command(Command::InDialog { session: sessions[0], id, method: Method::Info, headers, body });
        let response = loop {
            if let Event::Response { response, .. } = alice.event().await {
                break response;
            }
        };
        assert_eq!(response.code(), code, "{package} {content}");
    }
    let check = hear(&socket);
    assert_eq!((check[0], check[1], &check[4..8]), (0, 1, &[0x21, 0x12, 0xA4, 0x42][..]));
}
