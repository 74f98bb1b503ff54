use std::borrow::Cow;
use std::fmt;

/// An encoding as `a=rtpmap` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpMap {
    pub name: Cow<'static, str>,
    /// RTP clock, Hz.
    pub clock: u32,
    pub channels: u8,
}

impl RtpMap {
    /// `PCMU/8000`, `opus/48000/2`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('/');
        let name = parts.next().filter(|name| !name.is_empty())?;
        let clock = parts.next()?.parse().ok().filter(|clock| *clock > 0)?;
        let channels = parts.next().map_or(Ok(1), str::parse).ok()?;
        Some(Self { name: Cow::Owned(name.to_owned()), clock, channels })
    }

    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }
}

impl fmt::Display for RtpMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock)?;
        if self.channels > 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

/// An audio codec that can be offered. Any codec can be described; the constants are the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    pub name: Cow<'static, str>,
    /// RTP clock, Hz. For G.722 8000, though it samples at 16000 (RFC 3551 4.5.2).
    pub clock: u32,
    pub channels: u8,
    /// Static payload type (RFC 3551 6), or the dynamic one used in our offers, 96..=127.
    pub payload_type: u8,
    /// `a=fmtp` of our descriptions.
    pub fmtp: Option<Cow<'static, str>>,
}

impl Codec {
    pub const PCMU: Self = Self::fixed("PCMU", 0);
    pub const PCMA: Self = Self::fixed("PCMA", 8);
    pub const G722: Self = Self::fixed("G722", 9);
    pub const OPUS: Self = Self {
        name: Cow::Borrowed("opus"),
        clock: 48_000,
        channels: 2,
        payload_type: 111,
        fmtp: Some(Cow::Borrowed("minptime=10;useinbandfec=1")),
    };
    /// Linear samples (RFC 3551 4.5.11), one channel.
    pub const L16_WIDE: Self =
        Self { name: Cow::Borrowed("L16"), clock: 16_000, channels: 1, payload_type: 112, fmtp: None };
    pub const L16_NARROW: Self = Self::fixed("L16", 113);
    /// Without the pauses of annex B, which the other side of a bridge may not know.
    pub const G729: Self = Self {
        name: Cow::Borrowed("G729"),
        clock: 8_000,
        channels: 1,
        payload_type: 18,
        fmtp: Some(Cow::Borrowed("annexb=no")),
    };

    const fn fixed(name: &'static str, payload_type: u8) -> Self {
        Self { name: Cow::Borrowed(name), clock: 8_000, channels: 1, payload_type, fmtp: None }
    }

    /// The codec of a static payload type.
    pub fn of_static(payload_type: u8) -> Option<Self> {
        Some(match payload_type {
            0 => Self::PCMU,
            3 => Self::fixed("GSM", 3),
            4 => Self::fixed("G723", 4),
            8 => Self::PCMA,
            9 => Self::G722,
            13 => Self::fixed("CN", 13),
            15 => Self::fixed("G728", 15),
            18 => Self::G729,
            _ => return None,
        })
    }

    pub fn rtpmap(&self) -> RtpMap {
        RtpMap { name: self.name.clone(), clock: self.clock, channels: self.channels }
    }

    /// Whether a payload type so described carries this codec.
    pub fn is(&self, map: &RtpMap) -> bool {
        // RFC 7587 7: opus always says two channels; some leave them out, and it makes no difference.
        let channels = self.channels == map.channels || self.name.eq_ignore_ascii_case("opus");
        self.name.eq_ignore_ascii_case(&map.name) && self.clock == map.clock && channels
    }
}
