//! The certificate of the HTTPS and SIP TLS listeners: a local authority made on first start, or one of the operator's own.
//!
//! `tls/ca.pem` in the data folder is what clients trust; it stays the same over restarts and renewals of the server's
//! certificate, which is made again when its names change or its end is near.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use opentact_engine::transport::{ClientTrust, TlsConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::config::{Config, Https, Sip};

const CA_LIFE: Duration = Duration::days(3650);
/// Apple's clients refuse longer than 825 days, public rules want ever less; renewal costs nothing here.
const SERVER_LIFE: Duration = Duration::days(90);
const RENEW_BEFORE: Duration = Duration::days(30);
/// Clocks of clients may be behind ours.
const BACKDATE: Duration = Duration::hours(1);
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {fault}")]
    File { path: PathBuf, fault: io::Error },
    #[error("{path}: {fault}")]
    Pem { path: PathBuf, fault: String },
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("certificate and key are not usable: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Where the files of the local authority are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    folder: PathBuf,
}

impl TlsFiles {
    pub fn in_data(data: &Path) -> Self {
        Self { folder: data.join("tls") }
    }

    /// The authority's certificate, for clients to trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    fn ca_key(&self) -> PathBuf {
        self.folder.join("ca.key")
    }

    fn server(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }
}

/// Makes rustls use ring, whatever other providers are linked. Without it rustls refuses to choose.
pub fn install_provider() {
    // An error means that one is installed already, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The rustls configuration of the HTTPS listener; makes, reuses or renews the local certificate.
///
/// # Errors
/// Files that cannot be read or written, PEM that is not, a key that does not fit its certificate.
pub fn server_config(https: &Https, files: &TlsFiles, now: OffsetDateTime) -> Result<Arc<ServerConfig>, TlsError> {
    if https.certificate.is_none() || https.key.is_none() {
        ensure_local(files, &https.names, now)?;
    }
    let (chain, key) = shown(https, files)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The chain and key that we show: the operator's, or else ours.
fn shown(https: &Https, files: &TlsFiles) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let (certificate, key) = match (&https.certificate, &https.key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => (files.server(), files.server_key()),
    };
    let chain = certificates(&certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&key).map_err(|fault| TlsError::Pem { path: key, fault: fault.to_string() })?;
    Ok((chain, key))
}

/// Whom SIP over TLS trusts: the authorities of the operating system, our own and those of `sip.tls_ca`.
///
/// # Errors
/// `sip.tls_ca` cannot be read or is no PEM.
pub fn trust(sip: &Sip, files: &TlsFiles) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in sip.tls_ca.iter().cloned().chain([files.ca()].into_iter().filter(|path| path.exists())) {
        add_authorities(&mut roots, path)?;
    }
    Ok(roots)
}

/// By whom who connects over TLS is believed: the authorities of `sip.tls_client_ca`, and nobody else.
///
/// # Errors
/// `sip.tls_client_ca` cannot be read or is no PEM.
pub fn client_trust(sip: &Sip) -> Result<Option<ClientTrust>, TlsError> {
    let Some(path) = &sip.tls_client_ca else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    add_authorities(&mut roots, path.clone())?;
    let trust = ClientTrust::new(roots);
    trust.map(Some).map_err(|fault| TlsError::Pem { path: path.clone(), fault: fault.to_string() })
}

fn add_authorities(roots: &mut RootCertStore, path: PathBuf) -> Result<(), TlsError> {
    let (usable, refused) = roots.add_parsable_certificates(certificates(&path)?);
    if usable == 0 || refused > 0 {
        let fault = format!("{usable} usable certificates, {refused} that are not");
        return Err(TlsError::Pem { path, fault });
    }
    Ok(())
}

/// What SIP over TLS is served and called with: the certificate of HTTPS, renewed with it, [`trust`] and [`client_trust`].
pub fn sip_config(
    config: &Config,
    files: &TlsFiles,
    served: RustlsConfig,
    trust: RootCertStore,
    clients: Option<ClientTrust>,
) -> TlsConfig {
    let own = Own { https: config.https.clone(), files: files.clone() };
    let client = ClientConfig::builder().with_root_certificates(trust).with_client_cert_resolver(Arc::new(own));
    let server = move || {
        // What HTTPS offers to speak is nothing to a SIP phone.
        let mut config = ServerConfig::clone(&served.get_inner());
        config.alpn_protocols.clear();
        Arc::new(config)
    };
    TlsConfig { listen: config.sip.tls.clone(), server: Arc::new(server), client: Arc::new(client), clients }
}

/// Our certificate for peers that we call and that ask for one; read for each, as it may have been renewed.
#[derive(Debug)]
struct Own {
    https: Https,
    files: TlsFiles,
}

impl Own {
    fn key(&self) -> Result<CertifiedKey, TlsError> {
        let (chain, key) = shown(&self.https, &self.files)?;
        let provider = CryptoProvider::get_default().ok_or_else(|| rustls::Error::General("no provider".to_owned()))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }
}

impl ResolvesClientCert for Own {
    /// None where the peer names authorities of which none is ours: it could only refuse us.
    fn resolve(&self, authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let own = self.key().inspect_err(|fault| tracing::error!(%fault, "no certificate to show to a peer")).ok()?;
        let issued = |certificate: &CertificateDer<'_>| {
            let parsed = X509Certificate::from_der(certificate);
            parsed.is_ok_and(|(_, parsed)| authorities.contains(&parsed.issuer().as_raw()))
        };
        (authorities.is_empty() || own.cert.iter().any(issued)).then(|| Arc::new(own))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Every certificate of a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|fault| TlsError::Pem { path: path.to_owned(), fault: fault.to_string() })
}

/// Leaves the files of a usable authority and a usable server certificate behind.
fn ensure_local(files: &TlsFiles, names: &[String], now: OffsetDateTime) -> Result<(), TlsError> {
    fs::create_dir_all(&files.folder).map_err(|fault| TlsError::File { path: files.folder.clone(), fault })?;
    let issuer = match stored_authority(files, now) {
        Some(issuer) => issuer,
        None => make_authority(files, now)?,
    };
    let mut wanted: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    wanted.extend(names.iter().filter(|name| !ALWAYS.contains(&name.as_str())).cloned());
    if server_is_usable(files, &wanted, now) { Ok(()) } else { make_server(files, &issuer, wanted, now) }
}

fn stored_authority(files: &TlsFiles, now: OffsetDateTime) -> Option<Issuer<'static, KeyPair>> {
    let certificate = fs::read_to_string(files.ca()).ok()?;
    let key = KeyPair::from_pem(&fs::read_to_string(files.ca_key()).ok()?).ok()?;
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    let lasts = parsed.validity().not_after.to_datetime() > now + SERVER_LIFE;
    let fits = parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw();
    if lasts && fits { Issuer::from_ca_cert_pem(&certificate, key).ok() } else { None }
}

fn make_authority(files: &TlsFiles, now: OffsetDateTime) -> Result<Issuer<'static, KeyPair>, TlsError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "Opentact");
    params.distinguished_name.push(DnType::CommonName, "Opentact local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATE;
    params.not_after = now + CA_LIFE;
    let certificate = params.self_signed(&key)?;
    write_private(&files.ca_key(), &key.serialize_pem())?;
    write_public(&files.ca(), &certificate.pem())?;
    Ok(Issuer::new(params, key))
}

fn server_is_usable(files: &TlsFiles, wanted: &[String], now: OffsetDateTime) -> bool {
    let usable = || {
        let server = CertificateDer::from_pem_file(files.server()).ok()?;
        let authority = CertificateDer::from_pem_file(files.ca()).ok()?;
        let key = KeyPair::from_pem(&fs::read_to_string(files.server_key()).ok()?).ok()?;
        let (_, server) = X509Certificate::from_der(&server).ok()?;
        let (_, authority) = X509Certificate::from_der(&authority).ok()?;
        let fits = server.public_key().subject_public_key.data.as_ref() == key.public_key_raw();
        let fresh = server.validity().not_after.to_datetime() - now > RENEW_BEFORE;
        // To peers that we call we are a client.
        let calls = server.extended_key_usage().ok().flatten().is_some_and(|usage| usage.value.client_auth);
        let ours = authority_key(&server).is_some() && authority_key(&server) == subject_key(&authority);
        Some(fits && fresh && ours && calls && names_of(&server) == *wanted)
    };
    usable().unwrap_or(false)
}

fn authority_key<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}

fn subject_key<'c>(certificate: &'c X509Certificate<'_>) -> Option<&'c [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let Some(names) = names else { return Vec::new() };
    names.value.general_names.iter().filter_map(name_of).collect()
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| IpAddr::from(octets).to_string()),
            _ => <[u8; 16]>::try_from(*octets).ok().map(|octets| IpAddr::from(octets).to_string()),
        },
        _ => None,
    }
}

fn make_server(
    files: &TlsFiles,
    issuer: &Issuer<'static, KeyPair>,
    names: Vec<String>,
    now: OffsetDateTime,
) -> Result<(), TlsError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Opentact");
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATE;
    params.not_after = now + SERVER_LIFE;
    let certificate = params.signed_by(&key, issuer)?;
    write_private(&files.server_key(), &key.serialize_pem())?;
    write_public(&files.server(), &certificate.pem())
}

fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    write(path, text, 0o600)
}

fn write_public(path: &Path, text: &str) -> Result<(), TlsError> {
    write(path, text, 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    crate::files::replace(path, text.as_bytes(), mode).map_err(|fault| TlsError::File { path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;

    struct World {
        _folder: tempfile::TempDir,
        files: TlsFiles,
        https: Https,
        now: OffsetDateTime,
    }

    impl World {
        fn new() -> Self {
            install_provider();
            let folder = tempfile::tempdir().unwrap();
            let files = TlsFiles::in_data(folder.path());
            let https = Loaded::read(None, std::iter::empty(), &[]).unwrap().config.https;
            Self { _folder: folder, files, https, now: OffsetDateTime::now_utc() }
        }

        fn start(&self) {
            server_config(&self.https, &self.files, self.now).unwrap();
        }

        fn texts(&self) -> (String, String) {
            (fs::read_to_string(self.files.ca()).unwrap(), fs::read_to_string(self.files.server()).unwrap())
        }
    }

    #[test]
    fn restart_reuses_authority_and_certificate() {
        let world = World::new();
        world.start();
        let first = world.texts();
        world.start();
        assert_eq!(world.texts(), first);
    }

    #[test]
    fn near_its_end_the_certificate_is_renewed_under_the_same_authority() {
        let mut world = World::new();
        world.start();
        let (authority, server) = world.texts();
        world.now += SERVER_LIFE - RENEW_BEFORE + Duration::hours(2);
        world.start();
        let (authority_after, server_after) = world.texts();
        assert_eq!(authority_after, authority);
        assert_ne!(server_after, server);
    }

    #[test]
    fn a_new_name_makes_a_new_certificate() {
        let mut world = World::new();
        world.start();
        let (_, server) = world.texts();
        world.https.names = vec!["voice.example.com".to_owned(), "192.0.2.7".to_owned()];
        world.start();
        let (_, after) = world.texts();
        assert_ne!(after, server);
        let der = CertificateDer::from_pem_slice(after.as_bytes()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(names_of(&parsed), ["localhost", "127.0.0.1", "::1", "voice.example.com", "192.0.2.7"]);
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let world = World::new();
        world.start();
        for path in [world.files.ca_key(), world.files.server_key()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_replaced_with_its_certificate() {
        let world = World::new();
        world.start();
        fs::write(world.files.server_key(), "not a key").unwrap();
        world.start();
    }
}
