//! The jitter buffer alone.

use opentact_media::codec::Codec;
use opentact_media::jitter::{Delay, JitterBuffer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::network::{self, PACKET_US, Trace};
use crate::sound::{heard_in_order, payloads};

/// Until the delay has found its size.
const WARM_UP: usize = 10 * 50;

/// What was seen after the warm-up.
#[derive(Debug, Default)]
struct Seen {
    /// Milliseconds.
    longest_delay: u32,
    /// Of the last two seconds.
    last_delay: u32,
    /// Of what was played, 0..=1.
    concealed: f64,
    /// Packets heard of those that came, 0..=1.
    heard: f64,
}

fn listen(trace: &Trace, codec: Codec, payloads: &[Vec<u8>], seed: u64) -> Seen {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut buffer = JitterBuffer::new(8_000, Delay::default());
    let (sequence, timestamp): (u16, u32) = (rng.random(), rng.random());
    let step = codec.clock_rate() / 50;
    let mut seen = Seen::default();
    let mut before = buffer.counts();
    let mut played: Vec<i16> = Vec::new();
    let mut arrivals = trace.arrivals().into_iter().peekable();
    // The receiver's wake-ups lie anywhere between the sender's packets.
    let phase = rng.random_range(0..PACKET_US);
    let ticks = trace.delays.len();
    for tick in 0..ticks {
        let now = tick as u64 * PACKET_US + phase;
        while let Some((_, number)) = arrivals.next_if(|(at, _)| *at <= now) {
            buffer.push(
                sequence.wrapping_add(number as u16),
                timestamp.wrapping_add(number as u32 * step),
                codec,
                &payloads[number],
            );
        }
        let mut out = [0; 160];
        buffer.pull(&mut out);
        if tick == WARM_UP {
            before = buffer.counts();
        }
        if tick >= WARM_UP {
            seen.longest_delay = seen.longest_delay.max(buffer.delay_ms());
            played.extend(out);
        }
        if tick >= ticks - 100 {
            seen.last_delay = seen.last_delay.max(buffer.delay_ms());
        }
    }
    let after = buffer.counts();
    let time = (after.played_us - before.played_us) as f64;
    seen.concealed = (after.concealed_us - before.concealed_us) as f64 / time;
    if codec == Codec::L16Narrow {
        let came = trace.delays[WARM_UP..].iter().flatten().count();
        seen.heard = heard_in_order(&played, &trace.name) as f64 / came as f64;
    }
    seen
}

#[test]
fn delay_is_bounded_order_is_kept_and_little_is_made_up() {
    for (codec, seeds) in [(Codec::L16Narrow, 12), (Codec::Pcmu, 8), (Codec::G722, 3), (Codec::Opus, 3)] {
        let payloads = payloads(codec, 3_000);
        for loss in [0.0, 1.0, 5.0, 10.0] {
            for jitter_ms in [0, 20, 40, 80] {
                for drift_ppm in [-200, 0, 200] {
                    for seed in 0..seeds {
                        let mut rng = StdRng::seed_from_u64(seed);
                        let trace =
                            network::even(&mut rng, payloads.len(), loss / 100.0, jitter_ms).drifting(drift_ppm);
                        let seen = listen(&trace, codec, &payloads, seed);
                        let told = || format!("seed {seed}, {codec:?}, {}: {seen:?}", trace.name);
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
fn bad_networks_are_heard_in_order_with_no_more_made_up_than_is_lost_or_late() {
    let delay = Delay::default();
    for (codec, seeds) in [(Codec::L16Narrow, 12), (Codec::Opus, 2)] {
        let payloads = payloads(codec, 3_000);
        for seed in 0..seeds {
            let mut rng = StdRng::seed_from_u64(seed);
            for trace in network::all(&mut rng, payloads.len()) {
                let trace = trace.drifting([-200, 0, 200][seed as usize % 3]);
                let seen = listen(&trace, codec, &payloads, seed);
                let told = || format!("seed {seed}, {codec:?}, {}: {seen:?}", trace.name);
                assert!(seen.longest_delay <= delay.max_ms + 20, "{}", told());
                let (lost, late) = (trace.lost(), trace.late(delay.initial_ms.into()));
                assert!(seen.concealed <= 1.35 * lost + late + 0.015, "lost {lost}, late {late}: {}", told());
                // Calm again, it is as short as at the beginning.
                assert!(seen.last_delay <= delay.initial_ms + 20, "{}", told());
                if codec == Codec::L16Narrow {
                    assert!(seen.heard >= 0.95, "{}", told());
                }
            }
        }
    }
}

#[test]
fn the_delay_follows_a_network_that_becomes_calm_again() {
    let payloads = payloads(Codec::Pcmu, 3_000);
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut buffer = JitterBuffer::new(8_000, Delay::default());
        // 20 s of 120 ms jitter, then calm.
        let mut trace = network::even(&mut rng, payloads.len(), 0.0, 120);
        trace.delays[1_000..].iter_mut().for_each(|delay| *delay = delay.map(|delay| delay / 24));
        let mut arrivals = trace.arrivals().into_iter().peekable();
        let mut delays = Vec::new();
        for tick in 0..payloads.len() {
            while let Some((_, number)) = arrivals.next_if(|(at, _)| *at <= tick as u64 * PACKET_US) {
                buffer.push(number as u16, number as u32 * 160, Codec::Pcmu, &payloads[number]);
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
