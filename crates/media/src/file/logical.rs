//! What an Ogg stream holds: Opus (RFC 7845), decoded by libopus, or Vorbis, decoded by symphonia.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia_codec_vorbis::VorbisDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_VORBIS;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

use super::{FileError, Trim, mix};
use crate::codec::opus;

/// Units per second of Opus's positions.
const OPUS_CLOCK: u64 = 48_000;

/// The packets of one stream, headers first.
pub(super) struct Logical {
    coding: Coding,
    /// Packets taken.
    packets: u64,
    trim: Trim,
    /// Samples, those left out included.
    decoded: u64,
    scratch: Vec<i16>,
}

enum Coding {
    Opus {
        decoder: Option<opus::Decoder>,
    },
    Vorbis {
        /// Identification and, once it is there, the books.
        headers: Vec<u8>,
        rate: u32,
        decoder: Option<Box<VorbisDecoder>>,
    },
}

impl Logical {
    /// The stream whose first packet this is; `None` where it is not sound, or of no kind known here.
    pub fn of(packet: &[u8]) -> Option<Logical> {
        let coding = if packet.starts_with(b"OpusHead") {
            Coding::Opus { decoder: None }
        } else if packet.starts_with(b"\x01vorbis") {
            Coding::Vorbis { headers: Vec::new(), rate: 0, decoder: None }
        } else {
            return None;
        };
        Some(Logical { coding, packets: 0, trim: Trim::NONE, decoded: 0, scratch: Vec::new() })
    }

    /// Samples per second, once the headers are read.
    pub fn rate(&self) -> Option<u32> {
        match &self.coding {
            Coding::Opus { decoder } => decoder.as_ref().map(opus::Decoder::rate),
            Coding::Vorbis { rate, decoder, .. } => decoder.as_ref().map(|_| *rate),
        }
    }

    /// Whether the content of the next packet is read; that of comments is not.
    pub fn wants_packet(&self) -> bool {
        self.packets != 1
    }

    /// The position of the last page: nothing after it is sound (RFC 7845 4.4, Vorbis I A.2).
    pub fn ends_at(&mut self, granule: u64) {
        let position = match (&self.coding, self.rate()) {
            (Coding::Opus { .. }, Some(rate)) => granule.saturating_mul(u64::from(rate)) / OPUS_CLOCK,
            _ => granule,
        };
        self.trim.left = position.saturating_sub(self.decoded).saturating_sub(self.trim.skip);
    }

    pub fn packet(&mut self, packet: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError> {
        let index = self.packets;
        self.packets += 1;
        self.scratch.clear();
        match &mut self.coding {
            Coding::Opus { decoder: at @ None } if index == 0 => {
                let head = OpusHead::parse(packet)?;
                let mut decoder = opus::Decoder::new(head.rate).ok_or(FileError::Damaged("Opus header"))?;
                decoder.amplify(head.gain);
                self.trim.skip = u64::from(head.pre_skip) * u64::from(decoder.rate()) / OPUS_CLOCK;
                *at = Some(decoder);
            }
            Coding::Opus { decoder: Some(decoder) } if index > 1 => decoder.decode(packet, &mut self.scratch),
            Coding::Vorbis { headers, rate, .. } if index == 0 => {
                *rate =
                    packet.get(12..16).and_then(|octets| octets.first_chunk()).map_or(0, |o| u32::from_le_bytes(*o));
                if !(1_000..=384_000).contains(rate) {
                    return Err(FileError::Damaged("Vorbis header"));
                }
                headers.extend_from_slice(packet);
            }
            Coding::Vorbis { headers, decoder, .. } if index == 2 => {
                headers.extend_from_slice(packet);
                let mut params = AudioCodecParameters::new();
                params.for_codec(CODEC_ID_VORBIS).with_extra_data(std::mem::take(headers).into());
                // symphonia asserts what a damaged header may break (lengths of codewords, `codebook.rs`).
                let made = catch_unwind(|| VorbisDecoder::try_new(&params, &AudioDecoderOptions::default()));
                let made = made.ok().and_then(Result::ok).ok_or(FileError::Damaged("Vorbis header"))?;
                *decoder = Some(Box::new(made));
            }
            Coding::Vorbis { decoder: Some(decoder), .. } => {
                let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, packet);
                let scratch = &mut self.scratch;
                // One bad packet is a moment that is missing; one that breaks the decoder is the last.
                let decoded = catch_unwind(AssertUnwindSafe(|| {
                    if let Ok(decoded) = decoder.decode_ref(&packet) {
                        mix(&decoded, scratch);
                    }
                }));
                decoded.map_err(|_| FileError::Damaged("Vorbis packet"))?;
            }
            // Comments.
            Coding::Opus { .. } | Coding::Vorbis { .. } => {}
        }
        self.decoded += self.scratch.len() as u64;
        self.trim.keep(&self.scratch, samples);
        Ok(())
    }
}

/// The identification header (RFC 7845 5.1).
struct OpusHead {
    pre_skip: u16,
    /// Of what was encoded: nothing above half of it is in the packets.
    rate: u32,
    /// In 1/256 dB.
    gain: i16,
}

impl OpusHead {
    fn parse(packet: &[u8]) -> Result<OpusHead, FileError> {
        let head = packet.first_chunk::<19>().ok_or(FileError::Damaged("Opus header"))?;
        // The upper half of the version says whether it can be read.
        if head[8] >> 4 != 0 || head[9] == 0 {
            return Err(FileError::Damaged("Opus header"));
        }
        if head[18] != 0 || head[9] > 2 {
            return Err(FileError::Damaged("more than two channels of Opus"));
        }
        let rate = match u32::from_le_bytes([head[12], head[13], head[14], head[15]]) {
            rate @ (8_000 | 12_000 | 16_000 | 24_000) => rate,
            _ => 48_000,
        };
        let (pre_skip, gain) = (u16::from_le_bytes([head[10], head[11]]), i16::from_le_bytes([head[16], head[17]]));
        Ok(OpusHead { pre_skip, rate, gain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codeword_that_is_too_long_is_a_damaged_header() {
        // One channel at 8,000 samples per second, blocks of 256 and 2,048 (Vorbis I 4.2.2).
        let mut identification = b"\x01vorbis\0\0\0\0\x01\x40\x1f\0\0".to_vec();
        identification.extend([0; 12]);
        identification.extend([0xB8, 1]);
        // One book of one entry, whose codewords begin at 32 bits; none is so long, one is longer (3.2.1).
        let setup = b"\x05vorbis\0BCV\x01\0\x01\0\0\xBF\0\0\0\0";
        let mut logical = Logical::of(&identification).unwrap();
        let mut samples = Vec::new();
        logical.packet(&identification, &mut samples).unwrap();
        logical.packet(b"\x03vorbis", &mut samples).unwrap();
        assert!(matches!(logical.packet(setup, &mut samples), Err(FileError::Damaged("Vorbis header"))));
    }
}
