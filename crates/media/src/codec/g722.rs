//! ITU-T G.722 at 64 kbit/s: 16,000 samples per second in two bands of ADPCM, an octet for two samples.
//!
//! Names in capitals in comments are those of the blocks of the Recommendation.

/// Coefficients of the quadrature mirror filters, table 11; the other twelve are these mirrored.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
/// Decision levels of the lower band, table 14.
const LOW_LEVELS: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Codes of the lower band by interval, for negative and positive differences, table 14.
const LOW_NEGATIVE: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
];
const LOW_POSITIVE: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34,
    33, 32,
];
/// Inverse quantisers of the lower band, six bits and four, tables 15 and 17.
const LOW_INVERSE_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
const LOW_INVERSE_4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// How the scale factor of the lower band adapts, by the four-bit code, table 19 by way of table 18.
const LOW_ADAPT: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// The same of the upper band, tables 16 and 20.
const HIGH_INVERSE: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_ADAPT: [i32; 4] = [798, -214, 798, -214];
const HIGH_LEVEL: i32 = 564;
/// Antilogarithm of the scale factor, table 21.
const ANTILOG: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// One band: its scale factor and its predictor of two poles and six zeroes.
#[derive(Debug, Clone)]
struct Band {
    /// Predicted sample, and its part by the zeroes.
    predicted: i32,
    by_zeroes: i32,
    /// Newest first.
    reconstructed: [i32; 2],
    partial: [i32; 2],
    differences: [i32; 6],
    poles: [i32; 2],
    zeroes: [i32; 6],
    /// Logarithm of the scale factor, and the factor.
    log_scale: i32,
    scale: i32,
}

impl Band {
    fn new(scale: i32) -> Band {
        Band {
            predicted: 0,
            by_zeroes: 0,
            reconstructed: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
            poles: [0; 2],
            zeroes: [0; 6],
            log_scale: 0,
            scale,
        }
    }

    /// LOGSCL and SCALEL, or LOGSCH and SCALEH: `most` and `shift` tell the bands apart.
    fn adapt_scale(&mut self, step: i32, most: i32, shift: i32) {
        self.log_scale = (((self.log_scale * 127) >> 7) + step).clamp(0, most);
        let mantissa = ANTILOG[(self.log_scale >> 6) as usize & 31];
        let shift = shift - (self.log_scale >> 11);
        self.scale = if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2;
    }

    /// Takes the quantised difference of this sample and predicts the next.
    fn predict(&mut self, difference: i32) {
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.by_zeroes + difference);
        let [before, before_that] = self.partial;
        let same = |other: i32| (partial < 0) == (other < 0);

        // UPPOL2
        let wd = saturate(self.poles[0] << 2);
        let wd = if same(before) { (-wd).min(32_767) } else { wd };
        let step = if same(before_that) { 128 } else { -128 };
        let second = (step + (wd >> 7) + ((self.poles[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1
        let step = if same(before) { 192 } else { -192 };
        let limit = saturate(15_360 - second);
        let first = saturate(step + ((self.poles[0] * 32_640) >> 15)).clamp(-limit, limit);
        // UPZERO
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, older) in self.zeroes.iter_mut().zip(self.differences) {
            let step = if (older < 0) == (difference < 0) { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }

        // DELAYA
        self.poles = [first, second];
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, before];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;

        // FILTEP, FILTEZ, PREDIC
        let term = |coefficient: i32, value: i32| (coefficient * saturate(value + value)) >> 15;
        let by_poles = saturate(term(first, self.reconstructed[0]) + term(second, self.reconstructed[1]));
        let by_zeroes: i32 = self.zeroes.iter().zip(self.differences).map(|(zero, older)| term(*zero, older)).sum();
        self.by_zeroes = saturate(by_zeroes);
        self.predicted = saturate(by_poles + self.by_zeroes);
    }
}

#[derive(Debug, Clone)]
struct Bands {
    low: Band,
    high: Band,
}

impl Bands {
    fn new() -> Bands {
        Bands { low: Band::new(32), high: Band::new(8) }
    }

    /// Both ends adapt by the same code.
    fn adapt(&mut self, code: u8) {
        let coarse = usize::from(code & 0x3F) >> 2;
        let difference = (self.low.scale * LOW_INVERSE_4[coarse]) >> 15;
        self.low.adapt_scale(LOW_ADAPT[coarse], 18_432, 8);
        self.low.predict(difference);
        let high = usize::from(code >> 6);
        let difference = (self.high.scale * HIGH_INVERSE[high]) >> 15;
        self.high.adapt_scale(HIGH_ADAPT[high], 22_528, 10);
        self.high.predict(difference);
    }
}

#[derive(Debug, Clone)]
pub struct Encoder {
    bands: Bands,
    /// The last 24 samples, oldest first.
    history: [i32; 24],
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { bands: Bands::new(), history: [0; 24] }
    }
}

impl Encoder {
    /// An octet for each pair of samples, as many as both slices hold. Returns the octets written.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) -> usize {
        let mut count = 0;
        for (pair, octet) in samples.chunks_exact(2).zip(octets) {
            *octet = self.encode_pair(pair[0], pair[1]);
            count += 1;
        }
        count
    }

    fn encode_pair(&mut self, first: i16, second: i16) -> u8 {
        self.history.copy_within(2.., 0);
        self.history[22] = i32::from(first);
        self.history[23] = i32::from(second);
        let (mut even, mut odd) = (0, 0);
        for (index, pair) in self.history.chunks_exact(2).enumerate() {
            odd += pair[0] * QMF[index];
            even += pair[1] * QMF[11 - index];
        }
        let (low, high) = ((even + odd) >> 14, (even - odd) >> 14);

        // SUBTRA, QUANTL
        let error = saturate(low - self.bands.low.predicted);
        let size = if error >= 0 { error } else { -(error + 1) };
        let scale = self.bands.low.scale;
        let interval = LOW_LEVELS.iter().skip(1).take_while(|level| size >= (**level * scale) >> 12).count() + 1;
        let low_code = if error < 0 { LOW_NEGATIVE[interval] } else { LOW_POSITIVE[interval] };
        // SUBTRA, QUANTH
        let error = saturate(high - self.bands.high.predicted);
        let size = if error >= 0 { error } else { -(error + 1) };
        let large = size >= (HIGH_LEVEL * self.bands.high.scale) >> 12;
        let high_code = match (error < 0, large) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        let code = high_code << 6 | low_code;
        self.bands.adapt(code);
        code
    }
}

#[derive(Debug, Clone)]
pub struct Decoder {
    bands: Bands,
    /// Sums and differences of the bands, oldest first.
    history: [i32; 24],
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { bands: Bands::new(), history: [0; 24] }
    }
}

impl Decoder {
    /// Appends two samples an octet.
    pub fn decode(&mut self, octets: &[u8], samples: &mut Vec<i16>) {
        samples.reserve(octets.len() * 2);
        for octet in octets {
            samples.extend(self.decode_octet(*octet));
        }
    }

    fn decode_octet(&mut self, code: u8) -> [i16; 2] {
        let band = |value: i32| value.clamp(-16_384, 16_383);
        let low = &self.bands.low;
        let low = band(low.predicted + ((low.scale * LOW_INVERSE_6[usize::from(code & 0x3F)]) >> 15));
        let high = &self.bands.high;
        let high = band(high.predicted + ((high.scale * HIGH_INVERSE[usize::from(code >> 6)]) >> 15));
        self.bands.adapt(code);

        self.history.copy_within(2.., 0);
        self.history[22] = low + high;
        self.history[23] = low - high;
        let (mut first, mut second) = (0, 0);
        for (index, pair) in self.history.chunks_exact(2).enumerate() {
            second += pair[0] * QMF[index];
            first += pair[1] * QMF[11 - index];
        }
        [saturate(first >> 11) as i16, saturate(second >> 11) as i16]
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn round_trip(samples: &[i16]) -> Vec<i16> {
        let mut octets = vec![0; samples.len() / 2];
        assert_eq!(Encoder::default().encode(samples, &mut octets), octets.len());
        let mut decoded = Vec::new();
        Decoder::default().decode(&octets, &mut decoded);
        decoded
    }

    /// Signal to noise in dB, at the delay of the filters: 22 samples of 16,000 a second.
    fn snr(samples: &[i16], decoded: &[i16]) -> f64 {
        let (mut signal, mut noise) = (0.0, 0.0);
        for (before, after) in samples.iter().zip(&decoded[22..]).skip(400) {
            signal += f64::from(*before).powi(2);
            noise += (f64::from(*before) - f64::from(*after)).powi(2);
        }
        10.0 * (signal / noise).log10()
    }

    fn sine(hz: f64, amplitude: f64) -> Vec<i16> {
        (0..16_000).map(|n| ((f64::from(n) * hz * TAU / 16_000.0).sin() * amplitude) as i16).collect()
    }

    #[test]
    fn tones_of_both_bands_come_back_as_they_were() {
        // The upper band has two bits a sample.
        for (hz, least) in
            [(100.0, 25.0), (440.0, 30.0), (1000.0, 30.0), (3000.0, 25.0), (5000.0, 10.0), (6800.0, 10.0)]
        {
            for amplitude in [300.0, 3_000.0, 12_000.0] {
                let input = sine(hz, amplitude);
                let measured = snr(&input, &round_trip(&input));
                assert!(measured > least, "{hz} Hz at {amplitude}: {measured:.1} dB");
            }
        }
    }

    #[test]
    fn silence_stays_silent() {
        assert!(round_trip(&[0; 16_000]).iter().skip(100).all(|sample| sample.abs() <= 4));
    }

    #[test]
    fn a_decoder_that_begins_in_the_middle_finds_its_way() {
        let input = sine(440.0, 8_000.0);
        let mut octets = vec![0; 8_000];
        Encoder::default().encode(&input, &mut octets);
        let (mut whole, mut late) = (Vec::new(), Vec::new());
        Decoder::default().decode(&octets, &mut whole);
        Decoder::default().decode(&octets[2_000..], &mut late);
        // Leaky predictors forget: 200 ms later both say the same.
        let difference = whole[7_200..].iter().zip(&late[3_200..]).map(|(a, b)| (a - b).abs()).max();
        assert!(difference < Some(200), "{difference:?}");
    }

    #[test]
    fn full_scale_square_waves_and_noise_do_no_harm() {
        let square: Vec<i16> = (0..16_000).map(|n| if n / 7 % 2 == 0 { 32_767 } else { -32_768 }).collect();
        assert_eq!(round_trip(&square).len(), 16_000);
        let mut state = 1u32;
        let octets: Vec<u8> = (0..16_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let mut decoded = Vec::new();
        Decoder::default().decode(&octets, &mut decoded);
        assert_eq!(decoded.len(), 32_000);
    }
}
