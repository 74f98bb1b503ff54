use bytes::Bytes;

use super::*;
use crate::uri::{NameAddr, Uri};

const INVITE: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnashds8;rport\r\n\
    Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK2, SIP/2.0/TCP b.example.com;branch=z9hG4bK3\r\n\
    Max-Forwards: 70\r\n\
    To: Bob <sip:bob@biloxi.example.com>\r\n\
    From: \"Alice; \\\"tag=no\\\" <x>\" <sip:alice@atlanta.example.com;x=1>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710\r\n\
    CSeq: 314159 INVITE\r\n\
    Record-Route: <sip:p1.example.com;lr>\r\n\
    Contact: <sip:alice@pc33.atlanta.example.com>\r\n\
    Subject: one\r\n  two\r\n\tthree\r\n\
    X-Odd: caf\u{e9}\r\n\
    Content-Type: application/sdp; charset=utf-8\r\n\
    Content-Length: 4\r\n\r\nv=0\nextra";

fn request(text: impl Into<Vec<u8>>) -> Request {
    match Message::parse(Bytes::from(text.into())).unwrap() {
        Message::Request(request) => request,
        Message::Response(response) => panic!("a response: {response:?}"),
    }
}

fn response(text: &str) -> Result<Response, ParseError> {
    match Message::parse(Bytes::copy_from_slice(text.as_bytes()))? {
        Message::Response(response) => Ok(response),
        Message::Request(request) => panic!("a request: {request:?}"),
    }
}

#[test]
fn an_invite_is_taken_apart() {
    let invite = request(INVITE);
    assert_eq!(*invite.method(), Method::Invite);
    assert_eq!(invite.uri().unwrap().host(), "biloxi.example.com");
    assert_eq!(invite.vias().count(), 3);
    assert_eq!(invite.via().unwrap().branch(), Some(&b"z9hG4bKnashds8"[..]));
    assert_eq!(invite.from_tag(), Some(&b"1928301774"[..]));
    assert_eq!(invite.from().unwrap().display.as_deref(), Some("Alice; \"tag=no\" <x>"));
    assert_eq!(invite.to_tag(), None);
    assert_eq!(invite.call_id(), Some(&b"a84b4c76e66710"[..]));
    assert_eq!(invite.cseq().unwrap(), CSeq { number: 314_159, method: Method::Invite });
    assert_eq!(invite.max_forwards(), Ok(Some(70)));
    assert_eq!(invite.header(Name::Subject), Some(&b"one    two  \tthree"[..]));
    assert_eq!(invite.headers().get_by_name("x-odd"), Some("caf\u{e9}".as_bytes()));
    assert!(invite.headers().is_content("Application/SDP"));
    assert_eq!(invite.body(), b"v=0\n");
    assert_eq!(validate(&invite), Ok(()));
}

#[test]
fn one_octet_that_is_not_utf8_does_not_end_the_headers() {
    let mut octets = INVITE.as_bytes().to_vec();
    let at = INVITE.find("one\r\n").unwrap();
    octets[at] = 0xe9;
    let invite = request(octets);
    assert_eq!(invite.header(Name::Subject).unwrap()[0], 0xe9);
    assert_eq!(invite.cseq().unwrap().number, 314_159);
    assert_eq!(invite.body(), b"v=0\n");
}

#[test]
fn a_datagram_without_content_length_keeps_its_body() {
    let message = request("MESSAGE sip:a SIP/2.0\r\nSubject: x\r\n\r\nhello there");
    assert_eq!(message.body(), b"hello there");
    assert_eq!(message.defect(), None);
}

#[test]
fn wrong_requests_can_still_be_answered() {
    let code = |text: String| validate(&request(text)).unwrap_err().code;
    assert_eq!(code(INVITE.replacen("SIP/2.0", "SIP/7.0", 1)), 505);
    assert_eq!(code(INVITE.replacen("sip:bob", "sip: bob", 1)), 400);
    assert_eq!(code(INVITE.replacen("sip:bob", "http:bob", 1)), 416);
    assert_eq!(code(INVITE.replacen("INVITE", "DANCE", 2).replacen("314159 INVITE", "314159 DANCE", 1)), 501);
    assert_eq!(code(INVITE.replacen("Subject", "Require", 1)), 420);
    assert_eq!(code(INVITE.replacen("Length: 4", "Length: 999", 1)), 400);
    assert_eq!(code(INVITE.replacen("Length: 4", "Length: -4", 1)), 400);
    assert_eq!(code(INVITE.replacen("Subject: one", "no colon here", 1)), 400);
    assert_eq!(code(INVITE.replacen("Call-ID: a84b4c76e66710\r\n", "", 1)), 400);
    assert_eq!(code(INVITE.replacen("application/sdp", "application/unknown", 1)), 415);
    assert_eq!(code(INVITE.replacen("Subject: one", "Accept: text/plain", 1)), 406);
}

#[test]
fn status_lines() {
    assert_eq!(response("SIP/2.0 200 OK\r\n\r\n").unwrap().code(), 200);
    assert_eq!(response("SIP/2.0 183 In progress, so to speak\r\n\r\n").unwrap().reason(), "In progress, so to speak");
    assert_eq!(response("SIP/2.0 100 \r\n\r\n").unwrap().reason(), "");
    assert_eq!(response("SIP/2.0 100\r\n\r\n").unwrap().reason(), "");
    for line in [
        "SIP/2.0 4294967301 big",
        "SIP/2.0 99 low",
        "SIP/2.0 700 high",
        "SIP/1.0 200 OK",
        "SIP/2.0200 OK",
        "SIP/2.0 2x0",
    ] {
        assert_eq!(response(&format!("{line}\r\n\r\n")).unwrap_err(), ParseError::StatusLine, "{line}");
    }
}

#[test]
fn what_is_not_sip_is_refused() {
    let parse = |octets: &'static [u8]| Message::parse(Bytes::from_static(octets)).unwrap_err();
    assert_eq!(parse(b""), ParseError::KeepAlive);
    assert_eq!(parse(b"\r\n\r\n"), ParseError::KeepAlive);
    assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), ParseError::StartLine);
    assert_eq!(parse(b"\0\0\0\0\n"), ParseError::StartLine);
    assert_eq!(parse(b"OPTIONS sip:a SIP/2.0\r\nTo: x\r\n"), ParseError::Truncated);
    assert_eq!(Message::parse(Bytes::from(vec![b'a'; 65_536])).unwrap_err(), ParseError::TooLarge);
}

#[test]
fn a_reply_carries_what_it_must() {
    let reply = ResponseBuilder::reply(&request(INVITE), 200)
        .to_tag("t1")
        .received("192.0.2.7:40000".parse().unwrap())
        .record_route()
        .header(Name::Contact, "<sip:me@192.0.2.1>")
        .body("application/sdp", "v=0\r\n")
        .build();
    let text = std::str::from_utf8(reply.bytes()).unwrap();
    assert_eq!(
        text,
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnashds8;received=192.0.2.7;rport=40000\r\n\
         Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK2\r\n\
         Via: SIP/2.0/TCP b.example.com;branch=z9hG4bK3\r\n\
         Record-Route: <sip:p1.example.com;lr>\r\n\
         From: \"Alice; \\\"tag=no\\\" <x>\" <sip:alice@atlanta.example.com;x=1>;tag=1928301774\r\n\
         To: Bob <sip:bob@biloxi.example.com>;tag=t1\r\n\
         Call-ID: a84b4c76e66710\r\n\
         CSeq: 314159 INVITE\r\n\
         Contact: <sip:me@192.0.2.1>\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: 5\r\n\r\nv=0\r\n"
    );
    let again = response(text).unwrap();
    assert_eq!(again, reply);
    assert!(again.is_sound());
    assert_eq!(again.to_tag(), Some(&b"t1"[..]));
    assert_eq!(reply.to_tag(), Some(&b"t1"[..]));
    assert_eq!(reply.body(), b"v=0\r\n");
}

#[test]
fn values_cannot_smuggle_header_lines() {
    let uri = Uri::sip(Some("a b\r\nX: y"), "example.com", None).unwrap();
    let built = RequestBuilder::new(Method::Options, &uri)
        .header(Name::Subject, "x\r\nEvil: 1")
        .header_display(Name::To, NameAddr::new(uri.clone()).with_display("d\r\nEvil: 2").with_tag("t\r\nEvil: 3"))
        .header_named("Bad Name", "x")
        .build();
    assert_eq!(built.headers().len(), 3);
    let parsed = request(built.bytes().to_vec());
    assert_eq!(parsed.headers().len(), 3);
    assert_eq!(parsed.headers().get_by_name("Evil"), None);
    assert_eq!(parsed.uri().unwrap().user_text().unwrap(), "a b\r\nX: y");
    assert_eq!(parsed.defect(), None);
}

#[test]
fn a_built_request_is_the_parsed_one() {
    let uri = Uri::sip(Some("bob"), "example.com", Some(5080)).unwrap().with_param("transport", Some("tcp"));
    let built = RequestBuilder::new(Method::Message, &uri)
        .header(Name::CallId, "x@y")
        .header_named("X-Meta-A", "b")
        .body("text/plain", "hi")
        .build();
    let parsed = request(built.bytes().to_vec());
    assert_eq!(parsed, built);
    assert_eq!(parsed.body(), built.body());
    assert_eq!(parsed.uri_bytes(), built.uri_bytes());
    assert!(parsed.headers().iter().eq(built.headers().iter()));
}
