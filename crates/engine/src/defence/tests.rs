use super::*;

const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n";
const BYE: &[u8] = b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\n";
const SCAN: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nUser-Agent: Friendly-Scanner\r\n\r\n";

fn gate(change: impl FnOnce(&mut DefenceConfig)) -> (Gate, Instant) {
    let mut config = DefenceConfig {
        rate_limit: 10,
        rate_burst: 20,
        user_rate_limit: 5,
        user_rate_burst: 10,
        scanners: vec!["friendly-scanner".to_owned()],
        ban: Duration::from_secs(600),
        auth_failures: 5,
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
    };
    change(&mut config);
    (Gate::new(config), Instant::now())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn admitted(gate: &mut Gate, now: Instant, from: &str, count: usize) -> usize {
    (0..count).filter(|_| gate.admit(now, ip(from), Transport::Udp, OPTIONS) == Verdict::Admit).count()
}

#[test]
fn an_address_gets_its_burst_and_then_its_rate() {
    let (mut gate, now) = gate(|_| {});
    assert_eq!(admitted(&mut gate, now, "192.0.2.1", 100), 20);
    assert_eq!(admitted(&mut gate, now, "192.0.2.2", 100), 20, "another is not to blame");
    assert_eq!(admitted(&mut gate, now + Duration::from_millis(500), "192.0.2.1", 100), 5);
    assert_eq!(
        admitted(&mut gate, now + Duration::from_secs(3_600), "192.0.2.1", 100),
        20,
        "never more than the burst"
    );
    assert_eq!(gate.banned(now), 0, "who is fast is no villain");
}

#[test]
fn a_user_gets_its_burst_and_then_its_rate_wherever_from() {
    let (mut gate, now) = gate(|_| {});
    let mut admitted = |now, user: &str| (0..100).filter(|_| gate.admits_user(now, user)).count();
    assert_eq!(admitted(now, "alice"), 10);
    assert_eq!(admitted(now, "bob"), 10, "another is not to blame");
    assert_eq!(admitted(now + Duration::from_secs(1), "alice"), 5);
    assert_eq!(admitted(now + Duration::from_secs(3_600), "alice"), 10, "never more than the burst");
    let (mut open, now) = self::gate(|config| config.user_rate_limit = 0);
    assert!((0..1_000).all(|_| open.admits_user(now, "alice")));
}

#[test]
fn what_ends_a_call_always_comes_through() {
    let (mut gate, now) = gate(|_| {});
    admitted(&mut gate, now, "192.0.2.1", 100);
    for message in [BYE, b"ACK sip:a SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"\r\n\r\n"] {
        assert_eq!(gate.admit(now, ip("192.0.2.1"), Transport::Udp, message), Verdict::Admit);
    }
}

#[test]
fn an_ipv6_subscriber_is_one_address() {
    let (mut gate, now) = gate(|_| {});
    assert_eq!(admitted(&mut gate, now, "2001:db8:1:2::1", 15), 15);
    assert_eq!(admitted(&mut gate, now, "2001:db8:1:2:ffff::9", 15), 5);
    assert_eq!(admitted(&mut gate, now, "2001:db8:1:3::1", 15), 15);
    assert_eq!(admitted(&mut gate, now, "192.0.2.1", 20), 20);
    assert_eq!(admitted(&mut gate, now, "::ffff:192.0.2.1", 20), 0, "the same machine on a socket for both");
}

#[test]
fn trusted_networks_and_trunks_are_not_limited() {
    let (mut gate, now) = gate(|_| {});
    gate.set_trunks(["192.0.2.7/32", "198.51.100.0/28"].map(|place| place.parse().unwrap()));
    for from in ["127.0.0.1", "192.0.2.7", "198.51.100.9"] {
        assert_eq!(admitted(&mut gate, now, from, 1_000), 1_000);
        assert_eq!(gate.admit(now, ip(from), Transport::Tcp, SCAN), Verdict::Admit);
        (0..100).for_each(|_| gate.auth_failed(now, ip(from), "alice"));
        assert!(!gate.refuses(now, ip(from)));
    }
    assert_eq!(gate.banned(now), 0);
}

#[test]
fn a_scanner_is_banned_for_a_while() {
    let (mut gate, now) = gate(|_| {});
    let scanner = ip("192.0.2.1");
    assert_eq!(gate.admit(now, scanner, Transport::Tcp, SCAN), Verdict::Drop);
    assert_eq!(gate.admit(now, scanner, Transport::Tcp, BYE), Verdict::Drop);
    assert!(gate.refuses(now, scanner));
    assert_eq!(gate.banned(now), 1);
    let later = now + Duration::from_secs(600);
    assert_eq!(gate.banned(later), 0);
    assert_eq!(gate.admit(later, scanner, Transport::Tcp, OPTIONS), Verdict::Admit);
}

#[test]
fn a_forged_datagram_shuts_nobody_out_for_long() {
    let (mut gate, now) = gate(|_| {});
    let victim = ip("192.0.2.1");
    assert_eq!(gate.admit(now, victim, Transport::Udp, SCAN), Verdict::Drop);
    assert_eq!(gate.admit(now, victim, Transport::Udp, OPTIONS), Verdict::Drop);
    assert_eq!(gate.admit(now, victim, Transport::Tcp, OPTIONS), Verdict::Admit, "a connection is not forged");
    assert!(!gate.refuses(now, victim));
    assert_eq!(gate.admit(now + FORGEABLE_BAN, victim, Transport::Udp, OPTIONS), Verdict::Admit);

    let phone = ip("192.0.2.2");
    gate.registered(phone, now + Duration::from_secs(60));
    assert_eq!(gate.admit(now, phone, Transport::Udp, SCAN), Verdict::Drop);
    assert_eq!(gate.admit(now, phone, Transport::Udp, OPTIONS), Verdict::Admit, "somebody is registered there");
    let later = now + Duration::from_secs(60);
    gate.admit(later, phone, Transport::Udp, SCAN);
    assert_eq!(gate.admit(later, phone, Transport::Udp, OPTIONS), Verdict::Drop, "and was");

    let guesser = ip("192.0.2.3");
    (0..5).for_each(|_| gate.auth_failed(now, guesser, "alice"));
    gate.admit(now, guesser, Transport::Udp, SCAN);
    assert!(gate.refuses(now + Duration::from_secs(599), guesser), "what was earned stays");
}

#[test]
fn a_user_guessed_at_is_locked_for_whoever_did_wherever_from() {
    for from in ["127.0.0.1", "192.0.2.7", "192.0.2.1"] {
        let (mut gate, now) = gate(|_| {});
        gate.set_trunks(["192.0.2.7/32".parse().unwrap()]);
        let from = ip(from);
        for guess in 0..5 {
            assert!(!gate.is_locked(now, from, "alice"), "{guess} guesses");
            gate.auth_failed(now, from, "alice");
        }
        assert!(gate.is_locked(now, from, "alice"));
        assert!(!gate.is_locked(now, from, "bob") && !gate.is_locked(now, ip("192.0.2.9"), "alice"));
        assert!(!gate.is_locked(now + Duration::from_secs(600), from, "alice"));
    }
    let (mut gate, now) = gate(|_| {});
    for _ in 0..20 {
        gate.auth_failed(now, ip("127.0.0.1"), "alice");
        gate.auth_passed(ip("127.0.0.1"), "alice");
    }
    assert!(!gate.is_locked(now, ip("127.0.0.1"), "alice"));
}

#[test]
fn without_bans_scanners_are_still_not_answered() {
    let (mut gate, now) = gate(|config| config.ban = Duration::ZERO);
    assert_eq!(gate.admit(now, ip("192.0.2.1"), Transport::Tcp, SCAN), Verdict::Drop);
    assert_eq!(gate.admit(now, ip("192.0.2.1"), Transport::Tcp, OPTIONS), Verdict::Admit);
}

#[test]
fn guessing_at_one_user_or_at_many_is_banned() {
    for users in [1, 5] {
        let (mut gate, now) = gate(|_| {});
        for guess in 0..5 {
            assert!(!gate.refuses(now, ip("192.0.2.1")), "{guess} guesses");
            gate.auth_failed(now, ip("192.0.2.1"), &format!("user{}", guess % users));
        }
        assert!(gate.refuses(now, ip("192.0.2.1")));
        assert!(!gate.refuses(now, ip("192.0.2.2")));
    }
}

#[test]
fn a_right_password_forgives_its_own_users_wrong_ones_only() {
    let (mut gate, now) = gate(|_| {});
    let from = ip("192.0.2.1");
    for _ in 0..50 {
        gate.auth_failed(now, from, "alice");
        gate.auth_passed(from, "alice");
    }
    assert!(!gate.refuses(now, from));
    for _ in 0..5 {
        gate.auth_failed(now, from, "bob");
        gate.auth_passed(from, "alice");
    }
    assert!(gate.refuses(now, from));
}

#[test]
fn slow_mistakes_are_no_attack() {
    let (mut gate, mut now) = gate(|_| {});
    for _ in 0..50 {
        now += Duration::from_secs(20);
        gate.auth_failed(now, ip("192.0.2.1"), "alice");
        assert!(!gate.refuses(now, ip("192.0.2.1")));
    }
}

#[test]
fn noise_goes_no_further_and_forged_addresses_fill_nothing() {
    let (mut gate, now) = gate(|_| {});
    for number in 0..200_000_u32 {
        let from = IpAddr::from(number.wrapping_add(0x0100_0000).to_be_bytes());
        assert_eq!(gate.admit(now, from, Transport::Udp, b"GET / HTTP/1.1\r\n\r\n"), Verdict::Drop);
        gate.admit(now, from, Transport::Udp, SCAN);
        gate.auth_failed(now, from, &number.to_string());
        gate.registered(from, now);
    }
    assert!(gate.watched.len() <= ADDRESSES && gate.bans.len() <= ADDRESSES);
    assert!(gate.guesses.len() <= ADDRESSES && gate.registered.len() <= REGISTERED);
}
