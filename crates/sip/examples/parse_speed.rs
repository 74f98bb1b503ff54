//! How long the message layer takes: `cargo run --release -p opentact-sip --example parse_speed`.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use opentact_sip::message::{Message, Name, ResponseBuilder, validate};
use opentact_sip::sdp::Session;

const INVITE: &str = "INVITE sip:+12025550123@sip.example.com;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---7a1f3c2b9d0e4f56;rport\r\n\
    Via: SIP/2.0/TCP 198.51.100.7:5061;branch=z9hG4bK776asdhds;received=198.51.100.7\r\n\
    Max-Forwards: 69\r\n\
    Record-Route: <sip:192.0.2.10;lr;ftag=1928301774>\r\n\
    Contact: <sip:alice@198.51.100.7:5061;transport=tcp>\r\n\
    To: <sip:+12025550123@sip.example.com>\r\n\
    From: \"Alice\" <sip:+12025550100@sip.example.com>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710@pc33.example.com\r\n\
    CSeq: 314159 INVITE\r\n\
    Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE\r\n\
    Supported: replaces, timer, path\r\n\
    User-Agent: Example Phone 4.2\r\n\
    Session-Expires: 1800;refresher=uac\r\n\
    X-Correlation: 5f0e\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 175\r\n\r\n\
    v=0\r\no=- 3747 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn measure(what: &str, mut work: impl FnMut()) {
    const ROUNDS: u32 = 200_000;
    for _ in 0..ROUNDS / 10 {
        work();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    println!("{what}: {} ns", (start.elapsed() / ROUNDS).as_nanos());
}

fn main() {
    let octets = Bytes::from_static(INVITE.as_bytes());
    let Ok(Message::Request(invite)) = Message::parse(octets.clone()) else { return };
    measure("parse", || {
        black_box(Message::parse(black_box(octets.clone())).is_ok());
    });
    measure("branch, tags, Call-ID, CSeq", || {
        let request = black_box(&invite);
        black_box(request.via().is_ok_and(|via| via.branch().is_some()));
        black_box((request.from_tag(), request.to_tag(), request.call_id(), request.cseq().is_ok()));
    });
    measure("validate", || {
        black_box(validate(black_box(&invite)).is_ok());
    });
    measure("reply", || {
        black_box(
            ResponseBuilder::reply(black_box(&invite), 180).to_tag("x").header(Name::Contact, "<sip:a@b>").build(),
        );
    });
    measure("session description", || {
        black_box(Session::parse(black_box(invite.body())).is_ok());
    });
}
