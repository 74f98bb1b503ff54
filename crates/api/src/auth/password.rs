//! E-mail and password. Argon2 takes tens of milliseconds and megabytes by design, so that a right answer is
//! remembered for a short while, and only so many are worked out at once.

use std::net::IpAddr;

use moka::future::Cache;
use opentact_store::accounts::Account;
use opentact_store::users::User;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::{Guard, Phone, WRONG};
use crate::error::AppError;
use crate::settings::Settings;
use crate::state::ApiState;

/// Verifies passwords, with guard, cache and a bound on the work at once.
#[derive(Debug)]
pub struct PasswordCheck {
    guard: Guard,
    /// E-mail → digest of the password that was right, and the stored hash it was right for: a changed password is
    /// noticed at once.
    verified: Cache<String, ([u8; 32], String)>,
    salt: [u8; 32],
    permits: Semaphore,
}

impl PasswordCheck {
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut salt = [0; 32];
        for half in salt.chunks_mut(16) {
            half.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        Self {
            guard: Guard::new(
                settings.guard_per_address,
                settings.guard_per_login,
                settings.guard_window,
                "Too many failed log-ins",
            ),
            verified: Cache::builder()
                .max_capacity(settings.credential_cache_size)
                .time_to_live(settings.credential_cache_ttl)
                .build(),
            salt,
            permits: Semaphore::new(settings.password_checks_at_once.max(1)),
        }
    }

    pub(super) async fn check(
        &self,
        state: &ApiState,
        email: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<(User, Account), AppError> {
        let digest = self.digest(password);
        if let Some((right, hash)) = self.verified.get(email).await
            && bool::from(right.ct_eq(&digest))
            && let Some(user) = state.store.users().by_email(email).await?
            && user.password_hash == hash
            && user.deleted_on.is_none()
        {
            let account = state.store.accounts().get(user.account).await?;
            return if account.deleted_on.is_none() { Ok((user, account)) } else { Err(WRONG) };
        }
        self.guard.check(address, Some(email)).await?;
        let permit =
            self.permits.acquire().await.map_err(|_| AppError::Internal("password checks closed".to_owned()))?;
        let found = state.store.users().authenticate(email, password).await?;
        drop(permit);
        let Some((user, account)) = found else {
            self.failed(address, Some(email)).await;
            return Err(WRONG);
        };
        self.verified.insert(email.to_owned(), (digest, user.password_hash.clone())).await;
        Ok((user, account))
    }

    /// A SIP user of an account that is not closed. Each wrong hash may be a guessed password.
    pub(super) async fn check_ha1b(&self, state: &ApiState, ha1b: &str, address: IpAddr) -> Result<Phone, AppError> {
        self.guarded(address, async {
            let (user, domain) = state.store.sip_users().by_ha1b(ha1b).await?.ok_or(WRONG)?;
            let account = state.store.accounts().get(user.account).await?;
            if account.deleted_on.is_none() { Ok(Phone { user, domain, account }) } else { Err(WRONG) }
        })
        .await
    }

    /// What tells who somebody is, unless their address has failed too often.
    pub(super) async fn guarded<T>(
        &self,
        address: IpAddr,
        check: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        self.guard.check(address, None).await?;
        let checked = check.await;
        if matches!(checked, Err(AppError::Unauthorized(_))) {
            self.failed(address, None).await;
        }
        checked
    }

    async fn failed(&self, address: IpAddr, login: Option<&str>) {
        self.guard.count(address, login).await;
        metrics::counter!("api_failed_logins_total").increment(1);
    }

    /// Any other work that hashes a password, within the same bound.
    pub(crate) async fn bounded<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, AppError>
    where
        AppError: From<E>,
    {
        let _permit =
            self.permits.acquire().await.map_err(|_| AppError::Internal("password checks closed".to_owned()))?;
        Ok(work.await?)
    }

    /// Salted with what lives as long as the process: of no use in a memory dump of another.
    pub(super) fn digest(&self, password: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update(password.as_bytes());
        hash.finalize().into()
    }
}
