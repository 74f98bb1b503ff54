//! Transactions and dialogs under a peer that means harm: valid messages with a part changed, in any order, at any time,
//! while the layer above does what it likes. The octets are the script.
#![no_main]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Message, Method, Name, validate};
use opentact_sip::ua::{
    Command, EndReason, Event, Input, OutgoingInvite, OutgoingRequest, Output, RequestId, SessionId, SessionState,
    SubscriptionId, Ua, UaConfig, UaStats,
};

const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "PRACK",
    "UPDATE",
    "INFO",
    "OPTIONS",
    "REGISTER",
    "MESSAGE",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "PUBLISH",
    "X-NEW",
];
const CODES: [u16; 22] =
    [100, 180, 183, 199, 200, 202, 299, 300, 302, 401, 407, 408, 420, 422, 481, 486, 487, 491, 500, 503, 600, 699];
const WAITS: [u64; 8] = [0, 1, 500, 4_000, 32_000, 64_000, 600_000, 1_900_000];
/// One may stand in any message.
const EXTRAS: [&str; 24] = [
    "",
    "Require: 100rel\r\n",
    "Require: nothing-known\r\n",
    "Supported: 100rel, timer, replaces\r\n",
    "RSeq: 1\r\n",
    "RSeq: 2\r\nRequire: 100rel\r\n",
    "RAck: 1 1 INVITE\r\n",
    "RAck: 4294967295 4294967295 INVITE\r\n",
    "Session-Expires: 90;refresher=uac\r\n",
    "Session-Expires: 90;refresher=uas\r\nRequire: timer\r\n",
    "Session-Expires: 4294967295\r\n",
    "Min-SE: 100000\r\n",
    "Max-Forwards: 0\r\n",
    "Record-Route: <sip:192.0.2.9;lr>\r\n",
    "Record-Route: <sip:192.0.2.9>\r\nRecord-Route: <sip:[2001:db8::9]:5070;lr>\r\n",
    "Contact: <sip:other@192.0.2.8:5080;transport=tcp>\r\n",
    "Contact: *\r\n",
    "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=MD5\r\n",
    "Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\", stale=true, algorithm=SHA-256, qop=\"auth\"\r\n",
    "Replaces: call0;to-tag=a;from-tag=b\r\n",
    "Refer-To: <sip:bob@192.0.2.1?Replaces=call1%3Bto-tag%3Da>\r\n",
    "Event: refer\r\nSubscription-State: active\r\n",
    "Retry-After: 1\r\nReason: Q.850;cause=17\r\n",
    "Content-Disposition: session;handling=required\r\n",
];
const BODIES: [&str; 4] = [
    "",
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
    "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=inactive\r\n",
    "v=0\r\nbroken",
];

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn more(&self) -> bool {
        !self.0.is_empty()
    }

    fn octet(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.octet().checked_rem(of.len())?;
        of.get(at).copied()
    }
}

/// The user agent, and what its peer and the layer above know of it.
struct Stage {
    ua: Ua,
    now: Instant,
    /// What it has sent, the newest last.
    sent: Vec<Message>,
    received: Bytes,
    sessions: Vec<SessionId>,
    over: HashSet<SessionId>,
    /// Sessions refused by `Reject`, which end without an event.
    rejected: HashSet<SessionId>,
    requests: Vec<RequestId>,
    answered: HashMap<RequestId, bool>,
    /// SUBSCRIBEs outside of dialogs.
    subscribes: Vec<RequestId>,
    subscriptions: Vec<SubscriptionId>,
    ended: HashSet<SubscriptionId>,
    /// NOTIFYs that are wanted.
    due: Vec<SubscriptionId>,
    /// Every NOTIFY that is wanted is sent at once.
    obliging: bool,
}

impl Stage {
    fn handle(&mut self, input: Input) {
        self.ua.handle(self.now, input);
        while let Some(output) = self.ua.poll() {
            match output {
                Output::Transmit { bytes, .. } => self.transmitted(bytes),
                Output::Event(event) => self.told(event),
            }
        }
        if self.obliging {
            while let Some(subscription) = self.due.pop() {
                self.handle(Input::Command(Command::Notify { subscription, body: None }));
            }
        }
        let UaStats { transactions, sessions, requests, subscriptions } = self.ua.stats();
        assert!(
            sessions <= 8 && transactions <= 64 + 8 && requests <= 64 + 8 && subscriptions <= 8,
            "more than its limits"
        );
    }

    /// Whatever it was told, what it says is SIP.
    fn transmitted(&mut self, bytes: Bytes) {
        let message = Message::parse(bytes.clone()).unwrap_or_else(|fault| {
            panic!("sends what nobody can read: {fault:?}\n{}", String::from_utf8_lossy(&bytes))
        });
        match &message {
            Message::Request(request) => {
                validate(request)
                    .unwrap_or_else(|_| panic!("sends a bad request\n{}", String::from_utf8_lossy(&bytes)));
            }
            // What was wrong in a request may be wrong in its answer; it must still be readable.
            Message::Response(response) => assert!((100..700).contains(&response.code())),
        }
        self.sent.push(message);
        if self.sent.len() > 8 {
            self.sent.remove(0);
        }
    }

    fn told(&mut self, event: Event) {
        let (session, last) = match event {
            Event::Invite { session, .. } => {
                self.sessions.push(session);
                (session, false)
            }
            Event::Request { id, request, .. } => {
                if *request.method() == Method::Subscribe {
                    self.subscribes.push(id);
                }
                return self.requests.push(id);
            }
            Event::InDialog { id, .. } => return self.requests.push(id),
            Event::NotifyDue { subscription } => {
                assert!(!self.ended.contains(&subscription), "a NOTIFY is wanted after the last one");
                return self.due.push(subscription);
            }
            Event::SubscriptionRefreshed { subscription } => {
                return assert!(!self.ended.contains(&subscription), "refreshed after its end");
            }
            Event::SubscriptionEnded { subscription } => {
                return assert!(self.ended.insert(subscription), "a subscription ends twice");
            }
            Event::Response { id, response } => return self.response(id, response.code() >= 200),
            Event::RequestFailed { id, .. } => return self.response(id, true),
            Event::Progress { session, .. }
            | Event::Answered { session, .. }
            | Event::Acked { session, .. }
            | Event::Reinvite { session, .. }
            | Event::ReinviteAnswered { session, .. }
            | Event::ReinviteFailed { session, .. } => (session, false),
            Event::Failed { session, .. }
            | Event::Cancelled { session, .. }
            | Event::Bye { session, .. }
            | Event::Ended { session, .. } => (session, true),
            #[allow(unreachable_patterns)]
            _ => return,
        };
        assert!(!self.over.contains(&session), "told of a session after its last event");
        assert!(!self.rejected.contains(&session), "told of a session that was refused");
        if last {
            self.over.insert(session);
        }
    }

    fn response(&mut self, id: RequestId, last: bool) {
        let over = self.answered.get_mut(&id).expect("an answer to nothing");
        assert!(!*over, "an answer after the last");
        *over = last;
    }

    /// A request of the peer's; some of it is what the user agent has said.
    fn request(&mut self, script: &mut Script<'_>) -> Bytes {
        let method = script.one(&METHODS).unwrap_or("INVITE");
        let (call, tag, branch, cseq) = (script.octet() % 3, script.octet() % 3, script.octet(), script.octet());
        let (mut from, mut to) = (format!("<sip:a@192.0.2.1>;tag=peer{tag}"), "<sip:b@192.0.2.2>".to_owned());
        let mut call_id = format!("call{call}");
        if script.octet() % 2 == 1 {
            // Within a dialog that it has been in: as its peer sees it.
            let known = script.octet().checked_rem(self.sent.len()).and_then(|at| self.sent.get(at));
            if let Some(known) = known {
                let text = |name| known.headers().get(name).map(|v| String::from_utf8_lossy(v).into_owned());
                let (ours, theirs) = match known {
                    Message::Request(_) => (Name::From, Name::To),
                    Message::Response(_) => (Name::To, Name::From),
                };
                to = text(ours).unwrap_or(to);
                from = text(theirs).unwrap_or(from);
                call_id = text(Name::CallId).unwrap_or(call_id);
            }
        }
        let extra = script.one(&EXTRAS).unwrap_or_default();
        let body = script.one(&BODIES).unwrap_or_default();
        let branch = match branch % 8 {
            0 => "1".to_owned(),
            branch => format!("z9hG4bK{branch}"),
        };
        let cseq = match cseq % 16 {
            15 => u32::MAX,
            cseq => cseq as u32,
        };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Contact: <sip:a@192.0.2.1>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into()
    }

    /// An answer to something that the user agent has asked.
    fn reply(&mut self, script: &mut Script<'_>) -> Option<Bytes> {
        let asked: Vec<_> = self
            .sent
            .iter()
            .filter_map(|message| match message {
                Message::Request(request) => Some(request),
                Message::Response(_) => None,
            })
            .collect();
        let request = asked.get(script.octet().checked_rem(asked.len())?)?;
        let text = |name| request.headers().get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let code = script.one(&CODES)?;
        let mut to = text(Name::To)?;
        let tag = script.octet() % 4;
        if !to.contains("tag=") && tag > 0 {
            to.push_str(&format!(";tag=t{tag}"));
        }
        let (extra, body) = (script.one(&EXTRAS)?, script.one(&BODIES)?);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        Some(
            format!(
                "SIP/2.0 {code} Because\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
                 Contact: <sip:b@192.0.2.1>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
                text(Name::Via)?,
                text(Name::From)?,
                text(Name::CallId)?,
                text(Name::CSeq)?,
                body.len()
            )
            .into(),
        )
    }

    fn receive(&mut self, message: Bytes, flow: Flow) {
        self.received = message.clone();
        self.handle(Input::Received { message, flow });
    }

    /// What the layer above may order.
    fn order(&mut self, script: &mut Script<'_>, flow: Flow) {
        let address = || "<sip:b@192.0.2.1>".parse().expect("an address");
        let body = script.one(&BODIES).filter(|body| !body.is_empty());
        let body = body.map(|body| (Bytes::from_static(b"application/sdp"), Bytes::from_static(body.as_bytes())));
        let headers = Vec::new();
        let session = |stage: &Self, script: &mut Script<'_>| script.one(&stage.sessions);
        let command = match script.octet() % 15 {
            0 => {
                let session = self.ua.new_session();
                self.sessions.push(session);
                let uri = "sip:b@192.0.2.1".parse().expect("a URI");
                let invite = OutgoingInvite {
                    flow,
                    uri,
                    from: address(),
                    to: address(),
                    contact: None,
                    call_id: None,
                    route: Vec::new(),
                    headers,
                    body,
                    credentials: None,
                };
                Command::Invite { session, invite }
            }
            1 => {
                let id = self.ua.new_request();
                self.answered.insert(id, false);
                let uri = "sip:b@192.0.2.1".parse().expect("a URI");
                let request = OutgoingRequest {
                    headers,
                    body,
                    ..OutgoingRequest::new(flow, Method::Options, uri, address(), address())
                };
                Command::Request { id, request }
            }
            2 => {
                let Some(session) = session(self, script) else { return };
                let id = self.ua.new_request();
                self.answered.insert(id, false);
                Command::InDialog { session, id, method: Method::Info, headers, body }
            }
            3 => {
                let Some(id) = script.one(&self.requests) else { return };
                let code = script.one(&CODES).unwrap_or(200);
                Command::Respond { id, code, reason: None, headers, body: None }
            }
            11 => {
                let Some(id) = script.one(&self.subscribes) else { return };
                let subscription = self.ua.new_subscription();
                self.subscriptions.push(subscription);
                let seconds = script.one(&[0, 60, 3_600]).unwrap_or_default();
                Command::AcceptSubscription { id, subscription, seconds }
            }
            12 => {
                let Some(subscription) = self.due.pop() else { return };
                Command::Notify { subscription, body }
            }
            13 | 14 => {
                let Some(subscription) = script.one(&self.subscriptions) else { return };
                let reasons = [EndReason::Timeout, EndReason::Probation, EndReason::Rejected, EndReason::NoResource];
                match script.octet() % 3 {
                    0 => Command::EndSubscription {
                        subscription,
                        reason: script.one(&reasons).unwrap_or(EndReason::Timeout),
                    },
                    _ => Command::SubscriptionChanged { subscription },
                }
            }
            order => {
                let Some(session) = session(self, script) else { return };
                match order {
                    4 => Command::Provisional { session, code: 183, reason: None, headers, body },
                    5 => Command::Accept { session, headers, body, contact: None },
                    6 => {
                        self.refuse(session);
                        Command::Reject { session, code: 486, reason: None, headers }
                    }
                    7 => Command::Cancel { session, headers },
                    8 | 9 => {
                        self.refuse(session);
                        Command::Bye { session, headers }
                    }
                    _ => Command::Reinvite { session, headers, body },
                }
            }
        };
        self.handle(Input::Command(command));
    }

    /// A call that has not been answered ends without an event when it is refused.
    fn refuse(&mut self, session: SessionId) {
        if self.ua.session(session).is_some_and(|info| info.state() == SessionState::Called) {
            self.rejected.insert(session);
        }
    }

    fn wait(&mut self, wait: Duration) {
        let end = self.now + wait;
        for _ in 0..100_000 {
            match self.ua.deadline().filter(|deadline| *deadline <= end) {
                Some(deadline) => self.now = self.now.max(deadline),
                None => {
                    self.now = end;
                    return self.handle(Input::Tick);
                }
            }
            self.handle(Input::Tick);
        }
        panic!("timers go in circles");
    }
}

fuzz_target!(|octets: &[u8]| {
    let local = ([192, 0, 2, 2], 5060).into();
    let remote = ([192, 0, 2, 1], 5060).into();
    let config = UaConfig {
        max_sessions: 8,
        max_transactions: 64,
        max_subscriptions: 8,
        session_expires: Some(Duration::from_secs(1800)),
        ..UaConfig::default()
    };
    let mut script = Script(octets);
    let mut stage = Stage {
        ua: Ua::new(config, 1),
        now: Instant::now(),
        sent: Vec::new(),
        received: Bytes::new(),
        sessions: Vec::new(),
        over: HashSet::new(),
        rejected: HashSet::new(),
        requests: Vec::new(),
        answered: HashMap::new(),
        subscribes: Vec::new(),
        subscriptions: Vec::new(),
        ended: HashSet::new(),
        due: Vec::new(),
        obliging: false,
    };
    while script.more() {
        let flow = match script.octet() % 4 {
            0 => Flow { transport: Transport::Tcp, local, remote, connection: 7 },
            _ => Flow::udp(local, remote),
        };
        match script.octet() % 8 {
            0 | 1 => {
                let message = stage.request(&mut script);
                stage.receive(message, flow);
            }
            2 | 3 => {
                if let Some(message) = stage.reply(&mut script) {
                    stage.receive(message, flow);
                }
            }
            4 | 5 => stage.order(&mut script, flow),
            6 => {
                let wait = script.one(&WAITS).unwrap_or_default();
                stage.wait(Duration::from_millis(wait));
            }
            _ => {
                // The last message again, with an octet changed.
                let mut message = stage.received.to_vec();
                let (at, octet) = (script.octet() * 4 + script.octet(), script.octet());
                if let Some(place) = message.get_mut(at) {
                    *place = octet as u8;
                }
                if octet == 0 {
                    stage.handle(Input::TransportFailed { flow });
                    continue;
                }
                stage.receive(message.into(), flow);
            }
        }
    }
    // When the layer above hangs up everything and time passes, nothing is left.
    for session in stage.sessions.clone() {
        stage.refuse(session);
        stage.handle(Input::Command(Command::Bye { session, headers: Vec::new() }));
    }
    stage.obliging = true;
    for subscription in stage.subscriptions.clone() {
        stage.handle(Input::Command(Command::EndSubscription { subscription, reason: EndReason::NoResource }));
    }
    stage.wait(Duration::from_secs(7200));
    assert_eq!(stage.ua.stats(), UaStats::default(), "something stays for ever");
});
