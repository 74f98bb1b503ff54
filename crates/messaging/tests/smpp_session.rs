//! Two sessions that talk to each other, with every octet and every instant under the test's hand.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_messaging::smpp::pdu::{Deframer, Frame, Pdu};
use opentact_messaging::smpp::{
    Address, Bind, BindKind, CloseReason, Config, Event, Failure, Input, Outcome, Output, Role, Session, ShortMessage,
    Status, VERSION_3_4, VERSION_5_0,
};

fn bind() -> Bind {
    Bind {
        kind: BindKind::Transceiver,
        system_id: "esme".into(),
        password: "secret".into(),
        system_type: String::new(),
        version: VERSION_3_4,
    }
}

fn hello() -> ShortMessage {
    ShortMessage {
        source: Address::e164(12025550100),
        destination: Address::e164(12125550199),
        body: Bytes::from_static(b"hello"),
        ..ShortMessage::default()
    }
}

/// An ESME and an SMSC on one instant line.
struct Pair {
    now: Instant,
    esme: Session,
    smsc: Session,
}

impl Pair {
    fn with(esme: Config, smsc: Config) -> Pair {
        let now = Instant::now();
        Pair { now, esme: Session::new(now, esme), smsc: Session::new(now, smsc) }
    }

    fn new() -> Pair {
        Pair::with(Config::new(Role::Esme(bind())), Config::new(Role::Smsc { system_id: "dev".into() }))
    }

    fn bound() -> Pair {
        let mut pair = Pair::new();
        pair.exchange();
        pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
        pair.exchange();
        assert!(pair.esme.is_bound() && pair.smsc.is_bound());
        pair
    }

    /// Carries octets until both are quiet; the events of the ESME and of the SMSC.
    fn exchange(&mut self) -> (Vec<Event>, Vec<Event>) {
        let (mut of_esme, mut of_smsc) = (vec![], vec![]);
        loop {
            let mut quiet = true;
            while let Some(output) = self.esme.poll() {
                quiet = false;
                match output {
                    Output::Transmit(octets) => self.smsc.handle(self.now, Input::Received(&octets)),
                    Output::Close => self.smsc.handle(self.now, Input::Disconnected),
                    Output::Event(event) => of_esme.push(event),
                }
            }
            while let Some(output) = self.smsc.poll() {
                quiet = false;
                match output {
                    Output::Transmit(octets) => self.esme.handle(self.now, Input::Received(&octets)),
                    Output::Close => self.esme.handle(self.now, Input::Disconnected),
                    Output::Event(event) => of_smsc.push(event),
                }
            }
            if quiet {
                return (of_esme, of_smsc);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

/// The frames a session wants on the wire.
fn frames(session: &mut Session) -> Vec<Frame> {
    let mut deframer = Deframer::default();
    while let Some(output) = session.poll() {
        if let Output::Transmit(octets) = output {
            deframer.push(&octets);
        }
    }
    std::iter::from_fn(|| deframer.next_frame()).map(|frame| frame.unwrap()).collect()
}

fn ended(id: u64, outcome: Outcome) -> Event {
    Event::Ended { id, outcome }
}

#[test]
fn a_message_is_submitted_and_answered() {
    let mut pair = Pair::bound();
    pair.esme.handle(pair.now, Input::Send { id: 5, message: hello() });
    let (_, of_smsc) = pair.exchange();
    let [Event::Message { sequence, message }] = &of_smsc[..] else { panic!("{of_smsc:?}") };
    assert_eq!(*message, hello());
    pair.smsc.handle(pair.now, Input::Answer { sequence: *sequence, result: Ok("m-1".into()) });
    let (of_esme, _) = pair.exchange();
    assert_eq!(of_esme, [ended(5, Outcome::Accepted { message_id: "m-1".into() })]);
}

#[test]
fn a_message_is_delivered_the_other_way() {
    let mut pair = Pair::bound();
    pair.smsc.handle(pair.now, Input::Send { id: 9, message: hello() });
    let (of_esme, _) = pair.exchange();
    let [Event::Message { sequence, .. }] = &of_esme[..] else { panic!("{of_esme:?}") };
    pair.esme.handle(pair.now, Input::Answer { sequence: *sequence, result: Ok(String::new()) });
    let (_, of_smsc) = pair.exchange();
    assert_eq!(of_smsc, [ended(9, Outcome::Accepted { message_id: String::new() })]);
}

#[test]
fn a_wrong_password_ends_the_session_and_what_waited_was_not_sent() {
    let mut pair = Pair::new();
    pair.esme.handle(pair.now, Input::Send { id: 1, message: hello() });
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Err(Status::INVALID_PASSWORD)));
    let (of_esme, of_smsc) = pair.exchange();
    let refused = CloseReason::BindRefused(Status::INVALID_PASSWORD);
    assert_eq!(of_esme, [ended(1, Outcome::Failed(Failure::NotSent)), Event::Closed(refused)]);
    assert_eq!(of_smsc, [Event::Closed(refused)]);
}

#[test]
fn the_window_holds_and_the_queue_is_bounded() {
    let mut config = Config::new(Role::Esme(bind()));
    (config.window, config.queue) = (2, 2);
    let mut pair = Pair::with(config, Config::new(Role::Smsc { system_id: "dev".into() }));
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
    pair.exchange();
    for id in 1..=5 {
        pair.esme.handle(pair.now, Input::Send { id, message: hello() });
    }
    let (of_esme, of_smsc) = pair.exchange();
    assert_eq!(of_esme, [ended(5, Outcome::Failed(Failure::QueueFull))]);
    assert_eq!(of_smsc.len(), 2, "two in the window, two wait");
    let Event::Message { sequence, .. } = of_smsc[0] else { panic!("{of_smsc:?}") };
    pair.smsc.handle(pair.now, Input::Answer { sequence, result: Err(Status::SUBMIT_FAILED) });
    let (of_esme, of_smsc) = pair.exchange();
    assert_eq!(of_esme, [ended(1, Outcome::Refused(Status::SUBMIT_FAILED))]);
    assert_eq!(of_smsc.len(), 1, "the answer made room for one");
}

#[test]
fn throttling_pauses_and_the_pause_doubles() {
    let mut pair = Pair::bound();
    pair.esme.handle(pair.now, Input::Send { id: 1, message: hello() });
    for pause in [250, 500, 1_000] {
        let (_, of_smsc) = pair.exchange();
        let [Event::Message { sequence, .. }] = of_smsc[..] else { panic!("{of_smsc:?}") };
        pair.smsc.handle(pair.now, Input::Answer { sequence, result: Err(Status::THROTTLED) });
        assert_eq!(pair.exchange(), (vec![], vec![]), "nobody is told, nothing is sent");
        assert_eq!(pair.esme.deadline(), Some(pair.now + Duration::from_millis(pause)));
        pair.pass(Duration::from_millis(pause));
        pair.esme.handle(pair.now, Input::Timeout);
    }
    let (_, of_smsc) = pair.exchange();
    let [Event::Message { sequence, .. }] = of_smsc[..] else { panic!("{of_smsc:?}") };
    pair.smsc.handle(pair.now, Input::Answer { sequence, result: Ok("m".into()) });
    assert_eq!(pair.exchange().0, [ended(1, Outcome::Accepted { message_id: "m".into() })]);
    assert_eq!(pair.esme.stats().throttled, 3);
}

#[test]
fn throttling_without_end_is_a_named_failure() {
    let mut config = Config::new(Role::Esme(bind()));
    config.throttle_attempts = 2;
    let mut pair = Pair::with(config, Config::new(Role::Smsc { system_id: "dev".into() }));
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
    pair.esme.handle(pair.now, Input::Send { id: 1, message: hello() });
    let mut last = vec![];
    for _ in 0..2 {
        let (_, of_smsc) = pair.exchange();
        let sequence = of_smsc.iter().find_map(|event| match event {
            Event::Message { sequence, .. } => Some(*sequence),
            _ => None,
        });
        pair.smsc.handle(pair.now, Input::Answer { sequence: sequence.unwrap(), result: Err(Status::QUEUE_FULL) });
        last = pair.exchange().0;
        pair.pass(Duration::from_secs(1));
        pair.esme.handle(pair.now, Input::Timeout);
    }
    assert_eq!(last, [ended(1, Outcome::Failed(Failure::Throttled))]);
}

#[test]
fn a_submit_without_answer_times_out_and_the_late_answer_is_stray() {
    let mut pair = Pair::bound();
    pair.esme.handle(pair.now, Input::Send { id: 1, message: hello() });
    let (_, of_smsc) = pair.exchange();
    let [Event::Message { sequence, .. }] = of_smsc[..] else { panic!("{of_smsc:?}") };
    pair.pass(Duration::from_secs(10));
    assert_eq!(pair.esme.deadline(), Some(pair.now));
    pair.esme.handle(pair.now, Input::Timeout);
    pair.smsc.handle(pair.now, Input::Answer { sequence, result: Ok("late".into()) });
    assert_eq!(pair.exchange().0, [ended(1, Outcome::Failed(Failure::Unanswered))]);
    assert_eq!(pair.esme.stats().stray, 1);
}

#[test]
fn silence_is_asked_about_and_then_ends_the_session() {
    let mut pair = Pair::bound();
    pair.pass(Duration::from_secs(30));
    pair.esme.handle(pair.now, Input::Timeout);
    assert_eq!(pair.exchange(), (vec![], vec![]), "enquire_link is answered");
    assert!(pair.esme.is_bound());

    pair.pass(Duration::from_secs(30));
    pair.esme.handle(pair.now, Input::Timeout);
    assert!(matches!(frames(&mut pair.esme)[..], [Frame { pdu: Pdu::EnquireLink, .. }]), "this one gets lost");
    pair.pass(Duration::from_secs(10));
    pair.esme.handle(pair.now, Input::Timeout);
    assert_eq!(pair.esme.poll(), Some(Output::Close));
    assert_eq!(pair.esme.poll(), Some(Output::Event(Event::Closed(CloseReason::PeerSilent))));
    assert_eq!(pair.esme.deadline(), None);
}

#[test]
fn unbind_waits_for_what_is_under_way() {
    let mut pair = Pair::bound();
    pair.esme.handle(pair.now, Input::Send { id: 1, message: hello() });
    let (_, of_smsc) = pair.exchange();
    let [Event::Message { sequence, .. }] = of_smsc[..] else { panic!("{of_smsc:?}") };
    pair.esme.handle(pair.now, Input::Unbind);
    pair.esme.handle(pair.now, Input::Send { id: 2, message: hello() });
    assert_eq!(pair.exchange().0, [ended(2, Outcome::Failed(Failure::NotSent))]);
    pair.smsc.handle(pair.now, Input::Answer { sequence, result: Ok("m".into()) });
    let (of_esme, of_smsc) = pair.exchange();
    let accepted = ended(1, Outcome::Accepted { message_id: "m".into() });
    assert_eq!(of_esme, [accepted, Event::Closed(CloseReason::Unbound)]);
    assert_eq!(of_smsc, [Event::Closed(CloseReason::Unbound)]);
}

#[test]
fn a_lost_connection_tells_sent_from_unsent() {
    let mut config = Config::new(Role::Esme(bind()));
    config.window = 1;
    let mut pair = Pair::with(config, Config::new(Role::Smsc { system_id: "dev".into() }));
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
    pair.exchange();
    for id in 1..=2 {
        pair.esme.handle(pair.now, Input::Send { id, message: hello() });
    }
    pair.exchange();
    pair.esme.handle(pair.now, Input::Disconnected);
    let expected = [
        ended(1, Outcome::Failed(Failure::Unanswered)),
        ended(2, Outcome::Failed(Failure::NotSent)),
        Event::Closed(CloseReason::Disconnected),
    ];
    assert_eq!(pair.exchange().0, expected);
}

#[test]
fn a_peer_that_sends_too_much_is_throttled() {
    let mut smsc = Config::new(Role::Smsc { system_id: "dev".into() });
    smsc.inbound = 1;
    let mut pair = Pair::with(Config::new(Role::Esme(bind())), smsc);
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
    pair.exchange();
    for id in 1..=2 {
        pair.esme.handle(pair.now, Input::Send { id, message: hello() });
    }
    let (_, of_smsc) = pair.exchange();
    assert_eq!(of_smsc.len(), 1);
    assert_eq!((pair.smsc.stats().refused, pair.esme.stats().throttled), (1, 1));
}

#[test]
fn nothing_is_submitted_before_a_bind_or_by_a_receiver() {
    let now = Instant::now();
    let submit = Frame::request(3, Pdu::Submit(hello())).encode().unwrap();
    let mut smsc = Session::new(now, Config::new(Role::Smsc { system_id: "dev".into() }));
    smsc.handle(now, Input::Received(&submit));
    assert_eq!(frames(&mut smsc)[0].status, Status::INVALID_BIND_STATUS);

    let receiver = Frame::request(1, Pdu::Bind(Bind { kind: BindKind::Receiver, ..bind() })).encode().unwrap();
    smsc.handle(now, Input::Received(&receiver));
    smsc.handle(now, Input::AnswerBind(Ok(())));
    smsc.handle(now, Input::Received(&submit));
    assert_eq!(frames(&mut smsc)[1].status, Status::INVALID_BIND_STATUS);
}

#[test]
fn what_is_not_known_is_nacked_and_what_is_no_smpp_ends_the_session() {
    let mut pair = Pair::bound();
    let query = Frame::request(77, Pdu::Other(0x03)).encode().unwrap();
    pair.smsc.handle(pair.now, Input::Received(&query));
    let nack = Frame { status: Status::INVALID_COMMAND_ID, sequence: 77, pdu: Pdu::GenericNack };
    assert_eq!(frames(&mut pair.smsc), [nack]);

    pair.smsc.handle(pair.now, Input::Received(b"GET / HTTP/1.1\r\n\r\n"));
    let nack = Frame { status: Status::INVALID_COMMAND_LENGTH, sequence: 0, pdu: Pdu::GenericNack };
    assert_eq!(frames(&mut pair.smsc), [nack]);
    assert!(pair.smsc.is_closed());
}

#[test]
fn a_bind_that_does_not_come_ends_the_session() {
    let now = Instant::now();
    let mut smsc = Session::new(now, Config::new(Role::Smsc { system_id: "dev".into() }));
    let later = now + Duration::from_secs(5);
    assert_eq!(smsc.deadline(), Some(later));
    smsc.handle(later, Input::Timeout);
    assert_eq!(smsc.poll(), Some(Output::Close));
    assert_eq!(smsc.poll(), Some(Output::Event(Event::Closed(CloseReason::BindTimeout))));
}

#[test]
fn a_rate_spreads_what_is_sent() {
    let mut config = Config::new(Role::Esme(bind()));
    (config.window, config.rate) = (100, 10);
    let mut pair = Pair::with(config, Config::new(Role::Smsc { system_id: "dev".into() }));
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
    pair.exchange();
    for id in 1..=30 {
        pair.esme.handle(pair.now, Input::Send { id, message: hello() });
    }
    let began = pair.now;
    let mut sent = pair.exchange().1.len();
    assert!(sent <= 2, "{sent} at once");
    while sent < 30 {
        pair.now = pair.esme.deadline().unwrap();
        pair.esme.handle(pair.now, Input::Timeout);
        sent += pair.exchange().1.len();
    }
    let took = pair.now - began;
    assert!((Duration::from_millis(2_700)..=Duration::from_secs(3)).contains(&took), "{took:?}");
}

fn pair_that_is_bound(esme: Config, smsc: Config) -> Pair {
    let mut pair = Pair::with(esme, smsc);
    pair.exchange();
    pair.smsc.handle(pair.now, Input::AnswerBind(Ok(())));
    pair.exchange();
    pair
}

fn smsc() -> Config {
    Config::new(Role::Smsc { system_id: "dev".into() })
}

fn esme(version: u8) -> Config {
    Config::new(Role::Esme(Bind { version, ..bind() }))
}

#[test]
fn version_5_is_spoken_where_the_bind_asks_for_it() {
    for (asked, spoken) in [(0x33, 0x33), (VERSION_3_4, VERSION_3_4), (0x40, VERSION_3_4), (VERSION_5_0, VERSION_5_0)] {
        let pair = pair_that_is_bound(esme(asked), smsc());
        assert_eq!((pair.esme.version(), pair.smsc.version()), (spoken, spoken), "{asked:#x}");
    }
}

#[test]
fn a_congested_smsc_of_version_5_is_let_rest() {
    for (version, rests) in [(VERSION_3_4, false), (VERSION_5_0, true)] {
        let mut pair = pair_that_is_bound(Config { window: 1, ..esme(version) }, Config { inbound: 1, ..smsc() });
        for id in [1, 2] {
            pair.esme.handle(pair.now, Input::Send { id, message: hello() });
        }
        let (_, events) = pair.exchange();
        let [Event::Message { sequence, .. }] = events[..] else { panic!("{events:?}") };
        pair.smsc.handle(pair.now, Input::Answer { sequence, result: Ok("1".into()) });
        let (ended, events) = pair.exchange();
        let accepted = Outcome::Accepted { message_id: "1".into() };
        assert_eq!(ended, [Event::Ended { id: 1, outcome: accepted }]);
        assert_eq!(events.is_empty(), rests, "{events:?}");
        if rests {
            let pause = pair.esme.deadline().unwrap() - pair.now;
            assert_eq!(pause, Duration::from_millis(250));
            pair.now += pause;
            pair.esme.handle(pair.now, Input::Timeout);
            let (_, events) = pair.exchange();
            assert!(matches!(events[..], [Event::Message { .. }]), "{events:?}");
        }
    }
}

#[test]
fn data_sm_goes_both_ways() {
    let data_sm = true;
    let mut pair = pair_that_is_bound(Config { data_sm, ..esme(VERSION_3_4) }, Config { data_sm, ..smsc() });
    pair.esme.handle(pair.now, Input::Send { id: 1, message: hello() });
    pair.smsc.handle(pair.now, Input::Send { id: 2, message: hello() });
    let (of_esme, of_smsc) = pair.exchange();
    let [Event::Message { sequence: up, message: ref first }] = of_smsc[..] else { panic!("{of_smsc:?}") };
    let [Event::Message { sequence: down, message: ref second }] = of_esme[..] else { panic!("{of_esme:?}") };
    assert_eq!((first, second), (&hello(), &hello()));
    pair.smsc.handle(pair.now, Input::Answer { sequence: up, result: Ok("7".into()) });
    pair.esme.handle(pair.now, Input::Answer { sequence: down, result: Ok(String::new()) });
    let (of_esme, of_smsc) = pair.exchange();
    let accepted = |id: u64, message_id: &str| {
        vec![Event::Ended { id, outcome: Outcome::Accepted { message_id: message_id.to_owned() } }]
    };
    assert_eq!((of_esme, of_smsc), (accepted(1, "7"), accepted(2, "")));
}
