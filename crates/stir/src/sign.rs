//! Making PASSporTs and the headers that carry them.

use std::sync::Arc;

use crate::identity::Identity;
use crate::key::{KeyError, SigningKey};
use crate::passport::{Attest, Claims, Destination, ES256, Extension, Header, Party, Passport};

/// What `shaken` says of a call (RFC 8588 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origination {
    pub orig: Party,
    pub dest: Party,
    pub attest: Attest,
    /// A UUID (ATIS-1000074 5.2.4).
    pub origid: String,
}

/// A private key and where its certificate is published.
#[derive(Debug, Clone)]
pub struct Signer {
    key: Arc<SigningKey>,
    x5u: String,
}

impl Signer {
    /// `x5u` is an `https` URL.
    pub fn new(key: Arc<SigningKey>, x5u: impl Into<String>) -> Self {
        Self { key, x5u: x5u.into() }
    }

    /// Vouches for the caller of a call. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn shaken(&self, call: &Origination, now: i64) -> Result<Identity, KeyError> {
        let claims = Claims {
            attest: Some(call.attest),
            dest: Destination::one(call.dest.clone()),
            div: None,
            iat: now,
            orig: call.orig.clone(),
            origid: Some(call.origid.clone()),
        };
        self.identity(Extension::Shaken, claims)
    }

    /// Says that a call for `div` goes on to `dest` (RFC 8946 3).
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn div(&self, orig: Party, div: Party, dest: Party, now: i64) -> Result<Identity, KeyError> {
        let dest = Destination::one(dest);
        let claims = Claims { attest: None, dest, div: Some(div), iat: now, orig, origid: None };
        self.identity(Extension::Div, claims)
    }

    fn identity(&self, extension: Extension, claims: Claims) -> Result<Identity, KeyError> {
        let ppt = extension.ppt().map(str::to_owned);
        let header = Header { ppt: ppt.clone(), x5u: self.x5u.clone() };
        let passport = Passport::sign(header, claims, |octets| self.key.sign(octets))?;
        Ok(Identity { digest: passport.to_string(), info: self.x5u.clone(), alg: Some(ES256.to_owned()), ppt })
    }
}
