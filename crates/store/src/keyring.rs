//! Sealing of secrets that must be read back: SIP HA1s and trunk passwords.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use crate::{Result, StoreError};

const KEY_LEN: usize = 32;

/// AES-256-GCM under a key that lives outside the database.
///
/// A sealed value is nonce (12 octets), ciphertext, tag. The context (table and row) is authenticated, so
/// that a sealed value copied to another row does not open there.
#[derive(Clone)]
pub struct Keyring {
    key: Arc<LessSafeKey>,
    /// The same key as the root of others.
    root: hmac::Key,
    random: SystemRandom,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    pub fn new(key: [u8; KEY_LEN]) -> Result<Keyring> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| StoreError::Key("not a key".to_owned()))?;
        Ok(Keyring { key: Arc::new(LessSafeKey::new(key)), root, random: SystemRandom::new() })
    }

    /// A key that is forgotten with the process. For tests.
    pub fn ephemeral() -> Result<Keyring> {
        Keyring::new(random_key()?)
    }

    /// Reads the key file (64 hex digits), or makes it, readable by its owner only. Blocking.
    pub fn open_or_create(path: &Path) -> Result<Keyring> {
        match OpenOptions::new().read(true).open(path) {
            Ok(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(|e| broken(path, &e))?;
                let mut key = [0; KEY_LEN];
                hex::decode_to_slice(text.trim(), &mut key).map_err(|e| broken(path, &e))?;
                Keyring::new(key)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let key = random_key()?;
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut file = options.open(path).map_err(|e| broken(path, &e))?;
                writeln!(file, "{}", hex::encode(key)).map_err(|e| broken(path, &e))?;
                file.sync_all().map_err(|e| broken(path, &e))?;
                Keyring::new(key)
            }
            Err(e) => Err(broken(path, &e)),
        }
    }

    /// A key for another purpose, the same at every start. Who learns it learns nothing of this one or of those of other
    /// labels (HMAC-SHA256 as the expansion step of RFC 5869).
    pub fn derive(&self, label: &str) -> [u8; KEY_LEN] {
        let mut key = [0; KEY_LEN];
        key.copy_from_slice(hmac::sign(&self.root, label.as_bytes()).as_ref());
        key
    }

    pub fn seal(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| StoreError::Key("no randomness".to_owned()))?;
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| StoreError::Sealed)?;
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        Ok(out)
    }

    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(StoreError::Sealed)?;
        let mut buffer = rest.to_vec();
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut buffer)
            .map_err(|_| StoreError::Sealed)?;
        Ok(plain.to_vec())
    }
}

fn random_key() -> Result<[u8; KEY_LEN]> {
    let mut key = [0; KEY_LEN];
    SystemRandom::new().fill(&mut key).map_err(|_| StoreError::Key("no randomness".to_owned()))?;
    Ok(key)
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Key(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_sealed_for_that_row() {
        let keyring = Keyring::ephemeral().unwrap();
        let sealed = keyring.seal(b"row 1", b"secret").unwrap();
        assert_eq!(keyring.open(b"row 1", &sealed).unwrap(), b"secret");
        assert!(matches!(keyring.open(b"row 2", &sealed), Err(StoreError::Sealed)));
        assert!(matches!(keyring.open(b"row 1", &sealed[..5]), Err(StoreError::Sealed)));
        let other = Keyring::ephemeral().unwrap();
        assert!(matches!(other.open(b"row 1", &sealed), Err(StoreError::Sealed)));
    }

    #[test]
    fn derived_keys_are_those_of_their_label_and_root() {
        let keyring = Keyring::new([1; KEY_LEN]).unwrap();
        assert_eq!(keyring.derive("a"), Keyring::new([1; KEY_LEN]).unwrap().derive("a"));
        assert_ne!(keyring.derive("a"), keyring.derive("b"));
        assert_ne!(keyring.derive("a"), Keyring::new([2; KEY_LEN]).unwrap().derive("a"));
    }

    #[test]
    fn key_file_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.key");
        let sealed = Keyring::open_or_create(&path).unwrap().seal(b"", b"x").unwrap();
        assert_eq!(Keyring::open_or_create(&path).unwrap().open(b"", &sealed).unwrap(), b"x");
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(Keyring::open_or_create(&path), Err(StoreError::Key(_))));
    }
}
