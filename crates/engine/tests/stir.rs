//! Callers checked on the way in and vouched for on the way out (STIR/SHAKEN).
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use opentact_engine::ports::{FlowSource, Originate};
use opentact_engine::stir::StirConfig;
use opentact_sip::message::Request;
use opentact_sip::ua::Event;
use opentact_sip::uri::{NameAddr, Uri};
use opentact_stir::{
    Anchors, Attest, Chain, Evidence, Fault, Identity, Origination, Party, Rules, Signer, SigningKey, Subject,
    TestAuthority, TnAuthList, TnEntry, Verified,
};
use opentact_store::shaken_certificates::NewShakenCertificate;
use opentact_store::types::{Attestation, SipTransport};
use opentact_store::voice_profiles::NewVoiceProfile;
use parking_lot::Mutex;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;
use world::{DOMAIN, NUMBER, PASSWORD, Peer, World};

const CALLER: &str = "12025550177";
const OTHER: &str = "12025550199";

/// A node that trusts an authority.
struct Node {
    world: World,
    authority: TestAuthority,
}

fn anchors(authority: &TestAuthority) -> Anchors {
    let mut anchors = Anchors::default();
    anchors.add_pem(authority.certificate().as_bytes()).unwrap();
    anchors
}

fn spc() -> TnAuthList {
    TnAuthList::new(vec![TnEntry::Spc("709J".to_owned())]).unwrap()
}

impl Node {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut StirConfig)) -> Self {
        let authority = TestAuthority::create(Utc::now().timestamp()).unwrap();
        let world = World::with(|config| {
            config.stir.anchors = anchors(&authority);
            change(&mut config.stir);
        });
        Self { world: world.await, authority }
    }

    /// A certificate of the account, published here. Returns what signs with it.
    async fn certificate(&self) -> Signer {
        let (chain, key) = self.authority.issue("ours", &spc(), 30, Utc::now().timestamp()).unwrap();
        let new = NewShakenCertificate {
            name: "ours".to_owned(),
            is_active: true,
            shared: false,
            test: true,
            chain,
            key: key.clone(),
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            tn_auth_list: Vec::new(),
            not_before: Utc::now() - Duration::from_secs(60),
            not_after: Utc::now() + Duration::from_secs(3600),
        };
        let row = self.world.store.shaken_certificates().create(self.world.account, None, new).await.unwrap();
        let url = format!("https://localhost/shaken/{}.pem", row.uuid);
        Signer::new(Arc::new(SigningKey::from_pem(&key).unwrap()), url)
    }

    /// A trunk that asks for identities.
    async fn trunk(&self, peer: &Peer, policy: i64, minimum: Option<Attestation>) -> Uuid {
        let trunk = self.world.trunk(peer).await;
        let change = |row: &mut opentact_store::connections::SipConnection| {
            row.shaken_verify_policy = policy;
            row.shaken_minimum_accepted_attest_lvl = minimum;
        };
        self.world.store.connections().update(self.world.account, trunk, None, None, change).await.unwrap();
        self.world.engine.control().invalidate(self.world.account);
        trunk
    }

    /// A profile that signs.
    async fn signing_profile(&self) -> Uuid {
        let new = NewVoiceProfile { shaken_sign_policy: 1, ..NewVoiceProfile::new("signs") };
        self.world.store.voice_profiles().create(self.world.account, None, new).await.unwrap().uuid
    }

    /// What a verifier makes of an INVITE that has come from here.
    async fn judge(&self, request: &Request, caller: &str, callee: &str) -> Result<Verified, Fault> {
        let identities = identities(request);
        let subject = Subject { orig: Some(tn(caller)), dest: tn(callee), date: None };
        let now = Utc::now().timestamp();
        let values = identities.iter().map(|value| value.as_bytes());
        let evidence = Evidence::read(values, &subject, Rules { window: 60 }, now)?;
        let mut published = Vec::new();
        for url in evidence.urls() {
            let uuid = url.strip_prefix("https://localhost/shaken/").and_then(|file| file.strip_suffix(".pem"));
            let row = self.world.store.shaken_certificates().published(uuid.unwrap().parse().unwrap()).await;
            published.push((url, Arc::new(Chain::parse(row.unwrap().unwrap().chain.as_bytes()).unwrap())));
        }
        let certificate = |url: &str| Ok(published.iter().find(|(known, _)| *known == url).unwrap().1.clone());
        evidence.judge(certificate, &anchors(&self.authority), now)
    }
}

fn tn(number: &str) -> Party {
    Party::Tn(number.to_owned())
}

fn shaken(signer: &Signer, orig: &str, dest: &str, attest: Attest) -> String {
    let call = Origination { orig: tn(orig), dest: tn(dest), attest, origid: Uuid::new_v4().to_string() };
    signer.shaken(&call, Utc::now().timestamp()).unwrap().to_string()
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get_by_name(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn identities(request: &Request) -> Vec<String> {
    let named = |name: &[u8]| name.eq_ignore_ascii_case(b"Identity");
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    request.headers().iter().filter(|(name, _)| named(name)).map(|(_, value)| text(value)).collect()
}

/// Calls the world's number as [`CALLER`] and returns the final answer's code.
async fn called(peer: &mut Peer, world: &World, identities: &[String]) -> u16 {
    call(peer, world, identities);
    loop {
        match peer.event().await {
            Event::Failed { code, .. } => return code,
            Event::Answered { .. } => return 200,
            _ => {}
        }
    }
}

fn call(peer: &mut Peer, world: &World, identities: &[String]) {
    call_as(peer, world, CALLER, identities);
}

fn call_as(peer: &mut Peer, world: &World, caller: &str, identities: &[String]) {
    let headers: Vec<(&'static str, &'static str)> =
        identities.iter().map(|value| ("Identity", &*value.clone().leak())).collect();
    let from = NameAddr::new(Uri::from_addr(Some(&format!("+{caller}")), peer.address));
    let uri = Uri::from_addr(Some(&format!("+{NUMBER}")), world.sip);
    peer.call_with(world.sip, from, uri, 40_000, &headers);
}

/// Answers at once and hangs up.
const FLOW: &str = "<Response><Reject reason=\"busy\"/></Response>";
/// What [`FLOW`] answers: the call was let in.
const LET_IN: u16 = 486;

fn number() -> String {
    NUMBER.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_lets_in_whom_it_says() {
    let node = Node::new().await;
    let signer = node.certificate().await;
    let stranger = TestAuthority::create(Utc::now().timestamp()).unwrap();
    let (_, key) = stranger.issue("strange", &spc(), 30, Utc::now().timestamp()).unwrap();
    node.world.number_with(FLOW).await;
    let mut peer = Peer::new().await;
    let trunk = node.trunk(&peer, 0, None).await;
    let good = |attest| vec![shaken(&signer, CALLER, &number(), attest)];
    let for_another = || vec![shaken(&signer, OTHER, &number(), Attest::A)];
    let forged = || {
        let forger = Signer::new(Arc::new(SigningKey::from_pem(&key).unwrap()), "https://localhost/shaken/none.pem");
        vec![shaken(&forger, CALLER, &number(), Attest::A)]
    };
    for (policy, minimum, identities, code) in [
        (0, None, vec![], LET_IN),
        (0, None, for_another(), LET_IN),
        (1, None, vec![], 428),
        (1, None, for_another(), LET_IN),
        (1, Some(Attestation::C), for_another(), 438),
        (2, None, vec![], 428),
        (2, None, for_another(), 438),
        (2, None, forged(), 436),
        (2, None, vec!["nonsense".to_owned()], 438),
        (2, None, good(Attest::C), LET_IN),
        (2, Some(Attestation::B), good(Attest::C), 403),
        (2, Some(Attestation::B), good(Attest::B), LET_IN),
        (3, Some(Attestation::A), for_another(), LET_IN),
        (3, Some(Attestation::A), vec![], LET_IN),
    ] {
        let change = |row: &mut opentact_store::connections::SipConnection| {
            row.shaken_verify_policy = policy;
            row.shaken_minimum_accepted_attest_lvl = minimum;
        };
        node.world.store.connections().update(node.world.account, trunk, None, None, change).await.unwrap();
        node.world.engine.control().invalidate(node.world.account);
        let answer = called(&mut peer, &node.world, &identities).await;
        assert_eq!(answer, code, "{policy} {minimum:?} {identities:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_in_the_log_with_what_does_not_hold() {
    let mut node = Node::new().await;
    let signer = node.certificate().await;
    node.world.number_with(FLOW).await;
    let mut peer = Peer::new().await;
    node.trunk(&peer, 2, None).await;
    let identity = shaken(&signer, OTHER, &number(), Attest::A);
    assert_eq!(called(&mut peer, &node.world, std::slice::from_ref(&identity)).await, 438);
    let call = node.world.destroyed().await["call"].clone();
    assert_eq!(call["stir_shaken_attest_level"], serde_json::Value::Null);
    let shown = &call["stir_shaken"];
    assert_eq!(shown["verstat"], "TN-Validation-Failed");
    assert_eq!((shown["code"].clone(), shown["identity"][0].clone()), (438.into(), identity.into()));
    let reason = shown["reason"].as_str().unwrap();
    assert_eq!(reason, format!("Invalid Identity Header: orig is {OTHER}, the caller {CALLER}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_serves_one_call() {
    let node = Node::new().await;
    let signer = node.certificate().await;
    node.world.number_with(FLOW).await;
    let mut peer = Peer::new().await;
    node.trunk(&peer, 2, None).await;
    let identity = [shaken(&signer, CALLER, &number(), Attest::A)];
    assert_eq!(called(&mut peer, &node.world, &identity).await, LET_IN);
    assert_eq!(called(&mut peer, &node.world, &identity).await, 438);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callee_is_told_whether_the_number_holds() {
    let mut node = Node::new().await;
    let signer = node.certificate().await;
    let (mut caller, mut bob) = (Peer::new().await, Peer::new().await);
    node.trunk(&caller, 3, None).await;
    let domain = node.world.domain(DOMAIN, |_| {}).await;
    let user = node.world.user(domain, "bob", |_| {}).await;
    node.world.number(NUMBER, |lease| lease.sip_user = Some(user)).await;
    bob.register(node.world.sip, "bob", PASSWORD, 300).await;
    for (identities, verstat, level) in [
        (vec![shaken(&signer, CALLER, &number(), Attest::B)], "TN-Validation-Passed", Some("B")),
        (vec![shaken(&signer, OTHER, &number(), Attest::A)], "TN-Validation-Failed", None),
        (vec![], "No-TN-Validation", None),
    ] {
        call(&mut caller, &node.world, &identities);
        let (invite, ()) = tokio::join!(bob.refuse(), caller.settle());
        let asserted = header(&invite, "P-Asserted-Identity").unwrap();
        assert_eq!(asserted, format!("<sip:+{CALLER};verstat={verstat}@{DOMAIN};user=phone>"));
        assert_eq!(invite.from().unwrap().uri.user_text().unwrap(), format!("+{CALLER}"));
        for _ in 0..2 {
            let call = node.world.destroyed().await["call"].clone();
            assert_eq!(call["stir_shaken_attest_level"].as_str(), level, "{call}");
            assert_eq!(call["stir_shaken"]["verstat"], verstat);
        }
    }
}

/// A call by REST over this trunk or the carrier; returns the INVITE that came.
async fn made(node: &Node, peer: &mut Peer, from: &str, trunk: Option<Uuid>, profile: Uuid) -> Request {
    let flow = opentact_callflow::parse("<Response><Hangup/></Response>", opentact_callflow::Mode::Strict).unwrap();
    let request = Originate {
        from: Some(from.to_owned()),
        outbound_voice_profile: Some(profile),
        sip_connection: trunk,
        ..Originate::new(node.world.account, OTHER, FlowSource::Document(flow))
    };
    node.world.engine.control().originate(request).await.unwrap();
    peer.refuse().await
}

#[tokio::test(flavor = "multi_thread")]
async fn we_vouch_for_our_numbers_with_a_and_for_others_of_our_customers_with_b() {
    let mut node = Node::new().await;
    node.certificate().await;
    let mut network = Peer::new().await;
    node.world.number(NUMBER, |_| {}).await;
    let profile = node.signing_profile().await;
    let trunk = node.trunk(&network, 0, None).await;
    for (from, level) in [(number(), Attest::A), (CALLER.to_owned(), Attest::B)] {
        let invite = made(&node, &mut network, &from, Some(trunk), profile).await;
        let verified = node.judge(&invite, &from, OTHER).await.unwrap();
        assert_eq!(verified.attest, Some(level));
        assert_eq!(verified.origid, Some(node.world.account.to_string()));
        assert!(header(&invite, "Date").unwrap().ends_with(" GMT"));
        let call = node.world.destroyed().await["call"].clone();
        assert_eq!(call["stir_shaken_attest_level"], level.as_str());
        assert_eq!(call["stir_shaken"]["identity"][0], identities(&invite)[0]);
    }
    // A profile that does not sign.
    let silent = node.world.profile(None).await;
    let invite = made(&node, &mut network, &number(), Some(trunk), silent).await;
    assert_eq!(identities(&invite), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn carriers_get_our_word_too() {
    let node = Node::new().await;
    node.certificate().await;
    let mut network = Peer::new().await;
    node.world.number(NUMBER, |_| {}).await;
    let profile = node.signing_profile().await;
    node.world.carrier(&network);
    let invite = made(&node, &mut network, &number(), None, profile).await;
    assert_eq!(node.judge(&invite, &number(), OTHER).await.unwrap().attest, Some(Attest::A));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_a_call_goes_out_unsigned() {
    let node = Node::new().await;
    let mut network = Peer::new().await;
    node.world.number(NUMBER, |_| {}).await;
    let (profile, trunk) = (node.signing_profile().await, node.trunk(&network, 0, None).await);
    let invite = made(&node, &mut network, &number(), Some(trunk), profile).await;
    assert_eq!(identities(&invite), Vec::<String>::new());
    // One that comes later is used.
    node.certificate().await;
    node.world.engine.control().invalidate(node.world.account);
    let invite = made(&node, &mut network, &number(), Some(trunk), profile).await;
    assert_eq!(identities(&invite).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_to_the_same_number_keeps_its_identity() {
    let node = Node::new().await;
    let signer = node.certificate().await;
    let (mut caller, mut pbx) = (Peer::new().await, Peer::new().await);
    node.trunk(&caller, 0, None).await;
    let onward = node.world.trunk_at(pbx.address, SipTransport::Udp).await;
    node.world.number(NUMBER, |lease| lease.sip_connection = Some(onward)).await;
    let identity = shaken(&signer, CALLER, &number(), Attest::A);
    call(&mut caller, &node.world, std::slice::from_ref(&identity));
    let (invite, ()) = tokio::join!(pbx.refuse(), caller.settle());
    assert_eq!(identities(&invite), [identity]);
    // Nobody has asked whether it holds.
    assert!(!header(&invite, "P-Asserted-Identity").unwrap().contains("verstat"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_called_may_ask_too() {
    let node = Node::new().await;
    let (mut caller, pbx) = (Peer::new().await, Peer::new().await);
    node.trunk(&caller, 0, None).await;
    let onward = node.trunk(&pbx, 1, None).await;
    node.world.number(NUMBER, |lease| lease.sip_connection = Some(onward)).await;
    assert_eq!(called(&mut caller, &node.world, &[]).await, 428);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_on_to_another_number_says_so() {
    let node = Node::new().await;
    let signer = node.certificate().await;
    let (mut caller, mut onward) = (Peer::new().await, Peer::new().await);
    node.trunk(&caller, 3, None).await;
    let trunk = node.world.trunk_at(onward.address, SipTransport::Udp).await;
    let profile = node.signing_profile().await;
    node.world
        .number_with(&format!(
            "<Response><Dial sip_connection=\"{trunk}\" outbound_voice_profile=\"{profile}\"><Number>{OTHER}</Number></Dial></Response>"
        ))
        .await;
    let identity = shaken(&signer, CALLER, &number(), Attest::A);
    call(&mut caller, &node.world, std::slice::from_ref(&identity));
    let (invite, ()) = tokio::join!(onward.refuse(), caller.settle());
    let sent = identities(&invite);
    assert_eq!((sent.len(), &sent[0]), (2, &identity));
    assert_eq!(Identity::parse(sent[1].as_bytes()).unwrap().ppt.as_deref(), Some("div"));
    let verified = node.judge(&invite, CALLER, OTHER).await.unwrap();
    assert_eq!((verified.attest, verified.diverted_from), (Some(Attest::A), Some(tn(&number()))));

    // Nobody puts a diversion on top of what does not hold: we only say where the call came in.
    call(&mut caller, &node.world, &[shaken(&signer, OTHER, &number(), Attest::A)]);
    let (invite, ()) = tokio::join!(onward.refuse(), caller.settle());
    assert_eq!(identities(&invite).len(), 1);
    assert_eq!(node.judge(&invite, CALLER, OTHER).await.unwrap().attest, Some(Attest::C));

    // Somebody outside shows one of our numbers: that makes it no call of ours.
    call_as(&mut caller, &node.world, &number(), &[]);
    let (invite, ()) = tokio::join!(onward.refuse(), caller.settle());
    assert_eq!(node.judge(&invite, &number(), OTHER).await.unwrap().attest, Some(Attest::C));
}

/// An HTTPS server of certificates.
struct Files {
    url: String,
    /// What it shows, to be trusted.
    root: CertificateDer<'static>,
    asked: Arc<Mutex<Vec<String>>>,
    /// What is under `/held` waits for this.
    release: Arc<Notify>,
}

async fn files(files: Vec<(&'static str, String)>) -> Files {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let root = certificate.der().clone();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![root.clone()], key.into());
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let release = Arc::<Notify>::default();
    let (seen, files, held) = (asked.clone(), Arc::new(files), release.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, seen, files, held) = (acceptor.clone(), seen.clone(), files.clone(), held.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.ok()?;
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split(' ').nth(1)?.to_owned();
                seen.lock().push(path.clone());
                if path.starts_with("/held") {
                    held.notified().await;
                }
                let answer = match files.iter().find(|(name, _)| *name == path) {
                    Some((_, body)) => world::http::found(body),
                    None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
                };
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()
            });
        }
    });
    Files { url, root, asked, release }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_others_are_fetched_once() {
    let authority = TestAuthority::create(Utc::now().timestamp()).unwrap();
    let (chain, key) = authority.issue("theirs", &spc(), 30, Utc::now().timestamp()).unwrap();
    let files = files(vec![("/cert.pem", chain), ("/page.html", "<html>".to_owned())]).await;
    let node = Node::with(|stir| {
        stir.anchors = anchors(&authority);
        stir.roots = vec![files.root.clone()];
        // Loopback is slow only where the machine is.
        stir.verify_timeout = Duration::from_secs(20);
    });
    let node = node.await;
    node.world.number_with(FLOW).await;
    let mut peer = Peer::new().await;
    node.trunk(&peer, 2, None).await;
    let key = Arc::new(SigningKey::from_pem(&key).unwrap());
    let at = |path: &str| {
        let signer = Signer::new(key.clone(), format!("{}{path}", files.url));
        [shaken(&signer, CALLER, &number(), Attest::A)]
    };
    for (path, code) in [
        ("/cert.pem", LET_IN),
        ("/cert.pem", LET_IN),
        ("/missing.pem", 436),
        ("/missing.pem", 436),
        ("/page.html", 437),
    ] {
        assert_eq!(called(&mut peer, &node.world, &at(path)).await, code, "{path}");
    }
    assert_eq!(*files.asked.lock(), ["/cert.pem", "/missing.pem", "/page.html"]);
    // Nobody has us speak to what is not HTTPS.
    let signer = Signer::new(key.clone(), files.url.replace("https", "http"));
    let plain = [shaken(&signer, CALLER, &number(), Attest::A)];
    assert_eq!(called(&mut peer, &node.world, &plain).await, 436);
}

/// A node that trusts who made what is under `/held` of these files, and the key it goes with.
async fn held(verify_timeout: Duration) -> (Node, Files, Signer) {
    let authority = TestAuthority::create(Utc::now().timestamp()).unwrap();
    let (chain, key) = authority.issue("theirs", &spc(), 30, Utc::now().timestamp()).unwrap();
    let files = files(vec![("/held.pem", chain)]).await;
    let mut node = Node::with(|stir| {
        stir.anchors = anchors(&authority);
        stir.roots = vec![files.root.clone()];
        stir.verify_timeout = verify_timeout;
    })
    .await;
    node.authority = authority;
    node.world.number_with(FLOW).await;
    let signer = Signer::new(Arc::new(SigningKey::from_pem(&key).unwrap()), format!("{}/held.pem", files.url));
    (node, files, signer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_certificate_holds_up_no_other() {
    let (node, files, held) = held(Duration::from_secs(20)).await;
    let signer = node.certificate().await;
    let (mut slow, mut quick) = (Peer::new().await, Peer::new().await);
    node.trunk(&slow, 2, None).await;
    node.trunk(&quick, 2, None).await;
    call(&mut slow, &node.world, &[shaken(&held, CALLER, &number(), Attest::A)]);
    let waits = async {
        // It cannot end before its certificate is given out, and that is not before the other call has ended.
        loop {
            match slow.event().await {
                Event::Failed { code, .. } => return code,
                Event::Progress { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let goes_on = async {
        let code = called(&mut quick, &node.world, &[shaken(&signer, CALLER, &number(), Attest::B)]).await;
        files.release.notify_one();
        code
    };
    assert_eq!(tokio::join!(waits, goes_on), (LET_IN, LET_IN));
    assert_eq!(files.asked.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_does_not_wait_for_ever() {
    let (node, _files, held) = held(Duration::from_millis(1)).await;
    let (mut strict, mut lax) = (Peer::new().await, Peer::new().await);
    node.trunk(&strict, 2, None).await;
    node.trunk(&lax, 3, None).await;
    for (peer, code) in [(&mut strict, 436), (&mut lax, LET_IN)] {
        assert_eq!(called(peer, &node.world, &[shaken(&held, CALLER, &number(), Attest::A)]).await, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_egress_guard_keeps_certificates_from_leading_inside() {
    let authority = TestAuthority::create(Utc::now().timestamp()).unwrap();
    let files = files(Vec::new()).await;
    let (anchors, root) = (anchors(&authority), files.root.clone());
    let mut world = World::with(|config| {
        config.egress_allow.clear();
        config.stir = StirConfig { anchors, roots: vec![root], ..StirConfig::default() };
    })
    .await;
    world.number_with(FLOW).await;
    let mut peer = Peer::new().await;
    let trunk = world.trunk(&peer).await;
    let change = |row: &mut opentact_store::connections::SipConnection| row.shaken_verify_policy = 2;
    world.store.connections().update(world.account, trunk, None, None, change).await.unwrap();
    world.engine.control().invalidate(world.account);
    let (_, key) = authority.issue("inside", &spc(), 30, Utc::now().timestamp()).unwrap();
    let signer = Signer::new(Arc::new(SigningKey::from_pem(&key).unwrap()), format!("{}/cert.pem", files.url));
    assert_eq!(called(&mut peer, &world, &[shaken(&signer, CALLER, &number(), Attest::A)]).await, 436);
    assert!(files.asked.lock().is_empty());
    let call = world.destroyed().await["call"].clone();
    assert!(call["stir_shaken"]["reason"].as_str().unwrap().contains("http.egress_allow"), "{call}");
}
