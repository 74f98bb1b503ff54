//! What 50,000 bindings take, counted where memory is given out.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on fails

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Message, Request};
use opentact_sip::registrar::{Registrar, RegistrarConfig};

/// Octets asked of the allocator and not given back.
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BINDINGS: usize = 50_000;
/// Octets a binding may take, with its share of every table.
const LIMIT: usize = 2_048;

/// As phones write it that say all there is to say.
fn register(n: usize) -> Request {
    let text = format!(
        "REGISTER sip:home.sip.example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK{n}\r\n\
         From: <sip:user{n}@home.sip.example.com>;tag=a{n}\r\nTo: <sip:user{n}@home.sip.example.com>\r\n\
         Call-ID: 8d3f6e1c5b7a4920a1b2c3d4e5f6{n}@192.0.2.9\r\nCSeq: 1 REGISTER\r\nSupported: path, outbound\r\n\
         User-Agent: Example Telephone Works Model 3000/12.34.56.789-release 0004f2{n:06}\r\n\
         Path: <sip:edge1.example.com:5060;transport=tcp;lr;ob>\r\n\
         Contact: <sip:user{n}@192.0.2.9:45678;transport=tcp;ob;x-reg=deadbeef{n:08}>\
         ;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{n:012}>\";reg-id=1\r\n\r\n"
    );
    match Message::parse(text.into()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

#[test]
fn fifty_thousand_bindings_take_less_than_two_kilobytes_each() {
    let now = Instant::now();
    let before = HELD.load(Ordering::Relaxed);
    let mut registrar = Registrar::new(RegistrarConfig::default());
    for n in 0..BINDINGS {
        let flow = Flow {
            transport: Transport::Tcp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.9:45678".parse().unwrap(),
            connection: n as u64,
        };
        registrar.register(now, &format!("user{n}@home.sip.example.com"), &register(n), flow).unwrap();
        while registrar.poll().is_some() {}
    }
    assert_eq!(registrar.len(), BINDINGS);
    let each = (HELD.load(Ordering::Relaxed) - before) / BINDINGS;
    println!("{each} octets a binding");
    assert!(each < LIMIT, "{each} octets a binding");

    for n in 0..BINDINGS {
        registrar.remove(&format!("user{n}@home.sip.example.com"));
        while registrar.poll().is_some() {}
    }
    assert!(registrar.is_empty());
}
