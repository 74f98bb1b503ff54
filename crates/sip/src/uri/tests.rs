use super::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn parts_are_found() {
    let all = uri("sips:al%20ice;day=tue:pa@[2001:db8::1]:5070;transport=TCP;lr?Subject=x&Priority=urgent");
    assert_eq!(all.scheme(), Scheme::Sips);
    assert_eq!(all.user(), Some("al%20ice;day=tue"));
    assert_eq!(all.user_text().unwrap(), "al ice;day=tue");
    assert_eq!(all.password(), Some("pa"));
    assert_eq!(all.host(), "[2001:db8::1]");
    assert_eq!(all.socket_addr(), Some("[2001:db8::1]:5070".parse().unwrap()));
    assert_eq!(all.param("Transport"), Some("TCP"));
    assert!(all.is_loose());
    assert_eq!(all.headers(), Some("Subject=x&Priority=urgent"));
    let bare = uri("sip:example.com");
    assert_eq!((bare.user(), bare.host(), bare.port(), bare.headers()), (None, "example.com", None, None));
    let tel = uri("tel:+1-201-555-0123;phone-context=x");
    assert_eq!((tel.user(), tel.param("phone-context")), (Some("+1-201-555-0123"), Some("x")));
    assert_eq!(uri("isbn:2983792873").scheme(), Scheme::Other);
}

#[test]
fn malformed_ones_are_refused() {
    for text in [
        "",
        "sip:",
        ":x",
        "1sip:x",
        "sip:@host",
        "sip:user@",
        "sip:a b@c",
        "sip:host:",
        "sip:host:99999",
        "sip:host:+5",
        "sip:[::1",
        "sip:[x]",
        "sip:ho<st",
        "sip:50%@host",
        "sip:h;p=%4",
        "tel:",
        "tel:+",
        "tel:abcxyz",
        "nocolon",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text}");
    }
}

// The examples of RFC 3261 19.1.4.
#[test]
fn equivalence_is_that_of_the_rfc() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("sip:a@b;p=1;p=2", "sip:a@b;p=1;p=2"),
    ] {
        assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} {b}");
    }
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@b", "sips:a@b"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn parts_can_be_changed() {
    let at = uri("sip:bob:pw@example.com:5080;transport=tcp;lr?a=b");
    assert_eq!(at.with_param("ob", None).as_str(), "sip:bob:pw@example.com:5080;transport=tcp;lr;ob?a=b");
    assert_eq!(
        at.with_param("transport", Some("ws x")).as_str(),
        "sip:bob:pw@example.com:5080;lr;transport=ws%20x?a=b"
    );
    assert_eq!(at.without_param("LR").as_str(), "sip:bob:pw@example.com:5080;transport=tcp?a=b");
    assert_eq!(at.without_params().as_str(), "sip:bob:pw@example.com:5080");
    assert_eq!(at.with_user("a@b").user(), Some("a%40b"));
    let moved = at.with_addr("[::1]:7".parse().unwrap());
    assert_eq!((moved.host(), moved.port(), moved.param("transport")), ("[::1]", Some(7), Some("tcp")));
    assert_eq!(Uri::from_addr(Some("x"), "192.0.2.1:5060".parse().unwrap()).as_str(), "sip:x@192.0.2.1:5060");
    assert!(Uri::sip(None, "bad host", None).is_err());
}

#[test]
fn addresses_with_names() {
    let parse = |text: &str| text.parse::<NameAddr>();
    let quoted = parse(r#""Bob \"B\" X" <sip:bob@x;lr>;tag=9 ; q = 0.5;flag"#).unwrap();
    assert_eq!(quoted.display.as_deref(), Some("Bob \"B\" X"));
    assert_eq!((quoted.tag(), quoted.q(), quoted.uri.is_loose()), (Some("9"), 500, true));
    assert_eq!(quoted.to_string(), r#""Bob \"B\" X" <sip:bob@x;lr>;tag=9;q=0.5;flag"#);
    let bare = parse("sip:bob@x;tag=7").unwrap();
    assert_eq!((bare.tag(), bare.uri.as_str(), bare.q()), (Some("7"), "sip:bob@x", 1000));
    assert_eq!(bare.clone().with_tag("8").to_string(), "<sip:bob@x>;tag=8");
    assert_eq!(bare.without_tag().to_string(), "<sip:bob@x>");
    assert_eq!(parse("A b.c <sip:x>").unwrap().display.as_deref(), Some("A b.c"));
    let instance = parse("<sip:x>").unwrap().with_param("+sip.instance", Some("<urn:uuid:1>"));
    assert_eq!(instance.to_string(), "<sip:x>;+sip.instance=\"<urn:uuid:1>\"");
    for text in [
        "\"open <sip:x>",
        "Bell, A <sip:x>",
        "<sip:x",
        "sip:x?a=b",
        "\"a\" sip:x",
        "<sip:x> tag=1",
        "< sip:x >",
        "<sip:x>;t g=1",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}
