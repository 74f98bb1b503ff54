//! Whether somebody speaks: by energy, above what is there when nobody does.

/// How much louder than the noise a voice is, in decibels.
const ABOVE_NOISE: f32 = 9.0;
/// How fast the noise is taken to grow, in decibels a frame: slower than words, faster than a verdict.
const RISE: f32 = 0.1;
/// Softer than this nobody asks how soft.
const SILENCE: f32 = -90.0;

#[derive(Debug)]
pub(crate) struct Activity {
    threshold: f32,
    /// Decibels of full scale.
    noise: f32,
}

impl Activity {
    pub fn new(threshold: f32) -> Activity {
        // Who speaks at once is not the noise.
        Activity { threshold, noise: threshold }
    }

    pub fn is_voice(&mut self, frame: &[i16]) -> bool {
        let level = level(frame);
        self.noise = if level < self.noise { level } else { self.noise + RISE };
        level > self.threshold.max(self.noise + ABOVE_NOISE)
    }
}

/// Root mean square, in decibels of full scale.
pub(crate) fn level(frame: &[i16]) -> f32 {
    let energy: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = energy / (frame.len().max(1) as f64 * f64::from(i16::MAX).powi(2));
    (10.0 * mean.max(1e-12).log10()).max(f64::from(SILENCE)) as f32
}
