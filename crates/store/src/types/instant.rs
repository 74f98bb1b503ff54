//! Dates are UTC with milliseconds, inside as well as outside.

use chrono::{DateTime, SubsecRound, Utc};

/// The current time, cut to the millisecond that is stored.
pub fn now() -> DateTime<Utc> {
    to_millis(Utc::now())
}

/// Cut to the millisecond: what is written is what is read back, on every database.
pub fn to_millis(date: DateTime<Utc>) -> DateTime<Utc> {
    date.trunc_subsecs(3)
}
