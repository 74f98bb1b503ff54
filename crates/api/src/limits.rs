//! Rate limit with token buckets, and its `RateLimit-*` headers on every answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use moka::future::Cache;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::auth::client_address;
use crate::error::AppError;
use crate::settings::RateLimit;
use crate::state::ApiState;

pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(crate) const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Account(Uuid),
    Address(IpAddr),
}

/// Tells the time to the limiter.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// What a bucket answered: for the headers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    pub limit: u32,
    pub remaining: u32,
    /// Until the bucket is full again.
    pub reset: Duration,
    /// Until one request is allowed; zero when this one is.
    pub wait: Duration,
}

/// The allowance that ends up in the headers: the last one asked, that is the account's once it is known.
#[derive(Debug, Clone, Default)]
pub struct Charged(Arc<Mutex<Option<Allowance>>>);

#[derive(Clone)]
pub struct Limiter {
    buckets: Cache<Key, Arc<Mutex<Bucket>>>,
    rate: RateLimit,
    clock: Clock,
}

impl Limiter {
    #[must_use]
    pub fn new(rate: RateLimit, clock: Clock) -> Self {
        let buckets = Cache::builder().max_capacity(rate.buckets).time_to_idle(Duration::from_secs(600)).build();
        Self { buckets, rate, clock }
    }

    /// One request of an account.
    pub async fn account(&self, account: Uuid, charged: &Charged) -> Result<(), AppError> {
        self.take(Key::Account(account), self.rate.account_per_minute, charged).await
    }

    /// One request from an address that showed no valid credential.
    pub async fn address(&self, address: IpAddr, charged: &Charged) -> Result<(), AppError> {
        self.take(Key::Address(address), self.rate.address_per_minute, charged).await
    }

    async fn take(&self, key: Key, per_minute: u32, charged: &Charged) -> Result<(), AppError> {
        let now = (self.clock)();
        let full = async { Arc::new(Mutex::new(Bucket { tokens: f64::from(burst(per_minute)), filled: now })) };
        let bucket = self.buckets.get_with(key, full).await;
        let allowance = bucket.lock().take(per_minute, now);
        *charged.0.lock() = Some(allowance);
        if allowance.wait.is_zero() {
            return Ok(());
        }
        metrics::counter!("api_rate_limited_total").increment(1);
        Err(AppError::TooMany { message: "Too many requests", retry_after: allowance.wait })
    }
}

/// Requests at once.
fn burst(per_minute: u32) -> u32 {
    per_minute.div_ceil(15).max(1)
}

impl Bucket {
    fn take(&mut self, per_minute: u32, now: Instant) -> Allowance {
        let burst = burst(per_minute);
        let (rate, full) = (f64::from(per_minute.max(1)) / 60.0, f64::from(burst));
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(full);
        self.filled = self.filled.max(now);
        let wait = if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Duration::ZERO
        } else {
            Duration::from_secs_f64((1.0 - self.tokens) / rate)
        };
        // Whole tokens left, 0..=burst: neither truncates nor wraps.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let remaining = self.tokens as u32;
        Allowance { limit: burst, remaining, reset: Duration::from_secs_f64((full - self.tokens) / rate), wait }
    }
}

/// Charges what no handler authenticated to its address, and writes the headers.
pub(crate) async fn layer(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let charged = Charged::default();
    request.extensions_mut().insert(charged.clone());
    let response = if crate::auth::has_credentials(&request) {
        // Charged by the auth extractor: to the account, or to the address when the credential is bad.
        next.run(request).await
    } else {
        let address = client_address(request.extensions(), request.headers(), &state.settings);
        match state.limiter.address(address, &charged).await {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        }
    };
    with_headers(response, &charged)
}

fn with_headers(mut response: Response, charged: &Charged) -> Response {
    if let Some(allowance) = *charged.0.lock() {
        let headers: &mut HeaderMap = response.headers_mut();
        headers.insert(LIMIT, HeaderValue::from(allowance.limit));
        headers.insert(REMAINING, HeaderValue::from(allowance.remaining));
        headers.insert(RESET, HeaderValue::from(allowance.reset.as_secs_f64().ceil() as u64));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket { tokens: 2.0, filled: start };
        // Two at once, one every two seconds.
        assert_eq!(bucket.take(30, start).remaining, 1);
        assert_eq!(bucket.take(30, start).remaining, 0);
        let refused = bucket.take(30, start + Duration::from_millis(500));
        assert_eq!(refused.wait, Duration::from_millis(1_500));
        assert!(bucket.take(30, start + Duration::from_secs(2)).wait.is_zero());
        let rested = bucket.take(30, start + Duration::from_secs(60));
        assert_eq!((rested.remaining, rested.reset), (1, Duration::from_secs(2)));
    }

    #[test]
    fn a_minute_lets_through_what_it_should_and_no_more() {
        for per_minute in [1, 7, 59, 61, 6_000] {
            let start = Instant::now();
            let mut bucket = Bucket { tokens: 0.0, filled: start };
            let tenths = (0..600).map(|tenth| start + Duration::from_millis(100 * tenth + 100));
            let asked = tenths.flat_map(|now| std::iter::repeat_n(now, 20));
            let allowed = asked.filter(|now| bucket.take(per_minute, *now).wait.is_zero()).count();
            // What floats round away may be missing.
            assert!((per_minute as usize - 1..=per_minute as usize).contains(&allowed), "{per_minute}: {allowed}");
        }
    }
}
