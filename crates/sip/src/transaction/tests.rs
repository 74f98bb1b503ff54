//! The machines by their timers: what is sent when, and when they are gone.

use std::time::{Duration, Instant};

use super::key::KeyMaker;
use super::*;
use crate::flow::Transport;
use crate::message::{Message, ResponseBuilder};

type Table = Transactions<u8>;

fn flow(transport: Transport) -> Flow {
    let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
    Flow { transport, local, remote, connection: u64::from(transport != Transport::Udp) }
}

fn request(method: &str) -> Request {
    let text = format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\n\
         From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    );
    match Message::parse(text.into()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn response(method: &str, code: u16) -> Response {
    ResponseBuilder::reply(&request(method), code).to_tag("b").build()
}

fn key(method: &str) -> Key {
    KeyMaker::new([1, 2]).client(b"z9hG4bKone", &Method::parse(method.as_bytes()).unwrap())
}

/// Milliseconds since the start at which something was sent, until nothing is left to wait for; and when that was.
fn course(table: &mut Table, start: Instant) -> (Vec<u64>, u64) {
    let mut times = Vec::new();
    let mut now = start;
    loop {
        while table.poll_transmit().is_some() {
            times.push((now - start).as_millis() as u64);
        }
        match table.deadline() {
            Some(due) => now = due,
            None => return (times, (now - start).as_millis() as u64),
        }
        while table.fire(now).is_some() {}
    }
}

fn client(method: &str, transport: Transport, start: Instant) -> Table {
    let mut table = Table::new(Timing::default());
    table.open_client(start, key(method), flow(transport), request(method), 7);
    table
}

fn server(method: &str, transport: Transport, start: Instant) -> (Table, TransactionId) {
    let mut table = Table::new(Timing::default());
    let method = Method::parse(method.as_bytes()).unwrap();
    let id = table.open_server(start, key("INVITE"), None, &method, flow(transport), 7);
    (table, id)
}

/// A response that has come at once.
fn answered(method: &str, transport: Transport, code: u16, start: Instant) -> Table {
    let mut table = client(method, transport, start);
    table.receive_response(start, key(method), 1, &response(method, code)).unwrap();
    table
}

/// A response that is sent at once.
fn responded(method: &str, transport: Transport, code: u16, start: Instant) -> (Table, TransactionId) {
    let (mut table, id) = server(method, transport, start);
    assert!(table.respond(start, id, code, response(method, code).bytes().clone()));
    (table, id)
}

#[test]
fn invite_is_repeated_at_doubling_intervals_until_timer_b() {
    let start = Instant::now();
    let doubling = vec![0, 500, 1_500, 3_500, 7_500, 15_500, 31_500];
    assert_eq!(course(&mut client("INVITE", Transport::Udp, start), start), (doubling, 32_000));
    assert_eq!(course(&mut client("INVITE", Transport::Tcp, start), start), (vec![0], 32_000));
}

#[test]
fn proceeding_invite_is_not_repeated_and_waits() {
    let start = Instant::now();
    let mut table = answered("INVITE", Transport::Udp, 180, start);
    while table.poll_transmit().is_some() {}
    assert!(table.fire(start + Duration::from_secs(3_600)).is_none());
    assert!(table.poll_transmit().is_none());
    assert_eq!(table.len(), 1);
    let (id, _) = table.find(key("INVITE")).unwrap();
    table.limit(id, start + Duration::from_secs(4_000));
    assert_eq!(table.fire(start + Duration::from_secs(4_000)), Some(Rang::Timeout { id, owner: 7 }));
    assert_eq!(table.len(), 0);
}

#[test]
fn refused_invite_is_acknowledged_again_for_timer_d() {
    let start = Instant::now();
    let mut table = answered("INVITE", Transport::Udp, 486, start);
    assert!(table.receive_response(start, key("INVITE"), 1, &response("INVITE", 486)).is_none());
    // The INVITE, its ACK, and the ACK once more.
    assert_eq!(course(&mut table, start), (vec![0, 0, 0], 32_000));
    // Over a connection nothing is repeated, so nothing is kept.
    let mut table = answered("INVITE", Transport::Tcp, 486, start);
    assert_eq!(table.len(), 0);
    assert_eq!(course(&mut table, start).0, [0, 0]);
}

#[test]
fn accepted_invite_passes_each_fork_once_until_timer_m() {
    let start = Instant::now();
    let mut table = answered("INVITE", Transport::Udp, 200, start);
    let (id, _) = table.find(key("INVITE")).unwrap();
    table.acknowledge(id, 1, flow(Transport::Udp), "ACK one".into());
    assert!(table.receive_response(start, key("INVITE"), 1, &response("INVITE", 200)).is_none());
    assert!(table.receive_response(start, key("INVITE"), 2, &response("INVITE", 200)).is_some());
    assert!(table.receive_response(start, key("INVITE"), 3, &response("INVITE", 486)).is_none());
    assert_eq!(course(&mut table, start), (vec![0, 0, 0], 32_000));
}

#[test]
fn other_requests_are_repeated_up_to_every_four_seconds() {
    let start = Instant::now();
    let steps = vec![0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(course(&mut client("OPTIONS", Transport::Udp, start), start), (steps, 32_000));
    assert_eq!(course(&mut client("OPTIONS", Transport::Tls, start), start), (vec![0], 32_000));
    // Once it proceeds, every four seconds.
    let slow = vec![0, 500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500];
    assert_eq!(course(&mut answered("OPTIONS", Transport::Udp, 100, start), start), (slow, 32_000));
}

#[test]
fn answered_requests_linger_for_timer_k() {
    let start = Instant::now();
    assert_eq!(course(&mut answered("OPTIONS", Transport::Udp, 200, start), start).1, 5_000);
    assert_eq!(answered("OPTIONS", Transport::Tcp, 200, start).len(), 0);
}

#[test]
fn refusal_is_repeated_until_its_ack_or_timer_h() {
    let start = Instant::now();
    let steps = vec![0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(course(&mut responded("INVITE", Transport::Udp, 486, start).0, start), (steps, 32_000));
    assert_eq!(course(&mut responded("INVITE", Transport::Tcp, 486, start).0, start), (vec![0], 32_000));

    // With its ACK it is confirmed and absorbs for timer I; the entry of timer H may still come up for nothing.
    let (mut table, _) = responded("INVITE", Transport::Udp, 486, start);
    assert_eq!(table.receive_request(start, key("INVITE"), &Method::Ack, flow(Transport::Udp)), Arrival::Absorbed);
    assert_eq!(table.receive_request(start, key("INVITE"), &Method::Invite, flow(Transport::Udp)), Arrival::Absorbed);
    assert!(table.fire(start + Duration::from_millis(4_999)).is_none());
    assert_eq!(table.len(), 1);
    assert!(table.fire(start + Duration::from_secs(5)).is_none());
    assert_eq!(table.len(), 0);

    let (mut table, _) = responded("INVITE", Transport::Tcp, 486, start);
    assert_eq!(table.receive_request(start, key("INVITE"), &Method::Ack, flow(Transport::Tcp)), Arrival::Absorbed);
    assert_eq!(table.len(), 0);
}

#[test]
fn accepted_server_absorbs_invites_and_passes_acks_until_timer_l() {
    let start = Instant::now();
    let (mut table, _) = responded("INVITE", Transport::Udp, 200, start);
    let udp = flow(Transport::Udp);
    assert_eq!(table.receive_request(start, key("INVITE"), &Method::Invite, udp), Arrival::Absorbed);
    assert_eq!(table.receive_request(start, key("INVITE"), &Method::Ack, udp), Arrival::Ack);
    assert_eq!(course(&mut table, start), (vec![0], 32_000));
}

#[test]
fn final_response_is_sent_once_and_answers_what_is_repeated() {
    let start = Instant::now();
    let (mut table, id) = responded("OPTIONS", Transport::Udp, 200, start);
    assert!(!table.respond(start, id, 500, "another".into()));
    table.receive_request(start, key("INVITE"), &Method::Options, flow(Transport::Udp));
    assert_eq!(course(&mut table, start), (vec![0, 0], 32_000));
    assert_eq!(responded("OPTIONS", Transport::Tcp, 200, start).0.len(), 0);
}

#[test]
fn slot_used_again_is_another_transaction() {
    let start = Instant::now();
    let (mut table, old) = server("OPTIONS", Transport::Udp, start);
    table.remove(old);
    let new = table.open_server(start, key("BYE"), None, &Method::Bye, flow(Transport::Udp), 8);
    assert_eq!(old.index, new.index);
    assert!(!table.respond(start, old, 200, "late".into()));
    assert!(table.is_open(new));
}

#[test]
fn alarm_moved_later_rings_once_and_at_its_new_time() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let (mut timers, mut alarm, wake) = (Timers::default(), Alarm::default(), Wake::User(1));
    timers.set(&mut alarm, wake, Some(start + second));
    timers.set(&mut alarm, wake, Some(start + 3 * second));
    let (at, _) = timers.pop(start + second).unwrap();
    assert!(!timers.rings(start + second, at, &mut alarm, wake));
    assert_eq!(timers.next(), Some(start + 3 * second));
    timers.set(&mut alarm, wake, Some(start + 2 * second));
    let (at, _) = timers.pop(start + 2 * second).unwrap();
    assert!(timers.rings(start + 2 * second, at, &mut alarm, wake));
    // What is left of the later time is nobody's.
    let (at, _) = timers.pop(start + 3 * second).unwrap();
    assert!(!timers.rings(start + 3 * second, at, &mut alarm, wake));
    assert_eq!(timers.next(), None);
}

#[test]
fn answered_requests_are_forgotten_the_oldest_first() {
    let start = Instant::now();
    let mut table = Table::new(Timing::default());
    let octets = |id: usize| KeyMaker::new([1, 2]).client(format!("z9hG4bK{id}").as_bytes(), &Method::Options);
    let open = |table: &mut Table, number: usize, now: Instant| {
        let id = table.open_server(now, octets(number), None, &Method::Options, flow(Transport::Udp), 7);
        assert!(table.respond(now, id, 200, Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n")));
    };
    for number in 0..3 {
        open(&mut table, number, start);
    }
    assert!(table.forget_answered());
    assert!(table.find(octets(0)).is_none() && table.find(octets(1)).is_some());
    // Those whose time has come leave nothing behind that grows.
    let later = start + Timing::default().lifetime();
    while table.fire(later).is_some() {}
    assert_eq!(table.len(), 0);
    open(&mut table, 3, later);
    assert_eq!(table.answered.len(), 1);
    assert!(table.forget_answered());
    assert!(!table.forget_answered());
}
