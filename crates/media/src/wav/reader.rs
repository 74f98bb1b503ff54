//! Reads PCM of 8, 16, 24 and 32 bits, float of 32 and 64, A-law and µ-law, at any rate, mixed down to mono.

use super::{ALAW, EXTENSIBLE, FLOAT, PCM, ULAW};
use crate::codec::g711;

/// A clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Mono.
    pub samples: Vec<i16>,
    /// Samples per second, 1,000..=384,000.
    pub rate: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    #[error("not a WAV file: no RIFF/WAVE header")]
    NotWav,
    #[error("WAV file without a format chunk before its data")]
    NoFormat,
    #[error("WAV file without a data chunk")]
    NoData,
    #[error("WAV format {format} with {bits} bits is not supported")]
    Unsupported { format: u16, bits: u16 },
    #[error("WAV file with {channels} channels at {rate} samples per second")]
    Implausible { channels: u16, rate: u32 },
}

struct Format {
    encoding: Encoding,
    channels: u16,
    rate: u32,
}

#[derive(Clone, Copy)]
enum Encoding {
    Unsigned8,
    /// Octets of a little-endian integer, 2..=4: its upper two are the sample.
    Signed(usize),
    Float32,
    Float64,
    Alaw,
    Ulaw,
}

/// Reads a whole file. A data chunk cut short, or of unknown length as streams have it, is read as far as it goes.
pub fn read(file: &[u8]) -> Result<Wav, WavError> {
    let header = file.first_chunk::<12>().ok_or(WavError::NotWav)?;
    if &header[..4] != b"RIFF" || &header[8..] != b"WAVE" {
        return Err(WavError::NotWav);
    }
    let mut rest = &file[12..];
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match &head[..4] {
            b"fmt " => format = Some(read_format(body.get(..length).unwrap_or(body))?),
            b"data" => {
                let format = format.ok_or(WavError::NoFormat)?;
                return Ok(decode(&format, body.get(..length).unwrap_or(body)));
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
    Err(WavError::NoData)
}

fn read_format(chunk: &[u8]) -> Result<Format, WavError> {
    let fixed = chunk.first_chunk::<16>().ok_or(WavError::NoFormat)?;
    let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let (mut format, channels, bits) = (short(0), short(2), short(14));
    let rate = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    if format == EXTENSIBLE {
        // The first two octets of the sub-format's GUID, after size, valid bits and channel mask.
        format = chunk.get(24..26).map_or(format, |tag| u16::from_le_bytes([tag[0], tag[1]]));
    }
    let encoding = match (format, bits) {
        (PCM, 8) => Encoding::Unsigned8,
        (PCM, 16) => Encoding::Signed(2),
        (PCM, 24) => Encoding::Signed(3),
        (PCM, 32) => Encoding::Signed(4),
        (FLOAT, 32) => Encoding::Float32,
        (FLOAT, 64) => Encoding::Float64,
        (ALAW, 8) => Encoding::Alaw,
        (ULAW, 8) => Encoding::Ulaw,
        _ => return Err(WavError::Unsupported { format, bits }),
    };
    if !(1..=8).contains(&channels) || !(1_000..=384_000).contains(&rate) {
        return Err(WavError::Implausible { channels, rate });
    }
    Ok(Format { encoding, channels, rate })
}

fn decode(format: &Format, data: &[u8]) -> Wav {
    let width = format.encoding.width();
    let channels = usize::from(format.channels);
    let samples = data
        .chunks_exact(width * channels)
        .map(|frame| {
            let sum: i32 = frame.chunks_exact(width).map(|sample| i32::from(format.encoding.sample(sample))).sum();
            (sum / channels as i32) as i16
        })
        .collect();
    Wav { samples, rate: format.rate }
}

impl Encoding {
    fn width(self) -> usize {
        match self {
            Encoding::Unsigned8 | Encoding::Alaw | Encoding::Ulaw => 1,
            Encoding::Signed(octets) => octets,
            Encoding::Float32 => 4,
            Encoding::Float64 => 8,
        }
    }

    /// One sample from as many octets as it is wide.
    fn sample(self, octets: &[u8]) -> i16 {
        match (self, octets) {
            (Encoding::Unsigned8, [octet]) => (i16::from(*octet) - 128) << 8,
            (Encoding::Alaw, [octet]) => g711::decode_alaw(*octet),
            (Encoding::Ulaw, [octet]) => g711::decode_ulaw(*octet),
            (Encoding::Signed(_), [.., low, high]) => i16::from_le_bytes([*low, *high]),
            (Encoding::Float32, [a, b, c, d]) => from_float(f64::from(f32::from_le_bytes([*a, *b, *c, *d]))),
            (Encoding::Float64, [a, b, c, d, e, f, g, h]) => {
                from_float(f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            _ => 0,
        }
    }
}

/// -1..=1 is full scale; beyond it clips, and what is not a number is silent.
fn from_float(value: f64) -> i16 {
    (value * 32767.0).round().clamp(-32768.0, 32767.0) as i16
}
