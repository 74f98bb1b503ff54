//! An authority of the test's own, and what shows and trusts its certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use opentact_engine::transport::TlsConfig;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
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
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }

    pub fn shown(&self, name: &str) -> Shown {
        Arc::new(Mutex::new(self.server(name)))
    }

    /// What a node is given that trusts this authority and is `localhost`.
    pub fn node(&self) -> TlsConfig {
        let server = self.server("localhost");
        let client = ClientConfig::builder().with_root_certificates(self.roots.clone()).with_no_client_auth();
        TlsConfig {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            server: Arc::new(move || server.clone()),
            client: Arc::new(client),
        }
    }
}
