//! MPEG audio layer III: frames found here, decoded by symphonia.

use symphonia_bundle_mp3::MpaDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

use super::{FileError, Format, Trim, mix};

/// Octets at the beginning among which a frame must be found.
const MAX_LEAD: usize = 64 << 10;
/// Of an ID3v2 tag.
const TAG_HEADER: usize = 10;
/// Samples by which every decoder is late: what encoders call a decoder delay of 528, and one.
const DECODER_DELAY: u64 = 529;

pub(super) struct Reader {
    pending: Vec<u8>,
    /// Octets of a tag still to come.
    skip: u64,
    /// The next octet is where a frame should begin.
    synced: bool,
    /// Octets in which no frame was found.
    passed_over: usize,
    /// What every frame has in common.
    stream: Option<Stream>,
    trim: Trim,
    frames: u64,
    /// As the first frame says.
    expected: Option<u64>,
    decoded: Vec<i16>,
}

struct Stream {
    header: Header,
    decoder: MpaDecoder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// MPEG 1; else 2 or 2.5.
    first: bool,
    rate: u32,
    mono: bool,
    protected: bool,
    /// Octets of the whole frame.
    length: usize,
}

impl Header {
    fn parse(octets: &[u8]) -> Option<Header> {
        const RATES: [u32; 3] = [44_100, 48_000, 32_000];
        const KILOBITS: [[u32; 14]; 2] = [
            [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ];
        let [0xFF, second, third, fourth] = *octets.first_chunk()? else { return None };
        // Eleven ones, then a version and layer III.
        if second & 0xE0 != 0xE0 || second & 0x06 != 0x02 {
            return None;
        }
        let (first, halved) = match second >> 3 & 3 {
            3 => (true, 0),
            2 => (false, 1),
            0 => (false, 2),
            _ => return None,
        };
        let rate = RATES.get(usize::from(third >> 2 & 3))? >> halved;
        // The first is a bit rate that only counting tells; nobody uses it.
        let bits = KILOBITS[usize::from(!first)].get(usize::from(third >> 4).checked_sub(1)?)? * 1000;
        let length = if first { 144 } else { 72 } * bits / rate + u32::from(third >> 1 & 1);
        Some(Header { first, rate, mono: fourth >> 6 == 3, protected: second & 1 == 0, length: length as usize })
    }

    /// Frames of one stream differ in their bit rate, and by mistake in channels.
    fn goes_with(&self, other: &Header) -> bool {
        (self.first, self.rate) == (other.first, other.rate)
    }

    fn samples(&self) -> u64 {
        if self.first { 1152 } else { 576 }
    }

    fn side_information(&self) -> usize {
        match (self.first, self.mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        }
    }
}

/// What encoders put into a frame of silence at the beginning.
struct Info {
    frames: Option<u64>,
    /// Samples before and after the sound.
    padding: Option<(u64, u64)>,
}

impl Info {
    fn find(frame: &[u8], header: &Header) -> Option<Info> {
        let at = 4 + if header.protected { 2 } else { 0 } + header.side_information();
        // Some put it where it would be without a checksum.
        let tag = [at, 4 + header.side_information()]
            .into_iter()
            .filter_map(|at| frame.get(at..))
            .find(|tag| tag.starts_with(b"Xing") || tag.starts_with(b"Info"));
        let Some(tag) = tag else {
            let is_vbri = frame.get(36..).is_some_and(|tag| tag.starts_with(b"VBRI"));
            return is_vbri.then_some(Info { frames: None, padding: None });
        };
        let flags = *tag.get(7)?;
        let mut at = 8;
        let mut field = |flag: u8, length: usize| {
            let field = (flags & flag != 0).then(|| tag.get(at..at + length)).flatten();
            at += if flags & flag != 0 { length } else { 0 };
            field
        };
        let frames = field(1, 4).and_then(|octets| octets.first_chunk()).map(|octets| u32::from_be_bytes(*octets));
        for (flag, length) in [(2, 4), (4, 100), (8, 4)] {
            field(flag, length);
        }
        // The encoder's name, then what it has to say.
        let padding = tag.get(at..at + 24).filter(|encoder| encoder[0].is_ascii_alphabetic()).map(|encoder| {
            let [a, b, c] = [encoder[21], encoder[22], encoder[23]].map(u64::from);
            (a << 4 | b >> 4, (b & 15) << 8 | c)
        });
        Some(Info { frames: frames.map(u64::from), padding })
    }
}

impl Reader {
    pub fn new() -> Reader {
        Reader {
            pending: Vec::new(),
            skip: 0,
            synced: false,
            passed_over: 0,
            stream: None,
            trim: Trim::NONE,
            frames: 0,
            expected: None,
            decoded: Vec::new(),
        }
    }

    /// Decodes what is complete. `last`: nothing more will come.
    fn run(&mut self, last: bool, samples: &mut Vec<i16>) -> Result<(), FileError> {
        let pending = std::mem::take(&mut self.pending);
        let mut at = 0;
        while let Some(rest) = pending.get(at..).filter(|rest| !rest.is_empty()) {
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len() as u64);
                self.skip -= skipped;
                at += skipped as usize;
                continue;
            }
            if rest.len() < TAG_HEADER && !last {
                break;
            }
            if let Some(length) = tag_length(rest) {
                self.skip = length;
                continue;
            }
            let header = Header::parse(rest).filter(|header| self.goes_on(header));
            match header {
                Some(header) if rest.len() >= header.length => {
                    // Where none was expected the next one must confirm it.
                    let next = rest.get(header.length..).unwrap_or_default();
                    if !self.synced && next.len() < 4 && !last {
                        break;
                    }
                    let confirmed = match Header::parse(next) {
                        Some(next) => next.goes_with(&header),
                        None => last && next.is_empty(),
                    };
                    if self.synced || confirmed {
                        self.synced = true;
                        self.frame(&rest[..header.length], header, samples)?;
                        at += header.length;
                        continue;
                    }
                }
                Some(_) if !last => break,
                Some(_) if self.synced => return Err(FileError::Truncated),
                _ => {}
            }
            self.synced = false;
            at += 1;
            self.passed_over += 1;
            if self.stream.is_none() && self.passed_over > MAX_LEAD {
                return Err(FileError::NoFrames);
            }
        }
        self.pending = pending;
        self.pending.drain(..at);
        Ok(())
    }

    fn goes_on(&self, header: &Header) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream.header.goes_with(header))
    }

    fn frame(&mut self, frame: &[u8], header: Header, samples: &mut Vec<i16>) -> Result<(), FileError> {
        let is_first = self.stream.is_none();
        let stream = match self.stream.take() {
            Some(stream) if stream.header.mono == header.mono => stream,
            _ => Stream { header, decoder: decoder()? },
        };
        let stream = self.stream.insert(stream);
        if is_first && let Some(info) = Info::find(frame, &header) {
            self.expected = info.frames.filter(|frames| *frames > 0);
            if let Some((before, after)) = info.padding {
                self.trim.skip = before + DECODER_DELAY;
                if let Some(frames) = self.expected {
                    self.trim.left = (frames * header.samples()).saturating_sub(before + after);
                }
            }
            return Ok(());
        }
        self.frames += 1;
        self.decoded.clear();
        match stream.decoder.decode_ref(&PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, frame)) {
            Ok(decoded) => mix(&decoded, &mut self.decoded),
            // One bad frame is a moment of silence.
            Err(_) => self.decoded.resize(header.samples() as usize, 0),
        }
        self.trim.keep(&self.decoded, samples);
        Ok(())
    }
}

fn decoder() -> Result<MpaDecoder, FileError> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_MP3);
    MpaDecoder::try_new(&params, &AudioDecoderOptions::default()).map_err(|_| FileError::NoFrames)
}

/// Octets of the ID3v2 tag that begins here.
fn tag_length(octets: &[u8]) -> Option<u64> {
    let header = octets.first_chunk::<TAG_HEADER>().filter(|header| header.starts_with(b"ID3"))?;
    let size = header[6..].iter().fold(0u64, |size, octet| size << 7 | u64::from(octet & 0x7F));
    let footer = if header[5] & 0x10 != 0 { TAG_HEADER } else { 0 };
    Some(size + (TAG_HEADER + footer) as u64)
}

impl Format for Reader {
    fn push(&mut self, octets: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError> {
        self.pending.extend_from_slice(octets);
        self.run(false, samples)
    }

    fn finish(&mut self, samples: &mut Vec<i16>) -> Result<(), FileError> {
        self.run(true, samples)?;
        match self.expected {
            _ if self.frames == 0 => Err(FileError::NoFrames),
            // Where something was passed over, frames were lost there.
            Some(expected) if self.frames < expected && self.passed_over == 0 => Err(FileError::Truncated),
            _ => Ok(()),
        }
    }

    fn rate(&self) -> Option<u32> {
        self.stream.as_ref().map(|stream| stream.header.rate)
    }
}
