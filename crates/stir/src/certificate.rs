//! Certificates that sign PASSporTs: what they must be (RFC 8226, ATIS-1000080 6.3.5) and whom they may speak for.

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::passport::Passport;
use crate::tn_auth_list::{self, TnAuthList, TnAuthListError};

/// Certificates read of one file; more are refused.
const MAX_CHAIN: usize = 8;
/// id-pe-JWTClaimConstraints and id-pe-eJWTClaimConstraints: 1.3.6.1.5.5.7.1.27 and .33.
const CLAIM_CONSTRAINTS: [[u64; 9]; 2] = [[1, 3, 6, 1, 5, 5, 7, 1, 27], [1, 3, 6, 1, 5, 5, 7, 1, 33]];
/// Uncompressed point of P-256.
const P256_POINT: usize = 65;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("no certificate")]
    Empty,
    #[error("more than {MAX_CHAIN} certificates")]
    TooLong,
    #[error("not a certificate in PEM or DER")]
    Malformed,
    #[error("key of the certificate is not on P-256")]
    Curve,
    #[error("certificate may not sign: its key usage says otherwise")]
    KeyUsage,
    #[error("certificate has no TN authorization list")]
    NoTnAuthList,
    #[error(transparent)]
    TnAuthList(#[from] TnAuthListError),
    /// Its limits on claims would have to be kept, and are not understood.
    #[error("certificate limits claims (RFC 8226 8), which is not supported")]
    ClaimConstraints,
    #[error("no trust anchor is configured")]
    NoAnchors,
    #[error("certificate chain: {0}")]
    Path(String),
}

/// The authorities whose certificates count.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    anchors: Vec<TrustAnchor<'static>>,
}

impl Anchors {
    /// Adds every certificate of a PEM file; returns how many there were.
    ///
    /// # Errors
    /// One cannot be read, or there is none. Nothing is added then.
    pub fn add_pem(&mut self, pem: &[u8]) -> Result<usize, ChainError> {
        let certificates: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ChainError::Malformed)?;
        if certificates.is_empty() {
            return Err(ChainError::Empty);
        }
        let anchor = |der| anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned());
        let anchors: Vec<_> =
            certificates.iter().map(anchor).collect::<Result<_, _>>().map_err(|_| ChainError::Malformed)?;
        self.anchors.extend(anchors);
        Ok(certificates.len())
    }

    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }
}

/// A signing certificate and those above it, read but not judged.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The signing one first.
    certificates: Vec<CertificateDer<'static>>,
    public_key: Vec<u8>,
    numbers: TnAuthList,
    pub subject: String,
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
}

impl Chain {
    /// Reads PEM (the signing certificate first), or one certificate in DER.
    ///
    /// # Errors
    /// It is no certificate, or none that may sign PASSporTs.
    pub fn parse(octets: &[u8]) -> Result<Self, ChainError> {
        let pem = CertificateDer::pem_slice_iter(octets).take(MAX_CHAIN + 1).collect::<Result<Vec<_>, _>>();
        let mut certificates = pem.map_err(|_| ChainError::Malformed)?;
        if certificates.len() > MAX_CHAIN {
            return Err(ChainError::TooLong);
        }
        if certificates.is_empty() {
            if octets.is_empty() {
                return Err(ChainError::Empty);
            }
            certificates.push(CertificateDer::from(octets.to_vec()));
        }
        let leaf = read(&certificates[0])?;
        let key = &leaf.public_key().subject_public_key.data;
        let algorithm = &leaf.public_key().algorithm;
        let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let p256 = curve.is_some_and(|curve| curve == x509_parser::oid_registry::OID_EC_P256);
        if !p256 || key.len() != P256_POINT {
            return Err(ChainError::Curve);
        }
        if leaf.key_usage().map_err(|_| ChainError::Malformed)?.is_some_and(|usage| !usage.value.digital_signature()) {
            return Err(ChainError::KeyUsage);
        }
        let mut numbers = None;
        for extension in leaf.extensions() {
            let oid: Vec<u64> = extension.oid.iter().map(Iterator::collect).unwrap_or_default();
            if oid == tn_auth_list::OID {
                numbers = Some(TnAuthList::parse(extension.value)?);
            } else if CLAIM_CONSTRAINTS.iter().any(|constraints| oid == *constraints) {
                return Err(ChainError::ClaimConstraints);
            }
        }
        let serial: String = leaf.raw_serial().iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Self {
            public_key: key.to_vec(),
            numbers: numbers.ok_or(ChainError::NoTnAuthList)?,
            subject: leaf.subject().to_string(),
            issuer: leaf.issuer().to_string(),
            serial,
            not_before: leaf.validity().not_before.timestamp(),
            not_after: leaf.validity().not_after.timestamp(),
            certificates,
        })
    }

    /// Whether the chain leads to an anchor and every certificate on the way is valid at `now` (seconds since 1970),
    /// may certify and signs with ES256 (ATIS-1000080 has no other algorithm).
    ///
    /// # Errors
    /// What does not hold.
    pub fn validate(&self, anchors: &Anchors, now: i64) -> Result<(), ChainError> {
        if anchors.is_empty() {
            return Err(ChainError::NoAnchors);
        }
        let (leaf, above) = self.certificates.split_first().ok_or(ChainError::Empty)?;
        let broken = |fault: webpki::Error| ChainError::Path(fault.to_string());
        let leaf = EndEntityCert::try_from(leaf).map_err(broken)?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(now).unwrap_or_default()));
        let algorithms: &[&dyn SignatureVerificationAlgorithm] = &[webpki::ring::ECDSA_P256_SHA256];
        leaf.verify_for_usage(algorithms, &anchors.anchors, above, time, AnyUse, None, Some(&may_certify))
            .map(|_| ())
            .map_err(broken)
    }

    /// Whether the signature is by this certificate's key.
    pub fn has_signed(&self, passport: &Passport) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public_key);
        key.verify(passport.signed(), passport.signature()).is_ok()
    }

    /// Whom it may speak for.
    pub fn numbers(&self) -> &TnAuthList {
        &self.numbers
    }

    /// The uncompressed point, 65 octets.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

/// RFC 8226 asks for no extended key usage, and none is defined for PASSporTs.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Webpki has seen to basicConstraints; that a certificate may certify at all it leaves to us (RFC 5280 4.2.1.3).
fn may_certify(path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
    for above in path.intermediate_certificates() {
        let der = above.der();
        let certificate = read(&der).map_err(|_| webpki::Error::BadDer)?;
        let usage = certificate.key_usage().map_err(|_| webpki::Error::BadDer)?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
    }
    Ok(())
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, ChainError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(ChainError::Malformed),
    }
}
