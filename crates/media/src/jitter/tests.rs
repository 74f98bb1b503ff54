use super::*;
use crate::codec::{Encoder, OpusParams, g711};

const SILENCE: i16 = 0;

fn buffer(initial_ms: u32) -> JitterBuffer {
    JitterBuffer::new(8_000, Delay { initial_ms, max_ms: 300 })
}

fn octet(number: u8) -> u8 {
    0x80 + number % 64
}

fn level(number: u8) -> i16 {
    g711::decode_ulaw(octet(number))
}

/// The numbers wrap within the first packets.
fn push(buffer: &mut JitterBuffer, number: u8) -> Pushed {
    let sequence = 0xFFFEu16.wrapping_add(u16::from(number));
    let timestamp = (u32::MAX - 200).wrapping_add(160 * u32::from(number));
    buffer.push(sequence, timestamp, Codec::Pcmu, &[octet(number); 160])
}

fn pull(buffer: &mut JitterBuffer) -> Vec<i16> {
    let mut out = [0; 160];
    buffer.pull(&mut out);
    out.to_vec()
}

#[test]
fn order_is_restored_and_duplicates_are_dropped() {
    let mut buffer = buffer(40);
    assert_eq!(push(&mut buffer, 0), Pushed::Stored);
    for number in [2, 1, 3, 5, 4] {
        assert_eq!(push(&mut buffer, number), Pushed::Stored);
    }
    assert_eq!(push(&mut buffer, 4), Pushed::Duplicate);
    assert_eq!(pull(&mut buffer), [SILENCE; 160]);
    assert_eq!(pull(&mut buffer), [SILENCE; 160]);
    for number in 0..6 {
        assert_eq!(pull(&mut buffer), [level(number); 160]);
    }
}

#[test]
fn a_lost_packet_is_made_up_and_the_next_keeps_its_time() {
    let mut buffer = buffer(0);
    push(&mut buffer, 0);
    push(&mut buffer, 2);
    assert_eq!(pull(&mut buffer), [level(0); 160]);
    let made_up = pull(&mut buffer);
    assert!(made_up[..80].iter().all(|sample| *sample == level(0)));
    assert!(made_up[159] < level(0) && made_up[159] > level(0) / 2);
    let after = pull(&mut buffer);
    // Without a step, then as it is.
    assert_eq!(after[40..], [level(2); 120]);
    assert_eq!(buffer.counts().concealed_us, 20_000);
}

#[test]
fn a_pause_is_silent_or_has_its_noise() {
    let mut quiet = buffer(0);
    quiet.push(1, 0, Codec::Pcmu, &[octet(1); 160]);
    quiet.push(2, 480, Codec::Pcmu, &[octet(2); 160]);
    assert_eq!(pull(&mut quiet), [level(1); 160]);
    assert_eq!(pull(&mut quiet), [SILENCE; 160]);
    assert_eq!(pull(&mut quiet), [SILENCE; 160]);
    assert_eq!(pull(&mut quiet), [level(2); 160]);
    assert_eq!(quiet.counts().concealed_us, 0);
    let mut noisy = buffer(0);
    noisy.push(1, 0, Codec::Pcmu, &[octet(1); 160]);
    assert_eq!(noisy.push_comfort_noise(2, 160, &[40, 1, 2]), Pushed::Stored);
    assert_eq!(pull(&mut noisy), [level(1); 160]);
    for _ in 0..100 {
        let noise = pull(&mut noisy);
        assert!(noise.iter().any(|sample| *sample > 100) && noise.iter().all(|sample| sample.abs() < 600));
    }
    assert!(!noisy.is_idle());
    noisy.push(3, 160 + 100 * 160, Codec::Pcmu, &[octet(3); 160]);
    assert_eq!(pull(&mut noisy)[40..], [level(3); 120]);
}

#[test]
fn what_comes_too_late_is_heard_and_gives_the_next_more_time() {
    let mut buffer = buffer(0);
    push(&mut buffer, 0);
    pull(&mut buffer);
    pull(&mut buffer);
    assert_eq!(push(&mut buffer, 1), Pushed::Stored);
    assert_eq!(pull(&mut buffer)[40..], [level(1); 120]);
    // The delay is a packet now: the next may be as late.
    assert_eq!(push(&mut buffer, 2), Pushed::Stored);
    assert_eq!(pull(&mut buffer), [level(2); 160]);
    assert_eq!(push(&mut buffer, 0), Pushed::Late);
    assert_eq!(buffer.counts().late, 1);
}

#[test]
fn what_is_not_needed_for_seconds_is_taken_out() {
    let mut buffer = buffer(120);
    for number in 0..=255u8 {
        push(&mut buffer, number);
        pull(&mut buffer);
    }
    for number in 256..1_000u32 {
        let sequence = 0xFFFEu16.wrapping_add(number as u16);
        let timestamp = (u32::MAX - 200).wrapping_add(160 * number);
        buffer.push(sequence, timestamp, Codec::Pcmu, &[0xFF; 160]);
        pull(&mut buffer);
    }
    assert!((10..=25).contains(&buffer.delay_ms()), "{} ms", buffer.delay_ms());
    assert_eq!(buffer.counts().concealed_us, 0);
}

#[test]
fn the_limit_of_the_delay_holds() {
    let mut buffer = buffer(40);
    for number in 0..60 {
        push(&mut buffer, number);
        assert!(buffer.delay_ms() <= 300, "{}", buffer.delay_ms());
    }
    assert!(buffer.counts().dropped >= 46);
    let mut heard = Vec::new();
    for _ in 0..16 {
        heard.extend(pull(&mut buffer));
    }
    assert!(heard.contains(&level(59)));
}

#[test]
fn another_timeline_or_codec_begins_anew() {
    let mut buffer = buffer(0);
    push(&mut buffer, 0);
    pull(&mut buffer);
    assert_eq!(buffer.push(9000, 77_000_000, Codec::Pcmu, &[0x80; 80]), Pushed::Restarted);
    assert_eq!(pull(&mut buffer)[40..80], [32_124; 40]);
    assert_eq!(buffer.push(9001, 77_000_080, Codec::Pcma, &[0xAA; 160]), Pushed::Stored);
    assert!(pull(&mut buffer).contains(&32_256));
    assert_eq!(buffer.push(9002, 0, Codec::G729, &[0; 20]), Pushed::Refused);
}

#[test]
fn a_pause_of_any_length_keeps_the_delay() {
    for advances in [true, false] {
        let mut buffer = buffer(60);
        let mut timestamp = 0;
        let mut sequence = 0;
        let mut talk = |buffer: &mut JitterBuffer, timestamp: &mut u32| {
            for _ in 0..50 {
                buffer.push(sequence, *timestamp, Codec::Pcmu, &[0xFF; 160]);
                *timestamp += 160;
                sequence += 1;
                pull(buffer);
            }
        };
        talk(&mut buffer, &mut timestamp);
        for _ in 0..500 {
            pull(&mut buffer);
            timestamp += if advances { 160 } else { 0 };
        }
        assert!(buffer.is_idle());
        talk(&mut buffer, &mut timestamp);
        assert!((40..=60).contains(&buffer.delay_ms()), "{advances}: {} ms", buffer.delay_ms());
    }
}

#[test]
fn every_codec_is_given_at_the_rate_that_is_wanted() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide] {
        for wanted in [8_000u32, 16_000, 48_000] {
            let mut encoder = Encoder::new(codec, 16_000, &OpusParams::default()).unwrap();
            let rate = encoder.rate();
            let mut buffer = JitterBuffer::new(wanted, Delay::default());
            let mut heard = Vec::new();
            for number in 0..50u32 {
                let sine = |n: u32| (f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin() * 8_000.0;
                let samples: Vec<i16> = (0..rate / 50).map(|n| sine(number * rate / 50 + n) as i16).collect();
                let mut octets = [0; 1275];
                let length = encoder.encode(&samples, &mut octets);
                let timestamp = number * codec.clock_rate() / 50;
                assert_eq!(buffer.push(number as u16, timestamp, codec, &octets[..length]), Pushed::Stored);
                let mut out = vec![0; wanted as usize / 50];
                buffer.pull(&mut out);
                heard.extend(out);
            }
            let steady = &heard[wanted as usize / 5..wanted as usize * 4 / 5];
            let power = steady.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / steady.len() as f64;
            let off = 20.0 * ((power * 2.0).sqrt() / 8_000.0).log10();
            assert!(off.abs() < 1.0, "{codec:?} at {wanted}: {off} dB");
            let crossings = steady.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((262..=266).contains(&crossings), "{codec:?} at {wanted}: {crossings}");
            assert_eq!(buffer.counts().concealed_us, 0, "{codec:?} at {wanted}");
        }
    }
}
