//! The types of attribute values: how each is written, and what it means.

use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;

use crate::destination::Destination;
use crate::schedule::{Dates, Hours, Weekdays};

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    /// `true`, `false`, `yes`, `no`, `1`, `0`.
    Flag,
    Integer {
        min: u64,
        max: u64,
    },
    /// Milliseconds.
    Millis {
        min: u64,
        max: u64,
    },
    /// Seconds up to 600, milliseconds above it (the two generations differ in the unit).
    SecondsOrMillis,
    /// dB relative to full scale, -60..=0.
    Decibel,
    /// An absolute http or https URL.
    Url,
    /// An http, https or file URL, or the name of a file.
    Sound,
    Word(&'static [&'static str]),
    /// A set of keys (`#`, `0123456789*#`), `any`, or `none`.
    Keys,
    /// Keys as they are entered, 1..=32 of `0-9 * # A-D`.
    Digits,
    /// 1..=64 letters, digits, `_`, `-`, `.`.
    Identifier,
    /// 1..=64 letters, digits, `_`, `-`; none of the names a call has itself.
    Variable,
    /// 1..=255 characters, none of them a control character.
    Label,
    /// A number, `sip:` URI, `user@domain` or `group:<uuid>`.
    Destination,
    /// `440,480` sound together; `;` parts steps; `x3` after a step plays it three times.
    Frequencies,
    /// Milliseconds of each step, `,` parts them, `x3` repeats.
    Durations,
    /// 1..=64 names of places, `,` parts them.
    Places,
    /// `mon,wed` or `mon-fri`.
    Weekdays,
    /// `09:00:00-17:00:00`.
    Hours,
    /// `2026-12-25`, `12-25`, `2026-12-24/2026-12-26`.
    Dates,
    /// A name of the IANA time zone database.
    TimeZone,
    /// A token of RFC 9110 5.6.2 that no header of the connection itself has.
    HeaderName,
    /// Up to 4,096 characters, none of them a control character.
    HeaderValue,
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Number(u64),
    Decibel(f32),
    /// As the table writes it.
    Word(&'static str),
    Keys(Keys),
    Duration(Duration),
    Destination(Destination),
    Frequencies(Vec<Vec<f32>>),
    Durations(Vec<u32>),
    /// In capitals.
    Places(Vec<String>),
    Weekdays(Weekdays),
    Hours(Hours),
    Dates(Vec<Dates>),
    TimeZone(Tz),
}

/// A set of telephone keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys(u16);

/// In the order of RFC 4733 events 0..=15.
const KEYS: &str = "0123456789*#ABCD";

impl Keys {
    pub const NONE: Keys = Keys(0);
    pub const ANY: Keys = Keys(u16::MAX);

    pub fn of(keys: &str) -> Option<Keys> {
        keys.chars().try_fold(Keys::NONE, |set, key| Some(Keys(set.0 | 1 << index(key)?)))
    }

    pub fn contains(self, key: char) -> bool {
        index(key).is_some_and(|index| self.0 & (1 << index) != 0)
    }
}

fn index(key: char) -> Option<usize> {
    KEYS.find(key.to_ascii_uppercase())
}

/// Whether `c` is a key of a telephone.
pub(crate) fn is_key(c: char) -> bool {
    index(c).is_some()
}

/// Steps of a cadence after repeats are written out.
const MAX_STEPS: usize = 64;
/// Longest single sound or silence of a tone.
const MAX_STEP_MS: u32 = 60_000;

impl Kind {
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let wrong = || format!("`{}` is not {self}", shorten(text));
        match *self {
            Kind::Text => Ok(Value::Text(text.into())),
            Kind::Flag => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(Value::Flag(true)),
                "false" | "no" | "0" => Ok(Value::Flag(false)),
                _ => Err(wrong()),
            },
            Kind::Integer { min, max } => integer(trimmed, min, max).map(Value::Number).ok_or_else(wrong),
            Kind::Millis { min, max } => {
                integer(trimmed, min, max).map(|ms| Value::Duration(Duration::from_millis(ms))).ok_or_else(wrong)
            }
            Kind::SecondsOrMillis => match integer(trimmed, 1, 600_000).ok_or_else(wrong)? {
                seconds @ ..=600 => Ok(Value::Duration(Duration::from_secs(seconds))),
                millis => Ok(Value::Duration(Duration::from_millis(millis))),
            },
            Kind::Decibel => match trimmed.trim_end_matches("dB").trim().parse::<f32>() {
                Ok(db) if (-60.0..=0.0).contains(&db) => Ok(Value::Decibel(db)),
                _ => Err(wrong()),
            },
            Kind::Url => url(trimmed).map(Value::Text).ok_or_else(wrong),
            Kind::Sound => sound(trimmed).map(Value::Text).ok_or_else(wrong),
            Kind::Word(words) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(trimmed))
                .map(|word| Value::Word(word))
                .ok_or_else(wrong),
            Kind::Keys => match trimmed.to_ascii_lowercase().as_str() {
                "any" | "true" => Ok(Value::Keys(Keys::ANY)),
                "none" | "false" | "" => Ok(Value::Keys(Keys::NONE)),
                _ => Keys::of(trimmed).map(Value::Keys).ok_or_else(wrong),
            },
            Kind::Digits => match (1..=32).contains(&trimmed.chars().count()) && trimmed.chars().all(is_key) {
                true => Ok(Value::Text(trimmed.to_ascii_uppercase())),
                false => Err(wrong()),
            },
            Kind::Identifier => {
                let fine = |c: char| c.is_alphanumeric() || "_-.".contains(c);
                match (1..=64).contains(&trimmed.chars().count()) && trimmed.chars().all(fine) {
                    true => Ok(Value::Text(trimmed.into())),
                    false => Err(wrong()),
                }
            }
            Kind::Variable => {
                let fine = |c: char| c.is_alphanumeric() || "_-".contains(c);
                let own = OWN_VARIABLES.contains(&trimmed);
                match (1..=64).contains(&trimmed.chars().count()) && trimmed.chars().all(fine) && !own {
                    true => Ok(Value::Text(trimmed.into())),
                    false => Err(wrong()),
                }
            }
            Kind::Label => match (1..=255).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control)
            {
                true => Ok(Value::Text(trimmed.into())),
                false => Err(wrong()),
            },
            Kind::Destination => Destination::parse(text).map(Value::Destination),
            Kind::Frequencies => frequencies(trimmed).map(Value::Frequencies).ok_or_else(wrong),
            Kind::Durations => durations(trimmed).map(Value::Durations).ok_or_else(wrong),
            Kind::Places => places(trimmed).map(Value::Places).ok_or_else(wrong),
            Kind::Weekdays => Weekdays::parse(trimmed).map(Value::Weekdays).ok_or_else(wrong),
            Kind::Hours => Hours::parse(trimmed).map(Value::Hours).ok_or_else(wrong),
            Kind::Dates => Dates::parse_list(trimmed).map(Value::Dates).ok_or_else(wrong),
            Kind::TimeZone => trimmed.parse().map(Value::TimeZone).map_err(|_| wrong()),
            Kind::HeaderName => match is_header_name(trimmed) {
                true => Ok(Value::Text(trimmed.into())),
                false => Err(wrong()),
            },
            Kind::HeaderValue => match text.len() <= MAX_HEADER && !text.chars().any(char::is_control) {
                true => Ok(Value::Text(trimmed.into())),
                false => Err(wrong()),
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text => f.write_str("a text"),
            Kind::Flag => f.write_str("true or false"),
            Kind::Integer { min, max } => write!(f, "an integer from {min} to {max}"),
            Kind::Millis { min, max } => write!(f, "milliseconds from {min} to {max}"),
            Kind::SecondsOrMillis => f.write_str("seconds from 1 to 600, or milliseconds above that, up to 600000"),
            Kind::Decibel => f.write_str("dB from -60 to 0"),
            Kind::Url => f.write_str("an http or https URL"),
            Kind::Sound => f.write_str("an http, https or file URL, or the name of a file"),
            Kind::Word(words) => write!(f, "one of {}", words.join(", ")),
            Kind::Keys => f.write_str("a set of keys (0-9 * # A-D), any or none"),
            Kind::Digits => f.write_str("1 to 32 keys (0-9 * # A-D)"),
            Kind::Identifier => f.write_str("a name of 1 to 64 letters, digits, _ - ."),
            Kind::Variable => f.write_str("a name of 1 to 64 letters, digits, _ - that the call does not have itself"),
            Kind::Label => f.write_str("a text of 1 to 255 characters"),
            Kind::Destination => f.write_str("a number, a SIP URI, user@domain or group:<uuid>"),
            Kind::Frequencies => {
                f.write_str("a list of frequencies from 20 to 4000 Hz, such as 440,480 or 950;1400;1800")
            }
            Kind::Durations => f.write_str("a list of milliseconds from 0 to 60000, such as 400,200"),
            Kind::Places => f.write_str("a list of 1 to 64 names, such as NJ,CA"),
            Kind::Weekdays => f.write_str("days of the week, such as mon,wed or mon-fri"),
            Kind::Hours => f.write_str("hours of the day, such as 09:00:00-17:00:00"),
            Kind::Dates => f.write_str("dates, such as 2026-12-25, 12-25 (every year) or 12-24/12-26"),
            Kind::TimeZone => f.write_str("a time zone, such as America/New_York"),
            Kind::HeaderName => f.write_str("a name of an HTTP header, other than those of the connection"),
            Kind::HeaderValue => f.write_str("a text of up to 4096 characters in one line"),
        }
    }
}

/// Variables every call has, see `docs/call-xml.md`.
const OWN_VARIABLES: &[&str] =
    &["from", "to", "call", "tn", "sca", "direction", "type", "state", "dtmf", "meta", "geo", "time_zone"];
/// Longest value of a header.
const MAX_HEADER: usize = 4096;
/// What the HTTP client sees to itself (RFC 9110 7.2, 7.6.1, 8.6).
const OWN_HEADERS: &[&str] =
    &["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive"];

fn is_header_name(text: &str) -> bool {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    (1..=64).contains(&text.len())
        && text.bytes().all(token)
        && !OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(text))
}

fn places(text: &str) -> Option<Vec<String>> {
    let place = |text: &str| {
        let text = text.trim();
        let fine = |c: char| c.is_alphabetic() || " .'-".contains(c);
        ((1..=64).contains(&text.chars().count()) && text.chars().all(fine)).then(|| text.to_uppercase())
    };
    let all: Vec<String> = text.split(',').map(place).collect::<Option<_>>()?;
    (all.len() <= 64).then_some(all)
}

/// For a message of one line.
fn shorten(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn integer(text: &str, min: u64, max: u64) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| plain && (min..=max).contains(n))
}

fn url(text: &str) -> Option<String> {
    let scheme = text.split_once("://")?.0;
    let rest = &text[scheme.len() + 3..];
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let fine = (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && !host.is_empty()
        && text.len() <= 2048
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    fine.then(|| text.into())
}

/// Whether a text that names a sound is a URL of the web.
fn is_web(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
}

fn sound(text: &str) -> Option<String> {
    if is_web(text) {
        return url(text);
    }
    let name = match text.split_once(':') {
        Some(("file", path)) => path,
        Some(_) => return None,
        // Below a folder that is not told here.
        None if text.starts_with('/') => return None,
        None => text,
    };
    let fine = !name.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control);
    fine.then(|| text.into())
}

/// `950x2;1400` → the first step twice, then the second.
fn steps<T: Clone>(text: &str, separator: char, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for step in text.split(separator) {
        let (step, times) = match step.rsplit_once(['x', 'X']) {
            Some((step, times)) => (step, integer(times.trim(), 1, MAX_STEPS as u64)? as usize),
            None => (step, 1),
        };
        let step = parse(step.trim())?;
        if all.len() + times > MAX_STEPS {
            return None;
        }
        all.extend(std::iter::repeat_n(step, times));
    }
    Some(all)
}

fn frequencies(text: &str) -> Option<Vec<Vec<f32>>> {
    let frequency = |text: &str| text.trim().parse::<f32>().ok().filter(|hz| (20.0..=4000.0).contains(hz));
    steps(text, ';', |step| {
        let together: Vec<f32> = step.split([',', '+']).map(frequency).collect::<Option<_>>()?;
        (1..=4).contains(&together.len()).then_some(together)
    })
}

fn durations(text: &str) -> Option<Vec<u32>> {
    steps(text, ',', |step| integer(step, 0, u64::from(MAX_STEP_MS)).map(|ms| ms as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_written() {
        let millis = |ms| Ok(Value::Duration(Duration::from_millis(ms)));
        assert_eq!(Kind::Flag.parse(" Yes "), Ok(Value::Flag(true)));
        assert_eq!(Kind::Millis { min: 0, max: 5000 }.parse("5000"), millis(5000));
        assert_eq!(Kind::SecondsOrMillis.parse("600"), millis(600_000));
        assert_eq!(Kind::SecondsOrMillis.parse("601"), millis(601));
        assert_eq!(Kind::SecondsOrMillis.parse("30"), millis(30_000));
        assert_eq!(Kind::Decibel.parse("-12.5"), Ok(Value::Decibel(-12.5)));
        assert_eq!(Kind::Word(&["GET", "POST"]).parse("post"), Ok(Value::Word("POST")));
        assert_eq!(Kind::Frequencies.parse("440,480"), Ok(Value::Frequencies(vec![vec![440.0, 480.0]])));
        let three = vec![vec![950.0], vec![950.0], vec![1400.0]];
        assert_eq!(Kind::Frequencies.parse("950x2;1400"), Ok(Value::Frequencies(three)));
        for sound in ["https://e.org/a.mp3", "file:///en/a b.wav", "en/hello.ogg"] {
            assert_eq!(Kind::Sound.parse(sound), Ok(Value::Text(sound.into())));
        }
        assert_eq!(Kind::Durations.parse("100x2,500"), Ok(Value::Durations(vec![100, 100, 500])));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let number = Kind::Integer { min: 1, max: 32 };
        for wrong in ["", "0", "33", "-1", "+1", "1.5", "0x1", "99999999999999999999"] {
            assert!(number.parse(wrong).is_err(), "{wrong}");
        }
        assert!(Kind::Flag.parse("maybe").is_err());
        assert!(Kind::Decibel.parse("NaN").is_err());
        assert!(Kind::Decibel.parse("3").is_err());
        for wrong in ["", "/a", "ftp://a/", "http://", "https:///x", "http://a b/"] {
            assert!(Kind::Url.parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "/a", "ftp://a/", "http://", "file:", "https:x"] {
            assert!(Kind::Sound.parse(wrong).is_err(), "{wrong}");
        }
        assert!(Kind::Digits.parse("12E").is_err());
        assert!(Kind::Frequencies.parse("440x65").is_err());
        assert!(Kind::Frequencies.parse("1,2").is_err());
        assert!(Kind::Frequencies.parse("440,480,500,600,700").is_err());
    }

    #[test]
    fn a_set_of_keys_holds_its_keys() {
        let keys = Keys::of("1a#").unwrap();
        assert!(keys.contains('1') && keys.contains('A') && keys.contains('a') && keys.contains('#'));
        assert!(!keys.contains('2') && !keys.contains('x'));
        assert_eq!(Keys::of("E"), None);
        assert!(KEYS.chars().all(|key| Keys::ANY.contains(key) && !Keys::NONE.contains(key)));
    }
}
