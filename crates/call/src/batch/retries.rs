//! Which calls are made again.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::batch::Plan;
use crate::q850::Q850;

/// When a number is called again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retries {
    /// Further calls to one number; 0: none.
    pub max: u32,
    /// From the end of one call to the next.
    pub delay: Duration,
    /// Causes after which it is called again.
    pub on: Vec<Q850>,
}

/// How a call has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub answered: bool,
    pub cause: Q850,
}

/// What follows for its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered.
    Done,
    Failed,
    /// It is called again at that time.
    Again(DateTime<Utc>),
}

impl Plan {
    /// What follows from the end of a call, the `attempts`-th to its number.
    pub fn verdict(&self, now: DateTime<Utc>, attempts: u32, end: End) -> Verdict {
        let Retries { max, delay, on } = &self.retries;
        if end.answered {
            return Verdict::Done;
        }
        let at = now + *delay;
        let expired = self.expires.is_some_and(|expires| expires <= at);
        match attempts <= *max && on.contains(&end.cause) && !expired {
            true => Verdict::Again(at),
            false => Verdict::Failed,
        }
    }
}
