//! The examples of the documents.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use opentact_stir::{Chain, Extension, Party, Passport, Signer, SigningKey, TestAuthority, TnAuthList, TnEntry};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

/// RFC 8225 appendix A.
const KEY: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFeZ1R208QCvcu5GuYyMfG4W7sH4m99/7eHSDLpdYllFoAoGCCqGSM49
AwEHoUQDQgAE8HNbQd/TmvCKwPKHkMF9fScavGeH78YTU8qLS8I5HLHSSmlATLcs
lQMhNC/OhlWBYC626nIlo7XeebYS7Sb37g==
-----END EC PRIVATE KEY-----
";
const PASSPORT: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9",
    ".eyJkZXN0Ijp7InVyaSI6WyJzaXA6YWxpY2VAZXhhbXBsZS5jb20iXX0sImlhdCI6MTQ3MTM3NTQxOCwib3JpZyI6eyJ0biI6IjEyMTU1NTUxMjEyIn19",
    ".VLBCIVDCaeK6M4hLJb6SHQvacAQVvoiiEOWQ_iUkqk79UD81fHQ0E1b3_GluIkba7UWYRM47ZbNFdOJquE35cw",
);

#[test]
fn the_passport_of_rfc_8225_is_read_and_written_octet_for_octet() {
    let passport: Passport = PASSPORT.parse().unwrap();
    assert_eq!(passport.extension(), Some(Extension::None));
    assert_eq!(passport.header.x5u, "https://cert.example.org/passport.cer");
    assert_eq!(passport.claims.iat, 1_471_375_418);
    assert_eq!(passport.claims.orig, Party::Tn("12155551212".to_owned()));
    assert_eq!(passport.claims.dest.parties(), [Party::Uri("sip:alice@example.com".to_owned())]);
    assert_eq!(passport.to_string(), PASSPORT);
}

/// The signature printed in the document does not hold under the key printed beside it, so the key signs anew.
#[test]
fn the_key_of_rfc_8225_signs_what_its_public_half_verifies() {
    let key = Arc::new(SigningKey::from_pem(KEY).unwrap());
    let signer = Signer::new(key.clone(), "https://cert.example.org/passport.cer");
    let [orig, div, dest] = ["12155551212", "12155551213", "12155551214"].map(Party::of);
    let identity = signer.div(orig, div, dest, 1_443_208_345).unwrap();
    let passport: Passport = identity.digest.parse().unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key());
    public.verify(passport.signed(), passport.signature()).unwrap();
}

#[test]
fn the_compact_form_of_rfc_8225_stands_for_the_same_octets() {
    let full: Passport = PASSPORT.parse().unwrap();
    let compact = format!("..{}", PASSPORT.rsplit_once('.').unwrap().1);
    let again = Passport::from_compact(&compact, &full.header.x5u, full.claims.clone()).unwrap();
    assert_eq!(again, full);
}

#[test]
fn a_key_is_that_of_its_certificate_and_of_no_other() {
    let authority = TestAuthority::create(1_750_000_000).unwrap();
    let numbers = TnAuthList::new(vec![TnEntry::Spc("709J".to_owned())]).unwrap();
    let (chain, key) = authority.issue("ann", &numbers, 30, 1_750_000_000).unwrap();
    let chain = Chain::parse(chain.as_bytes()).unwrap();
    assert_eq!(SigningKey::from_pem(&key).unwrap().public_key(), chain.public_key());
    assert_ne!(SigningKey::from_pem(KEY).unwrap().public_key(), chain.public_key());
    assert_eq!(chain.subject, "CN=ann, O=Opentact");
    assert_eq!(chain.not_after - chain.not_before, 30 * 86_400 + 3600);
}

#[test]
fn an_authority_goes_on_after_a_restart() {
    let first = TestAuthority::create(1_750_000_000).unwrap();
    let again = TestAuthority::load(first.certificate(), first.key()).unwrap();
    let numbers = TnAuthList::new(vec![TnEntry::One("12025550123".to_owned())]).unwrap();
    let (chain, _) = again.issue("ann", &numbers, 30, 1_750_000_000).unwrap();
    let mut anchors = opentact_stir::Anchors::default();
    anchors.add_pem(first.certificate().as_bytes()).unwrap();
    assert_eq!(Chain::parse(chain.as_bytes()).unwrap().validate(&anchors, 1_750_000_000), Ok(()));
}

#[test]
fn what_is_no_p256_key_is_refused() {
    use opentact_stir::KeyError;
    use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
    let pem = |algorithm| KeyPair::generate_for(algorithm).unwrap().serialize_pem();
    for pem in [pem(&PKCS_ECDSA_P384_SHA384), pem(&PKCS_ED25519)] {
        assert_eq!(SigningKey::from_pem(&pem).map(|_| ()), Err(KeyError::Curve));
    }
    assert_eq!(SigningKey::from_pem("no key").map(|_| ()), Err(KeyError::Pem));
}
