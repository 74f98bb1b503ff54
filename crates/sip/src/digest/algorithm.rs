use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

/// The hash under an algorithm; stored secrets are made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    Md5,
    Sha256,
}

/// `algorithm=` (RFC 7616 3.3). SHA-512-256 is not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Md5,
    Md5Sess,
    Sha256,
    Sha256Sess,
}

impl Algorithm {
    /// `None` for one that is not spoken.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    pub fn hash(self) -> Hash {
        match self {
            Self::Md5 | Self::Md5Sess => Hash::Md5,
            Self::Sha256 | Self::Sha256Sess => Hash::Sha256,
        }
    }

    fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }
}

impl Hash {
    /// Hash of the parts with `:` between them, in hexadecimal.
    fn hex(self, parts: &[&[u8]]) -> String {
        fn joined<D: Digest>(parts: &[&[u8]]) -> String {
            let mut digest = D::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    digest.update(b":");
                }
                digest.update(part);
            }
            hex::encode(digest.finalize())
        }
        match self {
            Self::Md5 => joined::<Md5>(parts),
            Self::Sha256 => joined::<Sha256>(parts),
        }
    }
}

/// H(user:realm:password) in hexadecimal: as good as the password for this realm, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1(Box<str>);

impl Ha1 {
    pub fn new(hash: Hash, user: &str, realm: &str, password: &str) -> Self {
        Self(hash.hex(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()]).into_boxed_str())
    }

    /// From its stored form, lower-case hexadecimal.
    pub fn from_hex(hex: &str) -> Self {
        Self(hex.to_ascii_lowercase().into_boxed_str())
    }

    /// Its stored form.
    pub fn as_hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(..)")
    }
}

/// All that goes into a `response` beside the secret.
pub(super) struct Exchange<'a> {
    pub algorithm: Algorithm,
    pub method: &'a str,
    pub uri: &'a str,
    pub nonce: &'a str,
    /// `None` without qop (RFC 2069).
    pub protection: Option<Protection<'a>>,
    /// Only hashed with `auth-int`.
    pub body: &'a [u8],
}

pub(super) struct Protection<'a> {
    /// `auth` or `auth-int`.
    pub qop: &'a str,
    /// As written: eight hexadecimal digits.
    pub nc: &'a str,
    pub cnonce: &'a str,
}

impl Exchange<'_> {
    /// RFC 7616 3.4.1.
    pub fn response(&self, ha1: &Ha1) -> String {
        let hash = self.algorithm.hash();
        let nonce = self.nonce.as_bytes();
        let cnonce = self.protection.as_ref().map_or(&b""[..], |p| p.cnonce.as_bytes());
        let session;
        let ha1 = if self.algorithm.is_session() {
            session = hash.hex(&[ha1.0.as_bytes(), nonce, cnonce]);
            session.as_bytes()
        } else {
            ha1.0.as_bytes()
        };
        let (method, uri) = (self.method.as_bytes(), self.uri.as_bytes());
        let ha2 = match &self.protection {
            Some(p) if p.qop == "auth-int" => hash.hex(&[method, uri, hash.hex(&[self.body]).as_bytes()]),
            _ => hash.hex(&[method, uri]),
        };
        match &self.protection {
            Some(p) => hash.hex(&[ha1, nonce, p.nc.as_bytes(), cnonce, p.qop.as_bytes(), ha2.as_bytes()]),
            None => hash.hex(&[ha1, nonce, ha2.as_bytes()]),
        }
    }
}
