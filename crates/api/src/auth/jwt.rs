//! JWTs of `GET /rest/auth`: HS256, claims `uuid`, `role`, `domain`, `iat`, `exp`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::AppError;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's.
    pub uuid: Uuid,
    pub role: String,
    /// Host name of the server that issued it.
    pub domain: String,
    /// Unix seconds.
    pub iat: i64,
    pub exp: i64,
}

/// Signs and reads with one secret.
#[derive(Clone)]
pub struct Jwt {
    encoding: EncodingKey,
    decoding: DecodingKey,
    domain: String,
    ttl: Duration,
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwt").field("domain", &self.domain).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Jwt {
    /// `secret`: at least 32 random octets. `domain`: host name of this installation.
    #[must_use]
    pub fn new(secret: &[u8], domain: impl Into<String>, ttl: Duration) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            domain: domain.into(),
            ttl,
        }
    }

    pub fn issue(&self, user: Uuid, role: &str, now: DateTime<Utc>) -> Result<String, AppError> {
        let iat = now.timestamp();
        let claims = Claims {
            uuid: user,
            role: role.to_owned(),
            domain: self.domain.clone(),
            iat,
            exp: iat.saturating_add_unsigned(self.ttl.as_secs()),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| AppError::Internal(format!("JWT: {error}")))
    }

    /// The claims of a token that is ours and not expired.
    #[must_use]
    pub fn read(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is compared below, with the caller's clock and no leeway.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok()?.claims;
        (claims.exp > now.timestamp()).then_some(claims)
    }
}

/// Whether a bearer value has the form of a JWT, so that it is not looked for among API tokens.
#[must_use]
pub fn looks_like_jwt(value: &str) -> bool {
    value.bytes().filter(|c| *c == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn jwt(secret: &[u8]) -> Jwt {
        Jwt::new(secret, "tact.example", Duration::from_secs(86_400))
    }

    #[test]
    fn a_token_is_read_back_until_it_expires() {
        let (now, user) = (Utc::now(), Uuid::new_v4());
        let token = jwt(b"one").issue(user, "Admin", now).unwrap();
        assert!(looks_like_jwt(&token));
        let claims = jwt(b"one").read(&token, now).unwrap();
        assert_eq!((claims.uuid, claims.role.as_str(), claims.domain.as_str()), (user, "Admin", "tact.example"));
        assert_eq!(claims.exp - claims.iat, 86_400);
        assert_eq!(jwt(b"one").read(&token, now + chrono::Duration::seconds(86_399)), Some(claims));
        assert_eq!(jwt(b"one").read(&token, now + chrono::Duration::seconds(86_401)), None);
    }

    #[test]
    fn a_token_of_another_secret_or_algorithm_is_refused() {
        let now = Utc::now();
        let token = jwt(b"one").issue(Uuid::new_v4(), "Admin", now).unwrap();
        assert_eq!(jwt(b"two").read(&token, now), None);
        // RFC 8725 2.1: "alg":"none" is the oldest trick.
        let body = token.split('.').nth(1).unwrap();
        let unsigned = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
        assert_eq!(jwt(b"one").read(&unsigned, now), None);
    }
}
