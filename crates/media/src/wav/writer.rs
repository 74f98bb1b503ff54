//! Writes 16 bit PCM as it comes; lengths are filled in at the end.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::PCM;
use crate::recorder::Stored;

const HEADER_LEN: u32 = 44;
/// A length that says "to the end of the file", for readers of a file still growing or never finished.
const UNKNOWN: u32 = u32::MAX;
/// What the 32 bit lengths of the format can say.
const MAX_DATA: u64 = (u32::MAX - HEADER_LEN) as u64 & !3;

/// A WAV file being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    channels: u16,
    rate: u32,
    /// Octets of samples.
    data: u64,
    /// Octets of what is written at once.
    scratch: Vec<u8>,
}

impl<W: Write + Seek> Writer<W> {
    /// `out` at its beginning; `rate` in samples per second.
    pub fn new(mut out: W, channels: u16, rate: u32) -> io::Result<Writer<W>> {
        out.write_all(&header(channels, rate, UNKNOWN))?;
        Ok(Writer { out, channels, rate, data: 0, scratch: Vec::new() })
    }

    /// Appends samples, channels interleaved. Fails when the file would exceed 4 GiB.
    pub fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let octets = samples.len() as u64 * 2;
        if self.data + octets > MAX_DATA {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a WAV file holds at most 4 GiB"));
        }
        self.scratch.clear();
        self.scratch.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        self.out.write_all(&self.scratch)?;
        self.data += octets;
        Ok(())
    }

    /// Milliseconds written.
    pub fn duration_ms(&self) -> u64 {
        self.data * 1000 / (u64::from(self.rate) * u64::from(self.channels) * 2)
    }

    /// Octets of the file so far.
    pub fn len(&self) -> u64 {
        self.data + u64::from(HEADER_LEN)
    }

    pub fn is_empty(&self) -> bool {
        self.data == 0
    }

    /// Writes the lengths; returns what the file holds.
    pub fn finish(mut self) -> io::Result<Stored> {
        self.out.seek(SeekFrom::Start(0))?;
        // `write` keeps it within 32 bits.
        let data = u32::try_from(self.data).unwrap_or(UNKNOWN);
        self.out.write_all(&header(self.channels, self.rate, data))?;
        self.out.flush()?;
        let (channels, rate, duration_ms, bytes) = (self.channels, self.rate, self.duration_ms(), self.len());
        Ok(Stored { channels, rate, duration_ms, bytes })
    }
}

/// Makes a file of [`Writer`] whole that was cut off while it was written: its header gets the lengths. The caller cuts off
/// what lies beyond [`Stored::bytes`].
pub fn repair<F: Read + Write + Seek>(file: &mut F) -> io::Result<Stored> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut found = [0; HEADER_LEN as usize];
    file.read_exact(&mut found)?;
    let channels = u16::from_le_bytes([found[22], found[23]]);
    let rate = u32::from_le_bytes([found[24], found[25], found[26], found[27]]);
    if found[0..4] != *b"RIFF" || !(1..=2).contains(&channels) || rate == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a recording"));
    }
    let frame = u64::from(channels) * 2;
    let data = (length - u64::from(HEADER_LEN)).min(MAX_DATA) / frame * frame;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(channels, rate, u32::try_from(data).unwrap_or(UNKNOWN)))?;
    file.flush()?;
    let duration_ms = data * 1000 / (u64::from(rate) * frame);
    Ok(Stored { channels, rate, duration_ms, bytes: data + u64::from(HEADER_LEN) })
}

fn header(channels: u16, rate: u32, data: u32) -> [u8; HEADER_LEN as usize] {
    let riff = if data == UNKNOWN { UNKNOWN } else { data + HEADER_LEN - 8 };
    let mut header = [0; HEADER_LEN as usize];
    header[0..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&riff.to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&PCM.to_le_bytes());
    header[22..24].copy_from_slice(&channels.to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    header[28..32].copy_from_slice(&(rate * u32::from(channels) * 2).to_le_bytes());
    header[32..34].copy_from_slice(&(channels * 2).to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&data.to_le_bytes());
    header
}
