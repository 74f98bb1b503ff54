//! Against guessing passwords and filling mailboxes: counts per address and per e-mail.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::future::Cache;

use crate::error::AppError;

/// Counters kept of each kind; at the limit the least used is forgotten.
const MAX_COUNTERS: u64 = 100_000;

#[derive(Debug, Clone)]
pub struct Guard {
    addresses: Cache<IpAddr, Arc<AtomicU32>>,
    logins: Cache<String, Arc<AtomicU32>>,
    per_address: u32,
    per_login: u32,
    window: Duration,
    message: &'static str,
}

impl Guard {
    /// `message` is what 429 says.
    #[must_use]
    pub fn new(per_address: u32, per_login: u32, window: Duration, message: &'static str) -> Self {
        Self {
            addresses: Cache::builder().max_capacity(MAX_COUNTERS).time_to_live(window).build(),
            logins: Cache::builder().max_capacity(MAX_COUNTERS).time_to_live(window).build(),
            per_address,
            per_login,
            window,
            message,
        }
    }

    /// 429 when the address, or (where one is named) the e-mail, was counted too often.
    pub async fn check(&self, address: IpAddr, login: Option<&str>) -> Result<(), AppError> {
        let counted = |counter: Option<Arc<AtomicU32>>| counter.map_or(0, |count| count.load(Ordering::Relaxed));
        let by_address = counted(self.addresses.get(&address).await);
        let by_login = match login {
            Some(login) => counted(self.logins.get(login).await),
            None => 0,
        };
        if by_address >= self.per_address || by_login >= self.per_login {
            return Err(AppError::TooMany { message: self.message, retry_after: self.window });
        }
        Ok(())
    }

    /// One that counts whatever comes of it.
    pub async fn admit(&self, address: IpAddr, email: &str) -> Result<(), AppError> {
        let email = email.to_lowercase();
        self.check(address, Some(&email)).await?;
        self.count(address, Some(&email)).await;
        Ok(())
    }

    pub async fn count(&self, address: IpAddr, login: Option<&str>) {
        let counter = self.addresses.get_with(address, async { Arc::default() }).await;
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(login) = login {
            let counter = self.logins.get_with(login.to_owned(), async { Arc::default() }).await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_and_a_login_are_shut_out_after_their_limit() {
        let guard = Guard::new(3, 4, Duration::from_secs(60), "Too many failed log-ins");
        let (near, far): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for _ in 0..3 {
            guard.check(near, Some("a@b.c")).await.unwrap();
            guard.count(near, Some("a@b.c")).await;
        }
        assert!(matches!(guard.check(near, Some("other@b.c")).await, Err(AppError::TooMany { .. })));
        guard.check(far, Some("a@b.c")).await.unwrap();
        guard.count(far, Some("a@b.c")).await;
        assert!(guard.check(far, Some("a@b.c")).await.is_err());
        guard.check(far, Some("other@b.c")).await.unwrap();
    }
}
