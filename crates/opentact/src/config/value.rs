//! The kinds of values a setting can have: how each is read from TOML and from text (environment, flags), and shown.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use uuid::Uuid;

/// A value as a layer gives it: typed by TOML, or bare text.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    Toml(toml::Value),
    Text(String),
}

/// What a setting's type must know of itself.
pub trait Value: Sized {
    /// Shown in the reference and in faults: "address:port".
    const KIND: &'static str;

    /// From one word of text.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From TOML; by default only a string, read as text.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            other => Err(format!("expected {}, found {}", Self::KIND, describe(other))),
        }
    }

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Toml(value) => Self::from_toml(value),
            Raw::Text(text) => Self::from_text(text.trim()),
        }
    }

    /// As it would stand in a TOML file; `None` when unset.
    fn show(&self) -> Option<toml::Value>;
}

fn describe(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("the string {text:?}"),
        other => format!("{} {other}", other.type_str()),
    }
}

macro_rules! parsed {
    ($type:ty, $kind:literal) => {
        impl Value for $type {
            const KIND: &'static str = $kind;
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("expected {}, found {text:?}", $kind))
            }
            fn show(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.to_string()))
            }
        }
    };
}

parsed!(SocketAddr, "address:port");
parsed!(IpAddr, "IP address");
parsed!(Uuid, "UUID");

impl Value for IpNet {
    const KIND: &'static str = "CIDR";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| format!("expected a CIDR such as 10.0.0.0/8, found {text:?}"))
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

impl Value for String {
    const KIND: &'static str = "text";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.clone()))
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("expected a path, found nothing".to_owned()) } else { Ok(Self::from(text)) }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.display().to_string()))
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected true or false, found {text:?}"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("expected true or false, found {}", describe(value)))
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }
}

impl Value for u32 {
    const KIND: &'static str = "whole number";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected a whole number, found {text:?}"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value
            .as_integer()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| format!("expected a whole number, found {}", describe(value)))
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(i64::from(*self)))
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;

    /// Empty text takes a value away again that a lower layer gave.
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        T::from_toml(value).map(Some)
    }

    fn show(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::show)
    }
}

/// Element of a list setting; names the list's kind, which Rust cannot build from the element's.
pub trait Element: Value {
    const LIST: &'static str;
}

impl Element for IpNet {
    const LIST: &'static str = "list of CIDRs";
}

/// What peers of a network are told of our address: `NETWORK=ADDRESS`, `NETWORK=own`, or `ADDRESS` for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    pub peers: IpNet,
    pub told: Option<IpAddr>,
}

impl Value for External {
    const KIND: &'static str = "ADDRESS, NETWORK=ADDRESS or NETWORK=own";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("expected {}{why}, found {text:?}", Self::KIND);
        let (network, address) = text.split_once('=').map_or((None, text), |(left, right)| (Some(left), right));
        let told = match address {
            "own" if network.is_some() => None,
            address => Some(address.parse::<IpAddr>().map_err(|_| wrong(""))?),
        };
        if told.is_some_and(|told| told.is_unspecified()) {
            return Err(wrong(" with one address, which peers are told"));
        }
        let everybody = if told.is_some_and(|told| told.is_ipv6()) { "::/0" } else { "0.0.0.0/0" };
        let peers = IpNet::from_text(network.unwrap_or(everybody)).map_err(|_| wrong(""))?;
        if told.is_some_and(|told| told.is_ipv4() != peers.addr().is_ipv4()) {
            return Err(wrong(" of one family"));
        }
        Ok(Self { peers, told })
    }

    fn show(&self) -> Option<toml::Value> {
        let told = self.told.map_or("own".to_owned(), |told| told.to_string());
        Some(toml::Value::String(format!("{}={told}", self.peers)))
    }
}

impl Element for External {
    const LIST: &'static str = "list of ADDRESS, NETWORK=ADDRESS or NETWORK=own";
}

impl Element for SocketAddr {
    const LIST: &'static str = "list of address:port";
}

impl Element for String {
    const LIST: &'static str = "list of text";
}

impl<T: Element> Value for Vec<T> {
    const KIND: &'static str = T::LIST;

    /// Comma-separated, or a JSON array.
    fn from_text(text: &str) -> Result<Self, String> {
        // `[::1]:5060` is none of JSON.
        if text.starts_with('[') && text.ends_with(']') {
            let items: Vec<toml::Value> =
                serde_json::from_str(text).map_err(|fault| format!("expected a JSON array: {fault}"))?;
            let read = |item: &toml::Value| match item {
                toml::Value::String(text) => T::from_text(text.trim()),
                other => T::from_toml(other),
            };
            return items.iter().map(read).collect();
        }
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::from_text).collect()
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Array(items) => items.iter().map(T::from_toml).collect(),
            toml::Value::String(text) => Self::from_text(text),
            other => Err(format!("expected {}, found {}", Self::KIND, describe(other))),
        }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(T::show).collect()))
    }
}

/// A voice of the server of `speech.url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechVoice {
    pub name: String,
    /// BCP 47.
    pub lang: String,
    pub male: bool,
}

impl Value for SpeechVoice {
    const KIND: &'static str = "NAME:LANGUAGE:GENDER";

    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("expected {} such as alloy:en-US:FEMALE: {why}, found {text:?}", Self::KIND);
        let mut parts = text.split(':');
        let (Some(name), Some(lang), Some(gender), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("three parts"));
        };
        // What `<Say>` takes as a code.
        let fits = |text: &str| {
            let is_fit = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
            (1..=64).contains(&text.len()) && text.bytes().all(is_fit)
        };
        if !fits(name) || !fits(lang) {
            return Err(wrong("a name and a language are 1 to 64 letters, digits, _ - ."));
        }
        let male = match gender.to_ascii_uppercase().as_str() {
            "MALE" => true,
            "FEMALE" => false,
            _ => return Err(wrong("a gender is MALE or FEMALE")),
        };
        Ok(Self { name: name.to_owned(), lang: lang.to_owned(), male })
    }

    fn show(&self) -> Option<toml::Value> {
        let gender = if self.male { "MALE" } else { "FEMALE" };
        Some(toml::Value::String(format!("{}:{}:{gender}", self.name, self.lang)))
    }
}

impl Element for SpeechVoice {
    const LIST: &'static str = "list of NAME:LANGUAGE:GENDER";
}

/// A length of time, written `500ms`, `30s`, `10m`, `2h`, `30d`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub struct Span(pub Duration);

impl Span {
    const UNITS: [(&'static str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = Self::UNITS
            .iter()
            .rev()
            .find(|(_, size)| millis >= *size && millis.is_multiple_of(*size))
            .copied()
            .unwrap_or(("s", 1_000));
        write!(out, "{}{unit}", millis / size)
    }
}

impl Value for Span {
    const KIND: &'static str = "duration";

    fn from_text(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let unit = if unit.is_empty() { "s" } else { unit.trim() };
        let size = Self::UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
        digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(size?))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| format!("expected a duration such as 500ms, 30s, 10m, 2h or 30d, found {text:?}"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Integer(seconds) if *seconds >= 0 => Self::from_text(&seconds.to_string()),
            toml::Value::String(text) => Self::from_text(text),
            other => Err(format!("expected a duration such as \"30s\", found {}", describe(other))),
        }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

/// A number of octets, written `64KiB`, `1MiB`; a bare number is octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub struct Size(pub usize);

impl Size {
    const UNITS: [(&'static str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = Self::UNITS
            .iter()
            .rev()
            .find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size))
            .copied()
            .unwrap_or(("B", 1));
        write!(out, "{}{unit}", self.0 / size)
    }
}

impl Value for Size {
    const KIND: &'static str = "size";

    fn from_text(text: &str) -> Result<Self, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let unit = if unit.is_empty() { "B" } else { unit.trim() };
        let size = Self::UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
        digits
            .parse::<usize>()
            .ok()
            .and_then(|count| count.checked_mul(size?))
            .map(Self)
            .ok_or_else(|| format!("expected a size such as 64KiB or 1MiB, found {text:?}"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Integer(octets) if *octets >= 0 => Self::from_text(&octets.to_string()),
            toml::Value::String(text) => Self::from_text(text),
            other => Err(format!("expected a size such as \"1MiB\", found {}", describe(other))),
        }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

/// A range of UDP ports, both ends included, written `20000-29999`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub RangeInclusive<u16>);

impl Value for Ports {
    const KIND: &'static str = "port range";

    fn from_text(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(low, high)| {
            let (low, high) = (low.trim().parse::<u16>().ok()?, high.trim().parse::<u16>().ok()?);
            // RTP takes an even port and RTCP the odd one above it (RFC 3550 11).
            (low >= 1024 && high > low).then_some(low..=high)
        });
        range.map(Self).ok_or_else(|| format!("expected a port range such as 20000-29999, found {text:?}"))
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(format!("{}-{}", self.0.start(), self.0.end())))
    }
}

/// A value that is never shown; where it comes from is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(hidden)")
    }
}

impl Value for Secret {
    const KIND: &'static str = "text";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> Option<toml::Value> {
        None
    }
}

/// Declares a setting that is one of a few words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $kind:literal { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant),+ }

        impl Value for $name {
            const KIND: &'static str = $kind;
            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("expected {}, found {text:?}", $kind)),
                }
            }
            fn show(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.word().to_owned()))
            }
        }

        impl $name {
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words! {
    /// Who may make an account by `POST /rest/user`.
    SignUp, "open, invite or closed" { Open = "open", Invite = "invite", Closed = "closed" }
}
words! {
    LogFormat, "text or json" { Text = "text", Json = "json" }
}
words! {
    /// The way to the telephone network.
    CarrierName, "dev" { Dev = "dev" }
}

words! {
    /// Who recognises speech.
    AsrEngine, "pocketsphinx, server, stream, tones or off" {
        Pocketsphinx = "pocketsphinx", Server = "server", Stream = "stream", Tones = "tones", Off = "off",
    }
}

words! {
    /// What the server of `speech.url` is asked for.
    SpeechFormat, "wav, mp3 or opus" { Wav = "wav", Mp3 = "mp3", Opus = "opus" }
}

words! {
    /// Whether audio is protected.
    Srtp, "off, optional or required" { Off = "off", Optional = "optional", Required = "required" }
}

words! {
    /// Algorithm of digest authentication (RFC 8760).
    Digest, "md5 or sha-256" { Md5 = "md5", Sha256 = "sha-256" }
}

words! {
    /// A codec, or several of one name.
    CodecName, "PCMU, PCMA, G722, opus, L16 or G729" {
        Pcmu = "PCMU", Pcma = "PCMA", G722 = "G722", Opus = "opus", L16 = "L16", G729 = "G729"
    }
}

impl Element for CodecName {
    const LIST: &'static str = "list of PCMU, PCMA, G722, opus, L16, G729";
}

impl Element for Digest {
    const LIST: &'static str = "list of md5, sha-256";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show_the_same() {
        for text in ["500ms", "30s", "10m", "2h", "30d"] {
            assert_eq!(Span::from_text(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::from_text("90").unwrap(), Span(Duration::from_secs(90)));
        assert_eq!(Span::from_text("0").unwrap().to_string(), "0s");
        assert!(Span::from_text("5 weeks").is_err());
        assert!(Span::from_text("-1s").is_err());
        assert!(Span::from_text("99999999999999999999d").is_err());
    }

    #[test]
    fn sizes_read_and_show_the_same() {
        for text in ["100B", "64KiB", "1MiB", "2GiB"] {
            assert_eq!(Size::from_text(text).unwrap().to_string(), text);
        }
        assert!(Size::from_text("1MB").is_err());
    }

    #[test]
    fn lists_are_commas_or_json() {
        let wanted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()];
        assert_eq!(Vec::<IpNet>::from_text("10.0.0.0/8, 127.0.0.1").unwrap(), wanted);
        assert_eq!(Vec::<IpNet>::from_text(r#"["10.0.0.0/8","127.0.0.1/32"]"#).unwrap(), wanted);
        assert_eq!(Vec::<IpNet>::from_text("").unwrap(), vec![]);
        assert!(Vec::<IpNet>::from_text("[1").is_err());
        assert!(Vec::<IpNet>::from_text("nowhere").is_err());
    }

    #[test]
    fn port_ranges_need_room_for_a_pair() {
        assert_eq!(Ports::from_text("20000-29999").unwrap(), Ports(20000..=29999));
        for bad in ["20000", "20000-20000", "30000-20000", "80-90", "1-70000"] {
            assert!(Ports::from_text(bad).is_err(), "{bad}");
        }
    }
}
