//! Audio codecs a leg can speak.

mod decoder;
mod encoder;
pub mod g711;
pub mod g722;
pub mod opus;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use opus::OpusParams;

/// An audio encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    Opus,
    /// Linear 16 bits in network byte order (RFC 3551 4.5.11), one channel at 8,000 samples per second.
    L16Narrow,
    /// The same at 16,000.
    L16Wide,
    /// G.729, passed through: neither encoded nor decoded here.
    G729,
}

impl Codec {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// Units per second of the RTP clock.
    pub const fn clock_rate(self) -> u32 {
        match self {
            // RFC 3551 4.5.2: G.722 keeps the 8,000 of an old mistake.
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16Narrow | Codec::G729 => 8_000,
            Codec::L16Wide => 16_000,
            Codec::Opus => 48_000,
        }
    }

    /// Samples per second the codec is made for.
    pub const fn sample_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::G729 => 8_000,
            Codec::G722 | Codec::L16Wide => 16_000,
            Codec::Opus => 48_000,
        }
    }

    /// Samples per second that a recording of it needs: there is no speech above 8 kHz worth the room.
    pub fn recording_rate(self) -> u32 {
        self.sample_rate().min(16_000)
    }

    /// The static payload type of RFC 3551 table 4, or the dynamic one our offers use.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::G729 => 18,
            Codec::Opus => 111,
            Codec::L16Wide => 112,
            Codec::L16Narrow => 113,
        }
    }

    /// The encoding name of SDP's `rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
            Codec::L16Narrow | Codec::L16Wide => "L16",
            Codec::G729 => "G729",
        }
    }

    /// The codec of an `rtpmap`: the name in any case, the clock in Hz.
    pub fn of(name: &str, clock_rate: u32) -> Option<Codec> {
        const ALL: [Codec; Codec::COUNT] =
            [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide, Codec::G729];
        ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock_rate() == clock_rate)
    }

    /// Octets of a millisecond, where any stretch of octets can be a packet; `None` for codecs of frames.
    pub const fn octets_per_ms(self) -> Option<usize> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(8),
            Codec::L16Narrow => Some(16),
            Codec::L16Wide => Some(32),
            Codec::Opus | Codec::G729 => None,
        }
    }

    /// How long a payload lasts, in units of the RTP clock.
    pub fn units(self, payload: &[u8]) -> u32 {
        let length = payload.len() as u32;
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => length,
            Codec::L16Narrow | Codec::L16Wide => length / 2,
            Codec::Opus => opus::packet_units(payload),
            // RFC 3551 4.5.6: frames of 10 octets, the last perhaps one of 2 octets of comfort noise.
            Codec::G729 => length.div_ceil(10) * 80,
        }
    }

    /// The octet that silence is made of; `None` for codecs of frames.
    pub const fn silence(self) -> Option<u8> {
        match self {
            Codec::Pcmu => Some(0xFF),
            Codec::Pcma => Some(0xD5),
            // No difference in the lower band and the smallest in the upper: every predictor dies away.
            Codec::G722 => Some(0xFC),
            Codec::L16Narrow | Codec::L16Wide => Some(0),
            Codec::Opus | Codec::G729 => None,
        }
    }

    /// Turns octets of this codec into octets of `to`, in place. False where that takes more than a table.
    pub fn translate(self, to: Codec, octets: &mut [u8]) -> bool {
        match (self, to) {
            (Codec::Pcmu, Codec::Pcma) => octets.iter_mut().for_each(|o| *o = g711::ulaw_to_alaw(*o)),
            (Codec::Pcma, Codec::Pcmu) => octets.iter_mut().for_each(|o| *o = g711::alaw_to_ulaw(*o)),
            _ => return self == to,
        }
        true
    }

    /// Whether packets of this codec become packets of `to` one by one, without being decoded.
    pub fn passes_as(self, to: Codec) -> bool {
        self.translate(to, &mut [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_what_it_is_called() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide, Codec::G729]
        {
            assert_eq!(Codec::of(&codec.name().to_ascii_lowercase(), codec.clock_rate()), Some(codec));
        }
        assert_eq!(Codec::of("L16", 44_100), None);
        assert_eq!(Codec::of("G722", 16_000), None);
    }

    #[test]
    fn octets_of_silence_are_silent() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16Narrow, Codec::L16Wide] {
            let mut decoded = Vec::new();
            let mut decoder = Decoder::new(codec, 8_000).unwrap();
            decoder.decode(&[codec.silence().unwrap(); 8_000], &mut decoded);
            assert!(decoded.iter().all(|sample| sample.abs() <= 8), "{codec:?}");
        }
    }

    #[test]
    fn twenty_milliseconds_last_as_long_in_every_codec() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide] {
            let mut encoder = Encoder::new(codec, codec.sample_rate(), &OpusParams::default()).unwrap();
            let samples = vec![0; codec.sample_rate() as usize / 50];
            let mut octets = [0; 1275];
            let length = encoder.encode(&samples, &mut octets);
            assert_eq!(codec.units(&octets[..length]), codec.clock_rate() / 50, "{codec:?}");
            let mut decoded = Vec::new();
            Decoder::new(codec, codec.sample_rate()).unwrap().decode(&octets[..length], &mut decoded);
            assert_eq!(decoded.len(), samples.len(), "{codec:?}");
        }
        assert_eq!(Codec::G729.units(&[0; 20]), 160);
        assert_eq!(Codec::G729.units(&[0; 12]), 160);
        assert!(Encoder::new(Codec::G729, 8_000, &OpusParams::default()).is_none());
        assert!(Decoder::new(Codec::G729, 8_000).is_none());
    }
}
