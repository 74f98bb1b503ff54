//! The SIP messages of this node, in and out, as long as there is room for them.
//!
//! One ring, bounded by messages and by octets; at a bound the oldest goes. Messages are found by Call-ID, and the
//! Call-IDs of a call by its legs. Owned by the core, which records where it receives and where it transmits; a message
//! shares its octets with the transport's buffer and is copied only when it is shown.

mod counts;
mod glance;
pub mod ladder;
mod live;
mod mask;
pub mod pcap;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_sip::flow::Flow;
use uuid::Uuid;

use self::counts::Counts;
use self::glance::Glance;
pub use self::live::{Seen, SipWatch, Watcher};
use crate::ports::{LegMessage, SipMessage};

/// How much the ring holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceConfig {
    /// Messages, and Call-IDs of legs. 0 keeps none.
    pub messages: usize,
    /// Octets of messages.
    pub octets: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

struct Entry {
    at: DateTime<Utc>,
    direction: Direction,
    flow: Flow,
    call_id: Arc<[u8]>,
    octets: Bytes,
}

/// A leg is known to its peer by this Call-ID.
#[derive(Clone)]
struct Claim {
    account: Uuid,
    leg: Uuid,
    call_id: Arc<[u8]>,
}

pub(crate) struct Trace {
    config: TraceConfig,
    entries: VecDeque<Entry>,
    /// Number of the first of `entries`, counted from the first message ever.
    first: u64,
    octets: usize,
    /// Numbers of the messages of each Call-ID, ascending. None is empty.
    by_call_id: HashMap<Arc<[u8]>, VecDeque<u64>>,
    /// By origin leg those of all legs of the call, by a dialled leg its own.
    claims: HashMap<Uuid, Vec<Claim>>,
    /// Keys of `claims`, one for each claim, oldest first.
    claimed: VecDeque<Uuid>,
    counts: Counts,
    watch: SipWatch,
}

impl Trace {
    pub(crate) fn new(config: TraceConfig, watch: SipWatch) -> Self {
        Self {
            config,
            entries: VecDeque::new(),
            first: 0,
            octets: 0,
            by_call_id: HashMap::new(),
            claims: HashMap::new(),
            claimed: VecDeque::new(),
            counts: Counts::default(),
            watch,
        }
    }

    /// Counts a message and keeps it. What has no start line (keep-alives) is neither counted nor kept. What belongs to no call is
    /// not kept, as nobody could ask for it: what has no Call-ID, and of OPTIONS and REGISTER, of which there are more than of
    /// all others where phones are, those with a Call-ID of their own.
    pub(crate) fn record(&mut self, at: DateTime<Utc>, direction: Direction, flow: Flow, octets: Bytes) {
        let Some(glance) = Glance::of(&octets) else { return };
        self.counts.count(direction, &glance);
        self.watch.show(|| shown(at, direction, flow, glance.call_id.unwrap_or_default(), &octets));
        if self.config.messages == 0 || octets.len() > self.config.octets {
            return;
        }
        let Some(call_id) = glance.call_id else { return };
        let aside = matches!(glance.method, Some(b"OPTIONS" | b"REGISTER"));
        if aside && !self.by_call_id.contains_key(call_id) {
            return;
        }
        while self.entries.len() >= self.config.messages || self.octets + octets.len() > self.config.octets {
            self.drop_oldest();
        }
        let call_id = match self.by_call_id.get_key_value(call_id) {
            Some((known, _)) => known.clone(),
            None => Arc::from(call_id),
        };
        let number = self.first + self.entries.len() as u64;
        self.by_call_id.entry(call_id.clone()).or_default().push_back(number);
        self.octets += octets.len();
        self.entries.push_back(Entry { at, direction, flow, call_id, octets });
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        self.first += 1;
        self.octets -= oldest.octets.len();
        metrics::counter!("opentact_sip_trace_dropped_total").increment(1);
        if let Some(numbers) = self.by_call_id.get_mut(&oldest.call_id) {
            numbers.pop_front();
            if numbers.is_empty() {
                self.by_call_id.remove(&oldest.call_id);
            }
        }
    }

    /// A leg of the call with this origin leg goes by a Call-ID. Of more legs than messages fit the oldest is forgotten:
    /// its messages are gone too.
    pub(crate) fn claim(&mut self, account: Uuid, origin: Uuid, leg: Uuid, call_id: &[u8]) {
        if self.config.messages == 0 {
            return;
        }
        let claim = Claim { account, leg, call_id: Arc::from(call_id) };
        if leg != origin {
            self.keep_claim(leg, claim.clone());
        }
        self.keep_claim(origin, claim);
    }

    fn keep_claim(&mut self, key: Uuid, claim: Claim) {
        if self.claimed.len() >= self.config.messages
            && let Some(oldest) = self.claimed.pop_front()
            && let Some(claims) = self.claims.get_mut(&oldest)
        {
            claims.remove(0);
            if claims.is_empty() {
                self.claims.remove(&oldest);
            }
        }
        self.claimed.push_back(key);
        self.claims.entry(key).or_default().push(claim);
    }

    /// The messages of an account's call in the order they came and went: of the origin leg those of all legs. What is
    /// secret in them is masked.
    pub(crate) fn messages(&self, account: Uuid, call: Uuid) -> Vec<LegMessage> {
        let claims = self.claims.get(&call).into_iter().flatten().filter(|claim| claim.account == account);
        let mut found: Vec<(u64, Uuid)> = claims
            .flat_map(|claim| {
                let numbers = self.by_call_id.get(&claim.call_id).into_iter().flatten();
                numbers.map(|number| (*number, claim.leg))
            })
            .collect();
        found.sort_unstable();
        found.dedup_by_key(|(number, _)| *number);
        found.into_iter().filter_map(|(number, leg)| self.show(number, leg)).collect()
    }

    fn show(&self, number: u64, leg: Uuid) -> Option<LegMessage> {
        let entry = self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        let message = shown(entry.at, entry.direction, entry.flow, &entry.call_id, &entry.octets);
        Some(LegMessage { leg, message })
    }
}

/// A message as it may be shown.
fn shown(at: DateTime<Utc>, direction: Direction, flow: Flow, call_id: &[u8], octets: &Bytes) -> SipMessage {
    SipMessage {
        at,
        direction: direction.as_str(),
        transport: flow.transport.via_token(),
        local: flow.local,
        remote: flow.remote,
        call_id: String::from_utf8_lossy(call_id).into_owned(),
        octets: mask::secrets(octets),
    }
}
