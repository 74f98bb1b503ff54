//! Tones as a document names them, and those of the networks of the world.

mod country;

pub(crate) use country::CODES;
use country::Country;

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

/// What a network tells a caller by a tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The callee's phone rings.
    RingBack,
    Busy,
    /// There is no way to the callee.
    Congestion,
    /// The network waits for a number.
    Dial,
}

impl Signal {
    /// As documents write them.
    pub(crate) const WORDS: &[&str] = &["ringback", "busy", "congestion", "dial"];

    pub(crate) fn of(word: &str) -> Option<Signal> {
        Some(match word {
            "ringback" => Signal::RingBack,
            "busy" => Signal::Busy,
            "congestion" => Signal::Congestion,
            "dial" => Signal::Dial,
            _ => return None,
        })
    }
}

/// Level of the tones of networks: loud enough to hear, not louder than speech (ITU-T E.180 asks for -10 dBm0 +-5).
const LEVEL_DB: f32 = -15.0;
/// One stretch of a tone that goes on.
const ENDLESS_MS: u32 = 1000;

impl Tone {
    /// The ring-back tone a caller of this number (E.164, with or without `+`) expects to hear.
    pub fn ringback(number: &str) -> Tone {
        Tone::of_number(Signal::RingBack, number)
    }

    /// The tone of the network that this number (E.164, with or without `+`) is in.
    pub fn of_number(signal: Signal, number: &str) -> Tone {
        Tone::read(Country::of_number(number).signal(signal))
    }

    /// The tone of a country, ISO 3166 alpha-2; `None`: its tones are not known.
    pub fn of(signal: Signal, country: &str) -> Option<Tone> {
        Some(Tone::read(Country::named(country)?.signal(signal)))
    }

    /// As the table writes it.
    fn read(signal: &str) -> Tone {
        let mut steps: Vec<ToneStep> = Vec::new();
        for step in signal.split(',') {
            let (sound, ms) = step.split_once('/').unwrap_or((step, ""));
            let ms = ms.parse().unwrap_or(ENDLESS_MS);
            match (sound, steps.last_mut()) {
                ("0", Some(before)) => before.off_ms += ms,
                _ => steps.push(ToneStep { hz: frequencies(sound), on_ms: ms, off_ms: 0 }),
            }
        }
        Tone { steps, volume_db: LEVEL_DB }
    }

    /// One pass through all steps, milliseconds.
    pub fn cycle_ms(&self) -> u64 {
        self.steps.iter().map(|step| u64::from(step.on_ms) + u64::from(step.off_ms)).sum()
    }
}

fn frequencies(sound: &str) -> Vec<f32> {
    let number = |text: &str| text.parse().unwrap_or(0.0);
    match sound.split_once('*') {
        // The product of two sines is the sum of those beside the carrier.
        Some((carrier, by)) => vec![number(carrier) - number(by), number(carrier) + number(by)],
        None => sound.split('+').map(number).collect(),
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
        assert_eq!(Tone::ringback("81312345678").steps[0].hz, [384.0, 416.0]);
    }

    #[test]
    fn signals_of_a_country_are_read_as_the_table_writes_them() {
        let step = |hz: &[f32], on_ms, off_ms| ToneStep { hz: hz.to_vec(), on_ms, off_ms };
        let steps = |signal, country| Tone::of(signal, country).unwrap().steps;
        assert_eq!(steps(Signal::Dial, "US"), [step(&[350.0, 440.0], 1000, 0)]);
        assert_eq!(steps(Signal::Busy, "gb"), [step(&[400.0], 375, 375)]);
        assert_eq!(steps(Signal::Congestion, "GB"), [step(&[400.0], 400, 350), step(&[400.0], 225, 525)]);
        assert_eq!(Tone::of(Signal::Busy, "XX"), None);
        for word in Signal::WORDS {
            assert!(Signal::of(word).is_some());
        }
    }
}
