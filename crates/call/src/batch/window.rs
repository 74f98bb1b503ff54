//! The hours in which a batch may call, on the clocks of a place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use opentact_callflow::schedule::{Hours, Schedule, Weekdays};

/// Hours and days of a time zone: what the clocks there show decides, also where they are set forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    hours: Option<Hours>,
    days: Option<Weekdays>,
    zone: Tz,
}

impl Window {
    /// From and to as `HH:MM`, both among the hours, which pass midnight when they end before they begin; the days on
    /// which they begin; the IANA name of the time zone. What is left out is any.
    ///
    /// # Errors
    /// Which of `from`, `to`, `days` and `time_zone` is wrong.
    pub fn new(from: Option<&str>, to: Option<&str>, days: &[String], zone: &str) -> Result<Window, &'static str> {
        // Of minutes: [`Window::next_look`].
        let fits = |time: Option<&str>| {
            time.is_none_or(|time| time.len() == 5 && Hours::parse(&format!("{time}-{time}")).is_some())
        };
        if !fits(from) {
            return Err("from");
        }
        let hours = format!("{}-{}", from.unwrap_or("00:00"), to.unwrap_or("23:59:59"));
        let hours = Hours::parse(&hours).filter(|_| fits(to)).ok_or("to")?;
        let zone = zone.parse::<Tz>().map_err(|_| "time_zone")?;
        let days = match days {
            [] => None,
            days => Some(Weekdays::parse(&days.join(",")).ok_or("days")?),
        };
        Ok(Window { hours: Some(hours), days, zone })
    }

    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        Schedule { days: self.days, hours: self.hours, ..Schedule::default() }.matches(now, self.zone)
    }

    /// When it may have opened that is closed now: windows open, and clocks are set, at the full minute.
    pub(super) fn next_look(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let into = u64::try_from(now.timestamp_millis().rem_euclid(60_000)).unwrap_or_default();
        now + Duration::from_millis(60_000 - into)
    }
}
