//! Audio files, decoded as their octets come: WAV, MP3, Ogg with Opus or Vorbis. Mono out; channels are mixed.

mod logical;
mod mp3;
mod ogg;

use crate::wav::{self, WavError};

/// Octets that tell the format.
const TELLING: usize = 4;
/// Octets taken at once: what they decode to is not many megabytes, whatever they are.
const PIECE: usize = 4096;

/// Why a file is not played, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("neither WAV, MP3 nor Ogg")]
    Unknown,
    #[error("{0}")]
    Wav(#[from] WavError),
    #[error("MP3 file without a frame of sound")]
    NoFrames,
    #[error("Ogg file with neither Opus nor Vorbis")]
    NotAudio,
    /// What is wrong with it.
    #[error("damaged file: {0}")]
    Damaged(&'static str),
    #[error("the file ends before its sound does")]
    Truncated,
}

/// A file of one format.
trait Format: Send {
    /// Takes the next octets and appends the samples that are complete.
    fn push(&mut self, octets: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError>;

    /// The file has ended: appends what is left. An error when it should not have ended here.
    fn finish(&mut self, samples: &mut Vec<i16>) -> Result<(), FileError>;

    /// Samples per second, once known; the same from then on.
    fn rate(&self) -> Option<u32>;
}

/// Decodes one file, whose first octets tell what it is.
#[derive(Default)]
pub struct Reader {
    head: Vec<u8>,
    format: Option<Box<dyn Format>>,
}

impl Reader {
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Samples per second, known with the first sample at the latest.
    pub fn rate(&self) -> Option<u32> {
        self.format.as_ref().and_then(|format| format.rate())
    }

    /// Takes the next octets of the file. What becomes complete by them is given to `take` in pieces, with its rate;
    /// `take` says whether it wants more.
    ///
    /// # Errors
    /// The file is not one, or `take` has refused ([`Stopped::Refused`]). Nothing more may be pushed then.
    pub fn push<E>(
        &mut self,
        octets: &[u8],
        mut take: impl FnMut(&[i16], u32) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        let mut samples = Vec::new();
        for piece in octets.chunks(PIECE) {
            let pushed = self.push_piece(piece, &mut samples);
            self.hand_over(&mut samples, &mut take)?;
            pushed?;
        }
        Ok(())
    }

    /// The file has ended.
    ///
    /// # Errors
    /// As those of [`Reader::push`]; also where the file is not whole.
    pub fn finish<E>(&mut self, mut take: impl FnMut(&[i16], u32) -> Result<(), E>) -> Result<(), Stopped<E>> {
        let mut samples = Vec::new();
        let format = self.format.as_mut().ok_or(FileError::Unknown)?;
        let finished = format.finish(&mut samples);
        self.hand_over(&mut samples, &mut take)?;
        Ok(finished?)
    }

    fn push_piece(&mut self, octets: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError> {
        if let Some(format) = &mut self.format {
            return format.push(octets, samples);
        }
        self.head.extend_from_slice(octets);
        let Some(telling) = self.head.first_chunk::<TELLING>() else { return Ok(()) };
        let mut format: Box<dyn Format> = match telling {
            b"RIFF" => Box::new(wav::Reader::new()),
            b"OggS" => Box::new(ogg::Reader::new()),
            // A tag, or a frame itself.
            [b'I', b'D', b'3', _] | [0xFF, 0xE0..=0xFF, _, _] => Box::new(mp3::Reader::new()),
            _ => return Err(FileError::Unknown),
        };
        let head = std::mem::take(&mut self.head);
        let pushed = format.push(&head, samples);
        self.format = Some(format);
        pushed
    }

    fn hand_over<E>(
        &self,
        samples: &mut Vec<i16>,
        take: &mut impl FnMut(&[i16], u32) -> Result<(), E>,
    ) -> Result<(), Stopped<E>> {
        if let Some(rate) = self.rate().filter(|_| !samples.is_empty()) {
            take(samples, rate).map_err(Stopped::Refused)?;
        }
        samples.clear();
        Ok(())
    }
}

/// Why [`Reader::push`] has stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped<E> {
    File(FileError),
    /// Whoever takes the samples takes no more.
    Refused(E),
}

impl<E> From<FileError> for Stopped<E> {
    fn from(error: FileError) -> Self {
        Stopped::File(error)
    }
}

impl Format for wav::Reader {
    fn push(&mut self, octets: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError> {
        Ok(self.push(octets, samples)?)
    }

    fn finish(&mut self, _: &mut Vec<i16>) -> Result<(), FileError> {
        match wav::Reader::finish(self)? {
            wav::End::Whole => Ok(()),
            wav::End::CutShort => Err(FileError::Truncated),
        }
    }

    fn rate(&self) -> Option<u32> {
        self.rate()
    }
}

/// Leaves out what an encoder has put before the sound and after it.
#[derive(Debug)]
struct Trim {
    skip: u64,
    left: u64,
}

impl Trim {
    /// Nothing is left out.
    const NONE: Trim = Trim { skip: 0, left: u64::MAX };

    fn keep(&mut self, decoded: &[i16], samples: &mut Vec<i16>) {
        let skipped = self.skip.min(decoded.len() as u64);
        self.skip -= skipped;
        let kept = (decoded.len() as u64 - skipped).min(self.left);
        self.left -= kept;
        samples.extend(decoded.iter().skip(skipped as usize).take(kept as usize));
    }
}

/// Mixes what a decoder of symphonia has made, and appends it.
fn mix(decoded: &symphonia_core::audio::GenericAudioBufferRef<'_>, samples: &mut Vec<i16>) {
    use symphonia_core::audio::{Audio, GenericAudioBufferRef};
    // The only kind that those used here make.
    let GenericAudioBufferRef::F32(buffer) = decoded else { return };
    let share = 1.0 / buffer.num_planes().max(1) as f64;
    let mut mixed = vec![0.0f64; buffer.frames()];
    for plane in buffer.iter_planes() {
        for (sum, sample) in mixed.iter_mut().zip(plane) {
            *sum += f64::from(*sample) * share;
        }
    }
    samples.extend(mixed.into_iter().map(wav::from_float));
}

#[cfg(test)]
mod tests;
