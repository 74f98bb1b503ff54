use std::fmt::Write;

use super::algorithm::{Exchange, Protection};
use super::header::{DigestParams, push_quoted};
use super::{Algorithm, Ha1, Hash};
use crate::message::{Headers, Method, Name};

/// Whom we say we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub secret: Secret,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Password(String),
    /// Only for the realm it was made for.
    Ha1 {
        md5: Option<Ha1>,
        sha256: Option<Ha1>,
    },
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Credentials {
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), secret: Secret::Password(password.into()) }
    }

    fn ha1(&self, hash: Hash, realm: &str) -> Option<Ha1> {
        match (&self.secret, hash) {
            (Secret::Password(password), _) => Some(Ha1::new(hash, &self.user, realm, password)),
            (Secret::Ha1 { md5, .. }, Hash::Md5) => md5.clone(),
            (Secret::Ha1 { sha256, .. }, Hash::Sha256) => sha256.clone(),
        }
    }
}

/// A challenge we can answer: WWW-Authenticate or Proxy-Authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub realm: String,
    pub nonce: String,
    pub opaque: Option<String>,
    pub algorithm: Algorithm,
    /// Whether the server wrote `algorithm`; some refuse an answer that has one when they did not.
    explicit_algorithm: bool,
    /// `auth` when it is offered, else `auth-int`; `None` without qop (RFC 2069).
    qop: Option<&'static str>,
    /// The nonce was old, the password may be right: answer again once.
    pub stale: bool,
}

impl Challenge {
    /// `None` for another scheme, an algorithm or protection we do not speak, or without realm and nonce.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let params = DigestParams::parse(value)?;
        let algorithm = params.get("algorithm").map_or(Some(Algorithm::Md5), Algorithm::parse)?;
        let qop = match params.get("qop") {
            None => None,
            Some(offered) => {
                let offers = |wanted| offered.split(',').any(|q| q.trim().eq_ignore_ascii_case(wanted));
                Some(["auth", "auth-int"].into_iter().find(|qop| offers(qop))?)
            }
        };
        Some(Self {
            realm: params.owned("realm")?,
            nonce: params.owned("nonce")?,
            opaque: params.owned("opaque"),
            algorithm,
            explicit_algorithm: params.get("algorithm").is_some(),
            qop,
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The challenge to answer in a 401 or 407: for each realm the topmost we speak (RFC 8760 2.4). The header it came
    /// in says where the answer goes: Authorization or Proxy-Authorization.
    pub fn all(headers: &Headers) -> Vec<(Name, Self)> {
        let mut chosen: Vec<(Name, Self)> = Vec::new();
        for (asked, given) in
            [(Name::WwwAuthenticate, Name::Authorization), (Name::ProxyAuthenticate, Name::ProxyAuthorization)]
        {
            for challenge in headers.get_all(asked).filter_map(Self::parse) {
                if !chosen.iter().any(|(name, other)| *name == given && other.realm == challenge.realm) {
                    chosen.push((given, challenge));
                }
            }
        }
        chosen
    }

    /// The value of Authorization or Proxy-Authorization. `nc` counts the uses of this nonce from 1; `cnonce` is
    /// random, without quotes. `None` when the credentials hold no secret for the algorithm.
    pub fn answer(
        &self,
        credentials: &Credentials,
        method: &Method,
        uri: &str,
        body: &[u8],
        nc: u32,
        cnonce: &str,
    ) -> Option<String> {
        let ha1 = credentials.ha1(self.algorithm.hash(), &self.realm)?;
        // The count is hexadecimal: the tenth use is 0000000a.
        let nc = format!("{nc:08x}");
        let exchange = Exchange {
            algorithm: self.algorithm,
            method: method.as_str(),
            uri,
            nonce: &self.nonce,
            protection: self.qop.map(|qop| Protection { qop, nc: &nc, cnonce }),
            body,
        };
        let mut value = String::with_capacity(320);
        value.push_str("Digest ");
        push_quoted(&mut value, "username", &credentials.user);
        for (name, text) in [("realm", self.realm.as_str()), ("nonce", &self.nonce), ("uri", uri)] {
            value.push_str(", ");
            push_quoted(&mut value, name, text);
        }
        let _ = write!(value, ", response=\"{}\"", exchange.response(&ha1));
        if self.explicit_algorithm {
            let _ = write!(value, ", algorithm={}", self.algorithm.as_str());
        }
        if let Some(qop) = self.qop {
            let _ = write!(value, ", qop={qop}, nc={nc}, ");
            push_quoted(&mut value, "cnonce", cnonce);
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(", ");
            push_quoted(&mut value, "opaque", opaque);
        }
        Some(value)
    }
}

/// [`Challenge::answer`] straight from the header value of a challenge; `None` when it cannot be answered.
pub fn answer(
    challenge: &[u8],
    method: &Method,
    uri: &str,
    credentials: &Credentials,
    nc: u32,
    cnonce: &str,
) -> Option<String> {
    Challenge::parse(challenge)?.answer(credentials, method, uri, b"", nc, cnonce)
}
