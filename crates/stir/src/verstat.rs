//! The `verstat` parameter: what a verifier tells the callee (3GPP TS 24.229 7.2A.20, ATIS-1000074 7.3).

use std::fmt;

/// Value of `verstat` on the caller's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verstat {
    Passed,
    Failed,
    /// Nothing to judge: no identity, or none we were asked to look at.
    NotValidated,
}

impl Verstat {
    pub fn as_str(self) -> &'static str {
        match self {
            Verstat::Passed => "TN-Validation-Passed",
            Verstat::Failed => "TN-Validation-Failed",
            Verstat::NotValidated => "No-TN-Validation",
        }
    }
}

impl fmt::Display for Verstat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
