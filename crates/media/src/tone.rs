//! Tones: one or more frequencies together, on and off in a cadence.

use std::f64::consts::TAU;

/// Tones in sequence; playing them once is one loop.
#[derive(Debug, Clone, PartialEq)]
pub struct ToneSpec {
    pub steps: Vec<ToneStep>,
    /// Decibels below full scale: 0 peaks at full scale, whatever the number of frequencies; above 0 counts as 0.
    pub level_db: f32,
}

/// Frequencies sounded together, then silence.
#[derive(Debug, Clone, PartialEq)]
pub struct ToneStep {
    /// Hertz, each above 0 and below 4000 (others are silent). Empty: silence.
    pub hz: Vec<f32>,
    /// Milliseconds of sound.
    pub on_ms: u32,
    /// Milliseconds of silence after it.
    pub off_ms: u32,
}

impl ToneSpec {
    /// One step.
    pub fn cadence(hz: &[f32], on_ms: u32, off_ms: u32, level_db: f32) -> ToneSpec {
        ToneSpec { steps: vec![ToneStep { hz: hz.to_vec(), on_ms, off_ms }], level_db }
    }

    /// North American ring-back (ANSI T1.401): 440 and 480 Hz, 2 s on, 4 s off, -19 dBm0 each.
    pub fn ringback_us() -> ToneSpec {
        ToneSpec::cadence(&[440.0, 480.0], 2000, 4000, -10.0)
    }

    /// The tone before a recording: 1 kHz for 300 ms.
    pub fn beep() -> ToneSpec {
        ToneSpec::cadence(&[1000.0], 300, 100, -10.0)
    }

    /// Both frequencies of a key (ITU-T Q.23), `None` for what is not a key.
    pub fn dtmf(digit: char, on_ms: u32, off_ms: u32) -> Option<ToneSpec> {
        const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
        const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
        let place = "123A456B789C*0#D".find(digit.to_ascii_uppercase())?;
        Some(ToneSpec::cadence(&[ROWS[place / 4], COLUMNS[place % 4]], on_ms, off_ms, -6.0))
    }

    /// Milliseconds of one loop.
    pub fn duration_ms(&self) -> u64 {
        self.steps.iter().map(|step| u64::from(step.on_ms) + u64::from(step.off_ms)).sum()
    }
}

/// Makes the samples of a [`ToneSpec`]. A frequency that goes on from one step or loop to the next keeps its phase.
#[derive(Debug, Clone)]
pub struct ToneGenerator {
    spec: ToneSpec,
    rate: u32,
    amplitude: f64,
    step: usize,
    /// Samples made of this step.
    at: u64,
    oscillators: Vec<Oscillator>,
}

#[derive(Debug, Clone)]
struct Oscillator {
    hz: f32,
    /// Turns, 0..1.
    phase: f64,
}

impl ToneGenerator {
    /// `rate` in samples per second.
    pub fn new(spec: ToneSpec, rate: u32) -> ToneGenerator {
        let amplitude = f64::from(i16::MAX) * 10f64.powf(f64::from(spec.level_db.min(0.0)) / 20.0);
        let mut generator = ToneGenerator { spec, rate, amplitude, step: 0, at: 0, oscillators: Vec::new() };
        generator.tune();
        generator
    }

    /// Goes on at another rate, in samples per second.
    pub fn set_rate(&mut self, rate: u32) {
        if rate != self.rate {
            self.at = self.at * u64::from(rate) / u64::from(self.rate);
            self.rate = rate;
        }
    }

    /// True when a loop makes no sample.
    pub fn is_empty(&self) -> bool {
        self.spec.steps.iter().all(|step| self.samples(step.on_ms) + self.samples(step.off_ms) == 0)
    }

    /// True when every sample of this loop is made.
    pub fn is_over(&self) -> bool {
        let left: u64 =
            self.spec.steps.iter().skip(self.step).map(|s| self.samples(s.on_ms) + self.samples(s.off_ms)).sum();
        self.at >= left
    }

    /// Begins the next loop.
    pub fn rewind(&mut self) {
        self.step = 0;
        self.at = 0;
        self.tune();
    }

    /// Fills `out` from the front; fewer than its length when the loop ends.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut made = 0;
        while made < out.len() {
            let Some(step) = self.spec.steps.get(self.step) else { break };
            let on = self.samples(step.on_ms);
            let total = on + self.samples(step.off_ms);
            if self.at >= total {
                self.step += 1;
                self.at = 0;
                self.tune();
                continue;
            }
            let sounding = self.at < on;
            let until = if sounding { on } else { total };
            let count = usize::try_from(until - self.at).unwrap_or(usize::MAX).min(out.len() - made);
            let target = &mut out[made..made + count];
            if sounding {
                self.sound(target);
            } else {
                target.fill(0);
            }
            made += count;
            self.at += count as u64;
        }
        made
    }

    fn sound(&mut self, out: &mut [i16]) {
        let share = if self.oscillators.is_empty() { 0.0 } else { self.amplitude / self.oscillators.len() as f64 };
        let rate = f64::from(self.rate);
        for sample in out {
            let mut sum = 0.0;
            for oscillator in &mut self.oscillators {
                sum += (oscillator.phase * TAU).sin();
                oscillator.phase += f64::from(oscillator.hz) / rate;
                oscillator.phase -= oscillator.phase.floor();
            }
            *sample = (sum * share).round() as i16;
        }
    }

    /// Sets the oscillators of the current step, keeping the phase of frequencies that sounded until now.
    fn tune(&mut self) {
        let Some(step) = self.spec.steps.get(self.step) else { return };
        let nyquist = self.rate as f32 / 2.0;
        let tuned = step
            .hz
            .iter()
            .filter(|hz| **hz > 0.0 && **hz < nyquist)
            .map(|hz| {
                let phase = self.oscillators.iter().find(|o| o.hz == *hz).map_or(0.0, |o| o.phase);
                Oscillator { hz: *hz, phase }
            })
            .collect();
        self.oscillators = tuned;
    }

    fn samples(&self, ms: u32) -> u64 {
        u64::from(ms) * u64::from(self.rate) / 1000
    }
}
