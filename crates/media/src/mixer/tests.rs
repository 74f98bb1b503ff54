use super::*;
use crate::codec::Codec;
use crate::relay::FrameKind;

const NARROW: Hearing = Hearing { rate: 8_000, flexible: false };
const WIDE: Hearing = Hearing { rate: 16_000, flexible: false };

fn opus(rate: u32) -> Hearing {
    Hearing { rate, flexible: true }
}

fn rates(mixer: &Mixer) -> Vec<u32> {
    mixer.parties.iter().map(|party| party.rate.hz()).collect()
}

#[test]
fn an_opus_party_has_what_somebody_else_has_too() {
    let mut mixer = Mixer::new(Instant::now(), Delay::default(), 9);
    for (key, hearing, expected) in [
        (1, opus(48_000), vec![8_000]),
        (2, NARROW, vec![8_000, 8_000]),
        (3, WIDE, vec![16_000, 8_000, 16_000]),
        (4, opus(24_000), vec![24_000, 8_000, 16_000, 24_000]),
        (5, opus(48_000), vec![48_000, 8_000, 16_000, 24_000, 48_000]),
    ] {
        assert!(mixer.join(LegKey(key), hearing, Audience::All));
        assert_eq!(rates(&mixer), expected);
    }
    mixer.leave(LegKey(1));
    assert_eq!(rates(&mixer), [8_000, 16_000, 24_000, 24_000]);
}

#[test]
fn a_full_mix_lets_nobody_in() {
    let mut mixer = Mixer::new(Instant::now(), Delay::default(), 8);
    for key in 0..8 {
        assert!(mixer.join(LegKey(key), NARROW, Audience::All));
    }
    assert!(!mixer.join(LegKey(9_999), NARROW, Audience::All));
    // Who is in it may say so again.
    assert!(mixer.join(LegKey(7), NARROW, Audience::Nobody));
    mixer.leave(LegKey(0));
    assert!(mixer.join(LegKey(9_999), NARROW, Audience::All));
}

#[test]
fn after_a_pause_in_which_nobody_asked_nothing_old_is_heard() {
    let start = Instant::now();
    let mut mixer = Mixer::new(start, Delay { initial_ms: 0, max_ms: 300 }, 2);
    let (speaker, listener) = (LegKey(1), LegKey(2));
    mixer.join(speaker, NARROW, Audience::All);
    mixer.join(listener, NARROW, Audience::All);
    let say = |mixer: &mut Mixer, sequence: u16| {
        let timestamp = 160 * u32::from(sequence);
        let kind = FrameKind::Audio(Codec::Pcmu);
        mixer.hear(speaker, &Frame { ssrc: 7, sequence, timestamp, marker: false, kind, payload: &[0x90; 160] });
    };
    let need = |ms: u64| Need { due: start + Duration::from_millis(ms), ms: 20, hearing: NARROW };
    say(&mut mixer, 0);
    say(&mut mixer, 1);
    assert!(mixer.give(listener, need(20)).is_some_and(|(hz, samples)| hz == 8_000 && samples[80] != 0));
    // Its own voice is all there is.
    assert_eq!(mixer.give(speaker, need(20)), None);
    // A leg that is behind still finds its time, one that is far behind nothing.
    mixer.give(speaker, need(120));
    assert!(mixer.give(listener, need(30)).is_some());
    mixer.give(listener, need(600_000));
    assert_eq!(mixer.give(listener, need(20)), None);
    assert!(mixer.give(listener, need(700_000)).is_none_or(|(_, samples)| samples.iter().all(|sample| *sample == 0)));
}
