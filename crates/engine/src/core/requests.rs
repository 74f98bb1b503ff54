//! Requests other than calls: OPTIONS, INFO, and those this version does not do.

use bytes::Bytes;
use opentact_call::Input;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Method, Request, Response};
use opentact_sip::ua::{Command, RequestId, SessionId};

use super::Core;
use super::negotiate::Headers;
use super::reason::retry_after;

/// What this version does; in Allow of 405 and OPTIONS.
pub(crate) const ALLOW: Bytes =
    Bytes::from_static(b"INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO, UPDATE, PRACK, MESSAGE, SUBSCRIBE");

impl Core {
    pub(super) fn on_request(&mut self, id: RequestId, request: Request, flow: Flow) {
        match request.method() {
            Method::Register => self.on_register(id, request, flow),
            Method::Options => self.respond_options(id),
            Method::Message => self.on_message_request(id, request, flow),
            Method::Subscribe => self.on_subscribe(id, &request, flow),
            _ => self.respond(id, 405, vec![(Bytes::from_static(b"Allow"), ALLOW)]),
        }
    }

    /// An answer to a request of ours that is no INVITE; without a response `code` stands for it.
    pub(super) fn on_response(&mut self, id: RequestId, code: u16, response: Option<&Response>) {
        self.on_trunk_answered(id, code, response);
        self.on_message_answered(id, code, response);
    }

    pub(super) fn on_in_dialog(&mut self, session: SessionId, id: RequestId, request: &Request) {
        match request.method() {
            Method::Options => self.respond_options(id),
            Method::Info => self.on_info(session, id, request),
            Method::Prack | Method::Update => self.on_early_offer(session, id, request),
            Method::Message => self.on_message_in_call(session, id, request),
            _ => self.respond(id, 405, vec![(Bytes::from_static(b"Allow"), ALLOW)]),
        }
    }

    /// Keys pressed on phones that know no RFC 4733: `Signal=5`, `Duration=160` (application/dtmf-relay).
    fn on_info(&mut self, session: SessionId, id: RequestId, request: &Request) {
        if request.headers().get_by_name("Info-Package").is_some() {
            // RFC 6086 4.2.2: an Info Package we did not offer.
            return self.respond(id, 469, vec![(Bytes::from_static(b"Recv-Info"), Bytes::new())]);
        }
        if request.body().is_empty() {
            // RFC 2976 2.2: such are sent to see whether the call is alive.
            return self.respond(id, 200, Vec::new());
        }
        if !request.headers().is_content("application/dtmf-relay") {
            let accept = (Bytes::from_static(b"Accept"), Bytes::from_static(b"application/dtmf-relay"));
            return self.respond(id, 415, vec![accept]);
        }
        let body = String::from_utf8_lossy(request.body());
        let field = |name: &str| {
            body.lines().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let digit = field("Signal").and_then(|signal| signal.chars().next()).map(|digit| digit.to_ascii_uppercase());
        let Some(digit) = digit.filter(|digit| "0123456789*#ABCD".contains(*digit)) else {
            return self.respond(id, 400, Vec::new());
        };
        let duration_ms = field("Duration").and_then(|duration| duration.parse().ok()).unwrap_or(160);
        self.respond(id, 200, Vec::new());
        if let Some(&leg) = self.sessions.get(&session)
            && let Some(call) = self.legs.get(&leg).map(|leg| leg.call)
        {
            self.tell_call(call, Input::Dtmf { leg, digit, duration_ms });
        }
    }

    /// RFC 3261 11.2.
    fn respond_options(&mut self, id: RequestId) {
        let header = |name: &'static str, value: Bytes| (Bytes::from_static(name.as_bytes()), value);
        let code = if self.draining { 503 } else { 200 };
        let mut headers = vec![
            header("Allow", ALLOW),
            header("Accept", Bytes::from_static(b"application/sdp, application/dtmf-relay")),
            header("Accept-Language", Bytes::from_static(b"en")),
        ];
        if self.draining {
            headers.push(retry_after());
        }
        self.respond(id, code, headers);
    }

    pub(super) fn respond(&mut self, id: RequestId, code: u16, headers: Headers) {
        self.command(Command::Respond { id, code, reason: None, headers, body: None });
    }
}
