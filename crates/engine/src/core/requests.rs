//! Requests other than calls: OPTIONS, INFO, and those this version does not do.

use bytes::Bytes;
use opentact_call::{Input, LegId};
use opentact_media::control::Command as MediaCommand;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Method, Request, Response};
use opentact_sip::sdp::IceFragment;
use opentact_sip::ua::{Command, RequestId, SessionId};

use super::Core;
use super::leg::{Outbound, Role};
use super::message::TEXTS;
use super::negotiate::Headers;
use super::reason::retry_after;
use super::subscribe::EVENTS;

/// What this version does; in Allow of 405 and OPTIONS.
pub(crate) const ALLOW: Bytes =
    Bytes::from_static(b"INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO, UPDATE, PRACK, MESSAGE, SUBSCRIBE, REFER");

impl Core {
    pub(super) fn on_request(&mut self, id: RequestId, request: Request, flow: Flow) {
        match request.method() {
            Method::Register => self.on_register(id, request, flow),
            Method::Options => self.respond_options(id),
            Method::Message => self.on_message_request(id, request, flow),
            Method::Subscribe => self.on_subscribe(id, &request, flow),
            // Nobody makes us call but from within a call of theirs.
            Method::Refer => self.respond(id, 403, Vec::new()),
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
            Method::Refer => self.on_refer(session, id, request),
            Method::Prack | Method::Update => self.on_early_offer(session, id, request),
            Method::Message => self.on_message_in_call(session, id, request),
            _ => self.respond(id, 405, vec![(Bytes::from_static(b"Allow"), ALLOW)]),
        }
    }

    /// Keys pressed on phones that know no RFC 4733.
    fn on_info(&mut self, session: SessionId, id: RequestId, request: &Request) {
        if let Some(package) = request.headers().get_by_name("Info-Package") {
            if package.trim_ascii().eq_ignore_ascii_case(TRICKLE) {
                return self.on_trickle(session, id, request);
            }
            // RFC 6086 4.2.2: an Info Package we did not offer.
            return self.respond(id, 469, vec![(Bytes::from_static(b"Recv-Info"), Bytes::from_static(TRICKLE))]);
        }
        if request.body().is_empty() {
            // RFC 2976 2.2: such are sent to see whether the call is alive.
            return self.respond(id, 200, Vec::new());
        }
        let Some((digit, duration_ms)) = key_of(request) else {
            let known = KEYS.iter().any(|known| request.headers().is_content(known));
            let accept = (Bytes::from_static(b"Accept"), KEYS.join(", ").into());
            return match known {
                true => self.respond(id, 400, Vec::new()),
                false => self.respond(id, 415, vec![accept]),
            };
        };
        self.respond(id, 200, Vec::new());
        if let Some(&leg) = self.sessions.get(&session)
            && let Some(call) = self.legs.get(&leg).map(|leg| leg.call)
        {
            // Whoever it talks to hears it too.
            self.media_command(leg, MediaCommand::PassKey { digit });
            self.tell_call(call, Input::Dtmf { leg, digit, duration_ms });
        }
    }

    /// Candidates that the other side has found since its description (RFC 8840).
    fn on_trickle(&mut self, session: SessionId, id: RequestId, request: &Request) {
        if !request.headers().is_content(FRAGMENT) {
            return self.respond(
                id,
                415,
                vec![(Bytes::from_static(b"Accept"), Bytes::from_static(FRAGMENT.as_bytes()))],
            );
        }
        let Some(fragment) = IceFragment::parse(request.body()) else { return self.respond(id, 400, Vec::new()) };
        self.respond(id, 200, Vec::new());
        let Some(&leg) = self.sessions.get(&session) else { return };
        let media = self.legs.get_mut(&leg).and_then(|leg| leg.media.as_mut());
        let lines = media.map(|media| media.sdp.trickled(&fragment)).unwrap_or_default();
        if !lines.is_empty() {
            self.media_command(leg, MediaCommand::Candidates { lines });
        }
    }

    /// Sends a key the way a trunk takes them that has no other.
    pub(super) fn send_info(&mut self, leg: LegId, digit: char, duration_ms: u32) {
        let session = match self.legs.get(&leg).map(|leg| &leg.role) {
            Some(Role::Inbound(inbound)) if inbound.answered => inbound.session,
            Some(Role::Outbound(Outbound { answered: Some(session), .. })) => *session,
            _ => return,
        };
        let id = self.ua.new_request();
        let body = format!("Signal={digit}\r\nDuration={duration_ms}\r\n");
        let body = Some((Bytes::from_static(KEYS[0].as_bytes()), Bytes::from(body)));
        self.command(Command::InDialog { session, id, method: Method::Info, headers: Vec::new(), body });
    }

    /// RFC 3261 11.2.
    fn respond_options(&mut self, id: RequestId) {
        let header = |name: &'static str, value: Bytes| (Bytes::from_static(name.as_bytes()), value);
        let code = if self.draining { 503 } else { 200 };
        let mut headers = vec![
            header("Allow", ALLOW),
            header("Accept", ["application/sdp", KEYS[0], KEYS[1], FRAGMENT, TEXTS].join(", ").into()),
            header("Accept-Encoding", Bytes::from_static(b"identity")),
            header("Accept-Language", Bytes::from_static(b"en")),
            header("Supported", Bytes::from_static(b"100rel, timer, path, outbound, gruu, replaces, trickle-ice")),
            header("Recv-Info", Bytes::from_static(TRICKLE)),
            header("Allow-Events", EVENTS),
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

/// RFC 8840: the package and the body of INFO with candidates.
const TRICKLE: &[u8] = b"trickle-ice";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Bodies of INFO that say which key was pressed.
const KEYS: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];
/// Length of a key whose INFO gives none, milliseconds.
const KEY_MS: u32 = 160;

/// The key and its length in milliseconds: `Signal=5`, `Duration=160` (application/dtmf-relay), or the bare key
/// (application/dtmf), `10` and `11` for `*` and `#`.
fn key_of(request: &Request) -> Option<(char, u32)> {
    let body = String::from_utf8_lossy(request.body());
    let field = |name: &str| {
        body.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let signal = match () {
        () if request.headers().is_content(KEYS[0]) => field("Signal")?,
        () if request.headers().is_content(KEYS[1]) => field("Signal").unwrap_or_else(|| body.trim().to_owned()),
        () => return None,
    };
    let key = match signal.as_str() {
        "10" => '*',
        "11" => '#',
        other => {
            let mut keys = other.chars();
            keys.next().filter(|_| keys.next().is_none())?.to_ascii_uppercase()
        }
    };
    let duration_ms = field("Duration").and_then(|duration| duration.parse().ok()).unwrap_or(KEY_MS);
    "0123456789*#ABCD".contains(key).then_some((key, duration_ms))
}

#[cfg(test)]
mod tests {
    use opentact_sip::message::RequestBuilder;

    use super::*;

    fn key(content: &str, body: &'static str) -> Option<(char, u32)> {
        let uri: opentact_sip::uri::Uri = "sip:x@192.0.2.1".parse().unwrap();
        let request = RequestBuilder::new(Method::Info, &uri).body(content.to_owned(), Bytes::from(body)).build();
        key_of(&request)
    }

    #[test]
    fn keys_of_both_kinds_are_read() {
        assert_eq!(key("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n"), Some(('5', 250)));
        assert_eq!(key("application/dtmf-relay", "signal = d"), Some(('D', 160)));
        assert_eq!(key("application/dtmf", "7"), Some(('7', 160)));
        assert_eq!(key("Application/DTMF", "11\r\n"), Some(('#', 160)));
        assert_eq!(key("application/dtmf", "Signal=10\r\nDuration=90"), Some(('*', 90)));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for (content, body) in [
            ("application/dtmf-relay", "5"),
            ("application/dtmf-relay", "Signal=x"),
            ("application/dtmf", "123"),
            ("application/dtmf", ""),
            ("text/plain", "5"),
        ] {
            assert_eq!(key(content, body), None, "{content} {body}");
        }
    }
}
