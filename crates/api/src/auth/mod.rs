//! Who asks: Basic, API token, JWT, a token of Google or Facebook, or the HA1B of a SIP user, in the order of `spec/api.md`; the first credential present
//! decides.

pub(crate) mod form;
mod guard;
mod jwt;
mod password;
mod phone;
mod scope;
mod sign_up;
mod social;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use base64::Engine as _;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, header};
use opentact_store::accounts::{Account, NewAccount};
use opentact_store::mails::NewMail;
use opentact_store::secrets::new_token;
use opentact_store::types::{AccountLevel, MailKind, Role};
use opentact_store::users::{NewUser, User};
use uuid::Uuid;

pub use guard::Guard;
pub use jwt::Jwt;
pub use password::PasswordCheck;
pub use phone::Phone;
pub use scope::Scopes;
pub(crate) use scope::is_scope;
pub(crate) use sign_up::sign_up;
use social::Identity;
pub use social::Social;

use crate::error::AppError;
use crate::limits::Charged;
use crate::settings::Settings;
use crate::state::ApiState;

/// Characters of a user's names.
const LONGEST_NAME: usize = 24;

const WRONG: AppError = AppError::Unauthorized("Wrong credentials");

/// The authenticated caller of a request, allowed by its scopes to make it.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: User,
    pub account: Account,
    pub scopes: Scopes,
    /// Whether the credential has no JWT yet: e-mail and password, or a token of Google or Facebook.
    pub needs_jwt: bool,
}

impl Caller {
    #[must_use]
    pub fn account(&self) -> Uuid {
        self.account.uuid
    }

    /// Who did it, for `created_by` and `modified_by`.
    #[must_use]
    pub fn by(&self) -> Option<Uuid> {
        Some(self.user.uuid)
    }

    /// What only an Admin may do is `Forbidden` to others.
    pub fn administrates(&self) -> Result<(), AppError> {
        if self.user.role == Role::Admin { Ok(()) } else { Err(AppError::Forbidden) }
    }

    /// What is the same for all accounts is for Admins of service accounts.
    pub fn operates(&self) -> Result<(), AppError> {
        self.administrates()?;
        if self.account.level == AccountLevel::ServiceAccount { Ok(()) } else { Err(AppError::Forbidden) }
    }

    /// A disabled account keeps its data and makes no calls, messages or orders.
    pub fn enabled(&self) -> Result<(), AppError> {
        if self.account.disabled_on.is_some() {
            return Err(AppError::Refused { code: None, message: "Account is disabled".to_owned() });
        }
        Ok(())
    }
}

/// A credential as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Basic {
        email: String,
        password: String,
    },
    /// API token or JWT.
    Bearer(String),
    Jwt(String),
    /// ID token.
    Google(String),
    /// Access token.
    Facebook(String),
    /// MD5 of `login@domain:domain:password`, of a SIP user.
    Ha1b(String),
    /// There is one, and it cannot be read.
    Broken,
}

impl Credential {
    /// The first that is present, headers before query, in the order of the specification.
    #[must_use]
    pub fn find(headers: &HeaderMap, query: Option<&str>) -> Option<Self> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            return Some(value.to_str().ok().and_then(Self::from_authorization).unwrap_or(Self::Broken));
        }
        let in_query = |name: &str| {
            url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if let Some(token) = in_query("bearer") {
            return Some(Self::Bearer(token));
        }
        let in_header = |name: &str, credential: fn(String) -> Self| {
            let text = |value: &HeaderValue| value.to_str().map(|text| text.trim().to_owned());
            headers.get(name).map(|value| text(value).map_or(Self::Broken, credential))
        };
        in_header("x-auth-token", Self::Jwt)
            .or_else(|| in_query("jwt").map(Self::Jwt))
            .or_else(|| in_header("x-auth-google-token", Self::Google))
            .or_else(|| in_query("google_token").map(Self::Google))
            .or_else(|| in_header("x-auth-facebook-token", Self::Facebook))
            .or_else(|| in_query("facebook_token").map(Self::Facebook))
            .or_else(|| in_header("x-auth-ha1b-token", Self::Ha1b))
            .or_else(|| in_query("ha1b").map(Self::Ha1b))
    }

    fn from_authorization(value: &str) -> Option<Self> {
        let value = value.trim();
        // RFC 9110 11.1: the scheme is case-insensitive.
        match value.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
                // RFC 7617 2.1: UTF-8; the first colon ends the user-id.
                let (email, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
                Some(Self::Basic { email: email.trim().to_lowercase(), password: password.to_owned() })
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => Some(Self::Bearer(rest.trim().to_owned())),
            Some(_) => None,
            None => Some(Self::Bearer(value.to_owned())),
        }
    }
}

/// Whether a request shows a credential at all, good or bad.
pub(crate) fn has_credentials(request: &Request) -> bool {
    Credential::find(request.headers(), request.uri().query()).is_some()
}

/// The client's address; unspecified when the listener did not tell (in-process requests).
pub(crate) fn client_address(extensions: &Extensions, headers: &HeaderMap, settings: &Settings) -> IpAddr {
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    settings.client_address(peer, headers.get("x-forwarded-for").and_then(|value| value.to_str().ok()))
}

/// Verifies a credential. 401 when it is bad, 429 when too many were.
pub(crate) async fn authenticate(
    state: &ApiState,
    credential: Credential,
    address: IpAddr,
) -> Result<Caller, AppError> {
    match credential {
        Credential::Basic { email, password } => {
            let (user, account) = state.passwords.check(state, &email, &password, address).await?;
            Ok(Caller { user, account, scopes: Scopes::all(), needs_jwt: true })
        }
        Credential::Google(token) => {
            let checked = state.social.google(&token);
            by_identity(state, state.passwords.guarded(address, checked).await?).await
        }
        Credential::Facebook(token) => {
            let checked = state.social.facebook(&token, state.passwords.digest(&token));
            by_identity(state, state.passwords.guarded(address, checked).await?).await
        }
        Credential::Bearer(token) if jwt::looks_like_jwt(&token) => by_jwt(state, &token).await,
        Credential::Bearer(token) => by_token(state, &token).await,
        Credential::Jwt(token) => by_jwt(state, &token).await,
        // A SIP user is no user of the account.
        Credential::Ha1b(_) | Credential::Broken => Err(WRONG),
    }
}

/// A user whom somebody vouches for; who has no account gets one, and a mail that lets them set a password.
async fn by_identity(state: &ApiState, identity: Identity) -> Result<Caller, AppError> {
    let email = identity.email.to_lowercase();
    let (user, account) = match state.store.users().by_email(&email).await? {
        Some(user) => state.store.users().active(user.uuid).await?.ok_or(WRONG)?,
        None => {
            let account = NewAccount { name: email.clone(), email: email.clone(), ..NewAccount::default() };
            let name = |name: Option<String>| name.map(|name| name.chars().take(LONGEST_NAME).collect());
            let user = NewUser {
                first_name: name(identity.first_name),
                last_name: name(identity.last_name),
                ..NewUser::new(&email, new_token(), Role::Admin)
            };
            let (account, user) = sign_up(state, account, user).await?;
            let mail = NewMail { kind: MailKind::PasswordReset, recipient: email, callback: None, subject: None };
            state.outbox.queue(mail).await?;
            (user, account)
        }
    };
    Ok(Caller { user, account, scopes: Scopes::all(), needs_jwt: true })
}

async fn by_jwt(state: &ApiState, token: &str) -> Result<Caller, AppError> {
    let claims = state.jwt.read(token, opentact_store::types::now()).ok_or(WRONG)?;
    let (user, account) = state.store.users().active(claims.uuid).await?.ok_or(WRONG)?;
    if user.signed_out_on.is_some_and(|on| claims.iat <= on.timestamp()) {
        return Err(WRONG);
    }
    Ok(Caller { user, account, scopes: Scopes::all(), needs_jwt: false })
}

async fn by_token(state: &ApiState, text: &str) -> Result<Caller, AppError> {
    let (token, user, account) = state.store.tokens().authenticate(text).await?.ok_or(WRONG)?;
    Ok(Caller { user, account, scopes: Scopes::of_token(&token.scopes), needs_jwt: false })
}

/// The credential of a request, and where it comes from.
fn shown(parts: &Parts, state: &ApiState) -> Result<(Credential, IpAddr), AppError> {
    let credential = Credential::find(&parts.headers, parts.uri.query())
        .ok_or(AppError::Unauthorized("Credentials are required"))?;
    Ok((credential, client_address(&parts.extensions, &parts.headers, &state.settings)))
}

/// Charges a request to the account of who makes it, or to the address when that is nobody.
async fn charge<T>(
    parts: &Parts,
    state: &ApiState,
    address: IpAddr,
    who: Result<T, AppError>,
    account: fn(&T) -> Uuid,
) -> Result<T, AppError> {
    let charged = parts.extensions.get::<Charged>().cloned().unwrap_or_default();
    match &who {
        Ok(who) => state.limiter.account(account(who), &charged).await?,
        Err(_) => state.limiter.address(address, &charged).await?,
    }
    who
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        // The idempotency layer has asked before.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let (credential, address) = shown(parts, state)?;
        let caller = authenticate(state, credential, address).await;
        let caller = charge(parts, state, address, caller, Self::account).await?;
        if !caller.scopes.allow(&parts.method, parts.uri.path()) {
            return Err(AppError::Refused { code: None, message: "The token's scopes do not allow this".to_owned() });
        }
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn find(headers: &[(&'static str, &str)], query: &str) -> Option<Credential> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        Credential::find(&headers.collect(), Some(query))
    }

    fn bearer(text: &str) -> Option<Credential> {
        Some(Credential::Bearer(text.to_owned()))
    }

    #[test]
    fn the_first_credential_present_decides() {
        let basic = Some(Credential::Basic { email: "a@b.c".to_owned(), password: "x:y".to_owned() });
        let encoded = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("A@b.c:x:y"));
        assert!(find(&[("authorization", &encoded), ("x-auth-token", "j")], "bearer=t") == basic);
        assert!(find(&[("authorization", "Bearer t1"), ("x-auth-token", "j")], "bearer=t2") == bearer("t1"));
        assert!(find(&[("authorization", "t1")], "") == bearer("t1"));
        assert!(find(&[("x-auth-token", "j")], "bearer=t2&jwt=k") == bearer("t2"));
        assert!(find(&[("x-auth-token", "j")], "jwt=k") == Some(Credential::Jwt("j".to_owned())));
        assert!(find(&[], "jwt=k") == Some(Credential::Jwt("k".to_owned())));
        assert!(find(&[("x-auth-ha1b-token", "h")], "ha1b=i") == Some(Credential::Ha1b("h".to_owned())));
        assert!(find(&[("x-auth-ha1b-token", "h")], "jwt=k") == Some(Credential::Jwt("k".to_owned())));
        assert!(find(&[], "ha1b=i") == Some(Credential::Ha1b("i".to_owned())));
        assert!(find(&[], "").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_bad_and_not_absent() {
        for broken in ["Basic ???", "Basic bm9jb2xvbg==", "Digest username=x"] {
            assert!(find(&[("authorization", broken)], "jwt=k") == Some(Credential::Broken), "{broken}");
        }
    }
}
