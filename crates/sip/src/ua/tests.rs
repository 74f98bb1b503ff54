//! Two user agents on a table: every message between them is seen, and lost or kept at will.

mod calls;
mod faults;
mod headers;
mod noise;
mod reliable;
mod requests;
mod subscriptions;
mod timers;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::flow::Flow;
use crate::message::{Message, Method, Request, Response};

/// One end of the line.
struct End {
    ua: Ua,
    address: SocketAddr,
    events: Vec<Event>,
    /// What it has sent and the other has not got yet.
    outbox: Vec<(Flow, Bytes)>,
    /// Everything it has ever sent.
    sent: Vec<Message>,
}

/// A caller and a callee with a perfect line between them, in virtual time.
struct Line {
    now: Instant,
    a: End,
    b: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    A,
    B,
}

use Side::{A, B};

impl Side {
    fn other(self) -> Side {
        if self == A { B } else { A }
    }
}

impl Line {
    fn new() -> Line {
        Line::with(UaConfig::default(), UaConfig::default())
    }

    fn with(a: UaConfig, b: UaConfig) -> Line {
        let now = Instant::now();
        let end = |config, seed, address: &str| End {
            ua: Ua::new(config, seed),
            address: address.parse().unwrap(),
            events: Vec::new(),
            outbox: Vec::new(),
            sent: Vec::new(),
        };
        Line { now, a: end(a, 1, "192.0.2.1:5060"), b: end(b, 2, "192.0.2.2:5060") }
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            A => &mut self.a,
            B => &mut self.b,
        }
    }

    /// The flow of `side` to the other.
    fn flow(&self, side: Side) -> Flow {
        match side {
            A => Flow::udp(self.a.address, self.b.address),
            B => Flow::udp(self.b.address, self.a.address),
        }
    }

    fn handle(&mut self, side: Side, input: Input) {
        let now = self.now;
        let end = self.end(side);
        end.ua.handle(now, input);
        while let Some(output) = end.ua.poll() {
            match output {
                Output::Transmit { flow, bytes } => {
                    end.sent.push(Message::parse(bytes.clone()).unwrap());
                    end.outbox.push((flow, bytes));
                }
                Output::Event(event) => end.events.push(event),
            }
        }
    }

    fn command(&mut self, side: Side, command: Command) {
        self.handle(side, Input::Command(command));
    }

    /// Octets from outside of the line.
    fn receive(&mut self, side: Side, text: &str) {
        let message = Bytes::from(text.replace('\n', "\r\n"));
        let flow = self.flow(side);
        self.handle(side, Input::Received { message, flow });
    }

    /// Gives each side what the other has sent, until nobody has anything to say.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut quiet = true;
            for side in [A, B] {
                for (flow, message) in std::mem::take(&mut self.end(side).outbox) {
                    quiet = false;
                    assert_eq!(flow, self.flow(side), "sent elsewhere");
                    let flow = self.flow(side.other());
                    self.handle(side.other(), Input::Received { message, flow });
                }
            }
            if quiet {
                return;
            }
        }
        panic!("they never stop talking");
    }

    /// Loses what `side` has sent.
    fn lose(&mut self, side: Side) {
        self.end(side).outbox.clear();
    }

    /// Lets time pass; everything sent meanwhile arrives when `connected`.
    fn pass(&mut self, time: Duration, connected: bool) {
        let until = self.now + time;
        loop {
            let due = [&self.a, &self.b].iter().filter_map(|end| end.ua.deadline()).min();
            match due {
                Some(due) if due <= until => {
                    self.now = due.max(self.now);
                    self.handle(A, Input::Tick);
                    self.handle(B, Input::Tick);
                    if connected {
                        self.settle();
                    } else {
                        self.lose(A);
                        self.lose(B);
                    }
                }
                _ => break,
            }
        }
        self.now = until;
    }

    /// A minute later nothing may be left of anything.
    fn assert_clean(&mut self) {
        self.pass(Duration::from_secs(120), true);
        assert_eq!(self.a.ua.stats(), UaStats::default());
        assert_eq!(self.b.ua.stats(), UaStats::default());
    }

    fn events(&mut self, side: Side) -> Vec<Event> {
        std::mem::take(&mut self.end(side).events)
    }

    /// Names of the events since the last look.
    fn told(&mut self, side: Side) -> Vec<String> {
        self.events(side).iter().map(name).collect()
    }

    /// Start lines of everything `side` has sent.
    fn lines(&mut self, side: Side) -> Vec<String> {
        self.end(side).sent.iter().map(start_line).collect()
    }

    fn last_request(&mut self, side: Side) -> Request {
        let found = self.end(side).sent.iter().rev().find_map(|message| match message {
            Message::Request(request) => Some(request.clone()),
            Message::Response(_) => None,
        });
        found.unwrap()
    }

    fn last_response(&mut self, side: Side) -> Response {
        let found = self.end(side).sent.iter().rev().find_map(|message| match message {
            Message::Response(response) => Some(response.clone()),
            Message::Request(_) => None,
        });
        found.unwrap()
    }

    // ---- telling them what to do ----

    fn invite(&self) -> OutgoingInvite {
        OutgoingInvite {
            flow: self.flow(A),
            uri: "sip:bob@192.0.2.2".parse().unwrap(),
            from: "Alice <sip:alice@example.com>".parse().unwrap(),
            to: "<sip:bob@example.com>".parse().unwrap(),
            contact: None,
            call_id: Some("call-1".into()),
            route: Vec::new(),
            headers: Vec::new(),
            body: Some(sdp("offer")),
            credentials: None,
        }
    }

    /// A calls B; nothing is delivered yet.
    fn call(&mut self) -> SessionId {
        let session = self.a.ua.new_session();
        let invite = self.invite();
        self.command(A, Command::Invite { session, invite });
        session
    }

    /// A calls and B rings.
    fn ring(&mut self) -> (SessionId, SessionId) {
        let a = self.call();
        self.settle();
        let b = self.incoming(B);
        self.command(B, Command::Provisional { session: b, code: 180, reason: None, headers: Vec::new(), body: None });
        self.settle();
        (a, b)
    }

    /// A calls, B answers; the events so far are forgotten.
    fn connect(&mut self) -> (SessionId, SessionId) {
        let (a, b) = self.ring();
        self.accept(B, b);
        self.settle();
        assert_eq!(self.told(A), ["Progress 180", "Answered 200"]);
        assert_eq!(self.told(B), ["Acked"]);
        (a, b)
    }

    /// The session of the INVITE that came to `side`.
    fn incoming(&mut self, side: Side) -> SessionId {
        match &self.events(side)[..] {
            [Event::Invite { session, .. }] => *session,
            other => panic!("no single INVITE: {other:?}"),
        }
    }

    fn accept(&mut self, side: Side, session: SessionId) {
        let body = Some(sdp("answer"));
        self.command(side, Command::Accept { session, headers: Vec::new(), body, contact: None });
    }

    fn reject(&mut self, side: Side, session: SessionId, code: u16) {
        self.command(side, Command::Reject { session, code, reason: None, headers: Vec::new() });
    }

    fn cancel(&mut self, session: SessionId) {
        self.command(A, Command::Cancel { session, headers: Vec::new() });
    }

    fn bye(&mut self, side: Side, session: SessionId) {
        self.command(side, Command::Bye { session, headers: Vec::new() });
    }

    fn reinvite(&mut self, side: Side, session: SessionId) {
        let body = Some(sdp("again"));
        self.command(side, Command::Reinvite { session, headers: Vec::new(), body });
    }

    fn respond(&mut self, side: Side, id: RequestId, code: u16) {
        self.command(side, Command::Respond { id, code, reason: None, headers: Vec::new(), body: None });
    }
}

fn sdp(text: &'static str) -> Body {
    ("application/sdp".into(), text.into())
}

fn name(event: &Event) -> String {
    match event {
        Event::Invite { .. } => "Invite".into(),
        Event::Progress { response, .. } => format!("Progress {}", response.code()),
        Event::Answered { response, .. } => format!("Answered {}", response.code()),
        Event::Failed { code, .. } => format!("Failed {code}"),
        Event::Acked { .. } => "Acked".into(),
        Event::Cancelled { .. } => "Cancelled".into(),
        Event::Pracked { .. } => "Pracked".into(),
        Event::Reinvite { .. } => "Reinvite".into(),
        Event::ReinviteAnswered { response, .. } => format!("ReinviteAnswered {}", response.code()),
        Event::ReinviteFailed { code, .. } => format!("ReinviteFailed {code}"),
        Event::Bye { .. } => "Bye".into(),
        Event::Ended { code, .. } => format!("Ended {code}"),
        Event::InDialog { request, .. } => format!("InDialog {}", request.method()),
        Event::Request { request, .. } => format!("Request {}", request.method()),
        Event::Response { response, .. } => format!("Response {}", response.code()),
        Event::Unreadable { .. } => "Unreadable".into(),
        Event::RequestFailed { code, .. } => format!("RequestFailed {code}"),
        Event::NotifyDue { .. } => "NotifyDue".into(),
        Event::SubscriptionRefreshed { .. } => "SubscriptionRefreshed".into(),
        Event::SubscriptionEnded { .. } => "SubscriptionEnded".into(),
    }
}

fn start_line(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method().to_string(),
        Message::Response(response) => match response.cseq() {
            Ok(cseq) => format!("{} {}", response.code(), cseq.method),
            Err(_) => response.code().to_string(),
        },
    }
}
