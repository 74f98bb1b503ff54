//! Samples to payloads.

use super::{Codec, OpusParams, g711, g722, opus};

/// One direction of one stream: what it made before it goes on from.
#[derive(Debug)]
pub enum Encoder {
    Pcmu,
    Pcma,
    G722(Box<g722::Encoder>),
    /// Samples per second.
    L16(u32),
    Opus(Box<opus::Encoder>),
}

impl Encoder {
    /// `wanted`: samples per second that would be given; [`Encoder::rate`] says what has to be. `None` for a codec that
    /// is only passed through.
    pub fn new(codec: Codec, wanted: u32, params: &OpusParams) -> Option<Encoder> {
        Some(match codec {
            Codec::Pcmu => Encoder::Pcmu,
            Codec::Pcma => Encoder::Pcma,
            Codec::G722 => Encoder::G722(Box::default()),
            Codec::L16Narrow | Codec::L16Wide => Encoder::L16(codec.sample_rate()),
            Codec::Opus => Encoder::Opus(Box::new(opus::Encoder::new(wanted, params)?)),
            Codec::G729 => return None,
        })
    }

    /// Samples per second it takes.
    pub fn rate(&self) -> u32 {
        match self {
            Encoder::Pcmu | Encoder::Pcma => 8_000,
            Encoder::G722(_) => 16_000,
            Encoder::L16(rate) => *rate,
            Encoder::Opus(encoder) => encoder.rate(),
        }
    }

    /// Encodes a packet's samples, of which none are left for the next. Returns the octets written; 0 when there is
    /// nothing to send. Opus takes 10, 20, 40 or 60 ms.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) -> usize {
        match self {
            Encoder::Pcmu => samples.iter().zip(octets).map(|(s, o)| *o = g711::encode_ulaw(*s)).count(),
            Encoder::Pcma => samples.iter().zip(octets).map(|(s, o)| *o = g711::encode_alaw(*s)).count(),
            Encoder::G722(encoder) => encoder.encode(samples, octets),
            Encoder::L16(_) => {
                let pairs = samples.iter().zip(octets.chunks_exact_mut(2));
                2 * pairs.map(|(s, o)| o.copy_from_slice(&s.to_be_bytes())).count()
            }
            Encoder::Opus(encoder) => encoder.encode(samples, octets),
        }
    }
}
