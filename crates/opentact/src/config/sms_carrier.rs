//! `messaging.carriers`: the ways that messages go.

use std::ops::RangeInclusive;

use opentact_carrier::http::HttpConfig;

use super::http_carrier;
use super::value::{Element, Secret, Value};

/// What is wrong, told without what was written, which has a password in it.
pub(super) fn wrong(why: &str) -> String {
    format!("expected {}: {why}", SmsCarrier::KIND)
}

/// A name stands in messages and in addresses of callbacks.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    if name == "dev" || !(1..=32).contains(&name.len()) || !name.bytes().all(fits) {
        return Err(wrong("a name is 1 to 32 letters, digits, - and _, and not dev"));
    }
    Ok(())
}

/// A way for messages.
#[derive(Debug, Clone, PartialEq)]
pub enum SmsCarrier {
    /// The simulated network.
    Dev,
    Smpp(SmppCarrier),
    Http(Box<HttpConfig>),
}

/// An SMSC and how to bind to it.
#[derive(Debug, Clone, PartialEq)]
pub struct SmppCarrier {
    pub name: String,
    /// `host:port`.
    pub address: String,
    pub system_id: String,
    pub password: Secret,
    /// `smpps`: over TLS.
    pub tls: bool,
    pub system_type: String,
    /// A transmitter and a receiver, in place of a transceiver.
    pub split: bool,
    /// SMPP 5.0, in place of 3.4.
    pub version_5: bool,
    /// data_sm, in place of submit_sm.
    pub data_sm: bool,
    pub window: u32,
    pub rate: u32,
}

/// Of SMPP, by IANA, and over TLS.
const SMPP_PORT: u16 = 2775;
const SMPPS_PORT: u16 = 3550;

impl SmsCarrier {
    pub fn name(&self) -> &str {
        match self {
            Self::Dev => "dev",
            Self::Smpp(smpp) => &smpp.name,
            Self::Http(http) => &http.name,
        }
    }
}

impl Value for SmsCarrier {
    const KIND: &'static str = "dev, NAME=smpp[s]://SYSTEM_ID:PASSWORD@HOST:PORT or a table";

    /// What is wrong is told without the text, which has a password in it.
    fn from_text(text: &str) -> Result<Self, String> {
        if text == "dev" {
            return Ok(Self::Dev);
        }
        let (name, url) = text.split_once('=').ok_or_else(|| wrong("there is no NAME="))?;
        check_name(name)?;
        let url: url::Url = url.parse().map_err(|_| wrong("that is no URL"))?;
        let host = url.host_str().filter(|host| !host.is_empty() && matches!(url.scheme(), "smpp" | "smpps"));
        let host = host.ok_or_else(|| wrong("there is no smpp:// and host"))?;
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut smpp = SmppCarrier {
            name: name.to_owned(),
            address: format!(
                "{host}:{}",
                url.port().unwrap_or(if url.scheme() == "smpps" { SMPPS_PORT } else { SMPP_PORT })
            ),
            system_id: decoded(url.username()),
            password: Secret(decoded(url.password().unwrap_or_default())),
            tls: url.scheme() == "smpps",
            system_type: String::new(),
            split: false,
            version_5: false,
            data_sm: false,
            window: 10,
            rate: 0,
        };
        if !(1..=15).contains(&smpp.system_id.len()) {
            return Err(wrong("a system id is 1 to 15 characters"));
        }
        if smpp.password.0.len() > 8 {
            return Err(wrong("a password is at most 8 characters"));
        }
        for (key, value) in url.query_pairs() {
            let number = |range: RangeInclusive<u32>| {
                let number = value.parse::<u32>().ok().filter(|number| range.contains(number));
                number.ok_or_else(|| wrong(&format!("{key} is {} to {}", range.start(), range.end())))
            };
            match (&*key, &*value) {
                ("bind", "transceiver") => smpp.split = false,
                ("bind", "split") => smpp.split = true,
                ("bind", _) => return Err(wrong("bind is transceiver or split")),
                ("version", "3.4") => smpp.version_5 = false,
                ("version", "5.0") => smpp.version_5 = true,
                ("version", _) => return Err(wrong("version is 3.4 or 5.0")),
                ("submit", "submit_sm") => smpp.data_sm = false,
                ("submit", "data_sm") => smpp.data_sm = true,
                ("submit", _) => return Err(wrong("submit is submit_sm or data_sm")),
                ("window", _) => smpp.window = number(1..=1_000)?,
                ("rate", _) => smpp.rate = number(0..=100_000)?,
                ("system_type", text) if text.len() <= 12 => smpp.system_type = text.to_owned(),
                ("system_type", _) => return Err(wrong("a system type is at most 12 characters")),
                (other, _) => return Err(wrong(&format!("there is no option {other}"))),
            }
        }
        Ok(Self::Smpp(smpp))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let table = match value {
            toml::Value::String(text) => return Self::from_text(text),
            toml::Value::Table(table) => table,
            _ => return Err(wrong("it is neither text nor table")),
        };
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str).unwrap_or_default();
        let only = |known: &[&str]| match table.keys().find(|key| !known.contains(&key.as_str())) {
            Some(other) => Err(wrong(&format!("there is no {other} here"))),
            None => Ok(()),
        };
        match text("kind") {
            "dev" => only(&["kind"]).map(|()| Self::Dev),
            "smpp" => {
                only(&["kind", "name", "url"])?;
                Self::from_text(&format!("{}={}", text("name"), text("url")))
            }
            "http" => http_carrier::read(table.clone()).map(|http| Self::Http(Box::new(http))),
            _ => Err(wrong("kind is dev, smpp or http")),
        }
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(match self {
            Self::Dev => "dev".to_owned(),
            Self::Http(http) => format!("{}=(an HTTP carrier)", http.name),
            Self::Smpp(smpp) => {
                let scheme = if smpp.tls { "smpps" } else { "smpp" };
                format!("{}={scheme}://{}:(hidden)@{}", smpp.name, smpp.system_id, smpp.address)
            }
        }))
    }
}

impl Element for SmsCarrier {
    const LIST: &'static str = "list of dev, NAME=smpp[s]://SYSTEM_ID:PASSWORD@HOST:PORT, or tables";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_for_messages_is_a_name_and_an_url() {
        let read = SmsCarrier::from_text;
        let text = "north=smpp://opentact:p%40ss@smsc.example:3550?window=50&rate=100&bind=split&system_type=X&version=5.0&submit=data_sm";
        let SmsCarrier::Smpp(smpp) = read(text).unwrap() else { panic!("dev") };
        assert_eq!((&*smpp.name, &*smpp.address), ("north", "smsc.example:3550"));
        assert_eq!((&*smpp.system_id, &*smpp.password.0, &*smpp.system_type), ("opentact", "p@ss", "X"));
        assert_eq!((smpp.window, smpp.rate, smpp.split), (50, 100, true));
        assert!(smpp.version_5 && smpp.data_sm);
        assert_eq!(read("dev"), Ok(SmsCarrier::Dev));
        let SmsCarrier::Smpp(smpp) = read("a=smpp://x@[::1]").unwrap() else { panic!("dev") };
        assert_eq!((&*smpp.address, smpp.window, smpp.rate, smpp.split), ("[::1]:2775", 10, 0, false));
        for bad in [
            "smpp://a:b@host",
            "dev=smpp://a:b@host",
            "n=http://a:b@host",
            "n=smpp://host",
            "n=smpp://a:123456789@host",
            "n=smpp://a:secret@host?window=0",
            "n=smpp://a:secret@host?bind=both",
            "n=smpp://a:secret@host?version=6",
            "n=smpp://a:secret@host?submit=deliver_sm",
            "n=smpp://a:secret@host?color=red",
        ] {
            let fault = read(bad).unwrap_err();
            assert!(!fault.contains("secret"), "{fault}");
        }
        assert!(!format!("{:?}", read(text)).contains("p@ss"));
        assert_eq!(
            read(text).unwrap().show().unwrap().as_str(),
            Some("north=smpp://opentact:(hidden)@smsc.example:3550")
        );
    }

    fn list(text: &str) -> Result<Vec<SmsCarrier>, String> {
        let table: toml::Table = text.parse().unwrap();
        Vec::from_toml(&table["carriers"])
    }

    #[test]
    fn carriers_may_be_tables() {
        let text = r#"
            [[carriers]]
            kind = "dev"
            [[carriers]]
            kind = "smpp"
            name = "north"
            url = "smpp://opentact:secret@smsc.example"
            [[carriers]]
            kind = "http"
            name = "east"
            url = "https://api.example/messages"
        "#;
        let carriers = list(text).unwrap();
        assert_eq!(carriers.iter().map(SmsCarrier::name).collect::<Vec<_>>(), ["dev", "north", "east"]);
        let json = r#"["dev", {"kind": "http", "name": "east", "url": "http://10.0.0.1:8000/", "window": 5}]"#;
        let carriers = Vec::<SmsCarrier>::from_text(json).unwrap();
        let [SmsCarrier::Dev, SmsCarrier::Http(http)] = &carriers[..] else { panic!("{carriers:?}") };
        assert_eq!((&*http.name, http.window), ("east", 5));
        for bad in [
            "carriers = [5]",
            "carriers = [{ kind = \"pigeon\" }]",
            "carriers = [{ kind = \"dev\", name = \"x\" }]",
            "carriers = [{ kind = \"smpp\", name = \"x\" }]",
        ] {
            assert!(list(bad).is_err(), "{bad}");
        }
    }
}
