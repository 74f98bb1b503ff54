use std::net::IpAddr;

use subtle::ConstantTimeEq;

use super::algorithm::{Exchange, Protection};
use super::header::{DigestParams, push_quoted};
use super::nonce::{Nonce, UsedNonces};
use super::{Algorithm, Ha1};
use crate::message::Method;
use crate::uri::unescape;

/// Nonces remembered at once.
const MAX_NONCES: usize = 65_536;

/// What an Authorization header proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The user with the right password.
    Ok(String),
    /// The nonce is old or was used with this count before: challenge with `stale=true`.
    Stale,
    /// Wrong password, unknown user, foreign nonce, algorithm or protection that was not offered.
    Wrong,
    /// No credentials for this realm, or of another scheme.
    Missing,
}

/// What is protected, and from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realm<'a> {
    pub name: &'a str,
    /// Where the requests come from: a challenge to one address is worth nothing at another, so that a wrong password
    /// with it proves that its sender gets what is sent to that address. `None` binds to none.
    pub client: Option<IpAddr>,
}

impl<'a> From<&'a str> for Realm<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, client: None }
    }
}

/// Credentials as a request carries them (RFC 7616 3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub user: String,
    pub realm: String,
    pub algorithm: Algorithm,
    nonce: String,
    uri: String,
    response: String,
    qop: Option<String>,
    nc: Option<String>,
    cnonce: Option<String>,
}

impl Authorization {
    /// `None` for another scheme, an algorithm that is not spoken, or when a part is missing.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let params = DigestParams::parse(value)?;
        // RFC 7616 3.4: username* is RFC 8187, UTF-8''J%C3%A4s%C3%B8n.
        let extended = || {
            let value = params.get("username*")?;
            let (_, name) = value.split_once("''").filter(|(charset, _)| charset.eq_ignore_ascii_case("UTF-8"))?;
            Some(unescape(name).into_owned())
        };
        Some(Self {
            user: params.owned("username").or_else(extended)?,
            realm: params.owned("realm")?,
            algorithm: params.get("algorithm").map_or(Some(Algorithm::Md5), Algorithm::parse)?,
            nonce: params.owned("nonce")?,
            uri: params.owned("uri")?,
            response: params.get("response")?.to_ascii_lowercase(),
            qop: params.get("qop").map(str::to_ascii_lowercase),
            nc: params.owned("nc"),
            cnonce: params.owned("cnonce"),
        })
    }

    /// The credentials for a realm among the values of Authorization (or Proxy-Authorization).
    pub fn find<'a>(values: impl IntoIterator<Item = &'a [u8]>, realm: &str) -> Option<Self> {
        values.into_iter().filter_map(Self::parse).find(|authorization| authorization.realm == realm)
    }
}

/// Challenges and verifies. One for each owner of a realm's requests: the use of nonces is counted here.
pub struct Challenger {
    key: [u8; 32],
    /// Seconds a nonce is good for.
    lifetime: u64,
    serial: u64,
    used: UsedNonces,
}

impl Challenger {
    /// `key` must be secret, and may be the same at every start: nonces of before are then known, their credentials
    /// are checked, and who has the right ones is told to take a new nonce, as the counts of the old one are forgotten
    /// and it may have been used. `start` is the Unix time of this start in nanoseconds; it keeps the nonces of one
    /// start from those of another.
    pub fn new(key: [u8; 32], start: u64) -> Self {
        Self::with(key, start, 300, MAX_NONCES)
    }

    /// `lifetime` of a nonce in seconds; `limit` nonces remembered at once.
    pub fn with(key: [u8; 32], start: u64, lifetime: u64, limit: usize) -> Self {
        Self { key, lifetime, serial: start, used: UsedNonces::new(limit, start) }
    }

    /// Values of WWW-Authenticate (or Proxy-Authenticate), one a line, best algorithm first (RFC 8760 2.2).
    pub fn challenge<'a>(
        &mut self,
        realm: impl Into<Realm<'a>>,
        algorithms: &[Algorithm],
        stale: bool,
        now_unix: u64,
    ) -> Vec<String> {
        let realm = realm.into();
        self.serial += 1;
        let nonce = Nonce { made: now_unix, serial: self.serial }.seal(&self.key, realm);
        algorithms
            .iter()
            .map(|algorithm| {
                let mut value = String::with_capacity(160);
                value.push_str("Digest ");
                push_quoted(&mut value, "realm", realm.name);
                value.push_str(", ");
                push_quoted(&mut value, "nonce", &nonce);
                value.push_str(", algorithm=");
                value.push_str(algorithm.as_str());
                value.push_str(", qop=\"auth\"");
                if stale {
                    value.push_str(", stale=true");
                }
                value
            })
            .collect()
    }

    /// Checks credentials against the user's secret for their algorithm; `None` when there is no such user, which takes
    /// as long and says no more than a wrong password.
    ///
    /// The URI of the credentials is not compared with that of the request, as proxies on the way may change the latter
    /// (RFC 7616 3.4.6 lets the server decide); the count of the nonce keeps them from being used again.
    pub fn verify<'a>(
        &mut self,
        authorization: &Authorization,
        realm: impl Into<Realm<'a>>,
        method: &Method,
        algorithms: &[Algorithm],
        secret: Option<&Ha1>,
        now_unix: u64,
    ) -> Verdict {
        let realm = realm.into();
        if authorization.realm != realm.name {
            return Verdict::Missing;
        }
        let Some(nonce) = Nonce::open(&authorization.nonce, &self.key, realm) else {
            // Our key may have been lost, or the client has moved: the nonce is old rather than wrong, and the client
            // tries again by itself.
            return Verdict::Stale;
        };
        if !algorithms.contains(&authorization.algorithm) {
            return Verdict::Wrong;
        }
        let (protection, count) = match (&authorization.qop, &authorization.nc, &authorization.cnonce) {
            (Some(qop), Some(nc), Some(cnonce)) if qop == "auth" => {
                let Some(count) = parse_count(nc) else { return Verdict::Wrong };
                (Some(Protection { qop, nc, cnonce }), count)
            }
            // RFC 2069 clients count nothing: their nonce is good once.
            (None, None, _) => (None, 1),
            _ => return Verdict::Wrong,
        };
        let exchange = Exchange {
            algorithm: authorization.algorithm,
            method: method.as_str(),
            uri: &authorization.uri,
            nonce: &authorization.nonce,
            protection,
            body: b"",
        };
        let nobody = Ha1::from_hex("");
        let expected = exchange.response(secret.unwrap_or(&nobody));
        let right = bool::from(expected.as_bytes().ct_eq(authorization.response.as_bytes()));
        if !right || secret.is_none() {
            return Verdict::Wrong;
        }
        let oldest = now_unix.saturating_sub(self.lifetime);
        self.used.expire(oldest);
        // A serial that is not given out yet is of before a restart, and the clock has gone back since.
        if nonce.made < oldest || nonce.serial > self.serial || !self.used.take(nonce, count) {
            return Verdict::Stale;
        }
        Verdict::Ok(authorization.user.clone())
    }

    /// Finds the credentials for the realm among header values and verifies them with the secret `secret` finds.
    pub fn verify_headers<'a>(
        &mut self,
        values: impl IntoIterator<Item = &'a [u8]>,
        realm: &str,
        method: &Method,
        algorithms: &[Algorithm],
        secret: impl FnOnce(&str, Algorithm) -> Option<Ha1>,
        now_unix: u64,
    ) -> Verdict {
        let Some(authorization) = Authorization::find(values, realm) else { return Verdict::Missing };
        let secret = secret(&authorization.user, authorization.algorithm);
        self.verify(&authorization, realm, method, algorithms, secret.as_ref(), now_unix)
    }
}

/// nc-value = 8LHEX (RFC 3261 25.1); hexadecimal, though many read it as decimal.
fn parse_count(nc: &str) -> Option<u32> {
    if nc.len() != 8 || !nc.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(nc, 16).ok().filter(|count| *count > 0)
}
