//! Private keys that sign: P-256, in the forms OpenSSL writes them.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::der::{self, INTEGER, OBJECT, OCTET_STRING, SEQUENCE};

/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// prime256v1, 1.2.840.10045.3.1.7.
const PRIME256V1: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no PEM block of a private key")]
    Pem,
    #[error("not an elliptic-curve key in PKCS#8 or SEC 1")]
    Kind,
    #[error("not a P-256 key that comes with its public half")]
    Curve,
    #[error("the key could not sign")]
    Sign,
}

/// A P-256 private key.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    /// Reads `PRIVATE KEY` (PKCS#8) or `EC PRIVATE KEY` (SEC 1, RFC 5915).
    ///
    /// # Errors
    /// There is no such block, or the key is not on P-256.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
        let pkcs8 = match &key {
            PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
            PrivateKeyDer::Sec1(key) => wrapped(key.secret_sec1_der()),
            _ => return Err(KeyError::Kind),
        };
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
        Ok(Self { pair: pair.map_err(|_| KeyError::Curve)?, random })
    }

    /// The uncompressed point, 65 octets.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// r and s over the octets.
    pub(crate) fn sign(&self, octets: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.pair.sign(&self.random, octets).map_err(|_| KeyError::Sign)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Sign)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// PKCS#8 (RFC 5958) around the key of RFC 5915.
fn wrapped(sec1: &[u8]) -> Vec<u8> {
    let algorithm = [der::value(OBJECT, &EC_PUBLIC_KEY), der::value(OBJECT, &PRIME256V1)].concat();
    let parts = [der::value(INTEGER, &[0]), der::value(SEQUENCE, &algorithm), der::value(OCTET_STRING, sec1)];
    der::value(SEQUENCE, &parts.concat())
}
