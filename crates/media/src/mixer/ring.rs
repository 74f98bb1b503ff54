//! The last blocks of a sound, found by the number of a sample.

use super::Rate;

/// Blocks held: of the longest packet, and of how far a leg may be behind the first.
pub(super) const BLOCKS: u64 = 20;

/// From which sample on is read, and which blocks count.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub sample: u64,
    pub blocks: std::ops::Range<u64>,
}

/// A block that nobody has put anything into is silent and costs nothing.
#[derive(Debug)]
pub(super) struct Ring {
    rate: Rate,
    samples: Vec<f32>,
    /// Which block each place holds, counted from 1, and of how many voices.
    held: [(u64, u16); BLOCKS as usize],
}

impl Ring {
    pub fn new(rate: Rate) -> Ring {
        Ring { rate, samples: Vec::new(), held: [(0, 0); BLOCKS as usize] }
    }

    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Adds samples to a block, `from` times as loud at its beginning and `to` times at its end.
    pub fn put(&mut self, block: u64, samples: &[i16], from: f32, to: f32) {
        let length = self.rate.block();
        if self.samples.is_empty() {
            self.samples.resize(length * BLOCKS as usize, 0.0);
        }
        let place = (block % BLOCKS) as usize;
        let Some(room) = self.samples.get_mut(place * length..(place + 1) * length) else { return };
        if self.held[place].0 != block + 1 {
            self.held[place] = (block + 1, 0);
            room.fill(0.0);
        }
        self.held[place].1 += 1;
        let step = (to - from) / length as f32;
        for (index, (sum, sample)) in room.iter_mut().zip(samples).enumerate() {
            *sum += f32::from(*sample) * (from + step * index as f32);
        }
    }

    /// How many voices there are in a block.
    pub fn voices(&self, block: u64) -> u16 {
        let (held, voices) = self.held[(block % BLOCKS) as usize];
        if held == block + 1 { voices } else { 0 }
    }

    /// Adds what is there to `out`, `times` as loud.
    pub fn add_to(&self, from: &Place, out: &mut [f32], times: f32) {
        let length = self.rate.block();
        let (mut at, mut left) = (from.sample, out);
        while !left.is_empty() {
            let block = at / length as u64;
            let offset = (at % length as u64) as usize;
            let count = (length - offset).min(left.len());
            let (piece, rest) = left.split_at_mut(count);
            if self.voices(block) > 0 && from.blocks.contains(&block) {
                let start = (block % BLOCKS) as usize * length + offset;
                for (sum, sample) in piece.iter_mut().zip(&self.samples[start..start + count]) {
                    *sum += times * sample;
                }
            }
            left = rest;
            at += count as u64;
        }
    }
}
