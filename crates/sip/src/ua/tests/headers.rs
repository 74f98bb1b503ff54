//! Each header that is read here, in messages that are otherwise right: what its grammar allows is taken, what breaks it gets
//! the answer of the book, and what nobody here reads stays as it came.

use std::collections::BTreeSet;

use super::*;
use crate::message::Name;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Given to the layer above.
    Taken,
    Refused(u16),
    /// Nobody is there to be answered.
    Dropped,
}

use Fate::{Dropped, Refused, Taken};

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Given to the layer above.
    Told,
    /// As if it had not come.
    Unseen,
    /// The request is sent once more, as the response asks for.
    Again,
    /// Acknowledged by PRACK.
    Pracked,
}

use Effect::{Again, Pracked, Told, Unseen};

type Row = (Name, &'static str, Fate);

/// Of INVITEs. Further lines of a value are further headers.
const INVITES: &[Row] = &[
    (Name::Via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKh", Taken),
    (Name::Via, "SIP / 2.0 / UDP 192.0.2.1:5060 ; rport ; branch = z9hG4bKh", Taken),
    (Name::Via, "SIP/2.0/UDP [2001:db8::1];received=[2001:db8::2];branch=z9hG4bKh", Taken),
    (Name::Via, "SIP/2.0/UDP 192.0.2.1, SIP/2.0/FUTURE b.example:7;unknown=\"a;b,c\"", Taken),
    (Name::Via, "", Dropped),
    (Name::Via, "SIP/2.0/UDP", Dropped),
    (Name::Via, "SIP/1.0/UDP 192.0.2.1;branch=z9hG4bKh", Refused(400)),
    (Name::Via, "HTTP/2.0/UDP 192.0.2.1;branch=z9hG4bKh", Dropped),
    (Name::Via, "SIP/2.0/UDP 192.0.2.1:65536;branch=z9hG4bKh", Dropped),
    (Name::Via, "SIP/2.0/UDP 192.0.2.1:;branch=z9hG4bKh", Dropped),
    (Name::Via, "SIP/2.0/UDP [2001:db8::1;branch=z9hG4bKh", Dropped),
    (Name::Via, "SIP/2.0/U@P 192.0.2.1;branch=z9hG4bKh", Dropped),
    (Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKh, SIP/2.0/UDP", Refused(400)),
    (Name::MaxForwards, "1", Taken),
    (Name::MaxForwards, "255", Taken),
    (Name::MaxForwards, "0", Refused(483)),
    (Name::MaxForwards, "256", Refused(400)),
    (Name::MaxForwards, "-1", Refused(400)),
    (Name::MaxForwards, "7 0", Refused(400)),
    (Name::MaxForwards, "", Refused(400)),
    (Name::From, "Alice B <sip:alice@example.com>;tag=a", Taken),
    (Name::From, "\"Al \\\" <ice>, B\" <sip:alice@example.com>;tag=a", Taken),
    (Name::From, "sip:alice@example.com;tag=a", Taken),
    (Name::From, "<tel:+1-202-555-0123>;tag=a;unknown=\"<;>\"", Taken),
    (Name::From, "<sip:%61lice:secret@[2001:db8::1]:5070;p=1>;tag=a", Taken),
    (Name::From, "<sip:alice@example.com>", Taken),
    (Name::From, "", Refused(400)),
    (Name::From, "Alice", Refused(400)),
    (Name::From, "\"Alice <sip:alice@example.com>;tag=a", Refused(400)),
    (Name::From, "Al,ice <sip:alice@example.com>;tag=a", Refused(400)),
    (Name::From, "<sip:alice@example.com;tag=a", Refused(400)),
    (Name::From, "<sip:ali ce@example.com>;tag=a", Refused(400)),
    (Name::From, "<sip:alice@>;tag=a", Refused(400)),
    (Name::From, "<sip:alice@example.com:0x1>;tag=a", Refused(400)),
    (Name::From, "<sip:%6@example.com>;tag=a", Refused(400)),
    (Name::From, "<sip:alice@example.com>;tag=\"a", Refused(400)),
    (Name::From, "<sip:alice@example.com> tag=a", Refused(400)),
    (Name::From, "sip:alice@example.com?Subject=x", Refused(400)),
    (Name::From, "<sip:alice@example.com>;tag=a\nf: <sip:mallory@example.com>;tag=m", Refused(400)),
    (Name::To, "Bob <sip:bob@example.com>", Taken),
    (Name::To, "sip:bob@example.com", Taken),
    (Name::To, "<urn:service:sos>", Taken),
    (Name::To, "<sip:bob@example.com>;tag=ours", Refused(481)),
    (Name::To, "", Refused(400)),
    (Name::To, "<>", Refused(400)),
    (Name::To, "<sip:bob@example.com", Refused(400)),
    (Name::To, "<sip:bob@exa mple.com>", Refused(400)),
    (Name::To, "sip:bob@example.com, sip:carol@example.com", Refused(400)),
    (Name::CallId, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.1", Taken),
    (Name::CallId, "<\"[{(]})\\/>~`'!%*", Taken),
    (Name::CallId, "", Refused(400)),
    (Name::CallId, "h\ni: other", Refused(400)),
    (Name::CSeq, "0 INVITE", Taken),
    (Name::CSeq, "2147483647 \t INVITE", Taken),
    (Name::CSeq, "2147483648 INVITE", Refused(400)),
    (Name::CSeq, "-1 INVITE", Refused(400)),
    (Name::CSeq, "1.5 INVITE", Refused(400)),
    (Name::CSeq, "1", Refused(400)),
    (Name::CSeq, "INVITE", Refused(400)),
    (Name::CSeq, "1INVITE", Refused(400)),
    (Name::CSeq, "1 INVITE INVITE", Refused(400)),
    (Name::CSeq, "1 invite", Refused(400)),
    (Name::CSeq, "1 BYE", Refused(400)),
    (Name::CSeq, "", Refused(400)),
    (Name::Contact, "<sip:alice@192.0.2.1;transport=tcp>;q=0.7;expires=60", Taken),
    (Name::Contact, "sip:alice@192.0.2.1", Taken),
    (Name::Contact, "\"Mr. <*>\" <sips:alice@a.example:5061;lr?x=y>", Taken),
    (Name::Contact, "", Refused(400)),
    (Name::Contact, "*", Refused(400)),
    (Name::Contact, "<sip:alice@192.0.2.1", Refused(400)),
    (Name::Contact, "sip:alice@192.0.2.1?x=y", Refused(400)),
    (Name::Contact, "<sip:alice@192.0.2.1>, <sip:", Refused(400)),
    (Name::ContentLength, "5", Taken),
    (Name::ContentLength, "3", Taken),
    (Name::ContentLength, "6", Refused(400)),
    (Name::ContentLength, "-5", Refused(400)),
    (Name::ContentLength, "five", Refused(400)),
    (Name::ContentLength, "99999999999999999999", Refused(400)),
    (Name::ContentLength, "5\nl: 4", Refused(400)),
    (Name::ContentType, "Application/SDP ; charset=utf-8", Taken),
    (Name::ContentType, "multipart/mixed;boundary=\"x\"", Taken),
    (Name::ContentType, "text/plain", Refused(415)),
    (Name::ContentType, "sdp", Refused(415)),
    (Name::ContentDisposition, "session;handling=required", Taken),
    (Name::ContentDisposition, "render;handling=optional\nContent-Type: text/plain", Taken),
    (Name::ContentDisposition, "render;handling=required\nContent-Type: text/plain", Refused(415)),
    (Name::ContentEncoding, "Identity", Taken),
    (Name::ContentEncoding, "gzip", Refused(415)),
    (Name::Accept, "text/plain, Application/sdp;level=1", Taken),
    (Name::Accept, "application/*", Taken),
    (Name::Accept, "*/*;q=0.1", Taken),
    (Name::Accept, "text/plain", Refused(406)),
    (Name::Expires, "0", Taken),
    (Name::Expires, "4294967295", Taken),
    (Name::Expires, "4294967296", Refused(400)),
    (Name::Expires, "-1", Refused(400)),
    (Name::Expires, "Thu, 01 Dec 1994 16:00:00 GMT", Refused(400)),
    (Name::Date, "Sat, 13 Nov 2010 23:29:00 GMT", Taken),
    (Name::Date, "Sat, 13 Nov 2010 23:29:00 EST", Refused(400)),
    (Name::Date, "2010-11-13T23:29:00Z", Refused(400)),
    (Name::Route, "<sip:p1.example;lr>, \"P, 2\" <sip:p2.example>;x=y", Taken),
    (Name::Route, "<sip:p1.example;lr>,, <sip:p2.example;lr>", Taken),
    (Name::Route, "<sip:p1.example;lr>, <sip:p2.example", Refused(400)),
    (Name::Route, "<>", Refused(400)),
    (Name::RecordRoute, "<sip:p1.example;lr>\nRecord-Route: <sip:p2.example;lr>", Taken),
    (Name::RecordRoute, "<sip:p1.example;lr\nRecord-Route: <sip:p2.example;lr>", Refused(400)),
    (Name::Require, "100REL, replaces", Taken),
    (Name::Require, "timer", Taken),
    (Name::Require, "100rel, rocket", Refused(420)),
    (Name::ProxyRequire, "gruu", Taken),
    (Name::ProxyRequire, "rocket", Refused(420)),
    (Name::Supported, "rocket, , 100rel", Taken),
    (Name::Supported, "", Taken),
    // RFC 4028 section 9: only who says that it knows timers is told that one is too short.
    (Name::SessionExpires, "90;refresher=uac\nSupported: timer", Taken),
    (Name::SessionExpires, "4294967295;refresher=uas;unknown=1\nSupported: timer", Taken),
    (Name::SessionExpires, "89;refresher=uac\nSupported: timer", Refused(422)),
    (Name::SessionExpires, "0\nk: timer", Refused(422)),
    (Name::SessionExpires, "89", Taken),
    (Name::SessionExpires, "soon\nSupported: timer", Taken),
    (Name::MinSe, "7200;unknown=1", Taken),
    (Name::MinSe, "soon", Taken),
    (Name::Timestamp, "54.21", Taken),
];

/// Of REGISTERs.
const REGISTERS: &[Row] = &[
    (Name::To, "<sips:bob@example.com>", Taken),
    (Name::To, "<tel:+12025550123>", Refused(400)),
    (Name::To, "<http://example.com>", Refused(400)),
    (Name::Contact, "*", Taken),
    (Name::Contact, "", Taken),
    (Name::Contact, "<sip:a@192.0.2.1>;expires=0;q=0, <sip:b@192.0.2.1>;expires=4294967295", Taken),
    (Name::Contact, "<mailto:a@example.com>", Taken),
    (Name::Contact, "<sip:a@192.0.2.1>;expires=4294967296", Refused(400)),
    (Name::Contact, "<sip:a@192.0.2.1>;expires=soon", Refused(400)),
    (Name::Contact, "*, <sip:a@192.0.2.1>", Refused(400)),
    (Name::MaxForwards, "0", Taken),
    (Name::Path, "<sip:edge.example;lr;ob>", Taken),
    (Name::Supported, "path, outbound, gruu", Taken),
];

/// Of responses to an INVITE, with their code.
const RESPONSES: &[(Name, u16, &str, Effect)] = &[
    (Name::Via, 180, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnobodys", Unseen),
    (Name::Via, 180, "SIP/2.0/UDP", Unseen),
    (Name::CSeq, 180, "1 BYE", Unseen),
    (Name::CSeq, 180, "one INVITE", Unseen),
    (Name::CallId, 180, "", Unseen),
    (Name::From, 180, "<sip:alice", Unseen),
    (Name::To, 180, "<sip:bob@example.com", Unseen),
    (Name::To, 180, "Bob <sip:bob@example.com>;tag=b", Told),
    (Name::Contact, 180, "<sip:bob", Told),
    (Name::ContentLength, 180, "7", Unseen),
    (Name::RSeq, 180, "1\nRequire: 100rel", Pracked),
    (Name::RSeq, 180, "4294967295\nRequire: 100rel", Pracked),
    (Name::RSeq, 180, "1", Told),
    (Name::RSeq, 180, "4294967296\nRequire: 100rel", Told),
    (Name::RSeq, 180, "first\nRequire: 100rel", Told),
    (Name::MinSe, 422, "7200", Again),
    (Name::MinSe, 422, "90", Told),
    (Name::MinSe, 422, "long", Told),
    (Name::WwwAuthenticate, 401, "Digest realm=\"r\", nonce=\"n\"", Again),
    (
        Name::WwwAuthenticate,
        401,
        "digest nonce=n,realm=\"a, \\\"b\\\"\",qop=\"auth-int,auth\",algorithm=SHA-256,x=y",
        Again,
    ),
    (Name::WwwAuthenticate, 401, "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256-sess", Told),
    (Name::WwwAuthenticate, 401, "Digest realm=\"r\", nonce=\"n\", qop=\"token\"", Told),
    (Name::WwwAuthenticate, 401, "Digest nonce=\"n\"", Told),
    (Name::WwwAuthenticate, 401, "Digest realm=\"r\"", Told),
    (Name::WwwAuthenticate, 401, "Basic realm=\"r\"", Told),
    (Name::WwwAuthenticate, 401, "Basic realm=\"r\"\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"", Again),
    (Name::ProxyAuthenticate, 407, "Digest realm=\"r\", nonce=\"n\", opaque=\"\", stale=FALSE", Again),
    (Name::ProxyAuthenticate, 407, "Digest", Told),
];

/// Read by whoever is given the request, and tested there.
const ABOVE: &[Name] = &[
    Name::Authorization,
    Name::Diversion,
    Name::Event,
    Name::HistoryInfo,
    Name::Identity,
    Name::Join,
    Name::PAssertedIdentity,
    Name::Privacy,
    Name::ProxyAuthorization,
    Name::RAck,
    Name::Reason,
    Name::ReferTo,
    Name::Replaces,
    Name::RetryAfter,
    Name::MinExpires,
    Name::UserAgent,
    // Of UPDATE in Allow: whether a refresh may be one.
    Name::Allow,
];

/// Told by us and read by nobody here, or carried from one side to the other.
const UNREAD: &[Name] = &[
    Name::AcceptContact,
    Name::AcceptEncoding,
    Name::AcceptLanguage,
    Name::AlertInfo,
    Name::AllowEvents,
    Name::AuthenticationInfo,
    Name::CallInfo,
    Name::ContentLanguage,
    Name::ErrorInfo,
    Name::FlowTimer,
    Name::InReplyTo,
    Name::MimeVersion,
    Name::Organization,
    Name::PAccessNetworkInfo,
    Name::PAssociatedUri,
    Name::PChargingVector,
    Name::PPreferredIdentity,
    Name::Priority,
    Name::ReferSub,
    Name::ReferredBy,
    Name::RejectContact,
    Name::ReplyTo,
    Name::RequestDisposition,
    Name::Server,
    Name::ServiceRoute,
    Name::SipEtag,
    Name::SipIfMatch,
    Name::Subject,
    Name::SubscriptionState,
    Name::TargetDialog,
    Name::Unsupported,
    Name::UserToUser,
    Name::Warning,
];

const REQUEST: &str = "METHOD sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKh\n\
                       Max-Forwards: 70\nFrom: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: h\n\
                       CSeq: 1 METHOD\nContact: <sip:alice@192.0.2.1>\nContent-Type: application/sdp\n\
                       Content-Length: 5\n\nv=0\n";

fn config() -> UaConfig {
    let session_expires = Some(Duration::from_secs(1_800));
    UaConfig { extensions: &["path", "outbound", "gruu", "100rel", "replaces"], session_expires, ..UaConfig::default() }
}

/// `message` with its header of that name, or one more, as in `value`, whose further lines are headers too.
fn with(message: &str, name: Name, value: &str) -> String {
    let (head, body) = message.split_once("\n\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    for (at, line) in value.split('\n').enumerate() {
        let line = if at == 0 { format!("{name}: {line}") } else { line.to_owned() };
        let field = line.split(':').next().unwrap_or_default();
        match lines
            .iter_mut()
            .find(|other| other.split(':').next() == Some(field) && (at == 0 || field != name.as_str()))
        {
            Some(former) => *former = line,
            None => lines.push(line),
        }
    }
    format!("{}\n\n{body}", lines.join("\n"))
}

fn fate(method: &str, (name, value, _): &Row) -> Fate {
    let mut line = Line::with(config(), config());
    line.receive(B, &with(&REQUEST.replace("METHOD", method), *name, value));
    match (&line.told(B)[..], line.b.sent.is_empty()) {
        ([], false) => Refused(line.last_response(B).code()),
        ([told], true) if told == "Unreadable" => Dropped,
        (told, _) => {
            assert_eq!(told.len(), 1);
            Taken
        }
    }
}

#[test]
fn requests_are_taken_or_refused_as_the_grammar_of_each_header_says() {
    let mut wrong = Vec::new();
    for (method, rows) in [("INVITE", INVITES), ("REGISTER", REGISTERS)] {
        for row in rows {
            let got = fate(method, row);
            if got != row.2 {
                wrong.push((method, row, got));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn responses_are_used_or_discarded_as_the_grammar_of_each_header_says() {
    let mut wrong = Vec::new();
    for row @ (name, code, value, expected) in RESPONSES {
        let mut line = Line::with(config(), config());
        let credentials = Some(crate::digest::Credentials::password("alice", "secret"));
        let (session, invite) = (line.a.ua.new_session(), OutgoingInvite { credentials, ..line.invite() });
        line.command(A, Command::Invite { session, invite });
        let request = line.last_request(A);
        let kept = [Name::Via, Name::From, Name::CallId, Name::CSeq]
            .map(|name| format!("{name}: {}\n", String::from_utf8_lossy(request.header(name).unwrap())));
        let response = format!(
            "SIP/2.0 {code} Because\n{}To: <sip:bob@example.com>;tag=b\nContact: <sip:bob@192.0.2.2>\n\
             Content-Length: 0\n\n",
            kept.concat()
        );
        let before = line.a.sent.len();
        line.receive(A, &with(&response, *name, value));
        let sent: Vec<String> = line.a.sent[before..].iter().map(start_line).collect();
        let got = match () {
            () if sent.iter().any(|line| line == "PRACK") => Pracked,
            () if sent.iter().any(|line| line == "INVITE") => Again,
            () if line.told(A).iter().all(|told| told == "Unreadable") => Unseen,
            () => Told,
        };
        if got != *expected {
            wrong.push((row, got));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_prack_names_what_it_acknowledges() {
    for (value, code) in [
        ("RSEQ 1 INVITE", 200),
        ("RSEQ\t1   INVITE", 200),
        ("RSEQ 2 INVITE", 481),
        ("RSEQ 1 BYE", 481),
        ("RSEQ 1 invite", 481),
        ("RSEQ0 1 INVITE", 481),
        ("-1 1 INVITE", 481),
        ("RSEQ 1", 481),
        ("RSEQ 1 INVITE INVITE", 481),
        ("", 481),
    ] {
        let mut line = Line::with(config(), config());
        let invite = REQUEST.replace("METHOD", "INVITE");
        line.receive(B, &with(&invite, Name::Require, "100rel"));
        let session = line.incoming(B);
        line.command(B, Command::Provisional { session, code: 180, reason: None, headers: Vec::new(), body: None });
        let ringing = line.last_response(B);
        let text = |name| String::from_utf8_lossy(ringing.header(name).unwrap()).into_owned();
        let prack = REQUEST.replace("METHOD", "PRACK").replace("bKh", "bKp").replace("CSeq: 1", "CSeq: 2");
        let prack = prack.replace("Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n", "Content-Length: 0\n\n");
        let prack = with(&prack, Name::To, &text(Name::To));
        line.receive(B, &with(&prack, Name::RAck, &value.replace("RSEQ", &text(Name::RSeq))));
        assert_eq!(line.last_response(B).code(), code, "{value}");
    }
}

#[test]
fn every_header_is_in_a_table_or_stays_as_it_came() {
    let tested = INVITES.iter().chain(REGISTERS).map(|row| row.0).chain(RESPONSES.iter().map(|row| row.0));
    let tested: BTreeSet<Name> = tested.chain(ABOVE.iter().copied()).collect();
    let unread: BTreeSet<Name> = UNREAD.iter().copied().collect();
    assert!(tested.is_disjoint(&unread), "{:?}", tested.intersection(&unread).collect::<Vec<_>>());
    let known: BTreeSet<Name> = Name::all().collect();
    let missing: Vec<_> = known.iter().filter(|name| !tested.contains(name) && !unread.contains(name)).collect();
    assert!(missing.is_empty(), "no message of {missing:?}");
    // Whatever its octets are, also with what would mean something elsewhere.
    for name in UNREAD {
        let value = b"\"a, \\\"b\" <c;d>\xff\xfe;e=\t f".as_slice();
        let head = REQUEST.replace("METHOD", "OPTIONS").replace('\n', "\r\n");
        let (head, body) = head.split_once("\r\n\r\n").unwrap();
        let message =
            [head.as_bytes(), b"\r\n", name.as_str().as_bytes(), b":  ", value, b" \r\n\r\n", body.as_bytes()].concat();
        let mut line = Line::with(config(), config());
        let flow = line.flow(B);
        line.handle(B, Input::Received { message: message.into(), flow });
        match &line.events(B)[..] {
            [Event::Request { request, .. }] => assert_eq!(request.header(*name), Some(value), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
