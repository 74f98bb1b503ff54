use super::*;

fn message(call_id: &str, body: &str) -> Bytes {
    format!("INFO sip:a SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n{body}").into()
}

fn record(trace: &mut Trace, call_id: &str, body: &str) {
    let flow = Flow::udp("127.0.0.1:5060".parse().unwrap(), "127.0.0.1:5070".parse().unwrap());
    trace.record(Utc::now(), Direction::In, flow, message(call_id, body));
}

fn bodies(trace: &Trace, account: Uuid, call: Uuid) -> Vec<String> {
    let body = |traced: LegMessage| {
        String::from_utf8(traced.message.octets.to_vec()).unwrap().rsplit('\n').next().unwrap().to_owned()
    };
    trace.messages(account, call).into_iter().map(body).collect()
}

#[test]
fn an_origin_leg_shows_all_legs_in_order_and_a_dialled_leg_its_own() {
    let mut trace = Trace::new(TraceConfig { messages: 10, octets: 10_000 }, SipWatch::new());
    let (account, a, b) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    trace.claim(account, a, a, b"one");
    trace.claim(account, a, b, b"two");
    for (call_id, body) in [("one", "1"), ("other", "2"), ("two", "3"), ("one", "4")] {
        record(&mut trace, call_id, body);
    }
    assert_eq!(bodies(&trace, account, a), ["1", "3", "4"]);
    assert_eq!(bodies(&trace, account, b), ["3"]);
    assert_eq!(trace.messages(account, b)[0].leg, b);
    assert!(bodies(&trace, Uuid::new_v4(), a).is_empty());
}

#[test]
fn the_oldest_message_goes_at_either_bound() {
    let (account, a) = (Uuid::new_v4(), Uuid::new_v4());
    let length = message("one", "1").len();
    for config in [TraceConfig { messages: 2, octets: 10_000 }, TraceConfig { messages: 10, octets: 2 * length }] {
        let mut trace = Trace::new(config, SipWatch::new());
        trace.claim(account, a, a, b"one");
        record(&mut trace, "gone", "0");
        for body in ["1", "2", "3"] {
            record(&mut trace, "one", body);
        }
        assert_eq!(bodies(&trace, account, a), ["2", "3"]);
        assert_eq!(trace.by_call_id.len(), 1);
        assert_eq!(trace.octets, 2 * length);
    }
}

#[test]
fn what_keeps_phones_there_takes_no_room_from_calls() {
    let (account, a) = (Uuid::new_v4(), Uuid::new_v4());
    let mut trace = Trace::new(TraceConfig { messages: 3, octets: 10_000 }, SipWatch::new());
    trace.claim(account, a, a, b"one");
    record(&mut trace, "one", "1");
    let flow = Flow::udp("127.0.0.1:5060".parse().unwrap(), "127.0.0.1:5070".parse().unwrap());
    let mut aside = |first: &str, method: &str, call_id: &str, body: &str| {
        let message = format!("{first}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n{body}");
        trace.record(Utc::now(), Direction::Out, flow, message.into());
    };
    for number in 0..10 {
        for method in ["OPTIONS", "REGISTER"] {
            aside(&format!("{method} sip:a SIP/2.0"), method, &number.to_string(), "");
            aside("SIP/2.0 200 OK", method, &number.to_string(), "");
        }
    }
    aside("OPTIONS sip:a SIP/2.0", "OPTIONS", "one", "2");
    assert_eq!(bodies(&trace, account, a), ["1", "2"]);
    assert_eq!(trace.entries.len(), 2);
}

#[test]
fn a_message_larger_than_the_ring_drops_nothing() {
    let (account, a) = (Uuid::new_v4(), Uuid::new_v4());
    let mut trace = Trace::new(TraceConfig { messages: 10, octets: 100 }, SipWatch::new());
    trace.claim(account, a, a, b"one");
    record(&mut trace, "one", "1");
    record(&mut trace, "one", &"x".repeat(200));
    assert_eq!(bodies(&trace, account, a), ["1"]);
}

#[test]
fn of_more_legs_than_messages_the_oldest_is_forgotten() {
    let account = Uuid::new_v4();
    let mut trace = Trace::new(TraceConfig { messages: 2, octets: 10_000 }, SipWatch::new());
    for n in 0..5 {
        let leg = Uuid::from_u128(n);
        trace.claim(account, leg, leg, b"one");
    }
    assert_eq!((trace.claims.len(), trace.claimed.len()), (2, 2));
    assert!(trace.claims.contains_key(&Uuid::from_u128(4)));
}

#[test]
fn nothing_is_kept_when_it_is_off() {
    let (account, a) = (Uuid::new_v4(), Uuid::new_v4());
    let mut trace = Trace::new(TraceConfig { messages: 0, octets: 10_000 }, SipWatch::new());
    trace.claim(account, a, a, b"one");
    record(&mut trace, "one", "1");
    assert!(trace.entries.is_empty() && trace.claims.is_empty());
}

#[tokio::test]
async fn who_watches_sees_every_message_and_is_told_what_it_missed() {
    let watch = SipWatch::new();
    let mut trace = Trace::new(TraceConfig { messages: 0, octets: 0 }, watch.clone());
    record(&mut trace, "before", "0");
    let mut watcher = watch.watch();
    record(&mut trace, "one", "1");
    let Some(Seen::Message(message)) = watcher.next().await else { panic!("a message") };
    assert_eq!((message.call_id.as_str(), message.direction), ("one", "in"));
    for _ in 0..5000 {
        record(&mut trace, "two", "2");
    }
    let Some(Seen::Skipped(skipped)) = watcher.next().await else { panic!("skipped") };
    assert_eq!(skipped, 5000 - 4096);
    drop(trace);
    drop(watch);
    for _ in 0..4096 {
        assert!(matches!(watcher.next().await, Some(Seen::Message(_))));
    }
    assert_eq!(watcher.next().await, None);
}
