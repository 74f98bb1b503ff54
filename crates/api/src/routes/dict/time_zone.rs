use chrono::{DateTime, Datelike as _, NaiveDate, Offset as _, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

/// `country coordinates zone note`, tab-separated; `#` begins a comment.
const ZONES: &str = include_str!("zone.tab");

pub(super) fn all(now: DateTime<Utc>) -> Vec<Value> {
    ZONES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| shown(line, now.year())).collect()
}

fn shown(line: &str, year: i32) -> Option<Value> {
    let mut columns = line.split('\t');
    let (country, place, name) = (columns.next()?, columns.next()?, columns.next()?);
    let note = columns.next().filter(|note| !note.is_empty());
    let zone: Tz = name.parse().ok()?;
    let (standard, summer) = offsets(zone, year)?;
    // ISO 6709: the second sign begins the longitude.
    let (latitude, longitude) = place.split_at(1 + place.get(1..)?.find(['+', '-'])?);
    let mut shown = json!({
        "country_code": country,
        "name": name,
        "utc_offset": hours(standard),
        "utc_dst_offset": hours(summer),
        "latitude": latitude,
        "longitude": longitude,
    });
    if let Some(note) = note {
        shown["note"] = note.into();
    }
    Some(shown)
}

/// The smallest and the largest offset of a year, in seconds east of UTC: standard time and summer time, the same where
/// clocks are not changed.
fn offsets(zone: Tz, year: i32) -> Option<(i32, i32)> {
    let of = |month| {
        let day = NaiveDate::from_ymd_opt(year, month, 1)?.and_hms_opt(12, 0, 0)?;
        Some(zone.offset_from_utc_datetime(&day).fix().local_minus_utc())
    };
    let all: Vec<i32> = (1..=12).filter_map(of).collect();
    Some((*all.iter().min()?, *all.iter().max()?))
}

fn hours(seconds: i32) -> Value {
    match seconds % 3_600 {
        0 => json!(seconds / 3_600),
        _ => json!(f64::from(seconds) / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_told_with_both_their_offsets() {
        let all = all(Utc.with_ymd_and_hms(2026, 7, 1, 0, 0, 0).unwrap());
        let of = |name: &str| all.iter().find(|zone| zone["name"] == name).cloned().unwrap();
        let new_york = json!({
            "country_code": "US", "name": "America/New_York", "utc_offset": -5, "utc_dst_offset": -4,
            "latitude": "+404251", "longitude": "-0740023", "note": "Eastern (most areas)",
        });
        assert_eq!(of("America/New_York"), new_york);
        assert_eq!(of("Asia/Kathmandu")["utc_offset"], 5.75);
        // South of the equator summer is in January.
        let sydney = of("Australia/Sydney");
        assert_eq!((&sydney["utc_offset"], &sydney["utc_dst_offset"]), (&json!(10), &json!(11)));
        let lines = ZONES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(all.len(), lines, "a zone of the table is not known");
    }
}
