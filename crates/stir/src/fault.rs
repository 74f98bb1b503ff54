//! Why a call's identity does not hold, and how SIP says so.

use std::fmt;

/// The reasons of RFC 8224 6.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no `Identity` header that we can judge.
    NoIdentity,
    /// Signed too long ago, or in the future.
    Stale,
    /// The certificate cannot be had from where the header says it is.
    BadInfo,
    /// The certificate is no good: not of a trusted authority, not valid now, not for this number.
    UnsupportedCredential,
    /// The header or its PASSporT is malformed, says another caller or callee, or its signature is wrong.
    InvalidIdentity,
}

impl Reason {
    /// The final response of a verifier that refuses the call for it.
    pub fn code(self) -> u16 {
        match self {
            Reason::NoIdentity => 428,
            Reason::Stale => 403,
            Reason::BadInfo => 436,
            Reason::UnsupportedCredential => 437,
            Reason::InvalidIdentity => 438,
        }
    }

    /// The reason phrase that goes with [`Self::code`].
    pub fn phrase(self) -> &'static str {
        match self {
            Reason::NoIdentity => "Use Identity Header",
            Reason::Stale => "Stale Date",
            Reason::BadInfo => "Bad Identity Info",
            Reason::UnsupportedCredential => "Unsupported Credential",
            Reason::InvalidIdentity => "Invalid Identity Header",
        }
    }
}

/// A reason with what exactly was wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    pub detail: String,
}

impl Fault {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.phrase(), self.detail)
    }
}

impl std::error::Error for Fault {}
