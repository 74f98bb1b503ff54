use std::net::IpAddr;

use super::{Codec, RtpMap};

/// A whole session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub origin: Origin,
    /// `s=`; `-` when there is nothing to say.
    pub name: String,
    pub connection: Option<Connection>,
    /// All other lines of the session part in their order: `i u e p b t r z k` and unknown ones.
    pub lines: Vec<Line>,
    pub attributes: Vec<Attribute>,
    pub media: Vec<Media>,
}

/// `o=` (RFC 8866 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub username: String,
    pub session_id: u64,
    /// Grows by one with every changed description of the session.
    pub version: u64,
    pub address: Connection,
}

/// A network type, address type and address, as in `c=` (RFC 8866 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `IN` as a rule.
    pub network: String,
    /// `IP4` or `IP6` as a rule.
    pub family: String,
    /// An address or name; multicast with its `/ttl`.
    pub address: String,
}

impl Connection {
    pub fn ip(address: IpAddr) -> Self {
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        Self { network: "IN".into(), family: family.into(), address: address.to_string() }
    }

    /// The address when it is a unicast IP address, not a name.
    pub fn to_ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }
}

/// A line kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub letter: char,
    pub value: String,
}

/// `a=name` or `a=name:value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub value: Option<String>,
}

impl Attribute {
    pub fn flag(name: &str) -> Self {
        Self { name: name.into(), value: None }
    }

    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, ...
    pub kind: String,
    /// 0 refuses or ends the stream.
    pub port: u16,
    /// `/n` of `m=`: how many ports.
    pub ports: Option<u16>,
    /// `RTP/AVP`, `UDP/TLS/RTP/SAVPF`, ...
    pub protocol: String,
    pub formats: Vec<String>,
    pub connection: Option<Connection>,
    /// Other lines of the section in their order: `i b k` and unknown ones.
    pub lines: Vec<Line>,
    pub attributes: Vec<Attribute>,
}

/// Who sends (RFC 8866 6.7), as the one who wrote it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same as the other side sees it.
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }
}

/// The value of the first attribute of that name; `Some("")` for a flag.
fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|a| a.name == name).map(|a| a.value.as_deref().unwrap_or_default())
}

fn find_direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().filter(|a| a.value.is_none()).find_map(|a| Direction::parse(&a.name))
}

impl Session {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    /// The direction of a stream: its own, else the session's, else both ways.
    pub fn direction(&self, media: &Media) -> Direction {
        find_direction(&media.attributes).or_else(|| find_direction(&self.attributes)).unwrap_or_default()
    }

    /// Where a stream is received: its own `c=`, else the session's.
    pub fn connection<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }
}

impl Media {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    pub fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats.iter().filter_map(|format| format.parse().ok()).filter(|pt| *pt < 128)
    }

    /// What a payload type means: its `a=rtpmap`, else its static meaning (RFC 3551 6).
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap> {
        self.payload_attribute("rtpmap", payload_type)
            .and_then(RtpMap::parse)
            .or_else(|| Codec::of_static(payload_type).map(|codec| codec.rtpmap()))
    }

    /// The format parameters of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<&str> {
        self.payload_attribute("fmtp", payload_type)
    }

    fn payload_attribute(&self, name: &str, payload_type: u8) -> Option<&str> {
        self.attributes.iter().filter(|a| a.name == name).find_map(|a| {
            let (format, value) = a.value.as_deref()?.split_once(' ')?;
            (format.parse() == Ok(payload_type)).then(|| value.trim())
        })
    }
}
