//! The exchange and a platform on a perfect line, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_engine::ports::{DevCall, DevScript};
use opentact_media::control::{Command as MediaCommand, Event as MediaEvent, LegKey};
use opentact_sip::flow::Flow;
use opentact_sip::message::{Name, Response};
use opentact_sip::sdp::{Agreed, Capabilities, Direction, Negotiator, Session};
use opentact_sip::ua::{
    Body, Command, Event, Input as UaInput, OutgoingInvite, Output as UaOutput, SessionId, Ua, UaConfig,
};
use opentact_sip::uri::{NameAddr, Uri};

use super::exchange::{Exchange, Input, Output};
use super::party::Media;

const NETWORK: &str = "127.0.0.1:5080";
const PLATFORM: &str = "127.0.0.1:5060";
const LEASED: u64 = 12_015_550_199;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Media that only remembers what it was told.
#[derive(Default)]
struct Recorder {
    opened: u64,
    room: Option<u64>,
    commands: Vec<(LegKey, MediaCommand)>,
}

impl Media for Recorder {
    fn open(&mut self, _near: Option<LegKey>) -> Option<(LegKey, SocketAddr)> {
        if self.room.is_some_and(|room| self.opened >= room) {
            return None;
        }
        self.opened += 1;
        Some((LegKey(self.opened), SocketAddr::from(([127, 0, 0, 1], 30_000 + self.opened as u16 * 2))))
    }

    fn command(&mut self, leg: LegKey, command: MediaCommand) {
        self.commands.push((leg, command));
    }
}

struct World {
    now: Instant,
    network: Exchange<Recorder>,
    ua: Ua,
    events: Vec<Event>,
    to_network: Vec<Bytes>,
    to_platform: Vec<Bytes>,
    spoken: Vec<String>,
}

impl World {
    fn new() -> World {
        World {
            now: Instant::now(),
            network: Exchange::new(address(NETWORK), address(PLATFORM), Recorder::default(), 1),
            ua: Ua::new(UaConfig::default(), 2),
            events: Vec::new(),
            to_network: Vec::new(),
            to_platform: Vec::new(),
            spoken: Vec::new(),
        }
    }

    /// Everything that can happen now, happens.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.ua.poll() {
                quiet = false;
                match output {
                    UaOutput::Transmit { bytes, .. } => self.to_network.push(bytes),
                    UaOutput::Event(event) => self.events.push(event),
                }
            }
            while let Some(output) = self.network.poll() {
                quiet = false;
                match output {
                    Output::Transmit { to, bytes } => {
                        assert_eq!(to, address(PLATFORM));
                        self.to_platform.push(bytes);
                    }
                    Output::AskLeased { session, number } => {
                        let leased = number == LEASED;
                        self.network.handle(self.now, Input::Leased { session, leased });
                    }
                    Output::AskSpeech { session, text } => {
                        self.spoken.push(text);
                        self.network.handle(self.now, Input::Speech { session, speech: None });
                    }
                }
            }
            for message in std::mem::take(&mut self.to_network) {
                quiet = false;
                self.network.handle(self.now, Input::Datagram { message, from: address(PLATFORM) });
            }
            for message in std::mem::take(&mut self.to_platform) {
                quiet = false;
                let flow = Flow::udp(address(PLATFORM), address(NETWORK));
                self.ua.handle(self.now, UaInput::Received { message, flow });
            }
            if quiet {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.settle();
            match [self.ua.deadline(), self.network.deadline()].into_iter().flatten().min() {
                Some(due) if due <= until => {
                    self.now = due.max(self.now);
                    self.ua.handle(self.now, UaInput::Tick);
                    self.network.handle(self.now, Input::Tick);
                }
                _ => break,
            }
        }
        self.now = until;
        self.settle();
    }

    fn command(&mut self, command: Command) {
        self.ua.handle(self.now, UaInput::Command(command));
        self.settle();
    }

    fn call(&mut self, number: u64, body: Option<Body>) -> SessionId {
        let session = self.ua.new_session();
        let uri: Uri = format!("sip:+{number}@{NETWORK}").parse().unwrap();
        let from: NameAddr = format!("\"Ann\" <sip:+12015550001@{PLATFORM}>").parse().unwrap();
        let invite = OutgoingInvite {
            flow: Flow::udp(address(PLATFORM), address(NETWORK)),
            to: NameAddr::new(uri.clone()),
            uri,
            from,
            contact: None,
            call_id: None,
            route: Vec::new(),
            headers: Vec::new(),
            body,
            credentials: None,
        };
        self.command(Command::Invite { session, invite });
        session
    }

    /// Calls a number with a description.
    fn ring(&mut self, number: u64) -> SessionId {
        self.call(number, Some(sdp(&phone().offer(Direction::SendRecv))))
    }

    fn place(&mut self, script: DevScript, duration: u64) {
        let call = DevCall {
            account: uuid::Uuid::nil(),
            from: 12_015_550_001,
            to: LEASED,
            script,
            duration: Duration::from_secs(duration),
        };
        self.network.handle(self.now, Input::Place { call, call_id: Bytes::from_static(b"placed@dev") });
        self.settle();
    }

    /// The call that has come to the platform.
    fn incoming(&self) -> SessionId {
        self.events
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Invite { session, .. } => Some(*session),
                _ => None,
            })
            .expect("no call came in")
    }

    /// The platform takes the call that has come in.
    fn accept(&mut self) -> SessionId {
        let session = self.incoming();
        let offer = self.events.iter().rev().find_map(|event| match event {
            Event::Invite { request, .. } => Some(Session::parse(request.body()).unwrap()),
            _ => None,
        });
        let (answer, _) = phone().answer(&offer.unwrap(), Direction::SendRecv).unwrap();
        self.command(Command::Accept { session, headers: Vec::new(), body: Some(sdp(&answer)), contact: None });
        session
    }

    fn response(&self, session: SessionId) -> Option<&Response> {
        self.events.iter().find_map(|event| match event {
            Event::Answered { session: of, response } if *of == session => Some(response),
            _ => None,
        })
    }

    fn failure(&self, session: SessionId) -> Option<u16> {
        self.events.iter().find_map(|event| match event {
            Event::Failed { session: of, code, .. } if *of == session => Some(*code),
            _ => None,
        })
    }

    fn rang(&self, session: SessionId) -> bool {
        self.events.iter().any(
            |event| matches!(event, Event::Progress { session: of, response } if *of == session && response.code() == 180),
        )
    }

    fn hung_up(&self, session: SessionId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Bye { session: of, .. } if *of == session))
    }

    fn media(&self) -> Vec<String> {
        let name = |command: &MediaCommand| match command {
            MediaCommand::Start(params) => format!("start {}", params.remote),
            MediaCommand::Play { .. } => "play".into(),
            MediaCommand::Echo { on } => format!("echo {on}"),
            MediaCommand::SendDtmf { digits, .. } => format!("keys {digits}"),
            MediaCommand::Bridge { with } => format!("bridge {with}"),
            MediaCommand::Close => "close".into(),
            other => format!("{other:?}"),
        };
        self.network.media.commands.iter().map(|(leg, command)| format!("{leg} {}", name(command))).collect()
    }

    fn media_event(&mut self, leg: u64, event: MediaEvent) {
        self.network.handle(self.now, Input::Media { leg: LegKey(leg), event });
        self.settle();
    }

    /// What is played now has been heard to its end.
    fn play_ends(&mut self, leg: u64) {
        let id = self.network.media.commands.iter().rev().find_map(|(_, command)| match command {
            MediaCommand::Play { id, .. } => Some(*id),
            _ => None,
        });
        self.media_event(leg, MediaEvent::PlayDone { id: id.unwrap(), completed: true });
    }

    /// Nothing is left of any call.
    fn assert_empty(&mut self) {
        self.pass(Duration::from_secs(64));
        assert!(self.network.parties.is_empty(), "{:?}", self.network.parties);
        assert_eq!(self.network.ua.stats(), Default::default());
        let closed = self.media().iter().filter(|line| line.ends_with("close")).count() as u64;
        assert_eq!(closed, self.network.media.opened, "a leg stays open");
    }
}

fn phone() -> Negotiator {
    Negotiator::new(400, address("127.0.0.1:20000"), Capabilities::default())
}

fn sdp(session: &Session) -> Body {
    (Bytes::from_static(b"application/sdp"), session.to_bytes())
}

fn agreed(response: &Response) -> Agreed {
    let mut phone = phone();
    phone.offer(Direction::SendRecv);
    phone.accept(&Session::parse(response.body()).unwrap()).unwrap()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_person_answers_after_a_second_greets_and_echoes() {
    let mut world = World::new();
    let call = world.ring(12_015_550_042);
    assert!(world.rang(call));
    world.pass(Duration::from_millis(999));
    assert!(world.response(call).is_none());
    world.pass(Duration::from_millis(1));
    assert_eq!(agreed(world.response(call).unwrap()).remote, address("127.0.0.1:30002"));
    assert_eq!(world.media(), ["1 start 127.0.0.1:20000", "1 play"]);
    assert!(world.spoken[0].contains("1 2 0 1 5 5 5 0 0 4 2"));
    world.play_ends(1);
    assert_eq!(world.media().last().unwrap(), "1 echo true");
    world.command(Command::Bye { session: call, headers: Vec::new() });
    world.assert_empty();
}

#[test]
fn refusals_have_their_codes() {
    let mut world = World::new();
    for (number, code) in [(12_015_550_100, 486), (12_015_550_102, 603), (12_015_550_103, 404)] {
        let call = world.ring(number);
        assert_eq!(world.failure(call), Some(code));
    }
    world.assert_empty();
}

#[test]
fn nobody_answers() {
    let mut world = World::new();
    let call = world.ring(12_015_550_101);
    world.pass(secs(170));
    assert!(world.rang(call) && world.response(call).is_none() && world.failure(call).is_none());
    world.command(Command::Cancel { session: call, headers: Vec::new() });
    assert_eq!(world.failure(call), Some(487));
    let given_up = world.ring(12_015_550_101);
    world.pass(secs(181));
    assert_eq!(world.failure(given_up), Some(480));
    world.assert_empty();
}

#[test]
fn a_short_call_is_hung_up_after_five_seconds() {
    let mut world = World::new();
    let call = world.ring(12_015_550_104);
    assert!(world.response(call).is_some());
    world.pass(Duration::from_millis(4_999));
    assert!(!world.hung_up(call));
    world.pass(Duration::from_millis(1));
    assert!(world.hung_up(call));
    world.assert_empty();
}

#[test]
fn a_machine_greets_beeps_and_listens() {
    let mut world = World::new();
    let call = world.ring(12_015_550_105);
    world.pass(secs(1));
    world.play_ends(1);
    world.play_ends(1);
    world.pass(secs(30));
    assert_eq!(world.media(), ["1 start 127.0.0.1:20000", "1 play", "1 play"]);
    assert!(world.spoken[0].contains("after the tone"));
    world.command(Command::Bye { session: call, headers: Vec::new() });
    world.assert_empty();
}

#[test]
fn keys_come_a_second_after_the_answer() {
    let mut world = World::new();
    world.ring(12_015_550_106);
    world.pass(secs(1));
    assert_eq!(world.media(), ["1 start 127.0.0.1:20000", "1 keys 1234#"]);
}

#[test]
fn one_number_is_unavailable_twice_for_each_number() {
    let mut world = World::new();
    let outcome = |world: &mut World, number| {
        let call = world.ring(number);
        world.failure(call)
    };
    assert_eq!(outcome(&mut world, 12_015_550_107), Some(503));
    assert_eq!(outcome(&mut world, 12_025_550_107), Some(503));
    assert_eq!(outcome(&mut world, 12_015_550_107), Some(503));
    assert_eq!(outcome(&mut world, 12_015_550_107), None);
    assert_eq!(outcome(&mut world, 12_015_550_107), Some(503));
}

#[test]
fn any_other_number_answers_and_echoes() {
    let mut world = World::new();
    let call = world.ring(12_015_551_234);
    assert!(world.response(call).is_some());
    assert_eq!(world.media().last().unwrap(), "1 echo true");
    assert!(world.hold(call).contains("a=recvonly"));
    world.command(Command::Bye { session: call, headers: Vec::new() });
    world.assert_empty();
}

impl World {
    /// Puts a call on hold; returns the answer.
    fn hold(&mut self, session: SessionId) -> String {
        let mut phone = phone();
        phone.offer(Direction::SendRecv);
        let body = Some(sdp(&phone.offer(Direction::SendOnly)));
        self.command(Command::Reinvite { session, headers: Vec::new(), body });
        self.events
            .iter()
            .find_map(|event| match event {
                Event::ReinviteAnswered { response, .. } => Some(String::from_utf8_lossy(response.body()).into_owned()),
                _ => None,
            })
            .expect("hold was not answered")
    }
}

#[test]
fn a_call_without_an_offer_gets_one() {
    let mut world = World::new();
    let call = world.call(12_015_551_234, None);
    // The platform's user agent acknowledges without an answer, so there can be no media.
    assert!(!world.response(call).unwrap().body().is_empty());
    assert!(world.hung_up(call));
    world.assert_empty();
}

#[test]
fn what_cannot_be_done_is_refused() {
    let mut world = World::new();
    let garbage = (Bytes::from_static(b"application/sdp"), Bytes::from_static(b"hello"));
    let call = world.call(12_015_551_234, Some(garbage));
    assert_eq!(world.failure(call), Some(400));
    let video = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 9 RTP/AVP 31\r\n";
    let call = world
        .call(12_015_551_234, Some((Bytes::from_static(b"application/sdp"), Bytes::from_static(video.as_bytes()))));
    assert_eq!(world.failure(call), Some(488));
    world.network.media.room = Some(world.network.media.opened);
    let call = world.ring(12_015_551_234);
    assert_eq!(world.failure(call), Some(503));
    let call = world.ring(LEASED);
    assert_eq!(world.failure(call), Some(503));
    world.network.media.room = None;
    world.assert_empty();
}

#[test]
fn a_call_to_a_leased_number_comes_back_and_is_bridged() {
    let mut world = World::new();
    let out = world.ring(LEASED);
    let inward = world.incoming();
    let Some(Event::Invite { request, .. }) = world.events.iter().find(|event| matches!(event, Event::Invite { .. }))
    else {
        panic!("no call came back")
    };
    assert_eq!(request.uri().unwrap().user(), Some("+12015550199"));
    let from = request.from().unwrap();
    assert_eq!((from.display.as_deref(), from.uri.user()), (Some("Ann"), Some("+12015550001")));
    world.command(Command::Provisional { session: inward, code: 180, reason: None, headers: Vec::new(), body: None });
    assert!(world.rang(out));
    world.accept();
    assert_eq!(agreed(world.response(out).unwrap()).remote, address("127.0.0.1:30002"));
    assert_eq!(world.media(), ["2 start 127.0.0.1:20000", "1 start 127.0.0.1:20000", "1 bridge 2"]);

    let reason = (Bytes::from_static(b"Reason"), Bytes::from_static(b"Q.850;cause=31"));
    world.command(Command::Bye { session: out, headers: vec![reason] });
    let bye = world.events.iter().find_map(|event| match event {
        Event::Bye { session, request } if *session == inward => Some(request),
        _ => None,
    });
    assert_eq!(bye.unwrap().header(Name::Reason), Some(&b"Q.850;cause=31"[..]));
    world.assert_empty();
}

#[test]
fn early_media_and_refusals_are_passed_on() {
    let mut world = World::new();
    let out = world.ring(LEASED);
    let inward = world.incoming();
    let Some(Event::Invite { request, .. }) = world.events.last() else { panic!("no call came back") };
    let (answer, _) = phone().answer(&Session::parse(request.body()).unwrap(), Direction::SendRecv).unwrap();
    world.command(Command::Provisional {
        session: inward,
        code: 183,
        reason: None,
        headers: Vec::new(),
        body: Some(sdp(&answer)),
    });
    let early = world.events.iter().find_map(|event| match event {
        Event::Progress { session, response } if *session == out && response.code() == 183 => Some(response),
        _ => None,
    });
    assert!(!early.unwrap().body().is_empty());
    assert_eq!(world.media().last().unwrap(), "1 bridge 2");
    world.command(Command::Reject { session: inward, code: 486, reason: None, headers: Vec::new() });
    assert_eq!(world.failure(out), Some(486));
    world.assert_empty();
}

#[test]
fn giving_up_reaches_the_other_half() {
    let mut world = World::new();
    let out = world.ring(LEASED);
    let inward = world.incoming();
    world.command(Command::Cancel { session: out, headers: Vec::new() });
    assert!(world.events.iter().any(|event| matches!(event, Event::Cancelled { session, .. } if *session == inward)));
    world.assert_empty();
}

#[test]
fn a_placed_call_runs_its_script_and_hangs_up() {
    let mut world = World::new();
    world.place(DevScript::Dtmf { digits: "42".into(), after: secs(2) }, 10);
    let Some(Event::Invite { request, .. }) = world.events.last() else { panic!("no call came in") };
    assert_eq!(request.call_id(), Some(&b"placed@dev"[..]));
    assert_eq!(request.from().unwrap().uri.user(), Some("+12015550001"));
    world.pass(secs(5));
    let session = world.accept();
    world.pass(secs(2));
    assert_eq!(world.media(), ["1 start 127.0.0.1:20000", "1 keys 42"]);
    world.pass(Duration::from_millis(7_999));
    assert!(!world.hung_up(session));
    world.pass(Duration::from_millis(1));
    assert!(world.hung_up(session));
    world.assert_empty();
}

#[test]
fn a_placed_call_nobody_takes_is_given_up() {
    let mut world = World::new();
    world.place(DevScript::Echo, 10);
    let session = world.incoming();
    world.pass(secs(61));
    assert!(world.events.iter().any(|event| matches!(event, Event::Cancelled { session: of, .. } if *of == session)));
    world.assert_empty();
}

#[test]
fn a_party_that_is_no_longer_heard_is_hung_up() {
    let mut world = World::new();
    let call = world.ring(12_015_551_234);
    world.media_event(1, MediaEvent::Timeout);
    assert!(world.hung_up(call));
    world.assert_empty();
}
