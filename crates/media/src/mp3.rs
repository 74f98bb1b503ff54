//! MP3 files (ISO/IEC 11172-3 and 13818-3, layer III) of constant bit rate, written as the sound comes.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusty_mp3::encode::lametag::{self, DECODER_DELAY, ENCODER_DELAY, TagInfo, TagStats};
use rusty_mp3::header::FrameHeader;
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};

use crate::recorder::Stored;

/// Kilobits per second of one channel: speech of 8 kHz bandwidth without faults that are heard.
const KBPS: u32 = 32;

/// An MP3 file being written.
pub struct Writer<W> {
    out: W,
    encoder: Mp3Encoder,
    channels: u16,
    rate: u32,
    /// Samples of one channel.
    samples: u64,
    bytes: u64,
    scratch: Vec<u8>,
}

impl<W: Write + Seek> Writer<W> {
    /// `out` at its beginning; 1 or 2 channels; `rate` in samples per second, one of those of MPEG audio.
    pub fn new(out: W, channels: u16, rate: u32) -> Writer<W> {
        let encoder = Mp3Encoder::new(Mp3EncoderConfig { bitrate_kbps: KBPS * u32::from(channels), vbr_quality: None });
        Writer { out, encoder, channels, rate, samples: 0, bytes: 0, scratch: Vec::new() }
    }

    /// Appends samples, channels interleaved.
    pub fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let (channels, rate) = (self.channels, self.rate);
        self.encode(|encoder| encoder.push_pcm_s16(samples, channels, rate))?;
        self.samples += (samples.len() / usize::from(channels.max(1))) as u64;
        Ok(())
    }

    /// Milliseconds written.
    pub fn duration_ms(&self) -> u64 {
        self.samples * 1000 / u64::from(self.rate)
    }

    /// Octets of the file so far.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Writes the rest, and the length into the first frame; returns what the file holds.
    pub fn finish(mut self) -> io::Result<Stored> {
        self.encode(|encoder| {
            encoder.finish();
            Ok(())
        })?;
        if let Some(tag) = self.encoder.lame_tag_frame() {
            self.out.seek(SeekFrom::Start(0))?;
            self.out.write_all(tag)?;
        }
        self.out.flush()?;
        let (channels, rate, duration_ms, bytes) = (self.channels, self.rate, self.duration_ms(), self.bytes);
        Ok(Stored { channels, rate, duration_ms, bytes })
    }

    /// A fault in the encoder ends one recording, not the thread that writes them all.
    fn encode(&mut self, work: impl FnOnce(&mut Mp3Encoder) -> rusty_mp3::Result<()>) -> io::Result<()> {
        let encoder = &mut self.encoder;
        match catch_unwind(AssertUnwindSafe(|| work(encoder))) {
            Ok(result) => result.map_err(io::Error::other)?,
            Err(_) => return Err(io::Error::other("the MP3 encoder failed")),
        }
        self.scratch.clear();
        while let Ok(packet) = self.encoder.next_packet() {
            self.scratch.extend_from_slice(&packet);
        }
        self.out.write_all(&self.scratch)?;
        self.bytes += self.scratch.len() as u64;
        Ok(())
    }
}

/// Makes a file whole that was cut off while it was written: what is in it is counted and told in its first frame. The
/// caller cuts off what lies beyond [`Stored::bytes`].
pub fn repair<F: Read + Write + Seek>(file: &mut F) -> io::Result<Stored> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(&mut *file);
    let mut frame = Vec::new();
    let first = next_frame(&mut reader, &mut frame)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut bytes = frame.len() as u64;
    let mut stats = TagStats::new(frame.len());
    while next_frame(&mut reader, &mut frame)?.is_some() {
        stats.add_frame(&frame);
        bytes += frame.len() as u64;
    }
    drop(reader);
    let info = TagInfo { vbr: false, delay: ENCODER_DELAY, padding: DECODER_DELAY };
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&lametag::tag_frame(&first, &stats, &info))?;
    file.flush()?;
    let samples = u64::from(stats.frames()) * first.version.samples_per_frame() as u64;
    let heard = samples.saturating_sub((ENCODER_DELAY + DECODER_DELAY) as u64);
    let (channels, rate) = (first.channel_mode.channels() as u16, first.sample_rate);
    Ok(Stored { channels, rate, duration_ms: heard * 1000 / u64::from(rate.max(1)), bytes })
}

/// `None` at the end, or where what follows is no whole frame.
fn next_frame(reader: &mut impl BufRead, frame: &mut Vec<u8>) -> io::Result<Option<FrameHeader>> {
    frame.clear();
    reader.by_ref().take(4).read_to_end(frame)?;
    let Ok(Ok(header)) = <[u8; 4]>::try_from(&frame[..]).map(FrameHeader::parse) else { return Ok(None) };
    let size = header.frame_size();
    reader.by_ref().take(size.saturating_sub(4) as u64).read_to_end(frame)?;
    Ok((frame.len() == size).then_some(header))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::io::Cursor;

    use super::*;

    fn tones(rate: u32, channels: u16, count: usize) -> Vec<i16> {
        let tone = |n: usize, hz: f64| ((n as f64 * hz * TAU / f64::from(rate)).sin() * 8_000.0) as i16;
        let frame = |n| [tone(n, 440.0), tone(n, 1_000.0)].into_iter().take(usize::from(channels)).collect::<Vec<_>>();
        (0..count).flat_map(frame).collect()
    }

    /// What there is of a frequency, 1 for a tone of the level above.
    fn strength(samples: &[f32], rate: u32, hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = n as f64 * hz * TAU / f64::from(rate);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        (re * re + im * im).sqrt() * 2.0 / samples.len() as f64 * 32_768.0 / 8_000.0
    }

    fn decode(octets: &[u8]) -> Vec<rusty_mp3::DecodedAudio> {
        let mut decoder = rusty_mp3::Mp3Decoder::new();
        decoder.push(octets);
        std::iter::from_fn(|| decoder.next_frame().ok()).collect()
    }

    fn write(rate: u32, channels: u16, seconds: usize) -> (Vec<u8>, Option<Stored>) {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, channels, rate);
        for piece in tones(rate, channels, rate as usize * seconds).chunks(rate as usize / 2 * usize::from(channels)) {
            writer.write(piece).unwrap();
        }
        let stored = writer.finish().ok();
        (file.into_inner(), stored)
    }

    #[test]
    fn channels_are_kept_apart_with_level_and_length() {
        for (rate, channels) in [(8_000, 1), (8_000, 2), (16_000, 1), (16_000, 2)] {
            let (file, stored) = write(rate, channels, 4);
            let bytes = file.len() as u64;
            assert_eq!(stored, Some(Stored { channels, rate, duration_ms: 4_000, bytes }));
            let frames = decode(&file);
            assert!(frames.iter().all(|frame| frame.sample_rate == rate && frame.channels == channels));
            for (channel, hz, other) in [(0, 440.0, 1_000.0), (1, 1_000.0, 440.0)].into_iter().take(channels.into()) {
                let samples: Vec<f32> = frames
                    .iter()
                    .flat_map(|frame| frame.samples.iter().skip(channel).step_by(channels.into()).copied())
                    .collect();
                let middle = &samples[rate as usize..3 * rate as usize];
                let (own, foreign) = (strength(middle, rate, hz), strength(middle, rate, other));
                assert!((0.97..1.03).contains(&own), "{rate} Hz, {channels}: {own}");
                assert!(foreign < 0.002, "{rate} Hz, {channels}: {foreign} of the other channel");
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_whole_again() {
        let (mut file, _) = write(16_000, 2, 4);
        file.truncate(file.len() / 2 - 7);
        // What the first frame says of the whole is not there before the end.
        let mut file = Cursor::new(file);
        let stored = repair(&mut file).unwrap();
        assert!((1_800..=2_000).contains(&stored.duration_ms), "{stored:?}");
        assert_eq!((stored.channels, stored.rate), (2, 16_000));
        let mut file = file.into_inner();
        file.truncate(stored.bytes as usize);
        let again = repair(&mut Cursor::new(file)).unwrap();
        assert_eq!(again, stored);
        assert!(repair(&mut Cursor::new(b"RIFF".to_vec())).is_err());
        assert!(repair(&mut Cursor::new(Vec::new())).is_err());
    }
}
