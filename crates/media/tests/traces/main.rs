//! The jitter buffer over generated network traces, from a seed: loss, jitter that reorders, clocks that drift.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use opentact_media::codec::{Codec, Encoder, OpusParams};
use opentact_media::jitter::{Delay, JitterBuffer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SECONDS: u64 = 60;
/// Until the delay has found its size.
const WARM_UP: u64 = 10;

#[derive(Debug, Clone, Copy)]
struct Trace {
    codec: Codec,
    /// Per cent of packets.
    loss: f64,
    /// Each packet comes 0 to so many milliseconds late.
    jitter_ms: u64,
    /// How much faster the sender's clock is, parts per million.
    drift_ppm: i64,
}

/// What was seen after the warm-up.
#[derive(Debug, Default)]
struct Seen {
    /// Milliseconds.
    longest_delay: u32,
    /// Of what was played, 0..=1.
    concealed: f64,
    /// Packets heard of those that came, 0..=1.
    heard: f64,
}

/// The sample that packet `number` is made of, told apart from every other.
fn level(number: u64) -> i16 {
    8_000 + (number * 7) as i16
}

impl Trace {
    fn packet_us(self) -> u64 {
        (20_000 * (1_000_000 - self.drift_ppm) / 1_000_000) as u64
    }

    fn run(self, seed: u64, payloads: &[Vec<u8>]) -> Seen {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut flying = BinaryHeap::new();
        let (mut sent, mut came) = (0u64, 0u64);
        for number in 0..payloads.len() as u64 {
            let at = number * self.packet_us();
            if at >= WARM_UP * 1_000_000 {
                sent += 1;
            }
            if rng.random_bool(self.loss / 100.0) {
                continue;
            }
            if at >= WARM_UP * 1_000_000 {
                came += 1;
            }
            flying.push(Reverse((at + rng.random_range(0..=self.jitter_ms * 1000), number)));
        }
        assert!(sent > 0);
        let mut buffer = JitterBuffer::new(8_000, Delay::default());
        let (sequence, timestamp): (u16, u32) = (rng.random(), rng.random());
        let step = self.codec.clock_rate() / 50;
        let mut seen = Seen::default();
        let mut before = buffer.counts();
        let mut played: Vec<i16> = Vec::new();
        // The receiver's wake-ups lie anywhere between the sender's packets.
        let phase = rng.random_range(0..20_000);
        for tick in 0..SECONDS * 50 {
            let now = tick * 20_000 + phase;
            while let Some(Reverse((at, number))) = flying.peek().copied().filter(|Reverse((at, _))| *at <= now) {
                flying.pop();
                assert!(at <= now);
                buffer.push(
                    sequence.wrapping_add(number as u16),
                    timestamp.wrapping_add(number as u32 * step),
                    self.codec,
                    &payloads[number as usize],
                );
            }
            let mut out = [0; 160];
            buffer.pull(&mut out);
            if tick == WARM_UP * 50 {
                before = buffer.counts();
            }
            if tick >= WARM_UP * 50 {
                seen.longest_delay = seen.longest_delay.max(buffer.delay_ms());
                played.extend(out);
            }
        }
        let after = buffer.counts();
        let time = (after.played_us - before.played_us) as f64;
        seen.concealed = (after.concealed_us - before.concealed_us) as f64 / time;
        if self.codec == Codec::L16Narrow {
            seen.heard = self.in_order(seed, &played) as f64 / came as f64;
        }
        seen
    }

    /// How many packets were heard; none before one that was sent earlier.
    fn in_order(self, seed: u64, played: &[i16]) -> usize {
        let mut heard = Vec::new();
        // A packet is level, what fades or goes over into another is not.
        let mut run = (0, 0);
        for sample in played {
            run = if *sample == run.0 { (run.0, run.1 + 1) } else { (*sample, 1) };
            if run.1 == 20 && run.0 >= level(0) && heard.last() != Some(&run.0) {
                heard.push(run.0);
            }
        }
        let backwards = heard.windows(2).find(|pair| pair[1] < pair[0]);
        assert_eq!(backwards, None, "seed {seed}: {self:?}");
        heard.len()
    }
}

/// Packets that are levels, or a voice.
fn payloads(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec, 8_000, &OpusParams::default()).unwrap();
    let rate = encoder.rate();
    let voice = |n: u64| {
        let turn = n as f64 / f64::from(rate) * 120.0 * std::f64::consts::TAU;
        ((turn.sin() + (turn * 3.0).sin() / 2.0) * 6_000.0) as i16
    };
    let count = u64::from(rate) / 50;
    (0..SECONDS * 50)
        .map(|number| {
            let samples: Vec<i16> = match codec {
                Codec::L16Narrow => vec![level(number); count as usize],
                _ => (number * count..(number + 1) * count).map(voice).collect(),
            };
            let mut octets = [0; 1275];
            let length = encoder.encode(&samples, &mut octets);
            octets[..length].to_vec()
        })
        .collect()
}

#[test]
fn delay_is_bounded_order_is_kept_and_little_is_made_up() {
    for (codec, seeds) in [(Codec::L16Narrow, 12), (Codec::Pcmu, 8), (Codec::G722, 3), (Codec::Opus, 3)] {
        let payloads = payloads(codec);
        for loss in [0.0, 1.0, 5.0, 10.0] {
            for jitter_ms in [0, 20, 40, 80] {
                for drift_ppm in [-200, 0, 200] {
                    let trace = Trace { codec, loss, jitter_ms, drift_ppm };
                    for seed in 0..seeds {
                        let seen = trace.run(seed, &payloads);
                        let told = || format!("seed {seed}: {trace:?}: {seen:?}");
                        // A packet, a wake-up, and what is kept for safety beyond the jitter there is.
                        assert!(u64::from(seen.longest_delay) <= jitter_ms + 75, "{}", told());
                        // What is lost is made up, and little for what is only late.
                        assert!(seen.concealed <= loss / 100.0 * 1.35 + 0.015, "{}", told());
                        if loss == 0.0 && jitter_ms == 0 {
                            assert!(seen.concealed <= 0.001, "{}", told());
                        }
                        if codec == Codec::L16Narrow {
                            assert!(seen.heard >= 0.97, "{}", told());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_delay_follows_a_network_that_becomes_calm_again() {
    let payloads = payloads(Codec::Pcmu);
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut buffer = JitterBuffer::new(8_000, Delay::default());
        let mut flying = BinaryHeap::new();
        for number in 0..payloads.len() as u64 {
            // 20 s of 120 ms jitter, then calm.
            let jitter = if number < 1_000 { 120_000 } else { 5_000 };
            flying.push(Reverse((number * 20_000 + rng.random_range(0..=jitter), number)));
        }
        let mut delays = Vec::new();
        for tick in 0..SECONDS * 50 {
            while let Some(Reverse((_, number))) =
                flying.peek().copied().filter(|Reverse((at, _))| *at <= tick * 20_000)
            {
                flying.pop();
                buffer.push(number as u16, number as u32 * 160, Codec::Pcmu, &payloads[number as usize]);
            }
            buffer.pull(&mut [0; 160]);
            delays.push(buffer.delay_ms());
        }
        let mean = |range: std::ops::Range<usize>| {
            let count = range.len() as u32;
            delays[range].iter().sum::<u32>() / count
        };
        assert!(mean(500..1_000) >= 50, "seed {seed}: {} ms", mean(500..1_000));
        assert!(mean(2_500..3_000) <= 40, "seed {seed}: {} ms", mean(2_500..3_000));
    }
}
