//! SIP: requests, responses, and values of every header that is read.

use crate::Grammar;

const ADDRESSES: &[&str] = &[
    "<sip:alice@example.com>;tag=a",
    "\"A \\\" <,;>\" <sip:%61lice:pw@[2001:db8::1]:5070;lr;x=\"y\"?h=v>;tag=b;q=0.5",
    "Alice B <sips:alice@example.com;transport=tls>",
    "sip:alice@192.0.2.1;tag=c;expires=5",
    "<tel:+1-202-555-0123;phone-context=example.com>;tag=d",
    "<urn:service:sos>",
    "<sip:a@b>, \"x\" <sip:c@d;gr=urn:uuid:0>;+sip.instance=\"<urn:uuid:0>\";reg-id=1",
    "*",
    "<>",
    "<sip:@>",
    "<sip:a@b:99999>",
    "\"\" <sip:a@b>;tag=",
];
const CREDENTIALS: &[&str] = &[
    "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:b\", response=\"00000000000000000000000000000000\"",
    "Digest realm=\"r\",nonce=\"n\",qop=\"auth,auth-int\",algorithm=SHA-256,opaque=\"\",stale=TRUE",
    "Digest username*=UTF-8''J%C3%A4s, realm=\"a\\\"b\", nonce=\"n\", uri=\"*\", response=\"0\", qop=auth, nc=0000000a, cnonce=\"c\"",
    "Basic QWxhZGRpbg==",
    "Digest",
];
const TAGS: &[&str] = &["100rel, timer", "replaces,,gruu", "path\t, outbound", "nothing-known", ""];
const NUMBERS: &[&str] = &["0", "1", "70", "255", "256", "90;refresher=uac", "4294967295", "4294967296", "-1", "x", ""];

pub const SIP: Grammar = Grammar {
    messages: &[
        "INVITE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\nMax-Forwards: 70\n\
         From: Alice <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>\nCall-ID: 1@192.0.2.1\nCSeq: 1 INVITE\n\
         Contact: <sip:alice@192.0.2.1>\nSupported: 100rel, timer\nContent-Type: application/sdp\nContent-Length: 103\n\n\
         v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n",
        "REGISTER sip:example.com SIP/2.0\nv: SIP/2.0/TCP [2001:db8::1];branch=z9hG4bK2\nf: <sip:a@example.com>;tag=a\n\
         t: <sip:a@example.com>\ni: 2\nCSeq: 2 REGISTER\nm: <sip:a@[2001:db8::1]>;expires=60, <sip:b@c>;q=0.1\nl: 0\n\n",
        "SIP/2.0 183 Session Progress\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.9;rport=5060\n\
         From: <sip:alice@example.com>;tag=a\nTo: <sip:bob@example.com>;tag=b\nCall-ID: 1@192.0.2.1\nCSeq: 1 INVITE\n\
         Require: 100rel\nRSeq: 7\nRecord-Route: <sip:p.example;lr>\nContact: <sip:bob@192.0.2.2>\nContent-Length: 0\n\n",
        "SIP/2.0 401 Unauthorized\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=a\nTo: <sip:a@b>;tag=b\n\
         Call-ID: 3\nCSeq: 3 REGISTER\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\nContent-Length: 0\n\n",
        "\n\n",
    ],
    starts: &[
        "INVITE sip:bob@192.0.2.2 SIP/2.0",
        "ACK sip:bob@[2001:db8::2]:5070;transport=tcp SIP/2.0",
        "OPTIONS sips:bob@example.com;user=phone SIP/2.0",
        "SUBSCRIBE tel:+12025550123 SIP/2.0",
        "NEWMETHOD! http://example.com SIP/2.0",
        "MESSAGE sip:a@b?Subject=x SIP/2.0",
        "INVITE <sip:a@b> SIP/2.0",
        "INVITE  sip:a b SIP/7.0 ",
        "SIP/2.0 100 Trying",
        "SIP/2.0 200",
        "SIP/2.0 699 \u{fc}ber",
        "SIP/2.0 4294967301 Better",
    ],
    fields: &[
        (
            "Via",
            &[
                "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport",
                "SIP / 2.0 / TLS host.example ; branch = z9hG4bK2 ; received=2001:db8::1",
                "SIP/2.0/UDP [2001:db8::1]:5060;received=[2001:db8::2];rport=1, SIP/2.0/WS x.invalid;branch=1",
                "SIP/2.0/FUTURE a;ttl=1;maddr=224.0.0.1;x=\"a;b,c\"",
                "SIP/2.0/UDP",
                "SIP/2.0/UDP a:65536",
            ],
        ),
        ("From", ADDRESSES),
        ("To", ADDRESSES),
        ("Contact", ADDRESSES),
        ("Route", ADDRESSES),
        ("Record-Route", ADDRESSES),
        ("P-Asserted-Identity", ADDRESSES),
        ("Refer-To", ADDRESSES),
        ("Path", ADDRESSES),
        ("Diversion", ADDRESSES),
        ("History-Info", &["<sip:a@b?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@d>;index=1.1;mp=1"]),
        ("Call-ID", &["1@192.0.2.1", "a", "<>[]{}\"\\", "", " "]),
        ("CSeq", &["1 INVITE", "0 ACK", "2147483647 REGISTER", "2147483648 INVITE", "1  NEWMETHOD!", "1", "INVITE 1"]),
        ("Max-Forwards", NUMBERS),
        ("Expires", NUMBERS),
        ("Min-SE", NUMBERS),
        ("Session-Expires", NUMBERS),
        ("RSeq", NUMBERS),
        ("Content-Length", NUMBERS),
        ("RAck", &["7 1 INVITE", "4294967295 4294967295 INVITE", "1 INVITE"]),
        ("Require", TAGS),
        ("Proxy-Require", TAGS),
        ("Supported", TAGS),
        ("Authorization", CREDENTIALS),
        ("Proxy-Authorization", CREDENTIALS),
        ("WWW-Authenticate", CREDENTIALS),
        ("Proxy-Authenticate", CREDENTIALS),
        ("Content-Type", &["application/sdp", "Multipart/mixed;boundary=\"a b\"", "text/plain ; charset=x", "/", ""]),
        ("Content-Disposition", &["session;handling=optional", "render"]),
        ("Content-Encoding", &["gzip", "identity"]),
        ("Accept", &["application/sdp;level=1, */*", "text/plain", ""]),
        (
            "Date",
            &[
                "Sat, 13 Nov 2010 23:29:00 GMT",
                "Sat, 13 Nov 2010 23:29:00 EST",
                "\u{e4}\u{e4}\u{e4}\u{e4}, 13 Nov 2010 23:29 GMT",
            ],
        ),
        ("Event", &["dialog;id=1", "refer", ""]),
        ("Replaces", &["1@192.0.2.1;to-tag=a;from-tag=b;early-only", ";to-tag="]),
        ("Reason", &["Q.850;cause=16;text=\"a;b\", SIP;cause=200", "X;cause="]),
        ("Timestamp", &["54.1", "54 .2"]),
        ("X-Unknown", &["\u{fc}", "a: b", ""]),
    ],
    colon: ": ",
};
