//! Users whom Google or Facebook vouches for. Known by the e-mail that they have confirmed there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use moka::future::Cache;
use opentact_engine::http::{Fetch, HttpClient};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use url::Url;

use super::WRONG;
use crate::error::AppError;
use crate::settings::{FacebookSettings, GoogleSettings, Settings};

/// How long Google's keys are used, which change every few days.
const KEYS_TTL: Duration = Duration::from_secs(3_600);
/// A token with a key that is not among them has them asked for again, no more often than this.
const KEYS_RETRY: Duration = Duration::from_secs(60);
/// Of an answer from Google or Facebook.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_ANSWER: usize = 64 * 1024;

/// Who somebody is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    pub email: String,
    #[serde(default, alias = "given_name")]
    pub first_name: Option<String>,
    #[serde(default, alias = "family_name")]
    pub last_name: Option<String>,
}

#[derive(Deserialize)]
struct GoogleClaims {
    #[serde(default)]
    email_verified: bool,
    #[serde(flatten)]
    identity: Identity,
}

#[derive(Deserialize)]
struct Debugged {
    data: Option<DebuggedToken>,
}

#[derive(Deserialize)]
struct DebuggedToken {
    #[serde(default)]
    is_valid: bool,
    /// A number in some versions.
    app_id: serde_json::Value,
    user_id: Option<String>,
}

#[derive(Debug)]
struct Keys {
    set: JwkSet,
    asked: Instant,
}

pub struct Social {
    http: HttpClient,
    google: Option<GoogleSettings>,
    facebook: Option<FacebookSettings>,
    keys: Mutex<Option<Arc<Keys>>>,
    /// Facebook's tokens say nothing by themselves: those that were good are believed for a while.
    verified: Cache<[u8; 32], Identity>,
}

impl std::fmt::Debug for Social {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Social").finish_non_exhaustive()
    }
}

impl Social {
    #[must_use]
    pub fn new(http: HttpClient, settings: &Settings) -> Self {
        Self {
            http,
            google: settings.google.clone(),
            facebook: settings.facebook.clone(),
            keys: Mutex::default(),
            verified: Cache::builder()
                .max_capacity(settings.credential_cache_size)
                .time_to_live(settings.credential_cache_ttl)
                .build(),
        }
    }

    /// Of a Google ID token (OpenID Connect Core 3.1.3.7): issuer, audience, signature, expiry, and the e-mail confirmed.
    pub(super) async fn google(&self, token: &str) -> Result<Identity, AppError> {
        let google = self.google.as_ref().ok_or(WRONG)?;
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or(WRONG)?;
        let keys = self.keys(google, &kid).await?;
        let key = keys.set.find(&kid).and_then(|jwk| DecodingKey::from_jwk(jwk).ok()).ok_or(WRONG)?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&google.client_id]);
        validation.set_issuer(&["https://accounts.google.com", "accounts.google.com"]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let claims = decode::<GoogleClaims>(token, &key, &validation).map_err(|_| WRONG)?.claims;
        if claims.email_verified { Ok(claims.identity) } else { Err(WRONG) }
    }

    /// Google's keys, asked for anew where they are old or lack this one.
    async fn keys(&self, google: &GoogleSettings, kid: &str) -> Result<Arc<Keys>, AppError> {
        // Held while asking: one asks, the others wait for what comes.
        let mut known = self.keys.lock().await;
        if let Some(keys) = known.as_ref() {
            let age = keys.asked.elapsed();
            if age < KEYS_RETRY || age < KEYS_TTL && keys.set.find(kid).is_some() {
                return Ok(keys.clone());
            }
        }
        let set = self.ask(google.keys_url.clone(), Vec::new()).await?;
        let keys = Arc::new(Keys { set, asked: Instant::now() });
        *known = Some(keys.clone());
        Ok(keys)
    }

    /// Of a Facebook access token, by the debug-token endpoint.
    pub(super) async fn facebook(&self, token: &str, digest: [u8; 32]) -> Result<Identity, AppError> {
        let facebook = self.facebook.as_ref().ok_or(WRONG)?;
        if let Some(identity) = self.verified.get(&digest).await {
            return Ok(identity);
        }
        let ours = format!("{}|{}", facebook.app_id, facebook.app_secret);
        let query = vec![("input_token".to_owned(), token.to_owned()), ("access_token".to_owned(), ours)];
        let debugged: Debugged = self.ask(format!("{}/debug_token", facebook.url), query).await?;
        let data = debugged.data.filter(|data| data.is_valid && is(&data.app_id, &facebook.app_id)).ok_or(WRONG)?;
        // It becomes a part of a path.
        let user = data.user_id.filter(|user| is_number(user)).ok_or(WRONG)?;
        let fields = ("fields".to_owned(), "email,first_name,last_name".to_owned());
        let query = vec![fields, ("access_token".to_owned(), token.to_owned())];
        let identity: Identity = self.ask(format!("{}/{user}", facebook.url), query).await?;
        self.verified.insert(digest, identity.clone()).await;
        Ok(identity)
    }

    /// 401 where the answer is another than asked for, 503 where there is none.
    async fn ask<T: DeserializeOwned>(&self, url: String, query: Vec<(String, String)>) -> Result<T, AppError> {
        let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let fetch = Fetch {
            url,
            method: Method::GET,
            query,
            headers: Vec::new(),
            body: None,
            timeout: Some(TIMEOUT),
            limit: MAX_ANSWER,
            etag: None,
        };
        let silent = |why: String| {
            tracing::warn!(host, why, "who vouches for a user does not answer");
            let reason = "Who vouches for the user does not answer".to_owned();
            AppError::Unavailable { reason, retry_after: Duration::from_secs(5) }
        };
        let answer = self.http.fetch(fetch).await.map_err(|error| silent(error.to_string()))?;
        match answer.status {
            500.. => Err(silent(answer.status.to_string())),
            _ => serde_json::from_slice(&answer.body).map_err(|_| WRONG),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn is(value: &serde_json::Value, text: &str) -> bool {
    match value {
        serde_json::Value::Number(number) => number.to_string().as_str() == text,
        value => value.as_str() == Some(text),
    }
}
