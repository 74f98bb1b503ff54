use bytes::Bytes;

use super::nonce::{Nonce, UsedNonces};
use super::*;
use crate::message::{Message, Method, Name};

const KEY: [u8; 32] = [7; 32];
const BOTH: &[Algorithm] = &[Algorithm::Sha256, Algorithm::Md5];
const NOW: u64 = 1_700_000_000;
const NANOS: u64 = 1_000_000_000;

struct Door {
    challenger: Challenger,
    now: u64,
}

impl Door {
    fn new() -> Self {
        Self { challenger: Challenger::new(KEY, NOW * NANOS), now: NOW }
    }

    fn challenge(&mut self, algorithm: usize) -> Challenge {
        let values = self.challenger.challenge("example.com", BOTH, false, self.now);
        Challenge::parse(values[algorithm].as_bytes()).unwrap()
    }

    fn verify(&mut self, header: &str) -> Verdict {
        self.challenger.verify_headers(
            [header.as_bytes()],
            "example.com",
            &Method::Register,
            BOTH,
            |user, algorithm| {
                (user == "alice").then(|| Ha1::new(algorithm.hash(), "alice", "example.com", "open sesame"))
            },
            self.now,
        )
    }
}

fn alice() -> Credentials {
    Credentials::password("alice", "open sesame")
}

fn respond(challenge: &Challenge, credentials: &Credentials, nc: u32) -> String {
    challenge.answer(credentials, &Method::Register, "sip:example.com", b"", nc, "c0").unwrap()
}

fn response_of(header: &str) -> &str {
    header.split("response=\"").nth(1).unwrap().split('"').next().unwrap()
}

// RFC 7616 3.9.1.
#[test]
fn the_examples_of_the_rfcs() {
    let credentials = Credentials::password("Mufasa", "Circle of Life");
    for (algorithm, expected) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        let get = Method::parse(b"GET").unwrap();
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let header = answer(challenge.as_bytes(), &get, "/dir/index.html", &credentials, 1, cnonce).unwrap();
        assert_eq!(response_of(&header), expected);
        assert!(header.contains("nc=00000001") && header.contains("qop=auth,") && header.contains("opaque=\"FQhe"));
    }
    // RFC 2617 3.5.
    let challenge =
        b"Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let credentials = Credentials::password("Mufasa", "Circle Of Life");
    let get = Method::parse(b"GET").unwrap();
    let header = answer(challenge, &get, "/dir/index.html", &credentials, 1, "0a4f113b").unwrap();
    assert_eq!(response_of(&header), "6629fae49393a05397450978507c4ef1");
    assert!(!header.contains("algorithm"));
}

#[test]
fn a_challenge_is_answered_and_verified_with_both_hashes() {
    for algorithm in [0, 1] {
        let mut door = Door::new();
        let challenge = door.challenge(algorithm);
        assert_eq!(challenge.algorithm, BOTH[algorithm]);
        let header = respond(&challenge, &alice(), 1);
        assert_eq!(door.verify(&header), Verdict::Ok("alice".into()));
    }
}

#[test]
fn the_count_is_hexadecimal() {
    let mut door = Door::new();
    let challenge = door.challenge(0);
    for nc in 1..=20 {
        let header = respond(&challenge, &alice(), nc);
        assert!(header.contains(&format!("nc={nc:08x},")));
        assert_eq!(door.verify(&header), Verdict::Ok("alice".into()), "use {nc}");
    }
}

#[test]
fn a_count_is_good_once() {
    let mut door = Door::new();
    let challenge = door.challenge(0);
    let first = respond(&challenge, &alice(), 1);
    assert_eq!(door.verify(&first), Verdict::Ok("alice".into()));
    assert_eq!(door.verify(&first), Verdict::Stale);
    // Requests may overtake each other.
    assert_eq!(door.verify(&respond(&challenge, &alice(), 5)), Verdict::Ok("alice".into()));
    assert_eq!(door.verify(&respond(&challenge, &alice(), 3)), Verdict::Ok("alice".into()));
    assert_eq!(door.verify(&respond(&challenge, &alice(), 3)), Verdict::Stale);
    assert_eq!(door.verify(&respond(&challenge, &alice(), 500)), Verdict::Ok("alice".into()));
    assert_eq!(door.verify(&respond(&challenge, &alice(), 400)), Verdict::Stale);
}

#[test]
fn old_and_foreign_nonces_are_stale() {
    let mut door = Door::new();
    let challenge = door.challenge(0);
    door.now += 301;
    assert_eq!(door.verify(&respond(&challenge, &alice(), 1)), Verdict::Stale);
    let mut other = Door { challenger: Challenger::new([8; 32], NOW * NANOS), now: NOW };
    let foreign = other.challenge(0);
    assert_eq!(door.verify(&respond(&foreign, &alice(), 1)), Verdict::Stale);
    // The next challenge says so.
    let again = door.challenger.challenge("example.com", BOTH, true, door.now);
    assert!(Challenge::parse(again[0].as_bytes()).unwrap().stale);
}

#[test]
fn nonces_of_before_a_restart_are_stale_and_their_credentials_checked() {
    let mut door = Door::new();
    let (used, unused) = (door.challenge(0), door.challenge(0));
    let first = respond(&used, &alice(), 1);
    assert_eq!(door.verify(&first), Verdict::Ok("alice".into()));
    // Later, in the same instant after a clock was set back a little, and long before.
    for start in [NOW * NANOS + 1, NOW * NANOS + 2, (NOW - 3_600) * NANOS] {
        door.challenger = Challenger::new(KEY, start);
        assert_eq!(door.verify(&first), Verdict::Stale, "a replay");
        assert_eq!(door.verify(&respond(&used, &alice(), 2)), Verdict::Stale);
        assert_eq!(door.verify(&respond(&unused, &Credentials::password("alice", "x"), 1)), Verdict::Wrong);
        let fresh = door.challenge(0);
        assert_eq!(door.verify(&respond(&fresh, &alice(), 1)), Verdict::Ok("alice".into()));
    }
}

#[test]
fn wrong_credentials_are_wrong() {
    let mut door = Door::new();
    let challenge = door.challenge(0);
    let right = respond(&challenge, &alice(), 1);
    assert_eq!(door.verify(&respond(&challenge, &Credentials::password("alice", "x"), 1)), Verdict::Wrong);
    assert_eq!(door.verify(&respond(&challenge, &Credentials::password("bob", "open sesame"), 1)), Verdict::Wrong);
    assert_eq!(door.verify(&right.replace("nc=00000001", "nc=00000002")), Verdict::Wrong);
    assert_eq!(door.verify(&right.replace("nc=00000001", "nc=1")), Verdict::Wrong);
    assert_eq!(door.verify(&right.replace("qop=auth,", "qop=auth-int,")), Verdict::Wrong);
    assert_eq!(door.verify(&right.replace("sip:example.com", "sip:example.org")), Verdict::Wrong);
    assert_eq!(door.verify(&right.replace("SHA-256", "MD5-sess")), Verdict::Wrong);
    assert_eq!(door.verify(&right.replace("realm=\"example.com\"", "realm=\"other\"")), Verdict::Missing);
    assert_eq!(door.verify("NoOneKnowsThisScheme opaque-data=here"), Verdict::Missing);
    assert_eq!(door.verify("Digest"), Verdict::Missing);
    assert_eq!(door.verify(&right.replace("response", "reply")), Verdict::Missing);
    // None of these used up the count.
    assert_eq!(door.verify(&right), Verdict::Ok("alice".into()));
}

#[test]
fn stored_secrets_and_session_algorithms_work() {
    let mut door = Door::new();
    let stored = Credentials {
        user: "alice".into(),
        secret: Secret::Ha1 { md5: Some(Ha1::new(Hash::Md5, "alice", "example.com", "open sesame")), sha256: None },
    };
    let sha = door.challenge(0);
    assert_eq!(sha.answer(&stored, &Method::Register, "sip:example.com", b"", 1, "c"), None);
    let md5 = door.challenge(1);
    assert_eq!(door.verify(&respond(&md5, &stored, 1)), Verdict::Ok("alice".into()));

    let session = &[Algorithm::Sha256Sess];
    let value = door.challenger.challenge("example.com", session, false, NOW).remove(0);
    let header = respond(&Challenge::parse(value.as_bytes()).unwrap(), &alice(), 1);
    let authorization = Authorization::parse(header.as_bytes()).unwrap();
    let secret = Ha1::new(Hash::Sha256, "alice", "example.com", "open sesame");
    let verdict = door.challenger.verify(&authorization, "example.com", &Method::Register, session, Some(&secret), NOW);
    assert_eq!(verdict, Verdict::Ok("alice".into()));
}

#[test]
fn clients_without_qop_use_a_nonce_once() {
    let mut door = Door::new();
    let values = door.challenger.challenge("example.com", BOTH, false, NOW);
    let old = values[1].replace(", qop=\"auth\"", "");
    let header = respond(&Challenge::parse(old.as_bytes()).unwrap(), &alice(), 1);
    assert!(!header.contains("nc="));
    assert_eq!(door.verify(&header), Verdict::Ok("alice".into()));
    assert_eq!(door.verify(&header), Verdict::Stale);
}

#[test]
fn the_topmost_challenge_of_each_realm_is_answered() {
    let text = "SIP/2.0 401 Unauthorized\r\n\
        WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256, qop=\"auth\"\r\n\
        WWW-Authenticate: Digest realm=\"a\",nonce=\"2\",algorithm=SHA-256,qop=\"auth,auth-int\"\r\n\
        WWW-Authenticate: Digest realm=\"a\", nonce=\"3\", algorithm=MD5, qop=\"auth\"\r\n\
        WWW-Authenticate: Basic realm=\"a\"\r\n\
        Proxy-Authenticate: Digest realm=\"b, \\\"c\\\"\", nonce=\"4\", qop=auth-int, stale=TRUE\r\n\r\n";
    let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
    let all = Challenge::all(message.headers());
    let picked: Vec<_> = all.iter().map(|(name, c)| (*name, c.realm.as_str(), c.nonce.as_str(), c.stale)).collect();
    assert_eq!(picked, [(Name::Authorization, "a", "2", false), (Name::ProxyAuthorization, "b, \"c\"", "4", true)]);
    let header = all[1].1.answer(&alice(), &Method::Invite, "sip:x", b"body", 1, "c").unwrap();
    assert!(header.contains("qop=auth-int") && header.contains(r#"realm="b, \"c\"""#));
}

#[test]
fn a_forged_nonce_is_not_opened() {
    let nonce = Nonce { made: NOW, serial: 9 };
    let sealed = nonce.seal(&KEY, "r".into());
    assert_eq!(Nonce::open(&sealed, &KEY, "r".into()), Some(nonce));
    assert_eq!(Nonce::open(&sealed, &KEY, "s".into()), None);
    assert_eq!(Nonce::open(&sealed.replacen('0', "1", 1), &KEY, "r".into()), None);
    assert_eq!(Nonce::open("", &KEY, "r".into()), None);
    assert_eq!(Nonce::open("zz", &KEY, "r".into()), None);
}

#[test]
fn a_nonce_is_good_at_the_address_it_was_given_to() {
    let mut door = Door::new();
    let at = |client: &str| Realm { name: "example.com", client: Some(client.parse().unwrap()) };
    let values = door.challenger.challenge(at("192.0.2.1"), BOTH, false, NOW);
    let challenge = Challenge::parse(values[0].as_bytes()).unwrap();
    let secret = Ha1::new(Hash::Sha256, "alice", "example.com", "open sesame");
    let mut verify = |header: &str, client: Realm<'_>| {
        let authorization = Authorization::parse(header.as_bytes()).unwrap();
        door.challenger.verify(&authorization, client, &Method::Register, BOTH, Some(&secret), NOW)
    };
    let (right, wrong) =
        (respond(&challenge, &alice(), 1), respond(&challenge, &Credentials::password("alice", "x"), 1));
    for elsewhere in [at("192.0.2.2"), at("2001:db8::1"), "example.com".into()] {
        assert_eq!(verify(&wrong, elsewhere), Verdict::Stale, "nobody there is to blame for it");
        assert_eq!(verify(&right, elsewhere), Verdict::Stale);
    }
    assert_eq!(verify(&wrong, at("192.0.2.1")), Verdict::Wrong);
    assert_eq!(verify(&right, at("::ffff:192.0.2.1")), Verdict::Ok("alice".into()), "the same address");
}

#[test]
fn the_memory_of_nonces_is_bounded_and_forgets_safely() {
    let mut used = UsedNonces::new(2, 0);
    let nonce = |serial| Nonce { made: NOW + serial, serial };
    assert!(used.take(nonce(1), 1));
    assert!(used.take(nonce(2), 1));
    assert!(used.take(nonce(3), 1));
    assert_eq!(used.len(), 2);
    // The first may not come again, though it is not remembered.
    assert!(!used.take(nonce(1), 2));
    assert!(used.take(nonce(2), 2));
    used.expire(NOW + 3);
    assert_eq!(used.len(), 1);
}
