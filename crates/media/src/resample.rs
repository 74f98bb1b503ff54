//! Sample rate conversion by a fixed ratio: a polyphase filter of windowed sincs.

use std::f64::consts::PI;

/// Lobes of the sinc on each side, counted at the lower of the two rates. With the window below: flat to 0.84 of the
/// lower Nyquist frequency, 80 dB down from it on.
const LOBES: usize = 32;
/// Shape of the Kaiser window for 80 dB.
const KAISER_BETA: f64 = 7.857;
/// Limits that keep the filter table under a few megabytes.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
const MAX_TABLE: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    #[error("cannot convert {from} to {to} samples per second")]
    Ratio { from: u32, to: u32 },
}

/// Converts a stream of mono samples. Output is aligned with input: the filter's delay is taken out.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// Input samples advance by `down / up` per output sample.
    up: usize,
    down: usize,
    /// Taps of one phase.
    taps: usize,
    /// `up` phases of `taps` coefficients.
    table: Vec<f32>,
    /// Input not yet passed by the filter, oldest first.
    history: Vec<f32>,
    /// Phase of the next output sample, below `up`.
    phase: usize,
    consumed: u64,
    produced: u64,
}

impl Resampler {
    /// Rates in samples per second, 4,000..=192,000.
    pub fn new(from: u32, to: u32) -> Result<Resampler, ResampleError> {
        let error = ResampleError::Ratio { from, to };
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return Err(error);
        }
        let divisor = gcd(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        // At the input rate the lobes are wider when the output rate is the lower one.
        let half = (LOBES * down.div_ceil(up)).max(LOBES);
        let taps = 2 * half;
        if up * taps > MAX_TABLE {
            return Err(error);
        }
        let table = filter(up, down, half);
        // The first output sample is centred on the first input sample: `half - 1` zeroes before it.
        Ok(Resampler { up, down, taps, table, history: vec![0.0; half - 1], phase: 0, consumed: 0, produced: 0 })
    }

    /// For a stream that is never finished: of input whose length is a multiple of the ratio all output is complete at
    /// once, later by the filter's delay, which is 4 ms at 8,000 samples per second.
    pub fn live(from: u32, to: u32) -> Result<Resampler, ResampleError> {
        let mut resampler = Resampler::new(from, to)?;
        resampler.history = vec![0.0; resampler.taps - 1];
        Ok(resampler)
    }

    /// Converts `input` and appends what is complete to `output`.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        self.consumed += input.len() as u64;
        self.history.extend(input.iter().map(|sample| f32::from(*sample)));
        self.run(output, u64::MAX);
    }

    /// Ends the stream: appends the rest, so that the output is as long as the input in time.
    pub fn finish(mut self, output: &mut Vec<i16>) {
        let total = (self.consumed * self.up as u64).div_ceil(self.down as u64);
        self.history.extend(std::iter::repeat_n(0.0, self.taps));
        self.run(output, total);
    }

    fn run(&mut self, output: &mut Vec<i16>, limit: u64) {
        let mut start = 0;
        while self.produced < limit {
            let Some(window) = self.history.get(start..start + self.taps) else { break };
            let coefficients = &self.table[self.phase * self.taps..][..self.taps];
            output.push(dot(window, coefficients).round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16);
            self.produced += 1;
            self.phase += self.down;
            start += self.phase / self.up;
            self.phase %= self.up;
        }
        // Never beyond the end: one step is far shorter than the window it leaves.
        self.history.drain(..start.min(self.history.len()));
    }
}

/// Converts a whole clip.
pub fn convert(samples: &[i16], from: u32, to: u32) -> Result<Vec<i16>, ResampleError> {
    if from == to {
        return Ok(samples.to_vec());
    }
    let mut resampler = Resampler::new(from, to)?;
    let mut output = Vec::with_capacity((samples.len() as u64 * u64::from(to) / u64::from(from)) as usize + 1);
    resampler.process(samples, &mut output);
    resampler.finish(&mut output);
    Ok(output)
}

/// Eight sums side by side, which the compiler turns into vector instructions.
fn dot(samples: &[f32], coefficients: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (s, c) in samples.chunks_exact(8).zip(coefficients.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += s[lane] * c[lane];
        }
    }
    sums.iter().sum()
}

fn filter(up: usize, down: usize, half: usize) -> Vec<f32> {
    let taps = 2 * half;
    // Cut-off in cycles per input sample: the middle of the transition band, whose end is the lower Nyquist rate.
    let nyquist = 0.5 * (up as f64 / down as f64).min(1.0);
    let transition = (80.0 - 8.0) / (2.285 * taps as f64) / (2.0 * PI);
    let cutoff = nyquist - transition / 2.0;
    let mut table = Vec::with_capacity(up * taps);
    for phase in 0..up {
        let fraction = phase as f64 / up as f64;
        let row: Vec<f64> = (0..taps)
            .map(|tap| {
                let distance = tap as f64 - (half as f64 - 1.0) - fraction;
                let x = 2.0 * cutoff * distance;
                let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
                sinc * kaiser(distance / half as f64)
            })
            .collect();
        // Every phase passes a constant unchanged: no ripple at the phase rate, exact level.
        let sum: f64 = row.iter().sum();
        table.extend(row.iter().map(|value| (value / sum) as f32));
    }
    table
}

/// `x` in -1..=1 across the window.
fn kaiser(x: f64) -> f64 {
    if x.abs() > 1.0 {
        return 0.0;
    }
    bessel_i0(KAISER_BETA * (1.0 - x * x).sqrt()) / bessel_i0(KAISER_BETA)
}

/// Modified Bessel function of the first kind, order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= quarter / f64::from(k * k);
        sum += term;
        if term < sum * 1e-16 {
            break;
        }
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: u32, count: usize) -> Vec<i16> {
        (0..count).map(|n| ((n as f64 * hz * 2.0 * PI / f64::from(rate)).sin() * 16_000.0).round() as i16).collect()
    }

    /// Root of the mean square against that of the sine above, in dB, the ends left out.
    fn level(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 8..samples.len() * 7 / 8];
        let power: f64 = middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64;
        20.0 * ((power * 2.0).sqrt().max(0.1) / 16_000.0).log10()
    }

    #[test]
    fn speech_band_passes_and_what_would_alias_does_not() {
        for from in [16_000u32, 22_050, 24_000, 44_100, 48_000] {
            for hz in [100.0, 440.0, 1000.0, 3000.0, 3300.0] {
                let output = convert(&sine(hz, from, from as usize), from, 8000).unwrap();
                assert!(level(&output).abs() < 0.1, "{hz} Hz at {from}: {} dB", level(&output));
            }
            for hz in [4000.0, 4500.0, 5000.0, 7000.0] {
                let output = convert(&sine(hz, from, from as usize), from, 8000).unwrap();
                assert!(level(&output) < -70.0, "{hz} Hz at {from}: {} dB", level(&output));
            }
        }
    }

    #[test]
    fn up_and_down_again_is_what_it_was() {
        let input = sine(1000.0, 8000, 8000);
        for rate in [16_000, 24_000, 44_100, 48_000] {
            let up = convert(&input, 8000, rate).unwrap();
            assert_eq!(up.len(), rate as usize);
            let back = convert(&up, rate, 8000).unwrap();
            assert_eq!(back.len(), input.len());
            // Aligned to the sample: the filter's delay is taken out.
            let error = input.iter().zip(&back).skip(200).take(7600).map(|(a, b)| (a - b).abs()).max();
            assert!(error <= Some(16), "{rate}: {error:?}");
        }
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let input = sine(700.0, 44_100, 10_000);
        let whole = convert(&input, 44_100, 8000).unwrap();
        let mut resampler = Resampler::new(44_100, 8000).unwrap();
        let mut pieces = Vec::new();
        for piece in input.chunks(37) {
            resampler.process(piece, &mut pieces);
        }
        resampler.finish(&mut pieces);
        assert_eq!(pieces, whole);
    }

    #[test]
    fn live_pieces_are_complete_at_once() {
        for (from, to) in [(16_000u32, 8_000u32), (8_000, 16_000), (48_000, 8_000), (8_000, 48_000), (16_000, 48_000)] {
            let input = sine(440.0, from, from as usize);
            let mut resampler = Resampler::live(from, to).unwrap();
            let mut output = Vec::new();
            for (index, piece) in input.chunks(from as usize / 100).enumerate() {
                resampler.process(piece, &mut output);
                assert_eq!(output.len(), (index + 1) * to as usize / 100, "{from} to {to}");
            }
            assert!(level(&output).abs() < 0.1, "{from} to {to}: {} dB", level(&output));
        }
    }

    #[test]
    fn between_the_rates_of_codecs_the_passband_is_flat_and_images_are_gone() {
        for (from, to) in [(8_000u32, 16_000u32), (16_000, 8_000), (8_000, 48_000), (48_000, 16_000), (16_000, 48_000)]
        {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for part in [0.02, 0.2, 0.5, 0.8, 0.83] {
                let hz = nyquist * part;
                let output = convert(&sine(hz, from, from as usize), from, to).unwrap();
                assert!(level(&output).abs() < 0.05, "{hz} Hz, {from} to {to}: {} dB", level(&output));
                // What is left when the tone is taken out: images and noise.
                let (mut re, mut im) = (0.0, 0.0);
                let middle = to as usize / 4..to as usize * 3 / 4;
                let turn = |n: usize| (n as f64 * hz * 2.0 * PI / f64::from(to)).sin_cos();
                for n in middle.clone() {
                    let (sin, cos) = turn(n);
                    re += f64::from(output[n]) * sin * 2.0 / middle.len() as f64;
                    im += f64::from(output[n]) * cos * 2.0 / middle.len() as f64;
                }
                let rest = |n: usize| f64::from(output[n]) - re * turn(n).0 - im * turn(n).1;
                let power = middle.clone().map(|n| rest(n).powi(2)).sum::<f64>() / middle.len() as f64;
                let below = 10.0 * (power * 2.0 / 16_000f64.powi(2)).log10();
                assert!(below < -70.0, "{hz} Hz, {from} to {to}: {below} dB");
            }
        }
    }

    #[test]
    fn a_constant_stays_and_full_scale_clips_without_wrapping() {
        let constant = convert(&[12_345; 4410], 44_100, 8000).unwrap();
        assert!(constant[100..700].iter().all(|sample| *sample == 12_345));
        let square: Vec<i16> = (0..4800).map(|n| if n / 24 % 2 == 0 { 32_767 } else { -32_768 }).collect();
        let converted = convert(&square, 48_000, 8000).unwrap();
        // Overshoot is cut off: the sign never flips inside a half wave.
        for (n, sample) in converted.iter().enumerate().skip(40).take(700) {
            if (n % 4) % 2 == 1 {
                assert_eq!(*sample > 0, n / 4 % 2 == 0, "sample {n} is {sample}");
            }
        }
    }

    #[test]
    fn odd_rates_are_refused() {
        for (from, to) in [(0, 8000), (8000, 0), (3999, 8000), (8000, 200_000), (47_999, 8000)] {
            assert_eq!(convert(&[0], from, to), Err(ResampleError::Ratio { from, to }));
        }
        assert_eq!(convert(&[], 48_000, 8000), Ok(vec![]));
    }
}
