//! A prompt in the payloads of a codec, shared by every leg that plays it.

use std::sync::{Arc, OnceLock};

use crate::codec::{Codec, Encoder, OpusParams, opus};
use crate::resample;

/// Milliseconds of audio in a packet of a codec of frames.
pub const FRAME_MS: u8 = 20;
/// The longest packet of a codec of frames.
const MAX_FRAME: usize = 1275;

/// Encoded audio that may still be in the making: [`Prompt::pending`] is handed out at once and filled elsewhere.
#[derive(Debug)]
pub struct Prompt {
    codec: Codec,
    encoded: OnceLock<Encoded>,
}

#[derive(Debug, Default)]
struct Encoded {
    octets: Box<[u8]>,
    /// Where each frame ends in `octets`; none for codecs without frames.
    ends: Box<[u32]>,
}

impl Prompt {
    /// A prompt to be filled by [`Prompt::fill`]. In PCMU where the codec is only passed through.
    pub fn pending(codec: Codec) -> Arc<Prompt> {
        let codec = if codec == Codec::G729 { Codec::Pcmu } else { codec };
        Arc::new(Prompt { codec, encoded: OnceLock::new() })
    }

    /// Resamples and encodes mono `samples` here and now: for 10 s of audio about 1 ms in G.711, 50 ms in Opus.
    pub fn encode(codec: Codec, samples: &[i16], rate: u32) -> Arc<Prompt> {
        let prompt = Prompt::pending(codec);
        prompt.fill(samples, rate);
        prompt
    }

    /// Fills a pending prompt. Nothing when it is filled already. A rate that cannot be resampled makes it empty.
    pub fn fill(&self, samples: &[i16], rate: u32) {
        self.encoded.get_or_init(|| {
            let Some(mut encoder) = Encoder::new(self.codec, rate, &OpusParams::default()) else {
                return Encoded::default();
            };
            match resample::convert(samples, rate, encoder.rate()) {
                Ok(converted) => Encoded::of(self.codec, &mut encoder, converted),
                Err(_) => Encoded::default(),
            }
        });
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub fn is_ready(&self) -> bool {
        self.encoded.get().is_some()
    }

    /// Nothing to play, now that it is ready.
    pub fn is_empty(&self) -> bool {
        self.encoded.get().is_some_and(|encoded| encoded.octets.is_empty())
    }

    /// What follows from `at`, in octets, or in frames for a codec of frames: at most this many of one packet. Empty at
    /// the end and until filled.
    pub(crate) fn after(&self, at: usize, at_most: usize) -> &[u8] {
        let Some(encoded) = self.encoded.get() else { return &[] };
        if self.codec.octets_per_ms().is_none() {
            return encoded.frame(at).unwrap_or_default();
        }
        let rest = encoded.octets.get(at..).unwrap_or_default();
        &rest[..rest.len().min(at_most)]
    }

    /// Whether everything before `at` is all.
    pub(crate) fn is_over(&self, at: usize) -> bool {
        self.encoded.get().is_some_and(|encoded| match self.codec.octets_per_ms() {
            Some(_) => at >= encoded.octets.len(),
            None => at >= encoded.ends.len(),
        })
    }

    /// Whether a peer that asks for this is content with it as it is.
    pub(crate) fn suits(&self, codec: Codec, params: &OpusParams) -> bool {
        self.codec == codec && (codec != Codec::Opus || opus::is_default_enough(params))
    }
}

impl Encoded {
    fn of(codec: Codec, encoder: &mut Encoder, mut samples: Vec<i16>) -> Encoded {
        let Some(octets_per_ms) = codec.octets_per_ms() else {
            let frame = encoder.rate() as usize * usize::from(FRAME_MS) / 1000;
            samples.resize(samples.len().next_multiple_of(frame), 0);
            let (mut octets, mut ends) = (Vec::new(), Vec::new());
            for piece in samples.chunks_exact(frame) {
                let mut packet = [0; MAX_FRAME];
                let length = encoder.encode(piece, &mut packet);
                octets.extend_from_slice(&packet[..length]);
                ends.push(octets.len() as u32);
            }
            return Encoded { octets: octets.into(), ends: ends.into() };
        };
        let mut octets = vec![0; (samples.len() * octets_per_ms).div_ceil(encoder.rate() as usize / 1000)];
        let length = encoder.encode(&samples, &mut octets);
        octets.truncate(length);
        Encoded { octets: octets.into(), ends: Box::default() }
    }

    fn frame(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |start| *start as usize);
        self.octets.get(start..end)
    }
}
