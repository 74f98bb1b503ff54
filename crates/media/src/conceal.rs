//! Sound made from the sound before it: what stands in for a lost packet, and a packet made shorter without being heard.
//!
//! Both rest on the pitch: a voice repeats itself every 2.5 to 15 ms (the idea of ITU-T G.711 appendix I and of WSOLA).

/// Shortest and longest pitch period, microseconds: 400 Hz and 66 Hz.
const PERIODS_US: (u64, u64) = (2_500, 15_000);
/// Stretch that is compared with itself a period earlier.
const WINDOW_US: u64 = 10_000;
/// Made-up sound is as loud as what was before for so long, and then fades out.
const LOUD_US: u64 = 10_000;
const FADE_US: u64 = 50_000;
/// Over so long one sound goes over into another.
const SEAM_US: u64 = 5_000;
/// How like its neighbour a period must be to be left out.
const ALIKE: f32 = 0.6;
/// Mean square below which any stretch is as good as any other: -60 dB below full scale.
const QUIET: f32 = 33.0 * 33.0;

/// Samples of what was heard that are worth keeping.
pub const fn memory(rate: u32) -> usize {
    samples(PERIODS_US.1 * 2 + WINDOW_US, rate)
}

const fn samples(us: u64, rate: u32) -> usize {
    (us * rate as u64 / 1_000_000) as usize
}

/// Goes on from a sound that stopped.
#[derive(Debug, Clone, Default)]
pub struct Concealment {
    period: Vec<i16>,
    at: usize,
    made: usize,
    loud: usize,
    fade: usize,
}

impl Concealment {
    /// Begins after `past`, oldest first, of which [`memory`] samples are looked at.
    pub fn begin(&mut self, past: &[i16], rate: u32) {
        let lag = pitch(past, rate);
        self.period.clear();
        self.period.extend_from_slice(&past[past.len().saturating_sub(lag)..]);
        self.at = 0;
        self.made = 0;
        self.loud = samples(LOUD_US, rate);
        self.fade = samples(FADE_US, rate);
    }

    /// Makes the next sample; silence once it has faded.
    pub fn sample(&mut self) -> i16 {
        let left = (self.loud + self.fade).saturating_sub(self.made).min(self.fade);
        let Some(sample) = self.period.get(self.at).filter(|_| left > 0) else { return 0 };
        self.made += 1;
        self.at = (self.at + 1) % self.period.len();
        (i64::from(*sample) * left as i64 / self.fade as i64) as i16
    }

    /// Goes over into `sound`, which is heard alone after 5 ms.
    pub fn end(&mut self, sound: &mut [i16], rate: u32) {
        let seam = samples(SEAM_US, rate).min(sound.len());
        for (index, sample) in sound[..seam].iter_mut().enumerate() {
            *sample = cross(self.sample(), *sample, index + 1, seam + 1);
        }
    }
}

/// From `from` to `to`, `at` of `length` gone.
fn cross(from: i16, to: i16, at: usize, length: usize) -> i16 {
    let (at, length) = (at as i64, length as i64);
    ((i64::from(from) * (length - at) + i64::from(to) * at) / length) as i16
}

/// The period of the end of `past`, in samples; of the shortest length where there is too little of it.
fn pitch(past: &[i16], rate: u32) -> usize {
    let window = samples(WINDOW_US, rate);
    let (least, most) = (samples(PERIODS_US.0, rate), samples(PERIODS_US.1, rate));
    let most = most.min(past.len().saturating_sub(window));
    if most <= least {
        return least.min(past.len());
    }
    let end = &past[past.len() - window..];
    let alike = |lag: usize| likeness(end, &past[past.len() - window - lag..][..window]);
    best(least, most, alike).0
}

/// Leaves a pitch period out of `sound`. Returns the samples left out; 0 where none would go unheard, or it is too short.
pub fn shorten(sound: &mut Vec<i16>, rate: u32, at_most: usize) -> usize {
    let seam = samples(SEAM_US, rate);
    let least = samples(PERIODS_US.0, rate);
    let most = samples(PERIODS_US.1, rate).min(sound.len().saturating_sub(seam)).min(at_most);
    if most < least {
        return 0;
    }
    let begin = &sound[..seam];
    let lag = if energy(sound) < QUIET * sound.len() as f32 {
        most
    } else {
        let (lag, likeness) = best(least, most, |lag| likeness(begin, &sound[lag..][..seam]));
        if likeness < ALIKE {
            return 0;
        }
        lag
    };
    for index in 0..seam {
        sound[index] = cross(sound[index], sound[index + lag], index + 1, seam + 1);
    }
    sound.drain(seam..seam + lag);
    lag
}

/// The lag of `least..=most` that is most alike: every other first, then the neighbours of the best.
fn best(least: usize, most: usize, alike: impl Fn(usize) -> f32) -> (usize, f32) {
    let mut found = (least, f32::MIN);
    let mut look = |lag: usize| {
        let likeness = alike(lag);
        if likeness > found.1 {
            found = (lag, likeness);
        }
    };
    (least..=most).step_by(2).for_each(&mut look);
    let coarse = found.0;
    for lag in [coarse.saturating_sub(1).max(least), (coarse + 1).min(most)] {
        let likeness = alike(lag);
        if likeness > found.1 {
            found = (lag, likeness);
        }
    }
    found
}

/// Correlation of two stretches, -1..=1.
fn likeness(one: &[i16], other: &[i16]) -> f32 {
    let product: f32 = one.iter().zip(other).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
    product / (energy(one) * energy(other)).sqrt().max(1.0)
}

fn energy(sound: &[i16]) -> f32 {
    sound.iter().map(|sample| f32::from(*sample).powi(2)).sum()
}

/// Noise of a pause (RFC 3389): its level, not its spectrum.
#[derive(Debug, Clone)]
pub struct ComfortNoise {
    amplitude: i32,
    state: u32,
}

impl ComfortNoise {
    /// `level` in decibels below overload, 0..=127 (RFC 3389 3.1).
    pub fn new(level: u8) -> ComfortNoise {
        // Evenly spread samples have the power of a third of their peak's square.
        let peak = 32_767.0 * 3f64.sqrt() * 10f64.powf(-f64::from(level & 0x7F) / 20.0);
        ComfortNoise { amplitude: peak.min(32_767.0) as i32, state: 0x2545_F491 }
    }

    pub fn sample(&mut self) -> i16 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (((self.state as i32 >> 16) * self.amplitude) >> 15) as i16
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn voice(rate: u32, count: usize) -> Vec<i16> {
        let harmonic = |n: usize, k: f64| (n as f64 * 110.0 * k * TAU / f64::from(rate)).sin() / k;
        (0..count).map(|n| ((harmonic(n, 1.0) + harmonic(n, 2.0) + harmonic(n, 5.0)) * 6_000.0) as i16).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn a_voice_goes_on_as_it_would_have_and_then_fades() {
        for rate in [8_000u32, 16_000, 48_000] {
            let whole = voice(rate, rate as usize);
            let (past, future) = whole.split_at(rate as usize / 2);
            let mut concealment = Concealment::default();
            concealment.begin(past, rate);
            let made: Vec<i16> = (0..rate as usize / 10).map(|_| concealment.sample()).collect();
            let ten_ms = rate as usize / 100;
            let error: Vec<i16> = made[..ten_ms].iter().zip(future).map(|(a, b)| a - b).collect();
            assert!(level(&error) < level(&future[..ten_ms]) * 0.25, "{rate}: {}", level(&error));
            assert!(made[ten_ms * 6..].iter().all(|sample| *sample == 0));
        }
    }

    #[test]
    fn the_end_is_without_a_step() {
        let whole = voice(8_000, 8_000);
        let mut concealment = Concealment::default();
        concealment.begin(&whole[..4_000], 8_000);
        let mut heard: Vec<i16> = whole[..4_000].to_vec();
        heard.extend((0..80).map(|_| concealment.sample()));
        let mut after = whole[4_080..].to_vec();
        concealment.end(&mut after, 8_000);
        heard.extend(after);
        let steepest = |samples: &[i16]| samples.windows(2).map(|p| (i32::from(p[1]) - i32::from(p[0])).abs()).max();
        assert!(steepest(&heard) <= steepest(&whole).map(|step| step * 13 / 10));
    }

    #[test]
    fn a_period_less_is_not_heard() {
        let mut sound = voice(8_000, 160);
        let left_out = shorten(&mut sound, 8_000, 160);
        // A period of 110 Hz, to the sample.
        assert!((72..=74).contains(&left_out), "{left_out}");
        assert_eq!(sound.len(), 160 - left_out);
        let steepest = |samples: &[i16]| samples.windows(2).map(|p| (i32::from(p[1]) - i32::from(p[0])).abs()).max();
        assert!(steepest(&sound) <= steepest(&voice(8_000, 160)).map(|step| step * 11 / 10));
        let mut noise = ComfortNoise::new(10);
        let mut sound: Vec<i16> = (0..160).map(|_| noise.sample()).collect();
        assert_eq!(shorten(&mut sound, 8_000, 160), 0, "noise has no period");
        assert_eq!(shorten(&mut vec![0; 160], 8_000, 50), 50, "silence is all alike");
        assert_eq!(shorten(&mut vec![0; 40], 8_000, 160), 0);
    }

    #[test]
    fn nothing_goes_on_as_nothing() {
        let mut concealment = Concealment::default();
        assert_eq!(concealment.sample(), 0);
        for past in [&[][..], &[7], &[9; 30]] {
            concealment.begin(past, 8_000);
            assert!((0..1_000).all(|_| concealment.sample().abs() < 10));
        }
    }

    #[test]
    fn comfort_noise_has_its_level() {
        for quieter in [20u8, 40, 60] {
            let mut noise = ComfortNoise::new(quieter);
            let samples: Vec<i16> = (0..16_000).map(|_| noise.sample()).collect();
            let measured = -20.0 * (level(&samples) / 32_767.0).log10();
            assert!((measured - f64::from(quieter)).abs() < 1.0, "{measured} for {quieter}");
        }
    }
}
