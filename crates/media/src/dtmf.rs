//! Keys heard as tones in the audio (ITU-T Q.23, Q.24): Goertzel filters at the eight frequencies and at overtones.
//!
//! A key is taken for one after 32 ms of nothing but two frequencies of it, and Q.24 asks for 40. Speech, which now and
//! then has both, has more besides: harmonics, or energy elsewhere.

use std::f32::consts::TAU;

/// Samples per second listened to.
pub const RATE: u32 = 8_000;
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Samples of a look, and from one to the next: 12.75 ms, half overlapping.
const LOOK: usize = 102;
const HOP: usize = 51;
/// Looks in a row that begin and end a key: 32 ms of it, and a gap longer than 10 ms.
const BEGIN: u8 = 4;
const END: u8 = 5;
/// Mean square of the quietest key, -36 dB below full scale for both tones together.
const FLOOR: f32 = 350.0 * 350.0;
/// Share of the energy that is in both frequencies. A key in noise 12 dB below it has 0.94.
const PURE: f32 = 0.82;
/// How much weaker a column may be than its row, and a row than its column: 8 and 4 dB (Q.24).
const TWIST: f32 = 6.3;
const REVERSE_TWIST: f32 = 2.5;
/// How much stronger a frequency is than the others of its group, 8 dB.
const ALONE: f32 = 6.3;
/// How strong an overtone may be, -12 dB: voices have them, keys have none. Twice a row is too near to the columns, so of
/// rows it is the third.
const HARMONIC: f32 = 0.063;

/// What was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Pressed(char),
    /// After so many milliseconds.
    Released(char, u32),
}

/// Listens to one stream.
#[derive(Debug, Clone)]
pub struct Detector {
    window: [f32; LOOK],
    filled: usize,
    /// What the last looks have seen, and how many of them.
    candidate: Option<char>,
    looks: u8,
    /// The key that is pressed, how many looks it has been, and for how many it was not seen.
    pressed: Option<(char, u32)>,
    missed: u8,
}

impl Default for Detector {
    fn default() -> Self {
        Detector { window: [0.0; LOOK], filled: 0, candidate: None, looks: 0, pressed: None, missed: 0 }
    }
}

impl Detector {
    /// Takes samples, [`RATE`] a second.
    pub fn listen(&mut self, samples: &[i16], mut heard: impl FnMut(Heard)) {
        for sample in samples {
            self.window[self.filled] = f32::from(*sample);
            self.filled += 1;
            if self.filled == LOOK {
                let seen = look(&self.window);
                self.window.copy_within(HOP.., 0);
                self.filled = LOOK - HOP;
                if let Some(event) = self.judge(seen) {
                    heard(event);
                }
            }
        }
    }

    /// Whether a key is pressed now.
    pub fn is_pressed(&self) -> bool {
        self.pressed.is_some()
    }

    /// The audio has ended, and with it a key that was pressed.
    pub fn end(&mut self) -> Option<Heard> {
        let pressed = self.pressed.take();
        *self = Detector::default();
        pressed.map(|(key, looks)| Heard::Released(key, milliseconds(looks)))
    }

    fn judge(&mut self, seen: Option<char>) -> Option<Heard> {
        self.looks = if seen == self.candidate { self.looks.saturating_add(1) } else { 1 };
        self.candidate = seen;
        let Some((key, looks)) = &mut self.pressed else {
            let key = seen.filter(|_| self.looks == BEGIN)?;
            self.pressed = Some((key, u32::from(BEGIN)));
            self.missed = 0;
            return Some(Heard::Pressed(key));
        };
        if seen == Some(*key) {
            *looks += 1 + u32::from(std::mem::take(&mut self.missed));
            return None;
        }
        self.missed += 1;
        if self.missed < END {
            return None;
        }
        let released = Heard::Released(*key, milliseconds(*looks));
        self.pressed = None;
        Some(released)
    }
}

/// How long a key was that so many looks have seen: the first saw a whole window, each after it one hop more.
fn milliseconds(looks: u32) -> u32 {
    (looks * HOP as u32 + (LOOK - HOP) as u32) * 1000 / RATE
}

/// The key in a window.
fn look(window: &[f32; LOOK]) -> Option<char> {
    let energy: f32 = window.iter().map(|sample| sample * sample).sum();
    if energy < FLOOR * LOOK as f32 {
        return None;
    }
    let power = |hz: &f32| goertzel(window, *hz);
    let (row, row_power) = strongest(ROWS.map(|hz| power(&hz)))?;
    let (column, column_power) = strongest(COLUMNS.map(|hz| power(&hz)))?;
    let balanced = row_power <= column_power * TWIST && column_power <= row_power * REVERSE_TWIST;
    // A tone alone has half the window's length times its energy.
    let pure = row_power + column_power >= PURE * energy * LOOK as f32 / 2.0;
    if !balanced || !pure {
        return None;
    }
    let harmonics =
        power(&(ROWS[row] * 3.0)) > row_power * HARMONIC || power(&(COLUMNS[column] * 2.0)) > column_power * HARMONIC;
    (!harmonics).then_some(KEYS[row][column])
}

/// The strongest of a group, where it stands alone.
fn strongest(powers: [f32; 4]) -> Option<(usize, f32)> {
    let (place, power) = powers.iter().copied().enumerate().max_by(|one, other| one.1.total_cmp(&other.1))?;
    let alone = powers.iter().enumerate().all(|(other, weaker)| other == place || weaker * ALONE <= power);
    alone.then_some((place, power))
}

/// The squared magnitude of a window at a frequency.
fn goertzel(window: &[f32; LOOK], hz: f32) -> f32 {
    let coefficient = 2.0 * (TAU * hz / RATE as f32).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in window {
        (last, before) = (sample + coefficient * last - before, last);
    }
    last * last + before * before - coefficient * last * before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Decoder, Encoder, OpusParams};
    use crate::tone::{ToneGenerator, ToneSpec};

    const ALL: &str = "1234567890*#ABCD";

    fn tone(spec: ToneSpec) -> Vec<i16> {
        let mut generator = ToneGenerator::new(spec, RATE);
        let mut samples = vec![0; 80_000];
        let made = generator.fill(&mut samples);
        samples.truncate(made);
        samples
    }

    fn key(key: char, on_ms: u32) -> Vec<i16> {
        tone(ToneSpec::dtmf(key, on_ms, 60).unwrap())
    }

    fn listen(samples: &[i16]) -> Vec<Heard> {
        let (mut detector, mut all) = (Detector::default(), Vec::new());
        // As packets come.
        samples.chunks(160).for_each(|packet| detector.listen(packet, |heard| all.push(heard)));
        all.extend(detector.end());
        all
    }

    fn keys(samples: &[i16]) -> String {
        let pressed = |heard: &Heard| match heard {
            Heard::Pressed(key) => Some(*key),
            Heard::Released(..) => None,
        };
        listen(samples).iter().filter_map(pressed).collect()
    }

    /// Two frequencies of amplitudes of their own.
    fn pair(row: (f64, f64), column: (f64, f64), ms: usize) -> Vec<i16> {
        let sine =
            |n: usize, (hz, amplitude): (f64, f64)| (n as f64 * hz * std::f64::consts::TAU / 8_000.0).sin() * amplitude;
        (0..ms * 8 + 800).map(|n| if n < ms * 8 { (sine(n, row) + sine(n, column)) as i16 } else { 0 }).collect()
    }

    fn noise(seed: u32, amplitude: f64) -> impl Iterator<Item = i16> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state as i32 >> 16) / 32_768.0 * amplitude) as i16
        })
    }

    #[test]
    fn every_key_is_heard_once_and_its_length_told() {
        for on_ms in [40, 50, 100, 1_000] {
            let samples: Vec<i16> = ALL.chars().flat_map(|digit| key(digit, on_ms)).collect();
            let all = listen(&samples);
            assert_eq!(all.len(), 2 * ALL.len(), "{on_ms} ms: {all:?}");
            for (pair, digit) in all.chunks(2).zip(ALL.chars()) {
                assert_eq!(pair[0], Heard::Pressed(digit));
                let Heard::Released(released, ms) = pair[1] else { panic!("{pair:?}") };
                assert_eq!(released, digit);
                assert!(ms.abs_diff(on_ms) <= 15, "{ms} of {on_ms}");
            }
        }
    }

    #[test]
    fn through_every_codec() {
        let samples: Vec<i16> = ALL.chars().flat_map(|digit| key(digit, 80)).collect();
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::Opus] {
            let mut encoder = Encoder::new(codec, RATE, &OpusParams::default()).unwrap();
            let mut decoder = Decoder::new(codec, RATE).unwrap();
            let mut decoded = Vec::new();
            for packet in samples.chunks_exact(160) {
                let mut octets = [0; 1275];
                let length = encoder.encode(packet, &mut octets);
                decoder.decode(&octets[..length], &mut decoded);
            }
            assert_eq!(keys(&decoded), ALL, "{codec:?}");
        }
    }

    #[test]
    fn limits_of_q24_hold() {
        // Frequencies within 1.5 % are keys, beyond 3.5 % not.
        for (off, taken) in [(0.985, true), (1.015, true), (0.96, false), (1.04, false)] {
            let heard = keys(&pair((770.0 * off, 6_000.0), (1336.0 * off, 6_000.0), 100));
            assert_eq!(heard == "5", taken, "{off}: {heard:?}");
        }
        // Twist: 6 dB either way of what is allowed to be a key, far beyond it not.
        for (row, column, taken) in
            [(6_000.0, 3_000.0, true), (4_500.0, 6_000.0, true), (8_000.0, 1_500.0, false), (2_000.0, 8_000.0, false)]
        {
            assert_eq!(keys(&pair((770.0, row), (1336.0, column), 100)) == "5", taken, "{row} and {column}");
        }
        // Of 20 ms nothing is heard.
        assert_eq!(keys(&pair((770.0, 6_000.0), (1336.0, 6_000.0), 20)), "");
        // A gap of 10 ms is no second key, one of 45 ms is.
        for (gap, expected) in [(10, "5"), (45, "55")] {
            let mut samples = key('5', 60)[..480].to_vec();
            samples.extend(vec![0; gap * 8]);
            samples.extend(key('5', 60));
            assert_eq!(keys(&samples), expected, "{gap} ms");
        }
        // From loud to -30 dBm0 a tone.
        for amplitude in [16_000.0, 2_000.0, 700.0] {
            assert_eq!(keys(&pair((770.0, amplitude), (1336.0, amplitude), 100)), "5", "{amplitude}");
        }
    }

    #[test]
    fn over_noise_of_15_db() {
        for seed in 0..50 {
            let mut samples: Vec<i16> = ALL.chars().flat_map(|digit| key(digit, 80)).collect();
            // Two tones of 8,211 have the power of 8,211 squared; even noise a third of its peak's square.
            let peak = 8_211.0 * 3f64.sqrt() / 10f64.powf(15.0 / 20.0);
            samples
                .iter_mut()
                .zip(noise(seed, peak))
                .for_each(|(sample, noise)| *sample = sample.saturating_add(noise));
            assert_eq!(keys(&samples), ALL, "seed {seed}");
        }
    }

    #[test]
    fn noise_tones_and_music_are_no_keys() {
        for seed in 0..20 {
            let samples: Vec<i16> = noise(seed, 12_000.0).take(8_000 * 10).collect();
            assert_eq!(keys(&samples), "", "seed {seed}");
        }
        let one = |hz: f32| tone(ToneSpec::cadence(&[hz], 500, 0, -6.0));
        assert_eq!(keys(&(600..1_700).step_by(7).flat_map(|hz| one(hz as f32)).collect::<Vec<i16>>()), "");
        assert_eq!(keys(&tone(ToneSpec { steps: ToneSpec::ringback_us().steps, level_db: -6.0 })), "");
        // Chords with overtones: 697 and 1209 Hz of an instrument.
        let chord = |n: usize| {
            let string = |hz: f64| {
                (1..5)
                    .map(|k| (n as f64 * hz * f64::from(k) * std::f64::consts::TAU / 8_000.0).sin() / f64::from(k))
                    .sum::<f64>()
            };
            ((string(697.0) + string(1209.0)) * 4_000.0) as i16
        };
        assert_eq!(keys(&(0..16_000).map(chord).collect::<Vec<i16>>()), "");
    }
}
