//! ITU-T G.711, both laws, by tables computed at build from the arithmetic of ITU-T G.191.

static ULAW_DECODE: [i16; 256] = decode_table_ulaw();
static ALAW_DECODE: [i16; 256] = decode_table_alaw();
/// By the upper 14 bits of a sample.
static ULAW_ENCODE: [u8; 1 << 14] = encode_table_ulaw();
/// By the upper 12 bits of a sample.
static ALAW_ENCODE: [u8; 1 << 12] = encode_table_alaw();
static ULAW_TO_ALAW: [u8; 256] = ulaw_to_alaw_table();
static ALAW_TO_ULAW: [u8; 256] = alaw_to_ulaw_table();

#[inline]
pub fn encode_ulaw(sample: i16) -> u8 {
    ULAW_ENCODE[(sample as u16 >> 2) as usize]
}

#[inline]
pub fn decode_ulaw(octet: u8) -> i16 {
    ULAW_DECODE[octet as usize]
}

#[inline]
pub fn encode_alaw(sample: i16) -> u8 {
    ALAW_ENCODE[(sample as u16 >> 4) as usize]
}

#[inline]
pub fn decode_alaw(octet: u8) -> i16 {
    ALAW_DECODE[octet as usize]
}

#[inline]
pub fn ulaw_to_alaw(octet: u8) -> u8 {
    ULAW_TO_ALAW[octet as usize]
}

#[inline]
pub fn alaw_to_ulaw(octet: u8) -> u8 {
    ALAW_TO_ULAW[octet as usize]
}

/// G.191 `ulaw_compress`: 14 bits, bias 33, sign and magnitude inverted.
const fn compress_ulaw(sample: i16) -> u8 {
    let wide = sample as i32;
    let magnitude = (if wide < 0 { !wide >> 2 } else { wide >> 2 }) + 33;
    let magnitude = if magnitude > 0x1FFF { 0x1FFF } else { magnitude };
    let segment = 27 - magnitude.leading_zeros() as i32;
    let low = 0xF - ((magnitude >> segment) & 0xF);
    let octet = ((8 - segment) << 4) | low;
    (if wide >= 0 { octet | 0x80 } else { octet }) as u8
}

/// G.191 `ulaw_expand`.
const fn expand_ulaw(octet: u8) -> i16 {
    let inverted = !octet as i32;
    let exponent = (inverted >> 4) & 7;
    let step = 4 << (exponent + 1);
    let magnitude = (0x80 << exponent) + step * (inverted & 0xF) + step / 2 - 4 * 33;
    (if octet < 0x80 { -magnitude } else { magnitude }) as i16
}

/// G.191 `alaw_compress`: 12 bits of magnitude, every other bit inverted.
const fn compress_alaw(sample: i16) -> u8 {
    let wide = sample as i32;
    let mut octet = if wide < 0 { !wide >> 4 } else { wide >> 4 };
    if octet > 15 {
        let mut exponent = 1;
        while octet > 16 + 15 {
            octet >>= 1;
            exponent += 1;
        }
        octet = (octet - 16) + (exponent << 4);
    }
    if wide >= 0 {
        octet |= 0x80;
    }
    (octet ^ 0x55) as u8
}

/// G.191 `alaw_expand`.
const fn expand_alaw(octet: u8) -> i16 {
    let bits = ((octet ^ 0x55) & 0x7F) as i32;
    let exponent = bits >> 4;
    let mut mantissa = bits & 0xF;
    if exponent > 0 {
        mantissa += 16;
    }
    mantissa = (mantissa << 4) + 8;
    if exponent > 1 {
        mantissa <<= exponent - 1;
    }
    (if octet > 127 { mantissa } else { -mantissa }) as i16
}

const fn decode_table_ulaw() -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = expand_ulaw(octet as u8);
        octet += 1;
    }
    table
}

const fn decode_table_alaw() -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = expand_alaw(octet as u8);
        octet += 1;
    }
    table
}

const fn encode_table_ulaw() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < 1 << 14 {
        table[index] = compress_ulaw((index << 2) as u16 as i16);
        index += 1;
    }
    table
}

const fn encode_table_alaw() -> [u8; 1 << 12] {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < 1 << 12 {
        table[index] = compress_alaw((index << 4) as u16 as i16);
        index += 1;
    }
    table
}

const fn ulaw_to_alaw_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = compress_alaw(expand_ulaw(octet as u8));
        octet += 1;
    }
    table
}

const fn alaw_to_ulaw_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = compress_ulaw(expand_alaw(octet as u8));
        octet += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulaw_known_values() {
        // G.711 table 2a: the ends and the origin.
        assert_eq!(encode_ulaw(0), 0xFF);
        assert_eq!(encode_ulaw(i16::MAX), 0x80);
        assert_eq!(encode_ulaw(i16::MIN), 0x00);
        assert_eq!(decode_ulaw(0x80), 32124);
        assert_eq!(decode_ulaw(0x00), -32124);
        assert_eq!(decode_ulaw(0xFF), 0);
        assert_eq!(decode_ulaw(0x7F), 0);
    }

    #[test]
    fn alaw_known_values() {
        assert_eq!(encode_alaw(0), 0xD5);
        assert_eq!(encode_alaw(i16::MAX), 0xAA);
        assert_eq!(encode_alaw(i16::MIN), 0x2A);
        assert_eq!(decode_alaw(0xAA), 32256);
        assert_eq!(decode_alaw(0x2A), -32256);
        assert_eq!(decode_alaw(0xD5), 8);
        assert_eq!(decode_alaw(0x55), -8);
    }

    #[test]
    fn every_octet_survives_a_round_trip() {
        for octet in 0..=255u8 {
            assert_eq!(encode_alaw(decode_alaw(octet)), octet);
            // Negative zero of µ-law (0x7F) is 0, whose code is 0xFF.
            let expected = if octet == 0x7F { 0xFF } else { octet };
            assert_eq!(encode_ulaw(decode_ulaw(octet)), expected);
        }
    }

    #[test]
    fn error_stays_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            // The steps of the last segments are 1024 (µ-law) and 1024 (A-law); beyond the last value it clips.
            for (decoded, peak, floor) in
                [(decode_ulaw(encode_ulaw(sample)), 32124, 8), (decode_alaw(encode_alaw(sample)), 32256, 16)]
            {
                let clipped = i32::from(sample).clamp(-peak, peak);
                let error = (clipped - i32::from(decoded)).abs();
                let allowed = (clipped.abs() / 32 + floor).min(512 + 4);
                assert!(error <= allowed, "{sample} became {decoded}");
            }
        }
    }

    #[test]
    fn transcoding_keeps_the_sign_and_the_loudness() {
        for octet in 0..=255u8 {
            let was = i32::from(decode_ulaw(octet));
            let is = i32::from(decode_alaw(ulaw_to_alaw(octet)));
            assert!((was - is).abs() <= was.abs() / 16 + 16, "{octet:#x}: {was} became {is}");
        }
    }
}
