//! When a `<Schedule>` runs, and whatever else has hours.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Timelike, Utc, Weekday};
use chrono_tz::Tz;

/// Hours of a day, both ends among them; they pass midnight when they end before they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: NaiveTime,
    to: NaiveTime,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays(u8);

/// Days of the calendar, of one year or of every.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    Days(NaiveDate, NaiveDate),
    /// Month and day; they pass the end of the year when they end before they begin.
    Yearly((u32, u32), (u32, u32)),
}

/// What a `<Schedule>` says; what it leaves out is any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schedule<'a> {
    pub days: Option<Weekdays>,
    pub hours: Option<Hours>,
    pub dates: Option<&'a [Dates]>,
    /// When the office is open, or when it is closed.
    pub office: Option<(bool, &'a OfficeHours)>,
}

/// When an office is closed: the variable [`CLOSED`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfficeHours(Vec<(Weekday, u32, u32)>);

/// The variable that holds when the account's office is closed: `mon 0-32399,mon 61200-86399`, seconds from midnight,
/// both ends included.
pub const CLOSED: &str = "office_closed";

impl OfficeHours {
    /// What cannot be read closes nothing.
    pub fn parse(text: &str) -> OfficeHours {
        let entry = |text: &str| {
            let (day, hours) = text.split_once(' ')?;
            let (from, to) = hours.split_once('-')?;
            Some((day.parse().ok()?, from.parse().ok()?, to.parse().ok()?))
        };
        OfficeHours(text.split(',').filter_map(entry).collect())
    }

    fn open(&self, day: Weekday, second: u32) -> bool {
        !self.0.iter().any(|(closed, from, to)| *closed == day && (*from..=*to).contains(&second))
    }
}

impl Schedule<'_> {
    /// Whether it is so at `now` where the time zone is `tz`. Hours after midnight belong to the day they began on.
    pub fn matches(&self, now: DateTime<Utc>, tz: Tz) -> bool {
        let local = now.with_timezone(&tz).naive_local();
        let time = local.time().with_nanosecond(0).unwrap_or_default();
        if let Some((open, office)) = self.office
            && office.open(local.weekday(), time.num_seconds_from_midnight()) != open
        {
            return false;
        }
        let mut day = local.date();
        if let Some(Hours { from, to }) = self.hours {
            let overnight = from >= to;
            match overnight {
                false if (from..=to).contains(&time) => {}
                true if time >= from => {}
                true if time <= to => day = day.checked_sub_days(Days::new(1)).unwrap_or(day),
                _ => return false,
            }
        }
        self.days.is_none_or(|days| days.contains(day.weekday()))
            && self.dates.is_none_or(|dates| dates.iter().any(|dates| dates.contains(day)))
    }
}

impl Weekdays {
    /// `mon,wed` or `mon-fri`, whole names too.
    pub fn parse(text: &str) -> Option<Weekdays> {
        let mut set = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (first.trim().parse::<Weekday>().ok()?, last.trim().parse::<Weekday>().ok()?);
            loop {
                set |= 1 << day.num_days_from_monday();
                if day == last {
                    break;
                }
                day = day.succ();
            }
        }
        Some(Weekdays(set))
    }

    fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }
}

impl Hours {
    /// `HH:MM:SS-HH:MM:SS`; seconds may be left out.
    pub fn parse(text: &str) -> Option<Hours> {
        let time = |text: &str| {
            let text = text.trim();
            NaiveTime::parse_from_str(text, "%H:%M:%S").or_else(|_| NaiveTime::parse_from_str(text, "%H:%M")).ok()
        };
        let (from, to) = text.split_once('-')?;
        let (from, to) = (time(from)?, time(to)?);
        // A leap second is no time of a schedule.
        (from.nanosecond() == 0 && to.nanosecond() == 0).then_some(Hours { from, to })
    }
}

/// More are a calendar of its own.
const MAX_DATES: usize = 64;

impl Dates {
    /// `2026-12-25`, `12-25` for every year, `2026-12-24/2026-12-26` from the one to the other; `,` parts them.
    pub fn parse_list(text: &str) -> Option<Vec<Dates>> {
        let list: Vec<Dates> = text.split(',').map(|part| Dates::parse(part.trim())).collect::<Option<_>>()?;
        (list.len() <= MAX_DATES).then_some(list)
    }

    fn parse(text: &str) -> Option<Dates> {
        let (from, to) = text.split_once('/').unwrap_or((text, text));
        let date = |text: &str| NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
        if let (Some(from), Some(to)) = (date(from), date(to)) {
            return (from <= to).then_some(Dates::Days(from, to));
        }
        // A leap year, so that February 29 is a day.
        let yearly = |text: &str| {
            let text = text.trim();
            let day = NaiveDate::parse_from_str(&format!("2024-{text}"), "%Y-%m-%d").ok()?;
            (text.len() == 5).then(|| (day.month(), day.day()))
        };
        Some(Dates::Yearly(yearly(from)?, yearly(to)?))
    }

    fn contains(self, day: NaiveDate) -> bool {
        match self {
            Dates::Days(from, to) => (from..=to).contains(&day),
            Dates::Yearly(from, to) => {
                let day = (day.month(), day.day());
                if from <= to { (from..=to).contains(&day) } else { day >= from || day <= to }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(days: &str, hours: &str, dates: &str, tz: &str, utc: &str) -> bool {
        let dates = (!dates.is_empty()).then(|| Dates::parse_list(dates).unwrap());
        let schedule = Schedule {
            office: None,
            days: (!days.is_empty()).then(|| Weekdays::parse(days).unwrap()),
            hours: (!hours.is_empty()).then(|| Hours::parse(hours).unwrap()),
            dates: dates.as_deref(),
        };
        schedule.matches(utc.parse().unwrap(), tz.parse().unwrap())
    }

    #[test]
    fn days_and_hours_are_those_of_the_time_zone() {
        // A Friday; New York is four hours behind in summer and five in winter.
        let office = |utc| matches("mon-fri", "09:00:00-17:00:00", "", "America/New_York", utc);
        assert!(office("2026-07-03T13:00:00Z") && !office("2026-07-03T12:59:59Z"));
        assert!(office("2026-12-04T14:00:00Z") && !office("2026-12-04T13:59:59Z"));
        assert!(office("2026-07-03T21:00:00Z") && !office("2026-07-03T21:00:01Z"));
        assert!(!office("2026-07-04T15:00:00Z"));
        // Saturday in UTC is still Friday there.
        assert!(matches("friday", "", "", "America/New_York", "2026-07-04T02:00:00Z"));
    }

    #[test]
    fn hours_that_pass_midnight_belong_to_the_day_they_began_on() {
        let night = |utc| matches("fri", "22:00-06:00", "", "UTC", utc);
        assert!(night("2026-07-03T23:00:00Z") && night("2026-07-04T05:00:00Z"));
        assert!(!night("2026-07-03T05:00:00Z") && !night("2026-07-04T07:00:00Z") && !night("2026-07-04T23:00:00Z"));
        assert!(matches("", "06:00-06:00", "", "UTC", "2026-07-04T05:00:00Z"));
    }

    #[test]
    fn the_hour_that_a_change_of_clocks_leaves_out_or_repeats_is_no_fault() {
        // 2026-03-08 02:30 does not exist in New York; 2026-11-01 01:30 comes twice.
        let at = |utc| matches("", "01:00-03:00", "", "America/New_York", utc);
        assert!(at("2026-03-08T06:59:59Z") && at("2026-03-08T07:00:00Z") && !at("2026-03-08T07:00:01Z"));
        assert!(at("2026-11-01T05:30:00Z") && at("2026-11-01T06:30:00Z"));
    }

    #[test]
    fn dates_are_of_one_year_or_of_every() {
        let on = |dates, utc| matches("", "", dates, "UTC", utc);
        assert!(on("2026-12-25", "2026-12-25T12:00:00Z") && !on("2026-12-25", "2027-12-25T12:00:00Z"));
        assert!(on("12-25,01-01", "2031-01-01T12:00:00Z"));
        assert!(on("2026-12-24/2026-12-26", "2026-12-26T23:59:59Z"));
        assert!(on("12-24/01-02", "2027-01-01T00:00:00Z") && !on("12-24/01-02", "2027-01-03T00:00:00Z"));
        assert!(on("02-29", "2028-02-29T00:00:00Z"));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        assert!(["", "so", "mon-", "mon,,tue"].iter().all(|days| Weekdays::parse(days).is_none()));
        assert!(
            ["", "9-17", "09:00", "25:00-26:00", "09:00:60-10:00"].iter().all(|hours| Hours::parse(hours).is_none())
        );
        let wrong = ["", "2026-13-01", "12-32", "2026-12-26/2026-12-24", "2026-12-24/12-26", "1-1"];
        assert!(wrong.iter().all(|dates| Dates::parse_list(dates).is_none()));
        assert!(Dates::parse_list(&["01-01"; MAX_DATES + 1].join(",")).is_none());
    }
}
