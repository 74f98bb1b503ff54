//! What holds for any message, URI and description.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use opentact_sip::message::{
    Frame, Message, Method, Name, Request, RequestBuilder, ResponseBuilder, StreamFramer, validate,
};
use opentact_sip::sdp::Session;
use opentact_sip::uri::{NameAddr, Uri};
use proptest::prelude::*;

fn request(octets: &Bytes) -> Request {
    match Message::parse(octets.clone()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9-]{0,10}(\\.[a-z][a-z0-9]{0,5}){0,2}", "(1[0-9]{2}|[1-9][0-9]?)(\\.[1-9][0-9]?){3}"]
}

prop_compose! {
    fn address()(
        display in proptest::option::of(".{1,20}"),
        user in proptest::option::of(".{1,20}"),
        host in host(),
        port in proptest::option::of(1..u16::MAX),
        param in proptest::option::of(("[a-z]{1,8}", ".{0,12}")),
        tag in proptest::option::of("[a-zA-Z0-9.~-]{1,12}"),
    ) -> NameAddr {
        let mut uri = Uri::sip(user.as_deref(), &host, port).unwrap();
        if let Some((name, value)) = &param {
            uri = uri.with_param(name, Some(value));
        }
        let mut address = NameAddr::new(uri);
        if let Some(display) = display {
            address = address.with_display(&display);
        }
        match tag {
            Some(tag) => address.with_tag(&tag),
            None => address,
        }
    }
}

proptest! {
    #[test]
    fn addresses_come_back_as_written(address in address()) {
        let again: NameAddr = address.to_string().parse().unwrap();
        prop_assert!(again.uri.equivalent(&address.uri));
        prop_assert_eq!(again.uri.user_text(), address.uri.user_text());
        prop_assert_eq!(again.tag(), address.tag());
        let one_line = address.display.as_deref().map(|display| display.replace(['\r', '\n'], " "));
        prop_assert_eq!(again.display.as_deref(), one_line.as_deref());
    }

    #[test]
    fn built_requests_are_parsed_as_built(
        from in address(),
        to in address(),
        number in 0..(1u32 << 31),
        subject in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let built = RequestBuilder::new(Method::Message, &to.uri)
            .header(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx;rport")
            .header_display(Name::From, &from)
            .header_display(Name::To, &to)
            .header(Name::CallId, "call")
            .header(Name::CSeq, format!("{number} MESSAGE"))
            .header(Name::Subject, &subject)
            .body("application/octet-stream", body.clone())
            .build();
        let parsed = request(built.bytes());
        prop_assert_eq!(&parsed, &built);
        prop_assert_eq!(parsed.headers().len(), built.headers().len());
        prop_assert_eq!(parsed.body(), &body[..]);
        prop_assert_eq!(parsed.from_tag(), from.tag().map(str::as_bytes));
        prop_assert_eq!(validate(&parsed), Ok(()));

        let reply = ResponseBuilder::reply(&parsed, 200).to_tag("t").received("192.0.2.9:9".parse().unwrap()).build();
        let Message::Response(again) = Message::parse(reply.bytes().clone()).unwrap() else { panic!("a request") };
        prop_assert!(again.is_sound());
        prop_assert_eq!(again.cseq(), parsed.cseq());
        prop_assert_eq!(again.via().unwrap().rport(), Some(Some(9)));
        prop_assert!(again.to_tag().is_some());
    }

    #[test]
    fn octets_without_sense_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::parse(Bytes::from(octets.clone()));
        let _ = Session::parse(&octets);
        let _ = Uri::parse(&octets);
        let _ = NameAddr::parse(&octets);
    }

    #[test]
    fn a_stream_is_cut_the_same_however_it_comes(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..5),
        sizes in proptest::collection::vec(1usize..80, 1..20),
    ) {
        let uri: Uri = "sip:a@b".parse().unwrap();
        let messages: Vec<Bytes> = bodies
            .iter()
            .map(|body| RequestBuilder::new(Method::Message, &uri).body("x/y", body.clone()).build().bytes().clone())
            .collect();
        let stream: Vec<u8> = messages.concat();
        let mut framer = StreamFramer::new(65_535);
        let mut cut = Vec::new();
        let mut rest = &stream[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*size).min(rest.len()));
            framer.push(now);
            rest = later;
            while let Some(frame) = framer.next() {
                match frame.unwrap() {
                    Frame::Message(message) => cut.push(message),
                    Frame::KeepAlive => panic!("a keep-alive nobody sent"),
                }
            }
        }
        prop_assert_eq!(cut, messages);
    }
}
