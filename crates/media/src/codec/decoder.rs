//! Payloads to samples.

use super::{Codec, g711, g722, opus};

/// One direction of one stream: what it heard before it goes on from.
#[derive(Debug)]
pub enum Decoder {
    Pcmu,
    Pcma,
    G722(Box<g722::Decoder>),
    /// Samples per second.
    L16(u32),
    Opus(Box<opus::Decoder>),
}

impl Decoder {
    /// `wanted`: samples per second that would be taken; [`Decoder::rate`] says what is given. `None` for a codec that is
    /// only passed through.
    pub fn new(codec: Codec, wanted: u32) -> Option<Decoder> {
        Some(match codec {
            Codec::Pcmu => Decoder::Pcmu,
            Codec::Pcma => Decoder::Pcma,
            Codec::G722 => Decoder::G722(Box::default()),
            Codec::L16Narrow | Codec::L16Wide => Decoder::L16(codec.sample_rate()),
            Codec::Opus => Decoder::Opus(Box::new(opus::Decoder::new(wanted)?)),
            Codec::G729 => return None,
        })
    }

    /// Samples per second it gives.
    pub fn rate(&self) -> u32 {
        match self {
            Decoder::Pcmu | Decoder::Pcma => 8_000,
            Decoder::G722(_) => 16_000,
            Decoder::L16(rate) => *rate,
            Decoder::Opus(decoder) => decoder.rate(),
        }
    }

    /// Appends the samples of a payload.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        match self {
            Decoder::Pcmu => samples.extend(payload.iter().map(|octet| g711::decode_ulaw(*octet))),
            Decoder::Pcma => samples.extend(payload.iter().map(|octet| g711::decode_alaw(*octet))),
            Decoder::G722(decoder) => decoder.decode(payload, samples),
            Decoder::L16(_) => {
                samples.extend(payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])));
            }
            Decoder::Opus(decoder) => decoder.decode(payload, samples),
        }
    }

    /// Appends `count` samples in place of what is missing, where the codec can; false where it cannot.
    pub fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) -> bool {
        match self {
            Decoder::Opus(decoder) => decoder.conceal(count, samples),
            _ => false,
        }
    }

    /// Appends the `count` samples before `next` by what that carries of them; false where the codec has no such thing.
    pub fn recover(&mut self, next: &[u8], count: usize, samples: &mut Vec<i16>) -> bool {
        match self {
            Decoder::Opus(decoder) => decoder.recover(next, count, samples),
            _ => false,
        }
    }
}
