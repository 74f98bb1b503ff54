//! Packets that can be told apart when they are heard.

use opentact_media::codec::{Codec, Encoder, OpusParams};

/// The sample that packet `number` is made of, told apart from every other.
fn level(number: usize) -> i16 {
    8_000 + (number * 7) as i16
}

/// Packets that are levels, or a voice.
pub fn payloads(codec: Codec, count: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec, 8_000, &OpusParams::default()).unwrap();
    let rate = encoder.rate();
    let voice = |n: usize| {
        let turn = n as f64 / f64::from(rate) * 120.0 * std::f64::consts::TAU;
        ((turn.sin() + (turn * 3.0).sin() / 2.0) * 6_000.0) as i16
    };
    let length = rate as usize / 50;
    (0..count)
        .map(|number| {
            let samples: Vec<i16> = match codec {
                Codec::L16Narrow => vec![level(number); length],
                _ => (number * length..(number + 1) * length).map(voice).collect(),
            };
            let mut octets = [0; 1275];
            let length = encoder.encode(&samples, &mut octets);
            octets[..length].to_vec()
        })
        .collect()
}

/// How many packets of levels were heard; none twice, and none before one that was sent earlier.
pub fn heard_in_order(played: &[i16], name: &str) -> usize {
    let mut heard: Vec<usize> = Vec::new();
    // A packet is level, what fades or goes over into another is not. A resampler is not exact.
    let mut run = (None, 0);
    for sample in played {
        let number = (i32::from(*sample) - i32::from(level(0)) + 1).div_euclid(7);
        let number = usize::try_from(number).ok().filter(|number| (level(*number) - sample).abs() <= 1);
        run = if number == run.0 { (number, run.1 + 1) } else { (number, 1) };
        if let (Some(number), 20) = run
            && heard.last() != Some(&number)
        {
            heard.push(number);
        }
    }
    let backwards = heard.windows(2).find(|pair| pair[1] < pair[0]);
    assert_eq!(backwards, None, "{name}");
    heard.len()
}
