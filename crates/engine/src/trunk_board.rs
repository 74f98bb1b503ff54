//! How each trunk does: whether it answers, whether we are registered there, and what became of the calls to it. Written
//! by the core, read by the router and the API.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use opentact_sip::registration;
use uuid::Uuid;

use crate::ports::{TrunkHealth, TrunkRegistration};

/// Calls of a trunk that its figures are made of, the latest.
const CALLS: usize = 500;

/// Whether a trunk answers OPTIONS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pulse {
    /// It is not asked, or has not answered yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Pulse {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What became of one call to a trunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// From INVITE to the first 18x or 2xx.
    pub(crate) post_dial_delay: Option<Duration>,
    /// From answer to end; `None`: not answered.
    pub(crate) talked: Option<Duration>,
}

#[derive(Debug, Default)]
struct Entry {
    pulse: Pulse,
    since: Option<DateTime<Utc>>,
    registration: Option<TrunkRegistration>,
    calls: VecDeque<Outcome>,
}

/// One for the node. As large as there are trunks that were called or watched since its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrunkBoard(Arc<DashMap<Uuid, Entry>>);

impl TrunkBoard {
    /// True when it was another before.
    pub(crate) fn set_pulse(&self, trunk: Uuid, pulse: Pulse) -> bool {
        let mut entry = self.0.entry(trunk).or_default();
        let changed = entry.pulse != pulse;
        if changed {
            (entry.pulse, entry.since) = (pulse, Some(Utc::now()));
            let up = if pulse == Pulse::Down { 0.0 } else { 1.0 };
            metrics::gauge!("opentact_trunk_up", "trunk" => trunk.to_string()).set(up);
        }
        changed
    }

    pub(crate) fn pulse(&self, trunk: Uuid) -> Pulse {
        self.0.get(&trunk).map(|entry| entry.pulse).unwrap_or_default()
    }

    /// True when it was another state before; a refresh is none.
    pub(crate) fn set_registration(&self, trunk: Uuid, now: Instant, state: &registration::State) -> bool {
        let shown = match state {
            registration::State::Trying => TrunkRegistration { state: "trying", code: None, expires_on: None },
            registration::State::Registered { until } => {
                let expires_on = Some(Utc::now() + until.saturating_duration_since(now));
                TrunkRegistration { state: "registered", code: None, expires_on }
            }
            registration::State::Refused(code) => {
                TrunkRegistration { state: "refused", code: Some(*code), expires_on: None }
            }
            registration::State::Unreachable => {
                TrunkRegistration { state: "unreachable", code: None, expires_on: None }
            }
        };
        let mut entry = self.0.entry(trunk).or_default();
        let known = entry.registration.replace(shown.clone());
        known.is_none_or(|known| (known.state, known.code) != (shown.state, shown.code))
    }

    /// A trunk is no longer watched.
    pub(crate) fn unwatch(&self, trunk: Uuid) {
        if let Some(mut entry) = self.0.get_mut(&trunk) {
            (entry.pulse, entry.since, entry.registration) = (Pulse::Unknown, None, None);
        }
    }

    pub(crate) fn ended(&self, trunk: Uuid, outcome: Outcome) {
        let word = if outcome.talked.is_some() { "answered" } else { "failed" };
        metrics::counter!("opentact_trunk_calls_total", "trunk" => trunk.to_string(), "outcome" => word).increment(1);
        let mut entry = self.0.entry(trunk).or_default();
        if entry.calls.len() >= CALLS {
            entry.calls.pop_front();
        }
        entry.calls.push_back(outcome);
    }

    pub(crate) fn health(&self, trunk: Uuid) -> TrunkHealth {
        let Some(entry) = self.0.get(&trunk) else { return TrunkHealth::default() };
        let calls = &entry.calls;
        let talked: Vec<Duration> = calls.iter().filter_map(|call| call.talked).collect();
        let delays: Vec<Duration> = calls.iter().filter_map(|call| call.post_dial_delay).collect();
        let mean = |times: &[Duration]| {
            (!times.is_empty()).then(|| times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64)
        };
        TrunkHealth {
            state: entry.pulse.as_str(),
            since: entry.since,
            registration: entry.registration.clone(),
            calls: calls.len(),
            asr: (!calls.is_empty()).then(|| talked.len() as f64 / calls.len() as f64),
            acd: mean(&talked),
            pdd: mean(&delays),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_latest_calls() {
        let (board, trunk) = (TrunkBoard::default(), Uuid::from_u128(1));
        assert_eq!((board.health(trunk).asr, board.health(trunk).acd), (None, None));
        let seconds = Duration::from_secs;
        board.ended(trunk, Outcome { post_dial_delay: Some(seconds(2)), talked: Some(seconds(30)) });
        board.ended(trunk, Outcome { post_dial_delay: Some(seconds(4)), talked: None });
        board.ended(trunk, Outcome { post_dial_delay: None, talked: None });
        board.ended(trunk, Outcome { post_dial_delay: None, talked: Some(seconds(90)) });
        let health = board.health(trunk);
        assert_eq!((health.calls, health.asr, health.acd, health.pdd), (4, Some(0.5), Some(60.0), Some(3.0)));
        for _ in 0..2 * CALLS {
            board.ended(trunk, Outcome { post_dial_delay: None, talked: None });
        }
        let health = board.health(trunk);
        assert_eq!((health.calls, health.asr, health.pdd), (CALLS, Some(0.0), None));
    }

    #[test]
    fn a_change_is_told_once() {
        let (board, trunk, now) = (TrunkBoard::default(), Uuid::from_u128(1), Instant::now());
        let pulses = [Pulse::Up, Pulse::Up, Pulse::Down, Pulse::Up].map(|pulse| board.set_pulse(trunk, pulse));
        assert_eq!(pulses, [true, false, true, true]);
        let until = |seconds| registration::State::Registered { until: now + Duration::from_secs(seconds) };
        let states = [until(60), until(120), registration::State::Refused(403), registration::State::Refused(404)];
        assert_eq!(states.map(|state| board.set_registration(trunk, now, &state)), [true, false, true, true]);
        board.unwatch(trunk);
        let health = board.health(trunk);
        assert_eq!((health.state, health.since, health.registration.is_none()), ("unknown", None, true));
    }
}
