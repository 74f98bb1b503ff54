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

/// Whether the sound was all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    /// The file has less than it says; a file that says nothing, as streams do, is whole.
    CutShort,
}

/// Octets of a format chunk; the longest that is known has 40.
const MAX_FORMAT: usize = 1024;

/// Reads a file as its octets come.
pub struct Reader {
    part: Part,
    /// Octets of a header or a frame that is not whole.
    pending: Vec<u8>,
    format: Option<Format>,
    /// The header of the file says no length: neither do those of its chunks.
    endless: bool,
}

/// What the next octets are.
#[derive(Clone, Copy)]
enum Part {
    Riff,
    Chunk,
    Format(usize),
    Skip(u64),
    /// Octets still to come, where that is known.
    Data(Option<u64>),
    /// Of no interest.
    Rest,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    pub fn new() -> Reader {
        Reader { part: Part::Riff, pending: Vec::new(), format: None, endless: false }
    }

    /// Samples per second, once the header is read.
    pub fn rate(&self) -> Option<u32> {
        self.format.as_ref().map(|format| format.rate)
    }

    /// Takes the next octets and appends the samples that are complete.
    pub fn push(&mut self, mut octets: &[u8], samples: &mut Vec<i16>) -> Result<(), WavError> {
        while !octets.is_empty() {
            match self.part {
                Part::Riff => {
                    let Some(header) = self.gather(12, &mut octets) else { break };
                    if !header.starts_with(b"RIFF") || !header.ends_with(b"WAVE") {
                        return Err(WavError::NotWav);
                    }
                    self.endless = matches!(length(&header), 0 | u32::MAX);
                    self.part = Part::Chunk;
                }
                Part::Chunk => {
                    let Some(header) = self.gather(8, &mut octets) else { break };
                    let length = length(&header);
                    self.part = match &header[..4] {
                        b"fmt " if length as usize <= MAX_FORMAT => Part::Format(length as usize),
                        b"fmt " => return Err(WavError::NoFormat),
                        b"data" if self.format.is_none() => return Err(WavError::NoFormat),
                        // What writers put there who do not know yet: all ones, close to what is possible, or nothing.
                        b"data" if length >= 0x7FFF_0000 || length == 0 && self.endless => Part::Data(None),
                        b"data" => Part::Data(Some(u64::from(length))),
                        // Chunks are padded to even lengths.
                        _ => Part::Skip(u64::from(length) + u64::from(length & 1)),
                    };
                }
                Part::Format(length) => {
                    let Some(chunk) = self.gather(length + (length & 1), &mut octets) else { break };
                    self.format = Some(read_format(&chunk)?);
                    self.part = Part::Chunk;
                }
                Part::Skip(left) => {
                    let skipped = left.min(octets.len() as u64);
                    octets = octets.get(skipped as usize..).unwrap_or_default();
                    self.part = if skipped == left { Part::Chunk } else { Part::Skip(left - skipped) };
                }
                Part::Data(Some(0)) => self.part = Part::Rest,
                Part::Data(left) => {
                    let taken = left.unwrap_or(u64::MAX).min(octets.len() as u64);
                    let (data, rest) = octets.split_at(taken as usize);
                    octets = rest;
                    self.part = Part::Data(left.map(|left| left - taken));
                    self.decode(data, samples);
                }
                Part::Rest => break,
            }
        }
        Ok(())
    }

    /// The file has ended.
    pub fn finish(&self) -> Result<End, WavError> {
        match self.part {
            Part::Riff => Err(WavError::NotWav),
            Part::Chunk | Part::Format(_) | Part::Skip(_) => Err(WavError::NoData),
            Part::Data(Some(1..)) => Ok(End::CutShort),
            Part::Data(_) | Part::Rest => Ok(End::Whole),
        }
    }

    /// `count` octets, once they are there.
    fn gather(&mut self, count: usize, octets: &mut &[u8]) -> Option<Vec<u8>> {
        let (taken, rest) = octets.split_at((count - self.pending.len()).min(octets.len()));
        self.pending.extend_from_slice(taken);
        *octets = rest;
        (self.pending.len() == count).then(|| std::mem::take(&mut self.pending))
    }

    fn decode(&mut self, mut data: &[u8], samples: &mut Vec<i16>) {
        let Some(format) = &self.format else { return };
        let (encoding, channels) = (format.encoding, usize::from(format.channels));
        let width = encoding.width();
        let mix = |frame: &[u8]| {
            let sum: i32 = frame.chunks_exact(width).map(|sample| i32::from(encoding.sample(sample))).sum();
            (sum / channels as i32) as i16
        };
        if !self.pending.is_empty() {
            let Some(frame) = self.gather(width * channels, &mut data) else { return };
            samples.push(mix(&frame));
        }
        let frames = data.chunks_exact(width * channels);
        self.pending.extend_from_slice(frames.remainder());
        samples.extend(frames.map(mix));
    }
}

/// The length in a header, behind the name.
fn length(header: &[u8]) -> u32 {
    header.get(4..).and_then(|octets| octets.first_chunk()).map_or(0, |octets| u32::from_le_bytes(*octets))
}

/// Reads a whole file. A data chunk cut short is read as far as it goes.
pub fn read(file: &[u8]) -> Result<Wav, WavError> {
    let (mut reader, mut samples) = (Reader::new(), Vec::new());
    reader.push(file, &mut samples)?;
    reader.finish()?;
    let rate = reader.rate().ok_or(WavError::NoFormat)?;
    Ok(Wav { samples, rate })
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
pub(crate) fn from_float(value: f64) -> i16 {
    (value * 32767.0).round().clamp(-32768.0, 32767.0) as i16
}
