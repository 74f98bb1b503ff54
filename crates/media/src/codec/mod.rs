//! Audio codecs a leg can speak.

pub mod g711;

/// An audio encoding with a static payload type (RFC 3551).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Codec {
    /// Samples per second of the RTP clock, which G.711 shares with the audio.
    pub const fn clock_rate(self) -> u32 {
        8000
    }

    /// The static payload type of RFC 3551 table 4.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The encoding name of SDP's `rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The octet of silence.
    pub const fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => 0xFF,
            Codec::Pcma => 0xD5,
        }
    }

    /// Encodes as many samples as both slices hold.
    pub fn encode(self, samples: &[i16], octets: &mut [u8]) {
        match self {
            Codec::Pcmu => samples.iter().zip(octets).for_each(|(s, o)| *o = g711::encode_ulaw(*s)),
            Codec::Pcma => samples.iter().zip(octets).for_each(|(s, o)| *o = g711::encode_alaw(*s)),
        }
    }

    /// Decodes as many octets as both slices hold.
    pub fn decode(self, octets: &[u8], samples: &mut [i16]) {
        match self {
            Codec::Pcmu => octets.iter().zip(samples).for_each(|(o, s)| *s = g711::decode_ulaw(*o)),
            Codec::Pcma => octets.iter().zip(samples).for_each(|(o, s)| *s = g711::decode_alaw(*o)),
        }
    }

    /// Turns octets of this codec into octets of `to`, in place.
    pub fn transcode(self, to: Codec, octets: &mut [u8]) {
        match (self, to) {
            (Codec::Pcmu, Codec::Pcma) => octets.iter_mut().for_each(|o| *o = g711::ulaw_to_alaw(*o)),
            (Codec::Pcma, Codec::Pcmu) => octets.iter_mut().for_each(|o| *o = g711::alaw_to_ulaw(*o)),
            (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => {}
        }
    }
}
