//! One-way secrets: passwords (argon2id), API tokens (SHA-256), SIP HA1 values.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use md5::Md5;
use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};

use crate::{Result, StoreError};

/// A hash of no password, in the parameters that [`hash_password`] uses: to be verified against where there is
/// no user, so that the answer takes as long.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes on a blocking thread: it takes tens of milliseconds of CPU by design.
pub async fn hash_password(password: &str) -> Result<String> {
    let password = password.to_owned();
    blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|e| e.to_string())
    })
    .await?
    .map_err(|e| StoreError::invalid("password", e))
}

/// Whether the password belongs to the hash (PHC form). Takes as long for a wrong one.
pub async fn verify_password(password: &str, hash: &str) -> Result<bool> {
    let (password, hash) = (password.to_owned(), hash.to_owned());
    blocking(move || Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok()).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Key(e.to_string()))
}

/// A new API token: 48 characters `[A-Za-z0-9]`, about 285 bits.
pub fn new_token() -> String {
    rand::rng().sample_iter(Alphanumeric).take(48).map(char::from).collect()
}

/// What is stored of a token. It needs no salt and no stretching: it is random, not chosen.
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// `abcd…wxyz`.
pub fn mask_token(token: &str) -> String {
    let head: String = token.chars().take(4).collect();
    let tail: String = token.chars().skip(token.chars().count().saturating_sub(4)).collect();
    format!("{head}…{tail}")
}

/// The digest secrets of a SIP user, hex (RFC 7616 3.4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ha1 {
    /// MD5 of `login:domain:password`.
    pub md5: String,
    /// SHA-256 of `login:domain:password`.
    pub sha256: String,
    /// MD5 of `login@domain:domain:password`, for clients that send the whole address as user name.
    pub md5_b: String,
}

impl Ha1 {
    pub fn new(login: &str, domain: &str, password: &str) -> Ha1 {
        let plain = format!("{login}:{domain}:{password}");
        let whole = format!("{login}@{domain}:{domain}:{password}");
        Ha1 {
            md5: hex::encode(Md5::digest(plain.as_bytes())),
            sha256: hex::encode(Sha256::digest(plain.as_bytes())),
            md5_b: hex::encode(Md5::digest(whole.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ha1_is_that_of_rfc_7616() {
        // RFC 7616 3.9.1 gives user, realm and password; the values are what openssl computes for them.
        let ha1 = Ha1::new("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(ha1.md5, "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(ha1.sha256.len(), 64);
        assert_eq!(ha1.sha256, "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232");
    }

    #[test]
    fn tokens_are_48_letters_and_digits() {
        let token = new_token();
        assert_eq!(token.len(), 48);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(token, new_token());
        assert_eq!(mask_token("abcdEFGHijkl"), "abcd…ijkl");
    }

    #[tokio::test]
    async fn nobody_takes_as_long_as_somebody() {
        use argon2::password_hash::phc::PasswordHash;
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let hash = hash_password("x").await.unwrap();
        let somebody = PasswordHash::new(&hash).unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
        assert_eq!(nobody.salt.unwrap().len(), somebody.salt.unwrap().len());
        assert!(!verify_password("", NOBODY).await.unwrap());
    }

    #[tokio::test]
    async fn password_verifies_only_itself() {
        let hash = hash_password("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password("correct horse", &hash).await.unwrap());
        assert!(!verify_password("Correct horse", &hash).await.unwrap());
        assert!(!verify_password("correct horse", "not a hash").await.unwrap());
    }
}
