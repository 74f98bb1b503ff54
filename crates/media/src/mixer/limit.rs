//! Many voices at once in the range of one.

const FULL: f32 = 32_767.0;
/// 3 dB below full scale: what is below stays as it is.
const KNEE: f32 = 0.707 * FULL;

/// Samples beyond the knee are bent, the more the louder, and never reach beyond full scale: loudness without the
/// harmonics of what is cut off.
pub(super) fn limit(sample: f32) -> i16 {
    let loud = sample.abs();
    if loud <= KNEE {
        return sample.round() as i16;
    }
    let room = FULL - KNEE;
    (KNEE + room * ((loud - KNEE) / room).tanh()).copysign(sample).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_loud_stays_and_what_is_bends_without_a_step() {
        for sample in [0.0, 1.4, -1.4, 12_345.0, -23_000.0] {
            assert_eq!(limit(sample), sample.round() as i16);
        }
        let mut last = 0;
        for sample in 0..200_000 {
            let limited = limit(sample as f32);
            assert!((0..=1).contains(&(limited - last)), "{sample}: {last} to {limited}");
            assert_eq!(limit(-sample as f32), -limited);
            last = limited;
        }
        assert_eq!(last, i16::MAX);
    }
}
