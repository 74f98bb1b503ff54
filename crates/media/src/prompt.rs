//! A prompt in the octets of a codec, shared by every leg that plays it.

use std::sync::{Arc, OnceLock};

use crate::codec::Codec;
use crate::resample;

/// Encoded audio that may still be in the making: [`Prompt::pending`] is handed out at once and filled elsewhere.
#[derive(Debug)]
pub struct Prompt {
    codec: Codec,
    octets: OnceLock<Box<[u8]>>,
}

impl Prompt {
    /// A prompt to be filled by [`Prompt::fill`].
    pub fn pending(codec: Codec) -> Arc<Prompt> {
        Arc::new(Prompt { codec, octets: OnceLock::new() })
    }

    /// Resamples and encodes mono `samples` here and now: about 1 ms for 10 s of audio.
    pub fn encode(codec: Codec, samples: &[i16], rate: u32) -> Arc<Prompt> {
        let prompt = Prompt::pending(codec);
        prompt.fill(samples, rate);
        prompt
    }

    /// Fills a pending prompt. Nothing when it is filled already. A rate that cannot be resampled makes it empty.
    pub fn fill(&self, samples: &[i16], rate: u32) {
        self.octets.get_or_init(|| {
            let encode = |samples: &[i16]| {
                let mut octets = vec![0; samples.len()].into_boxed_slice();
                self.codec.encode(samples, &mut octets);
                octets
            };
            if rate == self.codec.clock_rate() {
                return encode(samples);
            }
            match resample::convert(samples, rate, self.codec.clock_rate()) {
                Ok(converted) => encode(&converted),
                Err(_) => Box::default(),
            }
        });
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// `None` until filled.
    pub fn octets(&self) -> Option<&[u8]> {
        self.octets.get().map(|octets| &**octets)
    }
}
