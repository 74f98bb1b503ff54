//! A tone of a single frequency that keeps it: voices do not.

use std::f32::consts::TAU;

use super::{Beep, FRAME, MS, RATE};

/// Two frames are looked at together: 25 Hz from one line of the spectrum to the next.
const WINDOW: usize = 2 * FRAME;
/// Lines of the spectrum that a beep may be at: 300 to 3,000 Hz.
const LINES: std::ops::Range<usize> = 12..121;
/// Share of the energy that is at the frequency.
const PURE: f32 = 0.85;
/// How far the frequency of a tone may be from one look to the next, in Hz.
const STEADY: f32 = 12.0;
/// A tone that is longer is no beep.
const LONGEST: u32 = 3_000;

#[derive(Debug)]
pub(super) struct Listener {
    /// The frame before and this one.
    window: [f32; WINDOW],
    heard: usize,
    tone: Option<Tone>,
}

#[derive(Debug)]
struct Tone {
    at: u32,
    /// The end of the last look that had it.
    end: u32,
    hz: f32,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener { window: [0.0; WINDOW], heard: 0, tone: None }
    }
}

impl Listener {
    /// Takes the frame that begins at `now`; the tone that has ended with it, if it was a beep.
    pub fn hear(&mut self, frame: &[i16], voice: bool, now: u32, min_beep: u32) -> Option<Beep> {
        self.window.copy_within(FRAME.., 0);
        for (place, sample) in self.window.iter_mut().skip(FRAME).zip(frame) {
            *place = f32::from(*sample);
        }
        self.heard = if voice { self.heard + 1 } else { 0 };
        let hz = if self.heard >= 2 { frequency(&self.window) } else { None };
        let end = now + MS;
        match (&mut self.tone, hz) {
            (Some(tone), Some(hz)) if (tone.hz - hz).abs() <= STEADY => {
                tone.end = end;
                None
            }
            (tone, hz) => {
                let over = tone.take();
                // The window that shows it first began with the frame before.
                *tone = hz.map(|hz| Tone { at: now.saturating_sub(MS), end, hz });
                let Tone { at, end, hz } = over?;
                let length = end - at;
                (length >= min_beep && length <= LONGEST).then_some(Beep { at, length, hz })
            }
        }
    }

    /// A tone is heard that may be a beep.
    pub fn is_tone(&self) -> bool {
        self.tone.as_ref().is_some_and(|tone| tone.end - tone.at <= LONGEST)
    }
}

/// The frequency that has nearly all of the energy, if one has.
fn frequency(window: &[f32; WINDOW]) -> Option<f32> {
    // Of Hann, so that a tone is three lines wide wherever it is.
    let mut shaped = [0.0_f32; WINDOW];
    for (index, (place, sample)) in shaped.iter_mut().zip(window).enumerate() {
        *place = sample * (0.5 - 0.5 * (TAU * index as f32 / WINDOW as f32).cos());
    }
    let total: f32 = shaped.iter().map(|sample| sample * sample).sum();
    let mut powers = [0.0_f32; 160];
    let (mut peak, mut most) = (0, 0.0);
    for line in LINES.start - 1..LINES.end + 1 {
        let power = goertzel(&shaped, line);
        if let Some(place) = powers.get_mut(line) {
            *place = power;
        }
        if LINES.contains(&line) && power > most {
            (peak, most) = (line, power);
        }
    }
    let of = |line: usize| powers.get(line).copied().unwrap_or_default();
    let (left, right) = (of(peak.checked_sub(1)?), of(peak + 1));
    // Parseval, one side of the spectrum.
    let share = 2.0 * (left + most + right) / (WINDOW as f32 * total);
    if total <= 0.0 || share < PURE {
        return None;
    }
    // A parabola through the three.
    let (left, middle, right) = (left.sqrt(), most.sqrt(), right.sqrt());
    let offset = 0.5 * (left - right) / (left - 2.0 * middle + right);
    Some((peak as f32 + offset) * RATE as f32 / WINDOW as f32)
}

/// The power of one line of the spectrum (Goertzel 1958).
fn goertzel(samples: &[f32; WINDOW], line: usize) -> f32 {
    let factor = 2.0 * (TAU * line as f32 / WINDOW as f32).cos();
    let (mut last, mut before) = (0.0_f32, 0.0_f32);
    for sample in samples {
        (last, before) = (sample + factor * last - before, last);
    }
    last * last + before * before - factor * last * before
}
