//! The torture messages of RFC 4475, octet for octet in `tests/torture/`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use bytes::Bytes;
use opentact_sip::flow::Flow;
use opentact_sip::message::{Frame, Message, Method, Name, Refusal, Request, StreamFramer, validate};
use opentact_sip::registrar::{Registrar, RegistrarConfig};
use opentact_sip::sdp::Session;
use opentact_sip::ua::{Command, Event, Input, Output, Ua, UaConfig};
use opentact_sip::uri::NameAddr;

/// What is done with a message.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Well-formed, and nothing keeps a server from acting on it.
    Accepted,
    /// Answered with this code.
    Refused(u16),
    /// Dropped: a response that cannot be used.
    Discarded,
}

use Fate::{Accepted, Discarded, Refused};

/// Name, section of RFC 4475 3, fate.
const MESSAGES: &[(&str, &str, Fate)] = &[
    ("wsinv", "1.1.1 a short tortuous INVITE", Accepted),
    ("intmeth", "1.1.2 wide range of valid characters", Refused(501)),
    ("esc01", "1.1.3 valid use of the % escaping mechanism", Accepted),
    ("escnull", "1.1.4 escaped nulls in URIs", Accepted),
    ("esc02", "1.1.5 use of % when it is not an escape", Refused(501)),
    ("lwsdisp", "1.1.6 no LWS between display name and <", Accepted),
    ("longreq", "1.1.7 long values in header fields", Accepted),
    ("dblreq", "1.1.8 extra trailing octets in a UDP datagram", Accepted),
    ("semiuri", "1.1.9 semicolon-separated parameters in URI user part", Accepted),
    ("transports", "1.1.10 varied and unknown transport types", Accepted),
    ("mpart01", "1.1.11 multipart MIME message", Accepted),
    ("unreason", "1.1.12 unusual reason phrase", Accepted),
    ("noreason", "1.1.13 empty reason phrase", Accepted),
    ("badinv01", "1.2.1 extraneous header field separators", Refused(400)),
    ("clerr", "1.2.2 Content-Length larger than message", Refused(400)),
    ("ncl", "1.2.3 negative Content-Length", Refused(400)),
    ("scalar02", "1.2.4 request scalar fields with overlarge values", Refused(400)),
    ("scalarlg", "1.2.5 response scalar fields with overlarge values", Discarded),
    ("quotbal", "1.2.6 unterminated quoted string in display name", Refused(400)),
    ("ltgtruri", "1.2.7 <> enclosing Request-URI", Refused(400)),
    ("lwsruri", "1.2.8 LWS within the Request-URI", Refused(400)),
    ("lwsstart", "1.2.9 multiple SP separating Request-Line elements", Refused(400)),
    ("trws", "1.2.10 SP characters at end of Request-Line", Refused(400)),
    ("escruri", "1.2.11 escaped headers in SIP Request-URI", Refused(400)),
    ("baddate", "1.2.12 invalid time zone in Date header field", Refused(400)),
    ("regbadct", "1.2.13 failure to enclose name-addr URI in <>", Refused(400)),
    ("badaspec", "1.2.14 spaces within addr-spec", Refused(400)),
    ("baddn", "1.2.15 non-token characters in display name", Refused(400)),
    ("badvers", "1.2.16 unknown protocol version", Refused(505)),
    ("mismatch01", "1.2.17 start line and CSeq method mismatch", Refused(400)),
    ("mismatch02", "1.2.18 unknown method with CSeq method mismatch", Refused(400)),
    ("bigcode", "1.2.19 overlarge response code", Discarded),
    ("badbranch", "2.1 missing transaction identifier", Accepted),
    ("insuf", "3.1 missing required header fields", Refused(400)),
    ("unkscm", "3.2 Request-URI with unknown scheme", Refused(416)),
    ("novelsc", "3.3 Request-URI with known but atypical scheme", Refused(416)),
    ("unksm2", "3.4 unknown URI schemes in header fields", Refused(400)),
    ("bext01", "3.5 Proxy-Require and Require", Refused(420)),
    ("invut", "3.6 unknown Content-Type", Refused(415)),
    ("regaut01", "3.7 unknown authorization scheme", Accepted),
    ("multi01", "3.8 multiple values in single value required fields", Refused(400)),
    ("mcl01", "3.9 multiple Content-Length values", Refused(400)),
    ("bcast", "3.10 200 OK response with broadcast Via", Accepted),
    ("zeromf", "3.11 Max-Forwards of zero", Accepted),
    ("cparam01", "3.12 REGISTER with a Contact header parameter", Accepted),
    ("cparam02", "3.13 REGISTER with a url-parameter", Accepted),
    ("regescrt", "3.14 REGISTER with a URL escaped header", Accepted),
    ("sdp01", "3.15 unacceptable Accept offering", Refused(406)),
    ("inv2543", "4.1 INVITE with RFC 2543 syntax", Accepted),
];

fn octets(name: &str) -> Bytes {
    let path = format!("{}/tests/torture/{name}.dat", env!("CARGO_MANIFEST_DIR"));
    Bytes::from(std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn request(name: &str) -> Request {
    match Message::parse(octets(name)).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("{name} is a response"),
    }
}

fn refusal(name: &str) -> Refusal {
    validate(&request(name)).unwrap_err()
}

fn fate(name: &str) -> Fate {
    match Message::parse(octets(name)) {
        Err(_) => Discarded,
        Ok(Message::Response(response)) if response.is_sound() => Accepted,
        Ok(Message::Response(_)) => Discarded,
        Ok(Message::Request(request)) => match validate(&request) {
            Ok(()) => Accepted,
            Err(refusal) => {
                let reply = refusal.reply(&request).build();
                assert!(Message::parse(reply.bytes().clone()).is_ok(), "{name}: an answer nobody can read");
                Refused(refusal.code)
            }
        },
    }
}

#[test]
fn every_message_meets_its_fate() {
    let wrong: Vec<_> = MESSAGES
        .iter()
        .map(|(name, section, expected)| (name, section, expected, fate(name)))
        .filter(|(.., expected, got)| *expected != got)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn flow() -> Flow {
    Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap())
}

/// What a user agent makes of datagrams: the final answers it gives, and whether it tells the layer above of each.
fn received(ua: &mut Ua, datagrams: &[Bytes]) -> (Vec<u16>, Vec<&'static str>) {
    let (mut answers, mut told) = (Vec::new(), Vec::new());
    for datagram in datagrams {
        ua.handle(Instant::now(), Input::Received { message: datagram.clone(), flow: flow() });
        while let Some(output) = ua.poll() {
            match output {
                Output::Transmit { bytes, .. } => match Message::parse(bytes).unwrap() {
                    Message::Response(response) if response.code() >= 200 => answers.push(response.code()),
                    Message::Response(_) => {}
                    Message::Request(request) => panic!("asks for {:?}", request.method()),
                },
                Output::Event(Event::Invite { .. } | Event::Request { .. }) => told.push("taken"),
                Output::Event(Event::Unreadable { .. }) => told.push("unreadable"),
                Output::Event(event) => panic!("{event:?}"),
            }
        }
    }
    (answers, told)
}

/// What is refused is answered in truth, what is accepted is taken by the layer above, and a response that nobody has asked
/// for is nothing, wherever its Via leads (3.3.10).
#[test]
fn every_message_is_answered_or_taken_by_a_user_agent() {
    for (name, section, fate) in MESSAGES {
        let (answers, told) = received(&mut Ua::new(UaConfig::default(), 1), &[octets(name)]);
        let expected = match (fate, Message::parse(octets(name))) {
            (Refused(code), _) => (vec![*code], vec![]),
            // It belongs to a dialog that is not here.
            (Accepted, _) if *name == "wsinv" => (vec![481], vec![]),
            (Accepted, Ok(Message::Request(_))) => (vec![], vec!["taken"]),
            (Accepted, _) => (vec![], vec![]),
            (Discarded, _) => (vec![], vec!["unreadable"]),
        };
        assert_eq!((answers, told), expected, "{name}, {section}");
    }
}

/// 3.2.1: all requests of who makes such branches would otherwise be repetitions of the first.
#[test]
fn a_branch_without_an_identifier_identifies_nothing() {
    let first = octets("badbranch");
    let text = String::from_utf8_lossy(&first);
    let second = Bytes::from(text.replace("badbranch.sadonfo23i420jv0as0derf3j3n", "another"));
    assert_ne!(first, second);
    let mut ua = Ua::new(UaConfig::default(), 1);
    assert_eq!(received(&mut ua, &[first.clone(), second, first]).1, ["taken", "taken"]);
}

/// 3.4.1: without a tag, a branch, a length and a Contact. It is hung up at the address it has come from, by the proxy that
/// has recorded its route.
#[test]
fn an_invite_of_rfc_2543_is_answered_and_hung_up() {
    let mut ua = Ua::new(UaConfig::default(), 1);
    let mut handle = |input| {
        ua.handle(Instant::now(), input);
        std::iter::from_fn(|| ua.poll()).collect::<Vec<_>>()
    };
    let invited = handle(Input::Received { message: octets("inv2543"), flow: flow() });
    let [Output::Transmit { .. }, Output::Event(Event::Invite { session, .. })] = invited[..] else {
        panic!("{invited:?}")
    };
    let accept = Command::Accept { session, headers: Vec::new(), body: None, contact: None };
    let answered = handle(Input::Command(accept));
    let [Output::Transmit { bytes, .. }] = &answered[..] else { panic!("{answered:?}") };
    let Message::Response(answer) = Message::parse(bytes.clone()).unwrap() else { panic!("no response") };
    assert_eq!(answer.header(Name::RecordRoute), request("inv2543").header(Name::RecordRoute));
    let to = String::from_utf8_lossy(answer.header(Name::To).unwrap()).into_owned();
    let text = String::from_utf8_lossy(&octets("inv2543")).replace("INVITE", "ACK");
    let ack = text.replace("To: sip:+16505552222@ss1.example.net;user=phone", &format!("To: {to}"));
    assert_ne!(text, ack);
    handle(Input::Received { message: ack.into(), flow: flow() });
    let hung_up = handle(Input::Command(Command::Bye { session, headers: Vec::new() }));
    let [Output::Transmit { bytes, .. }] = &hung_up[..] else { panic!("{hung_up:?}") };
    let Message::Request(bye) = Message::parse(bytes.clone()).unwrap() else { panic!("no request") };
    assert_eq!(*bye.method(), Method::Bye);
    // The router is a strict one, as they were then: it is the Request-URI, and who is meant the last of the route.
    assert_eq!(bye.uri().unwrap().to_string(), "sip:UserB@example.com;maddr=ss1.example.com");
    let route: Vec<_> = bye.routes().map(|route| route.unwrap().uri.to_string()).collect();
    assert_eq!(route, ["sip:+13035551111@ift.client.example.net;user=phone"]);
    assert_eq!(bye.to_tag(), None);
}

/// 3.3.12 to 3.3.14: what stands behind the brackets is the header's, what stands within is the URI's, and a header that a URI
/// names is for who uses it, not for the registrar.
#[test]
fn contacts_are_bound_as_they_are_written() {
    for (name, contact) in [
        ("cparam01", "sip:+19725552222@gw1.example.net"),
        ("cparam02", "sip:+19725552222@gw1.example.net;unknownparam"),
        ("regescrt", "sip:user@example.com?Route=%3Csip:sip.example.com%3E"),
    ] {
        let (now, mut registrar) = (Instant::now(), Registrar::new(RegistrarConfig::default()));
        registrar.register(now, "watson@example.com", &request(name), flow()).unwrap();
        let [binding] = registrar.lookup(now, "watson@example.com")[..] else { panic!("{name}") };
        assert_eq!(binding.contact.to_string(), contact, "{name}");
    }
}

#[test]
fn every_file_is_in_the_table() {
    let files = std::fs::read_dir(format!("{}/tests/torture", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut table: Vec<_> = MESSAGES.iter().map(|(name, ..)| name.to_string()).collect();
    table.sort();
    assert_eq!(names, table);
    assert_eq!(table.len(), 49);
}

#[test]
fn wsinv_is_understood_in_full() {
    let wsinv = request("wsinv");
    assert_eq!(wsinv.to_tag(), Some(&b"1918181833n"[..]));
    assert_eq!(wsinv.from().unwrap().display.as_deref(), Some(r#"J Rosenberg \""#));
    assert_eq!(wsinv.from_tag(), Some(&b"98asjd8"[..]));
    assert_eq!(wsinv.max_forwards(), Ok(Some(68)));
    assert_eq!(wsinv.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!(wsinv.header(Name::Subject), Some(&b""[..]));
    let vias: Vec<_> = wsinv.vias().map(|via| via.unwrap().to_string()).collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
        ]
    );
    let contact = wsinv.contacts().next().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(
        (contact.param("newparam"), contact.params().has("secondparam"), contact.q()),
        (Some("newvalue"), true, 330)
    );
    let route = wsinv.routes().next().unwrap().unwrap();
    assert!(route.uri.is_loose() && route.uri.params().has("unknown-no-value"));
    assert_eq!(wsinv.headers().get_by_name("unknownheaderwithunusualvalue"), Some(&b";;,,;;,;"[..]));
    let session = Session::parse(wsinv.body()).unwrap();
    assert_eq!(session.media.len(), 2);
}

#[test]
fn intmeth_keeps_its_octets() {
    let intmeth = request("intmeth");
    assert_eq!(intmeth.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = intmeth.uri().unwrap();
    assert_eq!(uri.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(intmeth.to().unwrap().display.as_deref(), Some("BEL:\x07 NUL:\0 DEL:\x7f"));
    let from = intmeth.from().unwrap();
    assert_eq!(from.display.as_deref(), Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(
        from.param("fromParam''~+*_!.-%"),
        Some("\"\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\u{44e}\u{449}\u{438}\u{439}\"")
    );
    assert_eq!(intmeth.from_tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(refusal("intmeth").headers[0].0, Name::Allow);
}

#[test]
fn escapes_mean_something_only_where_the_grammar_says() {
    let esc01 = request("esc01");
    assert_eq!(esc01.uri().unwrap().user_text().unwrap(), "sips:user@example.com");
    assert_eq!(esc01.to().unwrap().uri.user_text().unwrap(), "user");
    let plain: NameAddr = "<sip:caller@host5.example.net;lr;name=value%41>".parse().unwrap();
    let contact = esc01.contacts().next().unwrap().unwrap();
    assert_eq!(contact.uri.user_text(), plain.uri.user_text());
    let esc02 = request("esc02");
    assert_ne!(*esc02.method(), Method::Register);
    assert_eq!(esc02.contacts().count(), 2);
    assert_eq!(esc02.to().unwrap().display.as_deref(), Some("%Z%45"));
    let escnull = request("escnull");
    let contacts: Vec<_> = escnull.contacts().map(|contact| contact.unwrap().uri).collect();
    assert!(!contacts[0].equivalent(&contacts[1]));
    assert_eq!(contacts[1].user_text().unwrap(), "\0\0");
}

#[test]
fn a_datagram_holds_one_message_and_a_stream_both() {
    assert!(request("dblreq").body().is_empty());
    assert!(!request("dblreq").bytes().ends_with(b"LPC\r\n"));
    let mut framer = StreamFramer::new(65_535);
    framer.push(&octets("dblreq"));
    let Some(Ok(Frame::Message(first))) = framer.next() else { panic!("no first message") };
    assert!(first.starts_with(b"REGISTER"));
    let Some(Ok(Frame::Message(second))) = framer.next() else { panic!("no second message") };
    let Message::Request(invite) = Message::parse(second).unwrap() else { panic!("no request") };
    assert_eq!(*invite.method(), Method::Invite);
    // Its description has `m =video`, which RFC 4566 forbids.
    assert!(Session::parse(invite.body()).is_err());
}

#[test]
fn longreq_has_all_its_vias() {
    let longreq = request("longreq");
    assert_eq!(longreq.vias().filter(Result::is_ok).count(), 34);
    assert_eq!(longreq.to().unwrap().uri.port(), Some(6000));
    assert_eq!(longreq.headers().get(Name::ContentType), Some(&b"application/sdp"[..]));
}

#[test]
fn binary_bodies_come_whole() {
    assert_eq!(request("mpart01").body().len(), 553);
}

#[test]
fn refusals_carry_their_headers() {
    let bext01 = refusal("bext01");
    assert_eq!(bext01.headers[0].0, Name::Unsupported);
    assert!(bext01.headers[0].1.contains("nothingSupportsThisEither"));
    let invut = refusal("invut").reply(&request("invut")).build();
    assert!(invut.header(Name::Accept).unwrap().starts_with(b"application/sdp"));
    assert_eq!(invut.code(), 415);
}

#[test]
fn contact_parameters_belong_where_they_stand() {
    let contact = |name: &str| request(name).contacts().next().unwrap().unwrap();
    assert!(contact("cparam01").params().has("unknownparam"));
    assert!(!contact("cparam01").uri.params().has("unknownparam"));
    assert!(contact("cparam02").uri.params().has("unknownparam"));
    assert_eq!(contact("regescrt").uri.headers(), Some("Route=%3Csip:sip.example.com%3E"));
}

#[test]
fn unusual_reason_phrases_are_kept() {
    let Message::Response(unreason) = Message::parse(octets("unreason")).unwrap() else { panic!("no response") };
    assert!(unreason.reason().starts_with("= 2**3 * 5**2 \u{43d}\u{43e}"));
    let Message::Response(noreason) = Message::parse(octets("noreason")).unwrap() else { panic!("no response") };
    assert_eq!((noreason.code(), noreason.reason().as_ref()), (100, ""));
}
