//! What STIR/SHAKEN runs with: the authorities that count, and one for tests.
//!
//! `stir/ca.pem` in the data folder is the certificate of the test authority, for other verifiers to trust; it and its key
//! stay the same over restarts.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use opentact_engine::stir::StirConfig;
use opentact_stir::{Anchors, TestAuthority};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::Config;

/// What the engine is told, and who makes certificates for tests.
pub struct Prepared {
    pub config: StirConfig,
    pub authority: Option<Arc<TestAuthority>>,
}

/// Reads trust anchors and, where there is to be one, reads or makes the test authority. `https` is where the API will be
/// reached, `now` in seconds since 1970.
///
/// # Errors
/// A file that cannot be read or written, or is not what it should be.
pub fn prepare(config: &Config, https: SocketAddr, now: i64) -> anyhow::Result<Prepared> {
    let mut anchors = Anchors::default();
    if let Some(path) = &config.stir.trust_anchors {
        let context = || format!("stir.trust_anchors: {}", path.display());
        anchors.add_pem(&fs::read(path).with_context(context)?).with_context(context)?;
    }
    let authority = match config.test_ca() {
        true => Some(test_authority(&config.general.data, now)?),
        false => None,
    };
    if let Some(authority) = &authority {
        anchors.add_pem(authority.certificate().as_bytes())?;
    }
    let roots = match &config.stir.x5u_ca {
        Some(path) => certificates(path).with_context(|| format!("stir.x5u_ca: {}", path.display()))?,
        None => Vec::new(),
    };
    let config = StirConfig {
        anchors,
        window: config.stir.window.0,
        verify_timeout: config.stir.verify_timeout.0,
        replays: config.stir.replays as usize,
        roots,
        public_url: config.public_url(https),
    };
    Ok(Prepared { config, authority: authority.map(Arc::new) })
}

fn test_authority(data: &Path, now: i64) -> anyhow::Result<TestAuthority> {
    let folder = data.join("stir");
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    if certificate.exists() && key.exists() {
        let load = || {
            Ok::<_, anyhow::Error>(TestAuthority::load(&fs::read_to_string(&certificate)?, &fs::read_to_string(&key)?)?)
        };
        return load().with_context(|| certificate.display().to_string());
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let authority = TestAuthority::create(now)?;
    crate::files::replace(&key, authority.key().as_bytes(), 0o600).with_context(|| key.display().to_string())?;
    crate::files::replace(&certificate, authority.certificate().as_bytes(), 0o644)
        .with_context(|| certificate.display().to_string())?;
    Ok(authority)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    anyhow::ensure!(!certificates.is_empty(), "no certificate");
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;

    #[test]
    fn the_test_authority_stays_the_same_over_a_restart() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = test_authority(folder.path(), 1_750_000_000).unwrap();
        let again = test_authority(folder.path(), 1_760_000_000).unwrap();
        assert_eq!(again.certificate(), first.certificate());
        let key = fs::metadata(folder.path().join("stir/ca.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_anybody_can_reach_has_no_test_authority_unless_asked_for() {
        let config = |set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            Loaded::read(None, std::iter::empty(), &set).unwrap().config
        };
        assert!(config(&[]).test_ca());
        assert!(!config(&[("sip.udp", "0.0.0.0:5060")]).test_ca());
        assert!(config(&[("sip.udp", "0.0.0.0:5060"), ("stir.test_ca", "true")]).test_ca());
        assert!(!config(&[("stir.test_ca", "false")]).test_ca());
    }

    #[test]
    fn anchors_that_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors.pem");
        fs::write(&path, "nothing").unwrap();
        let mut config = Loaded::read(None, std::iter::empty(), &[]).unwrap().config;
        config.general.data = folder.path().to_owned();
        config.stir.trust_anchors = Some(path);
        let error = prepare(&config, config.https.listen, 1_750_000_000).err().unwrap();
        assert!(error.to_string().starts_with("stir.trust_anchors"), "{error}");
    }
}
