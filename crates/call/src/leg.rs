//! What is known of one leg: its states, its times, how it looks from outside.

use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::io::Now;
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
    /// Why it ended, where more is known than the cause says.
    pub reason: Option<String>,
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

/// A leg that has hung up waits this long for its media and recordings to be closed, then counts as destroyed.
pub(crate) const CLOSE: Duration = Duration::from_secs(15);

/// One leg and where it stands.
#[derive(Debug)]
pub(crate) struct Leg {
    pub id: LegId,
    pub parent: Option<LegId>,
    pub children: Vec<LegId>,
    pub direction: Direction,
    pub kind: CallType,
    pub from: String,
    pub to: String,
    pub state: CallState,
    pub cause: Option<Q850>,
    pub hangup_tag: Option<String>,
    pub reason: Option<String>,
    /// Audio flows before the answer.
    pub early: bool,
    pub bridged: bool,
    /// It waits, and hears music.
    pub held: bool,
    /// The engine has closed its media.
    pub closed: bool,
    /// When it counts as closed at the latest.
    pub close_by: Option<Instant>,
    answered: Option<Instant>,
    hung_up: Option<Instant>,
    times: Times,
}

#[derive(Debug, Default)]
struct Times {
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    ring: Option<DateTime<Utc>>,
    answer: Option<DateTime<Utc>>,
    hangup: Option<DateTime<Utc>>,
    destroy: Option<DateTime<Utc>>,
}

impl Leg {
    pub fn new(
        now: Now,
        id: LegId,
        parent: Option<LegId>,
        direction: Direction,
        kind: CallType,
        from: String,
        to: String,
    ) -> Leg {
        Leg {
            id,
            parent,
            children: Vec::new(),
            direction,
            kind,
            from,
            to,
            state: CallState::Init,
            cause: None,
            hangup_tag: None,
            reason: None,
            early: false,
            bridged: false,
            held: false,
            closed: false,
            close_by: None,
            answered: None,
            hung_up: None,
            times: Times { created: now.utc, modified: now.utc, ..Times::default() },
        }
    }

    pub fn is_live(&self) -> bool {
        self.state == CallState::Live
    }

    /// Not yet hung up.
    pub fn is_up(&self) -> bool {
        self.state < CallState::Hangup
    }

    /// Goes forward to `state`; false if it is there already or past it.
    pub fn enter(&mut self, now: Now, state: CallState) -> bool {
        if state <= self.state {
            return false;
        }
        self.state = state;
        // A clock set back must not turn the order of the times.
        let utc = now.utc.max(self.times.modified);
        self.times.modified = utc;
        match state {
            CallState::Init => {}
            CallState::Ringing => self.times.ring = Some(utc),
            CallState::Live => {
                self.times.answer = Some(utc);
                self.answered = Some(now.instant);
            }
            CallState::Hangup => {
                self.times.hangup = Some(utc);
                self.hung_up = Some(now.instant);
                self.close_by = Some(now.instant + CLOSE);
                (self.bridged, self.held) = (false, false);
            }
            CallState::Destroyed => self.times.destroy = Some(utc),
        }
        true
    }

    pub fn snapshot(&self, now: Now) -> LegSnapshot {
        let until = self.hung_up.unwrap_or(now.instant);
        LegSnapshot {
            leg: self.id,
            parent: self.parent,
            children: self.children.clone(),
            direction: self.direction,
            kind: self.kind,
            from: self.from.clone(),
            to: self.to.clone(),
            state: self.state,
            created_on: self.times.created,
            modified_on: self.times.modified,
            init_on: Some(self.times.created),
            ring_on: self.times.ring,
            answer_on: self.times.answer,
            hangup_on: self.times.hangup,
            destroy_on: self.times.destroy,
            finished_on: self.times.destroy,
            duration: self.answered.map_or(0, |at| until.saturating_duration_since(at).as_secs()),
            q850: self.cause,
            hangup_tag: self.hangup_tag.clone(),
            reason: self.reason.clone(),
            freeswitch_call_state: self.freeswitch_call_state(),
            freeswitch_channel_state: self.freeswitch_channel_state(),
        }
    }

    fn freeswitch_call_state(&self) -> &'static str {
        match (self.state, self.direction) {
            (CallState::Init, Direction::In) => "DOWN",
            (CallState::Init, Direction::Out) => "DIALING",
            (CallState::Ringing, _) if self.early => "EARLY",
            (CallState::Ringing, _) => "RINGING",
            (CallState::Live, _) if self.held => "HELD",
            (CallState::Live, _) => "ACTIVE",
            (CallState::Hangup | CallState::Destroyed, _) => "HANGUP",
        }
    }

    fn freeswitch_channel_state(&self) -> &'static str {
        match (self.state, self.direction) {
            (CallState::Init, _) => "CS_INIT",
            (CallState::Ringing, Direction::In) => "CS_ROUTING",
            (CallState::Ringing, Direction::Out) => "CS_CONSUME_MEDIA",
            (CallState::Live, _) if self.bridged => "CS_EXCHANGE_MEDIA",
            (CallState::Live, _) => "CS_EXECUTE",
            (CallState::Hangup, _) => "CS_HANGUP",
            (CallState::Destroyed, _) => "CS_DESTROY",
        }
    }
}
