//! An authority of the test's own, and what shows and trusts its certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use opentact_engine::transport::{ClientTrust, TlsConfig};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::tcp::Shown;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Authority {
    pub fn new() -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots }
    }

    /// What proves to be this name or address.
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        let (chain, key) = self.certificate(name);
        Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
    }

    pub fn shown(&self, name: &str) -> Shown {
        Arc::new(Mutex::new(self.server(name)))
    }

    /// What a node is given that trusts this authority and is `localhost`.
    pub fn node(&self) -> TlsConfig {
        let server = self.server("localhost");
        TlsConfig {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            server: Arc::new(move || server.clone()),
            client: self.client(None),
            clients: None,
        }
    }

    /// The same that asks who connects for a certificate of this authority, and shows its own where it is asked.
    pub fn asking_node(&self) -> TlsConfig {
        let clients = Some(ClientTrust::new(self.roots.clone()).unwrap());
        TlsConfig { clients, client: self.client(Some("localhost")), ..self.node() }
    }

    /// What trusts this authority, and shows a certificate of it for this name.
    pub fn client(&self, name: Option<&str>) -> Arc<ClientConfig> {
        let config = ClientConfig::builder().with_root_certificates(self.roots.clone());
        Arc::new(match name {
            Some(name) => {
                let (chain, key) = self.certificate(name);
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        })
    }

    /// What is nobody to who trusts `other` only, and trusts `other` itself.
    pub fn stranger_to(&self, other: &Authority, name: &str) -> Arc<ClientConfig> {
        let (chain, key) = self.certificate(name);
        let config = ClientConfig::builder().with_root_certificates(other.roots.clone());
        Arc::new(config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
            CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()).unwrap(),
        ))))
    }

    /// What shows to be `localhost`, and takes nobody without a certificate of this authority.
    pub fn closed(&self) -> Shown {
        let verifier = WebPkiClientVerifier::builder(self.roots.clone().into()).build().unwrap();
        let (chain, key) = self.certificate("localhost");
        let config = ServerConfig::builder().with_client_cert_verifier(verifier);
        Arc::new(Mutex::new(Arc::new(config.with_single_cert(chain, key).unwrap())))
    }

    fn certificate(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}
