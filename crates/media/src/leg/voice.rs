//! The encoder of a leg.

use crate::codec::{Codec, Encoder, OpusParams};
use crate::mixer::Hearing;

/// Samples per second of what a leg makes itself, where its codec takes any.
const OWN_RATE: u32 = 16_000;
/// Samples and octets of the longest packet: 60 ms at 16,000 or 20 ms at 48,000 samples per second; 40 ms of L16.
pub(super) const MAX_SAMPLES: usize = 960;
pub(super) const MAX_PAYLOAD: usize = 1280;

/// Made when it is first needed: who only passes packets on has none.
#[derive(Debug)]
pub(super) struct Voice {
    codec: Codec,
    opus: OpusParams,
    rate: u32,
    encoder: Option<Encoder>,
}

impl Voice {
    pub fn new(codec: Codec, opus: OpusParams) -> Voice {
        Voice { codec, opus, rate: OWN_RATE, encoder: None }
    }

    /// Goes on in another codec, or as before when it is the same.
    pub fn change(&mut self, codec: Codec, opus: OpusParams) {
        if (self.codec, self.opus) != (codec, opus) {
            *self = Voice::new(codec, opus);
        }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What there is of it to be heard.
    pub fn hearing(&self) -> Hearing {
        match self.codec {
            Codec::Opus => Hearing { rate: self.opus.max_playback_rate, flexible: true },
            codec => Hearing { rate: codec.sample_rate(), flexible: false },
        }
    }

    pub fn opus(&self) -> &OpusParams {
        &self.opus
    }

    /// Samples per second to encode.
    pub fn rate(&mut self) -> u32 {
        self.encoder().map_or(8_000, |encoder| encoder.rate())
    }

    /// What is to come has this many samples per second, where the codec lets that be chosen.
    pub fn expect(&mut self, rate: u32) {
        if self.codec == Codec::Opus && self.rate != rate {
            self.rate = rate;
            self.encoder = None;
        }
    }

    /// Encodes the samples of one packet. Returns its octets; 0: nothing is to be sent.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) -> usize {
        self.encoder().map_or(0, |encoder| encoder.encode(samples, octets))
    }

    /// A packet of `ms` milliseconds of silence.
    pub fn silence(&mut self, ms: u8, octets: &mut [u8]) -> usize {
        if let (Some(silence), Some(per_ms)) = (self.codec.silence(), self.codec.octets_per_ms()) {
            let length = (usize::from(ms) * per_ms).min(octets.len());
            octets[..length].fill(silence);
            return length;
        }
        let count = self.rate() as usize * usize::from(ms) / 1000;
        self.encode(&[0; MAX_SAMPLES][..count.min(MAX_SAMPLES)], octets)
    }

    fn encoder(&mut self) -> Option<&mut Encoder> {
        if self.encoder.is_none() {
            self.encoder = Encoder::new(self.codec, self.rate, &self.opus);
        }
        self.encoder.as_mut()
    }
}
