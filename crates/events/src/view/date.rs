use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::ser::{Serialize, Serializer};

/// A date as every object shows it: ISO 8601, UTC, milliseconds, `2026-11-24T06:15:22.328Z`.
///
/// A call's events hold dozens of them, so the digits of years of this era are set without a format string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Date(pub(crate) DateTime<Utc>);

impl Date {
    pub(super) fn with<T>(self, take: impl FnOnce(&str) -> T) -> T {
        let date = self.0;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let Some(year) = u32::try_from(date.year()).ok().filter(|year| *year <= 9999) else {
            return take(&date.to_rfc3339_opts(SecondsFormat::Millis, true));
        };
        // A leap second is shown as the second before it, longer.
        let millis = (date.nanosecond() / 1_000_000).min(999);
        let parts = [
            (0, 4, year),
            (5, 2, date.month()),
            (8, 2, date.day()),
            (11, 2, date.hour()),
            (14, 2, date.minute()),
            (17, 2, date.second()),
            (20, 3, millis),
        ];
        for (at, digits, mut number) in parts {
            for place in text[at..at + digits].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        take(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with(|text| serializer.serialize_str(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_what_chrono_makes_of_them() {
        let mut millis = -62_135_596_800_000_i64;
        // Coprime with days, hours and months: every field takes many values.
        while millis < 253_402_300_800_000 {
            let date = DateTime::from_timestamp_millis(millis).unwrap();
            assert_eq!(Date(date).with(str::to_owned), date.to_rfc3339_opts(SecondsFormat::Millis, true));
            millis += 86_399_999 * 1_009 + 7;
        }
        let far = DateTime::from_timestamp_millis(253_402_300_800_000).unwrap();
        assert_eq!(Date(far).with(str::to_owned), "+10000-01-01T00:00:00.000Z");
    }
}
