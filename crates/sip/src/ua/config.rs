//! Settings of a [`Ua`](super::Ua).

use std::time::Duration;

use bytes::Bytes;

use crate::transaction::Timing;

/// Settings of a user agent.
#[derive(Debug, Clone)]
pub struct UaConfig {
    pub timing: Timing,
    /// Value of User-Agent in requests and Server in responses; empty writes none.
    pub product: Bytes,
    /// Value of Allow in INVITEs, their 2xx and 405.
    pub allow: Bytes,
    /// Option tags that a request may require; another one is refused with 420. With `100rel` provisional responses are
    /// sent and taken reliably (RFC 3262).
    pub extensions: &'static [&'static str],
    /// Sessions at once. A further INVITE is answered 503 with Retry-After, one of our own fails with 503.
    pub max_sessions: usize,
    /// Transactions at once, tombstones included. For a further one the oldest tombstone of an answered request other than
    /// INVITE is forgotten; where there is none, a request is answered 503 with Retry-After, and one of our own fails so.
    pub max_transactions: usize,
    /// Subscriptions at once; a further one is answered 503 with Retry-After.
    pub max_subscriptions: usize,
    /// Seconds a refresh of a subscription may ask for at least; a shorter one is refused with 423.
    pub subscribe_min: u32,
    /// Seconds; a longer wish of a refresh is cut to it.
    pub subscribe_max: u32,
    /// Least time between two NOTIFYs of a subscription, the last one excepted.
    pub notify_interval: Duration,
    /// Written into Retry-After at a limit.
    pub retry_after: Duration,
    /// Longest time an outgoing call may ring before it is cancelled and fails with 408 (the part of timer C in RFC 3261
    /// 16.6).
    pub ring_timeout: Duration,
    /// How often the last 1xx of an incoming call is sent again, so that proxies do not give up (RFC 3261 13.3.1.1).
    pub provisional_refresh: Duration,
    /// Session interval asked for and granted (RFC 4028); `None` for no session timers at all. Whole seconds.
    pub session_expires: Option<Duration>,
    /// The shortest session interval taken, 90 s at least: a shorter one is refused with 422.
    pub min_se: Duration,
}

impl Default for UaConfig {
    fn default() -> UaConfig {
        UaConfig {
            timing: Timing::default(),
            product: Bytes::from_static(b"Opentact"),
            allow: Bytes::from_static(b"INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO, UPDATE, PRACK, MESSAGE"),
            extensions: &["path", "outbound", "gruu", "100rel"],
            max_sessions: 50_000,
            max_transactions: 1_000_000,
            max_subscriptions: 10_000,
            subscribe_min: 60,
            subscribe_max: 3_600,
            notify_interval: Duration::from_secs(1),
            retry_after: Duration::from_secs(5),
            ring_timeout: Duration::from_secs(300),
            provisional_refresh: Duration::from_secs(60),
            session_expires: None,
            min_se: Duration::from_secs(90),
        }
    }
}
