//! Calls that an outbound voice profile keeps from going out: told to its account, as that is where toll fraud shows first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentact_store::voice_profiles::OutboundVoiceProfile;
use parking_lot::Mutex;
use serde_json::json;
use uuid::Uuid;

use super::Router;

/// The least time between two events of one limit of a profile.
const AGAIN: Duration = Duration::from_secs(60);
/// Limits whose last event is remembered; beyond, those of longer ago than [`AGAIN`] are forgotten, or else all.
const REMEMBERED: usize = 4_096;

/// A call that does not go out.
#[derive(Debug)]
pub(crate) struct Stopped<'a> {
    pub(crate) account: Uuid,
    pub(crate) profile: Uuid,
    /// Of the profile.
    pub(crate) name: &'a str,
    /// `country`, `rate`, `channel` or `cps`.
    pub(crate) limit: &'static str,
    /// The number called.
    pub(crate) to: &'a str,
    pub(crate) reason: &'a str,
}

impl<'a> Stopped<'a> {
    pub(super) fn by(profile: &'a OutboundVoiceProfile, limit: &'static str, to: &'a str, reason: &'a str) -> Self {
        Self { account: profile.account, profile: profile.uuid, name: &profile.name, limit, to, reason }
    }
}

/// When each limit was told of last.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<(Uuid, &'static str), Instant>>);

impl Told {
    /// Whether a limit of a profile is to be told of now; then it counts as told.
    fn is_due(&self, now: Instant, profile: Uuid, limit: &'static str) -> bool {
        let mut told = self.0.lock();
        let recent = |at: &Instant| now.saturating_duration_since(*at) < AGAIN;
        if told.get(&(profile, limit)).is_some_and(recent) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, at| recent(at));
            if told.len() >= REMEMBERED {
                told.clear();
            }
        }
        told.insert((profile, limit), now);
        true
    }
}

impl Router {
    /// Counts it, and tells of it where that has not been done a moment ago.
    pub(crate) fn stopped(&self, call: &Stopped<'_>) {
        let Stopped { account, profile, name, limit, to, reason } = *call;
        metrics::counter!("opentact_calls_limited_total", "limit" => limit).increment(1);
        if !self.told.is_due(Instant::now(), profile, limit) {
            return;
        }
        tracing::warn!(%account, %profile, limit, to, reason, "an outbound voice profile stops calls");
        let payload = json!({
            "outbound_voice_profile": { "uuid": profile, "name": name },
            "limit": limit,
            "to": to,
            "reason": reason,
        });
        self.journal.call_limit(account, profile, name, limit, &payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_of_once_a_minute() {
        let (told, now) = (Told::default(), Instant::now());
        let [one, other] = [1, 2].map(Uuid::from_u128);
        assert!(told.is_due(now, one, "cps") && told.is_due(now, one, "country") && told.is_due(now, other, "cps"));
        assert!(!told.is_due(now + AGAIN - Duration::from_millis(1), one, "cps"));
        assert!(told.is_due(now + AGAIN, one, "cps"));
        for profile in 0..10_000 {
            assert!(told.is_due(now + AGAIN * 2, Uuid::from_u128(profile + 10), "cps"));
        }
        assert!(told.0.lock().len() <= REMEMBERED);
    }
}
