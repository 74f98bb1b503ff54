//! Tones as a document names them, and the ring-back tones of the world.

/// A cadence of tones, played step after step.
#[derive(Debug, Clone, PartialEq)]
pub struct Tone {
    pub steps: Vec<ToneStep>,
    /// Relative to full scale, dB, -60..=0.
    pub volume_db: f32,
}

/// Frequencies that sound together, then silence.
#[derive(Debug, Clone, PartialEq)]
pub struct ToneStep {
    /// Hz, 1..=4 frequencies of 20..=4000.
    pub hz: Vec<f32>,
    /// Milliseconds of sound.
    pub on_ms: u32,
    /// Milliseconds of silence after it.
    pub off_ms: u32,
}

/// Level of ring-back: loud enough to hear, not louder than speech (ITU-T E.180 asks for -10 dBm0 +-5).
const RINGBACK_DB: f32 = -15.0;

impl Tone {
    /// The ring-back tone a caller of this number (E.164, with or without `+`) expects to hear, per the list of
    /// tones used in national networks (ITU-T E.180 supplement 2).
    pub fn ringback(number: &str) -> Tone {
        let digits = number.trim_start_matches('+');
        let step = |hz: &[f32], on_ms, off_ms| ToneStep { hz: hz.to_vec(), on_ms, off_ms };
        let steps = match () {
            () if digits.starts_with('1') => vec![step(&[440.0, 480.0], 2000, 4000)],
            // United Kingdom, Ireland, Australia, New Zealand, India, Malaysia, Singapore, South Africa: double ring.
            () if ["44", "353", "61", "64", "91", "60", "65", "27"].iter().any(|c| digits.starts_with(c)) => {
                vec![step(&[400.0, 450.0], 400, 200), step(&[400.0, 450.0], 400, 2000)]
            }
            () if digits.starts_with("33") => vec![step(&[440.0], 1500, 3500)],
            () if digits.starts_with("81") => vec![step(&[384.0, 416.0], 1000, 2000)],
            () if digits.starts_with("86") => vec![step(&[450.0], 1000, 4000)],
            () => vec![step(&[425.0], 1000, 4000)],
        };
        Tone { steps, volume_db: RINGBACK_DB }
    }

    /// One pass through all steps, milliseconds.
    pub fn cycle_ms(&self) -> u64 {
        self.steps.iter().map(|step| u64::from(step.on_ms) + u64::from(step.off_ms)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringback_follows_the_callees_country() {
        assert_eq!(Tone::ringback("+12015550100").steps[0].hz, [440.0, 480.0]);
        assert_eq!(Tone::ringback("442071838750").steps.len(), 2);
        assert_eq!(Tone::ringback("+4930123456").cycle_ms(), 5000);
        assert_eq!(Tone::ringback("alice@home").steps[0].hz, [425.0]);
    }
}
