//! How good a call sounds, as a number: the E-model of ITU-T G.107 with its default values, simplified to what a node
//! can measure.
//!
//! `R = 93.2 - Id - Ie,eff`: 93.2 is what the defaults for noise, loudness and side tone leave of 100. `Id` is the
//! impairment by delay, its usual two-line approximation; `Ie,eff` the one by codec and loss (G.107 7.2). The advantage
//! factor is 0, and loss is taken as random (`BurstR` = 1).

use crate::codec::Codec;

/// What a listener has of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    pub codec: Codec,
    /// Packets not heard, lost or too late, per cent.
    pub loss: f64,
    /// Mouth to ear, milliseconds: half a round trip, packet time and jitter buffer.
    pub delay_ms: f64,
}

/// `Ie` and `Bpl` of ITU-T G.113 appendix I: the codec's own impairment, and its robustness against loss.
///
/// G.711 is that with concealment. G.722, L16 and Opus have no values on this scale, where narrowband is the best there
/// is: they count as G.711 does. What the wider band adds is not in the number.
const fn impairment(codec: Codec) -> (f64, f64) {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16Narrow | Codec::L16Wide | Codec::Opus => (0.0, 25.1),
        Codec::G729 => (11.0, 19.0),
    }
}

impl Conditions {
    /// The transmission rating, 0..=93.2.
    pub fn r_factor(&self) -> f64 {
        let (own, robustness) = impairment(self.codec);
        let loss = self.loss.clamp(0.0, 100.0);
        let by_loss = own + (95.0 - own) * loss / (loss + robustness);
        let delay = self.delay_ms.max(0.0);
        let by_delay = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
        (93.2 - by_delay - by_loss).clamp(0.0, 100.0)
    }

    /// The mean opinion score, 1 (bad) to 4.4 (as good as narrowband gets) (G.107 annex B).
    pub fn mos(&self) -> f32 {
        let r = self.r_factor();
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(codec: Codec, loss: f64, delay_ms: f64) -> f32 {
        Conditions { codec, loss, delay_ms }.mos()
    }

    #[test]
    fn known_points() {
        // G.107 table B.1: R 93.2 is 4.41; G.113: G.729 without loss is 4.1.
        assert!((mos(Codec::Pcmu, 0.0, 0.0) - 4.41).abs() < 0.01);
        assert!((mos(Codec::G729, 0.0, 0.0) - 4.1).abs() < 0.05);
        // G.114: up to 150 ms nearly nobody minds, 400 ms most do.
        assert!(mos(Codec::Pcmu, 0.0, 150.0) > 4.2);
        assert!((2.8..3.6).contains(&mos(Codec::Pcmu, 0.0, 400.0)));
    }

    #[test]
    fn more_loss_and_delay_are_never_better() {
        for codec in [Codec::Pcmu, Codec::Opus, Codec::G729] {
            let mut last = 5.0;
            for step in 0..=100 {
                let score = mos(codec, f64::from(step), f64::from(step) * 10.0);
                assert!(score <= last && score >= 1.0);
                last = score;
            }
            assert!(last < 1.1);
        }
    }

    #[test]
    fn nonsense_is_taken_for_its_limit() {
        assert_eq!(mos(Codec::Pcmu, -5.0, -10.0), mos(Codec::Pcmu, 0.0, 0.0));
        assert_eq!(mos(Codec::Pcmu, 1e9, 1e9), 1.0);
    }
}
