//! What is known of one leg: its states, its times, how it looks from outside.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::q850::Q850;

/// A leg, which to the API is a call of its own: this is the call's uuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub Uuid);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// From where we stand: `In` came to us, `Out` we dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    In,
    Out,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// What a call is to the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallType {
    /// Handled by a SIP Control App or XML.
    Sca,
    /// To or from a SIP user.
    User,
    /// To or from a trunk.
    Trunk,
    /// An item of a batch.
    Batch,
}

impl CallType {
    pub fn as_str(self) -> &'static str {
        match self {
            CallType::Sca => "CallSCA",
            CallType::User => "CallUser",
            CallType::Trunk => "CallTrunk",
            CallType::Batch => "CallBatch",
        }
    }
}

/// The states of a leg. They only go forward; each is entered at most once, `Init`, `Hangup` and `Destroyed` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallState {
    Init,
    Ringing,
    Live,
    /// The signalling has ended.
    Hangup,
    /// Media and recordings are closed too.
    Destroyed,
}

impl CallState {
    pub fn as_str(self) -> &'static str {
        match self {
            CallState::Init => "init",
            CallState::Ringing => "ringing",
            CallState::Live => "live",
            CallState::Hangup => "hangup",
            CallState::Destroyed => "destroyed",
        }
    }
}

/// A leg at the moment it entered a state: what the machine knows of the `call` object of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegSnapshot {
    pub leg: LegId,
    /// The leg that dialled this one.
    pub parent: Option<LegId>,
    /// The legs this one has dialled, in order.
    pub children: Vec<LegId>,
    pub direction: Direction,
    pub kind: CallType,
    pub from: String,
    pub to: String,
    pub state: CallState,
    pub created_on: DateTime<Utc>,
    /// When the leg was last changed: the newest of the times below.
    pub modified_on: DateTime<Utc>,
    pub init_on: Option<DateTime<Utc>>,
    pub ring_on: Option<DateTime<Utc>>,
    pub answer_on: Option<DateTime<Utc>>,
    pub hangup_on: Option<DateTime<Utc>>,
    pub destroy_on: Option<DateTime<Utc>>,
    pub finished_on: Option<DateTime<Utc>>,
    /// Whole seconds from the answer to the hangup, or to now while live; 0 before the answer.
    pub duration: u64,
    /// From `Hangup` on.
    pub q850: Option<Q850>,
    /// `tag` of the `<Hangup>` that ended the call.
    pub hangup_tag: Option<String>,
    pub freeswitch_call_state: &'static str,
    pub freeswitch_channel_state: &'static str,
}

impl LegSnapshot {
    /// `<call.type> <direction> <from> > <to> - <state>`, the message of a `call_state` event.
    pub fn message(&self) -> String {
        format!(
            "{} {} {} > {} - {}",
            self.kind.as_str(),
            self.direction.as_str(),
            self.from,
            self.to,
            self.state.as_str()
        )
    }
}
