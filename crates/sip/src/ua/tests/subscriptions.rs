//! Subscriptions, seen from the notifier's end.

use super::*;
use crate::message::Name;

fn config() -> UaConfig {
    UaConfig { notify_interval: Duration::from_secs(1), subscribe_min: 60, subscribe_max: 3_600, ..UaConfig::default() }
}

/// A's SUBSCRIBE; with a `tag` within the dialog.
fn subscribe(line: &mut Line, cseq: u32, tag: &str, expires: u32, more: &str) {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    line.receive(
        B,
        &format!(
            "SUBSCRIBE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKs{cseq};rport\n\
             From: <sip:alice@192.0.2.1>;tag=alice\nTo: <sip:bob@192.0.2.2>{tag}\nCall-ID: sub\nCSeq: {cseq} SUBSCRIBE\n\
             Contact: <sip:alice@192.0.2.1>\nRecord-Route: <sip:192.0.2.1;lr>\nEvent: dialog;id=7\nExpires: {expires}\n\
             Max-Forwards: 70\n{more}Content-Length: 0\n\n"
        ),
    );
}

/// B takes the subscription that was asked for.
fn accept(line: &mut Line, seconds: u32) -> (SubscriptionId, String) {
    let events = std::mem::take(&mut line.b.events);
    let [Event::Request { id, .. }] = &events[..] else { panic!("{events:?}") };
    let subscription = line.b.ua.new_subscription();
    line.command(B, Command::AcceptSubscription { id: *id, subscription, seconds });
    let response = line.last_response(B);
    assert_eq!((response.code(), response.expires()), (200, Ok(Some(seconds))));
    assert_eq!(response.record_routes().count(), 1);
    assert_eq!(response.contacts().count(), 1);
    (subscription, String::from_utf8(response.to_tag().unwrap().to_vec()).unwrap())
}

/// Whether B's layer above has been asked for a NOTIFY.
fn is_due(line: &mut Line) -> bool {
    let events = std::mem::take(&mut line.b.events);
    let due = |event: &&Event| matches!(event, Event::NotifyDue { .. });
    let refreshed = |event: &Event| matches!(event, Event::SubscriptionRefreshed { .. });
    assert!(events.iter().all(|event| due(&event) || refreshed(event)), "{events:?}");
    let asked = events.iter().filter(due).count();
    assert!(asked < 2);
    asked > 0
}

fn has_ended(line: &mut Line) -> bool {
    let events = std::mem::take(&mut line.b.events);
    events.iter().any(|event| matches!(event, Event::SubscriptionEnded { .. }))
}

/// B sends a NOTIFY; what it says, and the answer it gets.
fn notify(line: &mut Line, subscription: SubscriptionId, code: u16) -> String {
    let body = Some((Bytes::from_static(b"text/plain"), Bytes::from_static(b"state")));
    line.command(B, Command::Notify { subscription, body });
    let request = line.last_request(B);
    assert_eq!((request.method(), request.header(Name::Event)), (&Method::Notify, Some(&b"dialog;id=7"[..])));
    assert_eq!((request.contacts().count(), request.routes().count()), (1, 1));
    line.b.outbox.clear();
    let reply = crate::message::ResponseBuilder::reply(&request, code).build();
    let (flow, message) = (line.flow(B), reply.bytes().clone());
    line.handle(B, Input::Received { message, flow });
    String::from_utf8_lossy(request.header(Name::SubscriptionState).unwrap()).into_owned()
}

#[test]
fn a_subscriber_is_told_the_state_at_once_and_then_each_change_but_not_more_often_than_allowed() {
    let mut line = Line::with(UaConfig::default(), config());
    subscribe(&mut line, 1, "", 600, "");
    let (subscription, _) = accept(&mut line, 600);
    assert!(is_due(&mut line));
    assert_eq!(notify(&mut line, subscription, 200), "active;expires=600");
    for _ in 0..3 {
        line.command(B, Command::SubscriptionChanged { subscription });
    }
    assert!(!is_due(&mut line), "a second has not passed");
    line.pass(Duration::from_secs(1), false);
    assert!(is_due(&mut line));
    line.command(B, Command::SubscriptionChanged { subscription });
    assert!(!is_due(&mut line), "one is asked for");
    assert_eq!(notify(&mut line, subscription, 200), "active;expires=599");
    line.pass(Duration::from_secs(1), false);
    assert!(is_due(&mut line), "it has changed since that was asked for");
}

#[test]
fn a_subscription_that_nobody_refreshes_ends_and_says_so() {
    let mut line = Line::with(UaConfig::default(), config());
    subscribe(&mut line, 1, "", 600, "");
    let (subscription, tag) = accept(&mut line, 600);
    assert!(is_due(&mut line));
    notify(&mut line, subscription, 200);
    line.pass(Duration::from_secs(599), false);
    assert!(!is_due(&mut line));
    subscribe(&mut line, 2, &tag, 100, "");
    assert_eq!((line.last_response(B).code(), line.last_response(B).expires()), (200, Ok(Some(100))));
    assert!(is_due(&mut line), "RFC 6665 4.2.1.2");
    assert_eq!(notify(&mut line, subscription, 200), "active;expires=100");
    line.pass(Duration::from_secs(100), false);
    assert!(is_due(&mut line));
    assert_eq!(notify(&mut line, subscription, 200), "terminated;reason=timeout");
    assert!(has_ended(&mut line));
    assert_eq!(line.b.ua.stats().subscriptions, 0);
    subscribe(&mut line, 3, &tag, 100, "");
    assert_eq!(line.last_response(B).code(), 481);
}

#[test]
fn who_leaves_is_told_once_more_and_who_only_asks_is_told_once() {
    let mut line = Line::with(UaConfig::default(), config());
    subscribe(&mut line, 1, "", 600, "");
    let (subscription, tag) = accept(&mut line, 600);
    assert!(is_due(&mut line));
    notify(&mut line, subscription, 200);
    subscribe(&mut line, 2, &tag, 0, "");
    assert!(is_due(&mut line));
    assert_eq!(notify(&mut line, subscription, 200), "terminated;reason=timeout");
    assert!(has_ended(&mut line));

    subscribe(&mut line, 3, "", 0, "");
    let (subscription, _) = accept(&mut line, 0);
    assert!(is_due(&mut line));
    assert_eq!(notify(&mut line, subscription, 200), "terminated;reason=timeout");
    assert!(has_ended(&mut line));
}

#[test]
fn refreshes_that_are_wrong_change_nothing() {
    let mut line = Line::with(UaConfig::default(), config());
    subscribe(&mut line, 5, "", 600, "");
    let (subscription, tag) = accept(&mut line, 600);
    assert!(is_due(&mut line));
    notify(&mut line, subscription, 200);
    subscribe(&mut line, 4, &tag, 600, "");
    assert_eq!(line.last_response(B).code(), 500);
    subscribe(&mut line, 6, &tag, 59, "");
    assert_eq!((line.last_response(B).code(), line.last_response(B).header(Name::MinExpires)), (423, Some(&b"60"[..])));
    assert!(!is_due(&mut line));
    subscribe(&mut line, 7, &tag, 100_000, "");
    assert_eq!(line.last_response(B).expires(), Ok(Some(3_600)));
    assert!(is_due(&mut line));
}

#[test]
fn who_knows_nothing_of_a_notify_hears_no_more() {
    for code in [481, 500] {
        let mut line = Line::with(UaConfig::default(), config());
        subscribe(&mut line, 1, "", 600, "");
        let (subscription, _) = accept(&mut line, 600);
        assert!(is_due(&mut line));
        notify(&mut line, subscription, code);
        assert!(has_ended(&mut line));
    }
    // Nobody answers at all.
    let mut line = Line::with(UaConfig::default(), config());
    subscribe(&mut line, 1, "", 600, "");
    let (subscription, _) = accept(&mut line, 600);
    assert!(is_due(&mut line));
    line.command(B, Command::Notify { subscription, body: None });
    line.pass(Duration::from_secs(33), false);
    assert!(has_ended(&mut line));
}

#[test]
fn there_are_so_many_subscriptions_and_no_more() {
    let mut line = Line::with(UaConfig::default(), UaConfig { max_subscriptions: 0, ..config() });
    subscribe(&mut line, 1, "", 600, "");
    let events = std::mem::take(&mut line.b.events);
    let [Event::Request { id, .. }] = &events[..] else { panic!("{events:?}") };
    let subscription = line.b.ua.new_subscription();
    line.command(B, Command::AcceptSubscription { id: *id, subscription, seconds: 600 });
    let response = line.last_response(B);
    assert_eq!(response.code(), 503);
    assert!(response.header(Name::RetryAfter).is_some());
    assert!(has_ended(&mut line));
}

#[test]
fn the_layer_above_ends_a_subscription_with_its_reason() {
    let mut line = Line::with(UaConfig::default(), config());
    subscribe(&mut line, 1, "", 600, "");
    let (subscription, _) = accept(&mut line, 600);
    assert!(is_due(&mut line));
    notify(&mut line, subscription, 200);
    line.command(B, Command::EndSubscription { subscription, reason: EndReason::NoResource });
    assert!(is_due(&mut line), "the last one waits for nothing");
    assert_eq!(notify(&mut line, subscription, 200), "terminated;reason=noresource");
    assert!(has_ended(&mut line));
}
