//! A datagram: parsing, typing every header, refusing and answering it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opentact_fuzz::{SIP, mutate};
use opentact_sip::digest::{Authorization, Challenge};
use opentact_sip::message::{Headers, Message, Name, ResponseBuilder, validate};
use opentact_sip::uri::NameAddr;

fn read_all(headers: &Headers) {
    let _ = (headers.cseq(), headers.from(), headers.to(), headers.from_tag(), headers.to_tag());
    let _ = (headers.max_forwards(), headers.expires(), headers.content_type(), headers.contact_star());
    headers.vias().flatten().for_each(|via| drop((via.to_string(), via.branch(), via.rport(), via.received())));
    for name in [Name::From, Name::To, Name::Contact, Name::Route, Name::RecordRoute, Name::PAssertedIdentity] {
        for address in headers.name_addrs(name).flatten() {
            // What is written from a value means the same when it is read again.
            let again: NameAddr = address.to_string().parse().expect("an address that was written");
            assert_eq!(again.uri, address.uri);
            assert_eq!(again.tag(), address.tag());
            assert!(address.uri.equivalent(&again.uri));
            let _ = (address.q(), address.uri.without_params(), address.uri.with_param("lr", None));
        }
    }
    let _ = Challenge::all(headers);
    let _ = Authorization::find(headers.get_all(Name::Authorization), "example.com");
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(&SIP, 0, data, size, max_size, seed)
});

fuzz_target!(|octets: &[u8]| {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(octets)) else { return };
    read_all(message.headers());
    let again = Message::parse(message.bytes().clone()).expect("the octets of a message are a message");
    assert!(again.headers().iter().eq(message.headers().iter()));
    assert_eq!(again.body(), message.body());
    match message {
        Message::Response(response) => drop((response.is_sound(), response.reason().len())),
        Message::Request(request) => {
            let reply = match validate(&request) {
                Ok(()) => ResponseBuilder::reply(&request, 200),
                Err(refusal) => refusal.reply(&request),
            };
            let reply = reply.to_tag("t").received(([192, 0, 2, 1], 5060).into()).record_route().build();
            let Ok(Message::Response(again)) = Message::parse(reply.bytes().clone()) else {
                panic!("an answer nobody can read: {reply:?}")
            };
            assert_eq!(again.code(), reply.code());
            assert_eq!(again.headers().len(), reply.headers().len());
            if request.cseq().is_ok() {
                assert_eq!(again.cseq(), request.cseq());
            }
        }
    }
});
