//! Whole identities: signed on one side, judged on the other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use opentact_stir::{Attest, Chain, ChainError, Evidence, Identity, Reason, Subject, TnAuthList, TnEntry};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
};
use time::{Duration, OffsetDateTime};
use world::{ALICE, BOB, CAROL, NOW, RULES, World, call, origination, spc, tn};

fn reason(world: &World, identities: &[Identity], subject: &Subject, now: i64) -> Reason {
    world.verify(identities, subject, now).unwrap_err().reason
}

#[test]
fn a_signed_call_is_verified() {
    let mut world = World::new();
    let signer = world.signer("ann", &spc("709J"));
    let identity = signer.shaken(&origination(ALICE, BOB, Attest::A), NOW).unwrap();
    let verified = world.verify(&[identity], &call(ALICE, BOB), NOW + 60).unwrap();
    assert_eq!(verified.attest, Some(Attest::A));
    assert_eq!(verified.origid.as_deref(), Some("de305d54-75b4-431b-adb2-eb6b9e546014"));
    assert_eq!(verified.codes, ["709J"]);
    assert_eq!(verified.diverted_from, None);
}

#[test]
fn each_fault_has_its_reason() {
    let mut world = World::new();
    let signer = world.signer("ann", &spc("709J"));
    let signed = |attest| signer.shaken(&origination(ALICE, BOB, attest), NOW).unwrap();
    let good = signed(Attest::A);
    let one = std::slice::from_ref(&good);

    assert_eq!(reason(&world, &[], &call(ALICE, BOB), NOW), Reason::NoIdentity);
    for now in [NOW - 61, NOW + 61] {
        assert_eq!(reason(&world, one, &call(ALICE, BOB), now), Reason::Stale);
    }
    assert_eq!(reason(&world, one, &call(CAROL, BOB), NOW), Reason::InvalidIdentity);
    assert_eq!(reason(&world, one, &call(ALICE, CAROL), NOW), Reason::InvalidIdentity);
    let withheld = Subject { orig: None, ..call(ALICE, BOB) };
    assert_eq!(reason(&world, one, &withheld, NOW), Reason::InvalidIdentity);

    // Claims of one PASSporT under the signature of another.
    let (signed_claims, _) = good.digest.rsplit_once('.').unwrap();
    let other = signed(Attest::B).digest;
    let (_, signature) = other.rsplit_once('.').unwrap();
    let forged = Identity { digest: format!("{signed_claims}.{signature}"), ..good.clone() };
    assert_eq!(reason(&world, &[forged], &call(ALICE, BOB), NOW), Reason::InvalidIdentity);

    for broken in [
        Identity { info: "https://elsewhere.example.org/c.pem".to_owned(), ..good.clone() },
        Identity { alg: Some("RS256".to_owned()), ..good.clone() },
        Identity { ppt: Some("div".to_owned()), ..good.clone() },
        Identity { digest: "..AAAA".to_owned(), ..good.clone() },
        Identity { digest: "a.b".to_owned(), ..good.clone() },
    ] {
        assert_eq!(reason(&world, &[broken], &call(ALICE, BOB), NOW), Reason::InvalidIdentity);
    }

    world.published.clear();
    assert_eq!(reason(&world, one, &call(ALICE, BOB), NOW), Reason::BadInfo);
}

#[test]
fn extensions_we_do_not_know_are_passed_over() {
    let mut world = World::new();
    let signer = world.signer("ann", &spc("709J"));
    let good = signer.shaken(&origination(ALICE, BOB, Attest::C), NOW).unwrap();
    let unknown = Identity { ppt: Some("rcd".to_owned()), ..good.clone() };
    assert_eq!(reason(&world, std::slice::from_ref(&unknown), &call(ALICE, BOB), NOW), Reason::NoIdentity);
    assert_eq!(world.verify(&[unknown, good], &call(ALICE, BOB), NOW).unwrap().attest, Some(Attest::C));
}

#[test]
fn of_several_identities_the_one_that_fits_counts() {
    let mut world = World::new();
    let signer = world.signer("ann", &spc("709J"));
    let other = signer.shaken(&origination(ALICE, CAROL, Attest::A), NOW).unwrap();
    let fits = signer.shaken(&origination(ALICE, BOB, Attest::B), NOW).unwrap();
    assert_eq!(world.verify(&[other, fits], &call(ALICE, BOB), NOW).unwrap().attest, Some(Attest::B));
}

#[test]
fn a_certificate_speaks_for_its_numbers_only() {
    let mut world = World::new();
    let range = TnEntry::Range { start: "12025550100".to_owned(), count: 50 };
    let signer = world.signer("pbx", &TnAuthList::new(vec![range]).unwrap());
    let own = signer.shaken(&origination(ALICE, BOB, Attest::A), NOW).unwrap();
    assert!(world.verify(&[own], &call(ALICE, BOB), NOW).is_ok());
    let foreign = signer.shaken(&origination(CAROL, BOB, Attest::A), NOW).unwrap();
    assert_eq!(reason(&world, &[foreign], &call(CAROL, BOB), NOW), Reason::UnsupportedCredential);
}

#[test]
fn a_diverted_call_leads_here_step_by_step() {
    let mut world = World::new();
    let ann = world.signer("ann", &spc("709J"));
    // Bob's provider may speak for Bob, and for nobody else.
    let bobs = world.signer("bobs", &TnAuthList::new(vec![TnEntry::One(BOB.to_owned())]).unwrap());
    let origin = ann.shaken(&origination(ALICE, BOB, Attest::A), NOW).unwrap();
    let diversion = bobs.div(tn(ALICE), tn(BOB), tn(CAROL), NOW + 120).unwrap();
    let both = [origin.clone(), diversion.clone()];

    let verified = world.verify(&both, &call(ALICE, CAROL), NOW + 125).unwrap();
    assert_eq!((verified.attest, verified.diverted_from), (Some(Attest::A), Some(tn(BOB))));
    // Without the diversion, with one for somebody else, or long after the call was made, it leads nowhere.
    assert_eq!(reason(&world, &both[..1], &call(ALICE, CAROL), NOW), Reason::InvalidIdentity);
    let stray = bobs.div(tn(ALICE), tn("12025550111"), tn(CAROL), NOW).unwrap();
    assert_eq!(reason(&world, &[origin.clone(), stray], &call(ALICE, CAROL), NOW), Reason::InvalidIdentity);
    let late = bobs.div(tn(ALICE), tn(BOB), tn(CAROL), NOW + 181).unwrap();
    assert_eq!(reason(&world, &[origin.clone(), late], &call(ALICE, CAROL), NOW + 181), Reason::Stale);
    // A diversion alone vouches for no caller.
    assert_eq!(reason(&world, &both[1..], &call(ALICE, CAROL), NOW + 125), Reason::NoIdentity);
    // Who diverts must speak for the number that was called.
    let foreign = bobs.div(tn(ALICE), tn(CAROL), tn("12025550111"), NOW + 121).unwrap();
    let chain = [origin, diversion, foreign];
    assert_eq!(reason(&world, &chain, &call(ALICE, "12025550111"), NOW + 125), Reason::UnsupportedCredential);
}

#[test]
fn diversions_in_a_circle_end() {
    let mut world = World::new();
    let signer = world.signer("ann", &spc("709J"));
    let origin = signer.shaken(&origination(ALICE, BOB, Attest::A), NOW).unwrap();
    let there = signer.div(tn(ALICE), tn(BOB), tn(CAROL), NOW).unwrap();
    let back = signer.div(tn(ALICE), tn(CAROL), tn(BOB), NOW).unwrap();
    let nowhere = call(ALICE, "12025550111");
    assert_eq!(reason(&world, &[origin, there, back], &nowhere, NOW), Reason::InvalidIdentity);
}

#[test]
fn the_fingerprint_does_not_depend_on_the_signature() {
    let mut world = World::new();
    let signer = world.signer("ann", &spc("709J"));
    let signed = || signer.shaken(&origination(ALICE, BOB, Attest::A), NOW).unwrap().to_string();
    let fingerprint =
        |value: &str| Evidence::read([value.as_bytes()], &call(ALICE, BOB), RULES, NOW).unwrap().fingerprint();
    let (first, second) = (signed(), signed());
    assert_ne!(first, second);
    assert_eq!(fingerprint(&first), fingerprint(&second));
}

fn params(ca: bool, usages: Vec<KeyUsagePurpose>, name: &str) -> CertificateParams {
    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = if ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    params.key_usages = usages;
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(1);
    if !ca {
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 26], spc("709J").to_der())];
    }
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// A root, an authority under it, and what the authority signs.
struct Hierarchy {
    root: String,
    intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

fn hierarchy(intermediate_is_ca: bool, usages: Vec<KeyUsagePurpose>) -> Hierarchy {
    let root_key = key();
    let root_params = params(true, vec![KeyUsagePurpose::KeyCertSign], "root");
    let root = root_params.self_signed(&root_key).unwrap().pem();
    let root = (root, Issuer::new(root_params, root_key));
    let middle_key = key();
    let middle = params(intermediate_is_ca, usages, "middle");
    let intermediate = middle.signed_by(&middle_key, &root.1).unwrap().pem();
    Hierarchy { root: root.0, intermediate, issuer: Issuer::new(middle, middle_key) }
}

fn judged(hierarchy: &Hierarchy, leaf: &str, at: i64) -> Result<(), ChainError> {
    let mut anchors = opentact_stir::Anchors::default();
    anchors.add_pem(hierarchy.root.as_bytes()).unwrap();
    Chain::parse(format!("{leaf}{}", hierarchy.intermediate).as_bytes())?.validate(&anchors, at)
}

#[test]
fn a_chain_leads_over_authorities_to_an_anchor() {
    let hierarchy_of = hierarchy(true, vec![KeyUsagePurpose::KeyCertSign]);
    let leaf = params(false, vec![KeyUsagePurpose::DigitalSignature], "leaf");
    let leaf = leaf.signed_by(&key(), &hierarchy_of.issuer).unwrap().pem();
    assert_eq!(judged(&hierarchy_of, &leaf, NOW), Ok(()));
    for at in [NOW - 2 * 86_400, NOW + 2 * 86_400] {
        assert!(matches!(judged(&hierarchy_of, &leaf, at), Err(ChainError::Path(_))));
    }
    // Of a stranger's authority.
    let other = hierarchy(true, vec![KeyUsagePurpose::KeyCertSign]);
    assert!(matches!(judged(&other, &leaf, NOW), Err(ChainError::Path(_))));
    let nobody = opentact_stir::Anchors::default();
    let chain = Chain::parse(leaf.as_bytes()).unwrap();
    assert_eq!(chain.validate(&nobody, NOW), Err(ChainError::NoAnchors));
    // The authority in between is left out.
    let mut anchors = opentact_stir::Anchors::default();
    anchors.add_pem(hierarchy_of.root.as_bytes()).unwrap();
    assert!(matches!(chain.validate(&anchors, NOW), Err(ChainError::Path(_))));
}

#[test]
fn who_is_no_authority_certifies_nobody() {
    for (ca, usages) in [(false, vec![KeyUsagePurpose::KeyCertSign]), (true, vec![KeyUsagePurpose::CrlSign])] {
        let hierarchy = hierarchy(ca, usages);
        let leaf = params(false, vec![KeyUsagePurpose::DigitalSignature], "leaf");
        let leaf = leaf.signed_by(&key(), &hierarchy.issuer).unwrap().pem();
        assert!(matches!(judged(&hierarchy, &leaf, NOW), Err(ChainError::Path(_))), "{ca}");
    }
}

#[test]
fn a_certificate_that_may_not_sign_passports_is_refused_when_it_is_read() {
    let authority = hierarchy(true, vec![KeyUsagePurpose::KeyCertSign]);
    let parsed = |params: CertificateParams, key: &KeyPair| {
        Chain::parse(params.signed_by(key, &authority.issuer).unwrap().pem().as_bytes()).map(|_| ())
    };
    let good = || params(false, vec![KeyUsagePurpose::DigitalSignature], "leaf");
    assert_eq!(parsed(good(), &key()), Ok(()));
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(parsed(good(), &p384), Err(ChainError::Curve));
    let encrypts = params(false, vec![KeyUsagePurpose::KeyEncipherment], "leaf");
    assert_eq!(parsed(encrypts, &key()), Err(ChainError::KeyUsage));
    let mut silent = good();
    silent.custom_extensions.clear();
    assert_eq!(parsed(silent, &key()), Err(ChainError::NoTnAuthList));
    let mut limited = good();
    limited.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 27], vec![0x30, 0]));
    assert_eq!(parsed(limited, &key()), Err(ChainError::ClaimConstraints));
    assert_eq!(Chain::parse(b"").map(|_| ()), Err(ChainError::Empty));
    assert_eq!(Chain::parse(b"<html>").map(|_| ()), Err(ChainError::Malformed));
    let leaf = good().signed_by(&key(), &authority.issuer).unwrap().pem();
    assert_eq!(Chain::parse(leaf.repeat(9).as_bytes()).map(|_| ()), Err(ChainError::TooLong));
}

#[test]
fn der_is_read_as_well_as_pem() {
    let authority = hierarchy(true, vec![KeyUsagePurpose::KeyCertSign]);
    let leaf = params(false, vec![KeyUsagePurpose::DigitalSignature], "leaf");
    let leaf = leaf.signed_by(&key(), &authority.issuer).unwrap();
    assert_eq!(Chain::parse(leaf.der()).unwrap().numbers(), &spc("709J"));
}
