//! A batch: many calls made by one request. When the next begin, which numbers are called again, when it is over.
//!
//! It holds no items: whoever drives it keeps them, takes so many as [`Output::Claim`] says out of those that wait, and
//! tells what became of each. So a batch of a hundred thousand takes as little memory as one of ten.

mod pace;
mod retries;
mod window;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use self::pace::Pace;
pub use self::retries::{End, Retries, Verdict};
pub use self::window::Window;
use crate::io::Now;

/// The clock on the wall may be set: what waits for a time of day looks at it at least so often.
const LOOK: Duration = Duration::from_secs(60);

/// How a batch is to be called.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Calls begun a second, more than 0. After a pause a tenth of a second's worth, one at least, may begin at once.
    pub per_second: f64,
    /// Calls at once, at least 1.
    pub max_concurrent: u32,
    /// What waits then is not called any more.
    pub expires: Option<DateTime<Utc>>,
    /// When calls may begin; `None`: always. Calls that live when it closes go on.
    pub window: Option<Window>,
    pub retries: Retries,
}

/// Where a batch stands when it is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nobody was called yet.
    New,
    /// It was called from before.
    Running,
    Paused,
    Canceled,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// Of [`Output::Claim`]: so many are being called now; when the next of those that wait is due, `None` if nobody does.
    Claimed {
        count: u32,
        next: Option<DateTime<Utc>>,
    },
    /// A call is over; when its number is to be called again, if it is.
    Ended {
        again: Option<DateTime<Utc>>,
    },
    /// A call could not be begun just now, by no fault of its number, which waits again; nor will another be before that time.
    Postponed {
        after: Duration,
    },
    /// Nothing new begins until [`Input::Resume`].
    Pause,
    Resume,
    /// Nobody who waits is called any more.
    Cancel,
    /// [`Batch::deadline`] is reached.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The first calls are about to begin.
    Begin,
    /// Take so many at most of those that are due, the longest waiting first, and call them. Answer with
    /// [`Input::Claimed`] once.
    Claim { count: u32 },
    /// Nobody who waits will be called: `expired`, or canceled.
    Drop { expired: bool },
    /// Nobody waits and nobody is being called.
    Finish,
}

/// Where a batch stands.
#[derive(Debug)]
pub struct Batch {
    plan: Plan,
    pace: Pace,
    begun: bool,
    paused: bool,
    canceled: bool,
    finished: bool,
    /// So many were asked for and are not told of.
    claiming: Option<u32>,
    calling: u32,
    /// When the next who waits is due.
    next: Option<DateTime<Utc>>,
    /// The node takes no calls before.
    held_until: Option<Instant>,
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Batch {
    /// Nobody is being called at first, and it is not known who waits.
    pub fn new(now: Now, plan: Plan, start: Start) -> Batch {
        let mut batch = Batch {
            pace: Pace::new(now.instant, plan.per_second),
            plan,
            begun: start != Start::New,
            paused: start == Start::Paused,
            canceled: start == Start::Canceled,
            finished: false,
            claiming: None,
            calling: 0,
            next: Some(DateTime::<Utc>::MIN_UTC),
            held_until: None,
            deadline: None,
            outputs: VecDeque::new(),
        };
        batch.drive(now);
        batch
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Claimed { count, next } => {
                if let Some(asked) = self.claiming.take() {
                    self.calling += count;
                    self.next = next;
                    self.pace.give_back(asked.saturating_sub(count));
                }
            }
            Input::Ended { again } => {
                self.calling = self.calling.saturating_sub(1);
                self.waits(again);
            }
            Input::Postponed { after } => {
                self.calling = self.calling.saturating_sub(1);
                self.held_until = Some(now.instant + after);
                self.waits(Some(now.utc));
            }
            Input::Pause => self.paused = true,
            Input::Resume => self.paused = false,
            Input::Cancel => self.canceled = true,
            Input::Tick => {}
        }
        self.drive(now);
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Calls that are not over.
    pub fn calling(&self) -> u32 {
        self.calling
    }

    /// Whether nothing happens until it is resumed.
    pub fn is_at_rest(&self) -> bool {
        self.paused && !self.canceled && self.calling == 0 && self.claiming.is_none() && self.outputs.is_empty()
    }

    fn waits(&mut self, due: Option<DateTime<Utc>>) {
        self.next = self.next.into_iter().chain(due).min();
    }

    fn drive(&mut self, now: Now) {
        self.deadline = None;
        if self.finished || self.claiming.is_some() {
            return;
        }
        let expired = self.plan.expires.is_some_and(|at| at <= now.utc);
        // Who has been put back meanwhile is dropped too.
        if (expired || self.canceled) && self.next.is_some() {
            self.next = None;
            self.outputs.push_back(Output::Drop { expired: !self.canceled });
        }
        if self.next.is_none() {
            if self.calling == 0 {
                self.finished = true;
                self.outputs.push_back(Output::Finish);
            }
            return;
        }
        if self.paused {
            return;
        }
        match self.wait(now) {
            None => self.claim(now),
            // Calls that end make room.
            Some(_) if self.calling >= self.plan.max_concurrent => {}
            Some(at) => self.deadline = Some(at),
        }
        if let Some(expires) = self.plan.expires.filter(|_| self.claiming.is_none()) {
            let at = later(now, expires);
            self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    /// When it is worth another look; `None`: somebody may be called now.
    fn wait(&self, now: Now) -> Option<Instant> {
        if self.calling >= self.plan.max_concurrent {
            return Some(now.instant + LOOK);
        }
        if let Some(until) = self.held_until.filter(|until| *until > now.instant) {
            return Some(until);
        }
        if let Some(window) = self.plan.window.filter(|window| !window.is_open(now.utc)) {
            return Some(later(now, window.next_look(now.utc)));
        }
        if let Some(due) = self.next.filter(|due| *due > now.utc) {
            return Some(later(now, due));
        }
        self.pace.wait(now.instant)
    }

    fn claim(&mut self, now: Now) {
        let count = self.pace.take(now.instant, self.plan.max_concurrent - self.calling);
        if !std::mem::replace(&mut self.begun, true) {
            self.outputs.push_back(Output::Begin);
        }
        self.claiming = Some(count);
        self.outputs.push_back(Output::Claim { count });
    }
}

/// A time of the wall's clock on the other, at most [`LOOK`] ahead.
fn later(now: Now, at: DateTime<Utc>) -> Instant {
    now.instant + (at - now.utc).to_std().unwrap_or_default().min(LOOK)
}
