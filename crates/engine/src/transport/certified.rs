//! Who connects to us over TLS, by the certificate that is shown (RFC 5922). It is asked for and never needed: a phone may
//! have none, or one of its maker that says nothing here.

use std::fmt;
use std::sync::Arc;

use opentact_sip::uri::{Scheme, Uri};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};

/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 32;

/// By which authorities a peer's certificate proves anything. Cheap to clone.
#[derive(Clone)]
pub struct ClientTrust(Arc<dyn ClientCertVerifier>);

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTrust")
    }
}

impl ClientTrust {
    /// # Errors
    /// There is no authority.
    pub fn new(authorities: RootCertStore) -> Result<Self, VerifierBuilderError> {
        Ok(Self(WebPkiClientVerifier::builder(authorities.into()).build()?))
    }

    /// The same server, asking for a certificate.
    pub(super) fn ask(&self, server: &ServerConfig) -> Arc<ServerConfig> {
        let asking = ServerConfig::builder().with_client_cert_verifier(Arc::new(Asking(self.0.clone())));
        let mut asking = asking.with_cert_resolver(server.cert_resolver.clone());
        asking.session_storage = server.session_storage.clone();
        asking.ticketer = server.ticketer.clone();
        Arc::new(asking)
    }

    /// The SIP domains that a certificate proves (RFC 5922 7.1): hosts of `sip:` URIs without a user, and DNS names; in
    /// lower case. Wildcards prove none (7.2). None when it is not to be trusted now.
    pub(super) fn names(&self, chain: &[CertificateDer<'_>]) -> Vec<String> {
        let Some((certificate, between)) = chain.split_first() else { return Vec::new() };
        if let Err(error) = self.0.verify_client_cert(certificate, between, UnixTime::now()) {
            tracing::debug!(%error, "a peer's certificate proves nothing");
            return Vec::new();
        }
        let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
        let domains = certificate.valid_uri_names().filter_map(|uri| {
            let uri = Uri::parse(uri.as_bytes()).ok()?;
            (uri.scheme() == Scheme::Sip && uri.user().is_none()).then(|| uri.host().to_ascii_lowercase())
        });
        let names = certificate.valid_dns_names().filter(|name| !name.contains('*')).map(str::to_ascii_lowercase);
        domains.chain(names).take(MAX_NAMES).collect()
    }
}

/// Lets everybody in: what a certificate is worth is seen afterwards. That its owner shows it is made sure of.
#[derive(Debug)]
struct Asking(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

    use super::*;

    fn authority() -> (Issuer<'static, KeyPair>, ClientTrust) {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        (Issuer::new(params, key), ClientTrust::new(roots).unwrap())
    }

    fn certificate(
        issuer: &Issuer<'static, KeyPair>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    fn named(params: &mut CertificateParams) {
        let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        params.subject_alt_names = vec![
            dns("SBC1.Example.com"),
            uri("sip:example.com"),
            uri("sip:alice@users.example.com"),
            uri("https://web.example.com"),
            uri("sips:secure.example.com"),
            dns("*.example.com"),
        ];
    }

    #[test]
    fn names_are_domains_of_uris_and_dns_names() {
        let (issuer, trust) = authority();
        assert_eq!(trust.names(&[certificate(&issuer, named)]), ["example.com", "sbc1.example.com"]);
        assert!(trust.names(&[certificate(&issuer, |_| {})]).is_empty());
        assert!(trust.names(&[]).is_empty());
    }

    #[test]
    fn who_vouches_is_known_and_the_time_is_right() {
        let ((issuer, trust), (other, _)) = (authority(), authority());
        assert!(trust.names(&[certificate(&other, named)]).is_empty());
        let old = certificate(&issuer, |params| {
            named(params);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        });
        assert!(trust.names(&[old]).is_empty());
        assert!(ClientTrust::new(RootCertStore::empty()).is_err());
    }
}
