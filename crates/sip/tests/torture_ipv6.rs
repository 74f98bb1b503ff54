//! The torture messages of RFC 5118: IPv6 addresses in all the places where they confuse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;

use bytes::Bytes;
use opentact_sip::message::{Message, Request, validate};
use opentact_sip::sdp::Session;
use opentact_sip::uri::Uri;

fn request(text: &str) -> Request {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn register(uri: &str, via: &str) -> Request {
    request(&format!(
        "REGISTER {uri} SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP {via};branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Max-Forwards: 70
Contact: \"Caller\" <sip:caller@[2001:db8::1]>
CSeq: 98176 REGISTER
Content-Length: 0

"
    ))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// 4.1.
#[test]
fn a_reference_in_brackets_is_valid_everywhere() {
    let request = register("sip:[2001:db8::10]", "[2001:db8::9:1]");
    validate(&request).unwrap();
    assert_eq!(request.uri().unwrap().host_ip(), Some(ip("2001:db8::10")));
    assert_eq!(request.via().unwrap().host, "[2001:db8::9:1]");
    let contact = request.contacts().next().unwrap().unwrap();
    assert_eq!(contact.uri.host_ip(), Some(ip("2001:db8::1")));
}

/// 4.2.
#[test]
fn a_reference_without_brackets_is_refused_with_400() {
    assert_eq!(validate(&register("sip:2001:db8::10", "[2001:db8::9:1]")).unwrap_err().code, 400);
}

/// 4.3: legal, and not what its author meant.
#[test]
fn a_port_within_the_brackets_is_a_part_of_the_address() {
    let request = register("sip:[2001:db8::10:5070]", "[2001:db8::9:1]");
    validate(&request).unwrap();
    let uri = request.uri().unwrap();
    assert_eq!((uri.host_ip(), uri.port()), (Some(ip("2001:db8::10:5070")), None));
}

/// 4.4.
#[test]
fn a_port_after_the_brackets_is_a_port() {
    let uri = Uri::parse(b"sip:[2001:db8::10]:5070").unwrap();
    assert_eq!((uri.host_ip(), uri.port()), (Some(ip("2001:db8::10")), Some(5070)));
}

/// 4.5: with and without brackets, as implementations write both.
#[test]
fn received_is_read_in_both_forms() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let request = register("sip:[2001:db8::10]", &format!("[2001:db8::9:1];received={received}"));
        validate(&request).unwrap();
        assert_eq!(request.via().unwrap().received(), Some(ip("2001:db8::9:255")), "{received}");
    }
}

/// 4.6, 4.8.
#[test]
fn a_description_mixes_both_versions() {
    let sdp =
        b"v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\ns=Live video feed for today's meeting\r\n\
        c=IN IP6 2001:db8::20\r\nt=3338481189 3370017201\r\nm=audio 6000 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\n\
        m=video 6024 RTP/AVP 107\r\nc=IN IP4 192.0.2.1\r\na=rtpmap:107 H263-1998/90000\r\n";
    let session = Session::parse(sdp).unwrap();
    let again = Session::parse(session.to_string().as_bytes()).unwrap();
    assert_eq!(session, again);
    assert_eq!(again.media.len(), 2);
}

/// 4.7.
#[test]
fn headers_mix_both_versions() {
    let request = request(
        "BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: 997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
Content-Length: 0

",
    );
    validate(&request).unwrap();
    let vias: Vec<_> = request.vias().map(|via| via.unwrap().host.to_owned()).collect();
    assert_eq!(vias, ["[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]"]);
}

/// 4.9.
#[test]
fn an_address_of_version_4_within_one_of_version_6() {
    let uri = Uri::parse(b"sip:user@[::ffff:192.0.2.10]").unwrap();
    assert_eq!(uri.host_ip(), Some(ip("::ffff:192.0.2.10")));
}

/// 4.10: the ABNF of RFC 3261 yields a third colon, that of RFC 3986 does not, nor do we.
#[test]
fn a_third_colon_is_one_too_many() {
    assert!(Uri::parse(b"sip:user@[2001:db8:::192.0.2.1]").is_err());
    Uri::parse(b"sip:user@[2001:db8::192.0.2.1]").unwrap();
}
