//! An authority for tests and first steps: certificates that nobody else trusts.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use time::{Duration, OffsetDateTime};

use crate::tn_auth_list::{self, TnAuthList};

const CA_LIFE: Duration = Duration::days(3650);
/// Clocks of verifiers may be behind ours.
const BACKDATE: Duration = Duration::hours(1);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{0} seconds since 1970 is no date")]
    Time(i64),
}

/// An authority that certifies whatever it is asked to.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    key: String,
}

impl TestAuthority {
    /// Makes one that lasts ten years from `now` (seconds since 1970).
    ///
    /// # Errors
    /// The system gave no randomness, or `now` is no date.
    pub fn create(now: i64) -> Result<Self, AuthorityError> {
        let now = date(now)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Opentact");
        params.distinguished_name.push(DnType::CommonName, "Opentact test STI authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now - BACKDATE;
        params.not_after = now + CA_LIFE;
        let certificate = params.self_signed(&key)?.pem();
        let pem = key.serialize_pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate, key: pem })
    }

    /// The one of an earlier run.
    ///
    /// # Errors
    /// The texts are no certificate of an authority and its key.
    pub fn load(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?;
        Ok(Self { issuer, certificate: certificate.to_owned(), key: key.to_owned() })
    }

    /// What verifiers have to trust, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// In PEM, to be kept secret.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A signing certificate and its private key, in PEM, valid for `days` from `now` (seconds since 1970).
    ///
    /// # Errors
    /// The system gave no randomness, or `now` is no date.
    pub fn issue(
        &self,
        name: &str,
        numbers: &TnAuthList,
        days: u16,
        now: i64,
    ) -> Result<(String, String), AuthorityError> {
        let now = date(now)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "Opentact");
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.custom_extensions = vec![CustomExtension::from_oid_content(&tn_auth_list::OID, numbers.to_der())];
        params.not_before = now - BACKDATE;
        params.not_after = now + Duration::days(days.into());
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

impl std::fmt::Debug for TestAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestAuthority").finish_non_exhaustive()
    }
}

fn date(now: i64) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(now).map_err(|_| AuthorityError::Time(now))
}
