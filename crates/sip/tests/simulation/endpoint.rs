//! One user agent with somebody behind it who does this and that.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_sip::digest::{Algorithm, Challenger, Credentials, Ha1, Verdict};
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Method, Name, Request};
use opentact_sip::registrar::{Registrar, RegistrarConfig};
use opentact_sip::ua::{
    Command, Event, ExtraHeaders, OutgoingInvite, OutgoingRequest, RequestId, SessionId, Ua, UaConfig,
};
use opentact_sip::uri::NameAddr;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const REALM: &str = "simulation";
const PASSWORD: &str = "correct horse";

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Call { to: usize },
    Register { to: usize, password: bool },
    Options { to: usize },
    Ring { session: SessionId, code: u16 },
    Accept { session: SessionId },
    Reject { session: SessionId, code: u16 },
    Cancel { session: SessionId },
    Bye { session: SessionId },
    Reinvite { session: SessionId },
    Info { session: SessionId },
    Respond { id: RequestId, code: u16 },
}

pub struct Endpoint {
    pub ua: Ua,
    pub address: SocketAddr,
    pub random: StdRng,
    /// Asks callers for credentials.
    strict: bool,
    /// Wants to be told reliably of everything before the answer.
    reliable: bool,
    challenger: Challenger,
    registrar: Registrar,
}

impl Endpoint {
    pub fn new(index: usize, seed: u64) -> Endpoint {
        let mut random = StdRng::seed_from_u64(seed);
        Endpoint {
            ua: Ua::new(UaConfig::default(), random.random()),
            address: SocketAddr::from(([192, 0, 2, 1 + index as u8], 5060)),
            strict: random.random_bool(0.3),
            reliable: random.random_bool(0.3),
            challenger: Challenger::new([index as u8; 32], 0),
            registrar: Registrar::new(RegistrarConfig::default()),
            random,
        }
    }

    pub fn flow(&self, transport: Transport, to: SocketAddr) -> Flow {
        Flow { transport, local: self.address, remote: to, connection: u64::from(transport != Transport::Udp) }
    }

    /// Milliseconds within which something follows.
    fn within(&mut self, longest: u64) -> Duration {
        Duration::from_millis(self.random.random_range(0..longest))
    }

    /// What somebody will do about an event, and when.
    pub fn react(&mut self, now: Instant, start: Instant, event: &Event) -> Vec<(Duration, Act)> {
        match event {
            Event::Invite { session, request, .. } => self.react_to_call(*session, request, now - start),
            Event::Answered { session, .. } | Event::Acked { session, .. } => self.plan_call(*session),
            Event::Reinvite { session, .. } => {
                let session = *session;
                let act = match self.random.random_range(0..4) {
                    0 => Act::Reject { session, code: 488 },
                    _ => Act::Accept { session },
                };
                vec![(self.within(2_000), act)]
            }
            Event::ReinviteFailed { session, code: 491, .. } => {
                vec![(self.within(4_000), Act::Reinvite { session: *session })]
            }
            Event::InDialog { id, .. } => vec![(self.within(1_000), Act::Respond { id: *id, code: 200 })],
            Event::Request { id, request, .. } if *request.method() != Method::Register => {
                // Sometimes nobody answers.
                if self.random.random_bool(0.1) {
                    return Vec::new();
                }
                vec![(self.within(3_000), Act::Respond { id: *id, code: 200 })]
            }
            _ => Vec::new(),
        }
    }

    fn react_to_call(&mut self, session: SessionId, request: &Request, time: Duration) -> Vec<(Duration, Act)> {
        if self.strict && self.judge(request, Name::ProxyAuthorization, time) != Verdict::Ok("user".into()) {
            return vec![(Duration::ZERO, Act::Reject { session, code: 407 })];
        }
        let mut acts = Vec::new();
        for _ in 0..self.random.random_range(0..3) {
            let code = if self.random.random_bool(0.5) { 180 } else { 183 };
            acts.push((self.within(4_000), Act::Ring { session, code }));
        }
        let longest = if self.random.random_bool(0.1) { 40_000 } else { 6_000 };
        let decision = match self.random.random_range(0..4) {
            0 => Act::Reject { session, code: if self.random.random_bool(0.5) { 486 } else { 603 } },
            _ => Act::Accept { session },
        };
        acts.push((self.within(longest), decision));
        // Somebody may hang up before he answers, or twice.
        if self.random.random_bool(0.1) {
            acts.push((self.within(longest), Act::Bye { session }));
        }
        acts
    }

    /// Once connected both sides will hang up some time, so that neither is left alone.
    fn plan_call(&mut self, session: SessionId) -> Vec<(Duration, Act)> {
        let longest = 20_000;
        let mut acts = vec![(self.within(longest), Act::Bye { session })];
        for _ in 0..self.random.random_range(0..3) {
            let act = match self.random.random_range(0..3) {
                0 => Act::Info { session },
                1 => Act::Reinvite { session },
                _ => Act::Cancel { session },
            };
            acts.push((self.within(longest), act));
        }
        acts
    }

    fn judge(&mut self, request: &Request, header: Name, time: Duration) -> Verdict {
        self.challenger.verify_headers(
            request.headers().get_all(header),
            REALM,
            request.method(),
            &algorithms(),
            |user, algorithm| Some(Ha1::new(algorithm.hash(), user, REALM, PASSWORD)),
            time.as_secs(),
        )
    }

    pub fn challenge(&mut self, header: &'static str, stale: bool, time: Duration) -> ExtraHeaders {
        let challenges = self.challenger.challenge(REALM, &algorithms(), stale, time.as_secs());
        challenges.into_iter().map(|value| (header.into(), value.into())).collect()
    }

    /// Answers a REGISTER the way a registrar does.
    pub fn register(&mut self, now: Instant, time: Duration, id: RequestId, request: &Request, flow: Flow) -> Command {
        let verdict = self.judge(request, Name::Authorization, time);
        let (code, headers) = match verdict {
            Verdict::Ok(_) => match self.registrar.register(now, "user@simulation", request, flow) {
                Ok(headers) => (200, headers),
                Err(refusal) => (refusal.code, ExtraHeaders::new()),
            },
            verdict => (401, self.challenge("WWW-Authenticate", verdict == Verdict::Stale, time)),
        };
        while self.registrar.poll().is_some() {}
        Command::Respond { id, code, reason: None, headers, body: None }
    }

    pub fn invite(&self, flow: Flow) -> OutgoingInvite {
        OutgoingInvite {
            flow,
            uri: format!("sip:callee@{}", flow.remote).parse().unwrap(),
            from: format!("<sip:caller@{}>", flow.local).parse().unwrap(),
            to: format!("<sip:callee@{}>", flow.remote).parse().unwrap(),
            contact: None,
            call_id: None,
            route: Vec::new(),
            headers: self.reliable.then(|| ("Require".into(), "100rel".into())).into_iter().collect(),
            body: Some(sdp()),
            credentials: Some(Credentials::password("user", PASSWORD)),
        }
    }

    pub fn request(&self, method: Method, flow: Flow, password: bool) -> OutgoingRequest {
        let password = if password { PASSWORD } else { "wrong horse" };
        let uri = format!("sip:{}", flow.remote).parse().unwrap();
        let aor: NameAddr = format!("<sip:user@{}>", flow.remote).parse().unwrap();
        OutgoingRequest {
            contact: Some(format!("sip:user@{}", flow.local).parse().unwrap()),
            expires: Some(300),
            credentials: Some(Credentials::password("user", password)),
            ..OutgoingRequest::new(flow, method, uri, aor.clone(), aor)
        }
    }
}

fn algorithms() -> [Algorithm; 2] {
    [Algorithm::Sha256, Algorithm::Md5]
}

pub fn sdp() -> (Bytes, Bytes) {
    (Bytes::from_static(b"application/sdp"), Bytes::from_static(b"v=0\r\n"))
}
