use std::path::Path;

use super::*;

const NONE: Result<(), ()> = Ok(());

fn audio(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audio");
    std::fs::read(folder.join(name)).unwrap()
}

/// Everything that comes of a file given in pieces of `size` octets, its rate, and how it ended.
fn decode(file: &[u8], size: usize) -> (Vec<i16>, Option<u32>, Result<(), FileError>) {
    let (mut reader, mut all) = (Reader::new(), Vec::new());
    let mut take = |samples: &[i16], _| {
        all.extend_from_slice(samples);
        NONE
    };
    let mut pushed = Ok(());
    for piece in file.chunks(size) {
        pushed = pushed.and_then(|()| reader.push(piece, &mut take));
    }
    let end = pushed.and_then(|()| reader.finish(&mut take)).map_err(|stopped| match stopped {
        Stopped::File(error) => error,
        Stopped::Refused(()) => unreachable!("it takes everything"),
    });
    (all, reader.rate(), end)
}

/// The level of 1 kHz in decibels below full scale, and how much else there is relative to it.
fn tone(samples: &[i16], rate: u32) -> (f64, f64) {
    let step = std::f64::consts::TAU * 1000.0 / f64::from(rate);
    let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sin, cos) = (n as f64 * step).sin_cos();
        re += f64::from(*sample) * cos;
        im += f64::from(*sample) * sin;
        power += f64::from(*sample).powi(2);
    }
    let count = samples.len() as f64;
    let peak = 2.0 * (re * re + im * im).sqrt() / count;
    let rest = (power / count - peak * peak / 2.0).max(1e-9) / (peak * peak / 2.0);
    (20.0 * (peak / 32_767.0).log10(), 10.0 * rest.log10())
}

/// Three seconds of 1 kHz, peaks at half of full scale, by encoders of others.
const FILES: [(&str, u32); 5] = [
    ("tone.mp3", 44_100),
    ("tone-vbr.mp3", 16_000),
    ("tone.opus", 48_000),
    ("tone-narrow.opus", 16_000),
    ("tone.ogg", 22_050),
];

#[test]
fn what_others_have_encoded_is_as_long_and_as_loud_as_it_was() {
    for (name, expected) in FILES {
        let (samples, rate, end) = decode(&audio(name), 1000);
        assert_eq!((rate, end), (Some(expected), Ok(())), "{name}");
        assert_eq!(samples.len(), 3 * expected as usize, "{name}");
        let (level, rest) = tone(&samples[samples.len() / 10..samples.len() * 9 / 10], expected);
        // LAME makes everything 0.45 dB softer, so that nothing clips.
        assert!((level + 6.02).abs() < 0.5, "{name}: {level} dB");
        assert!(rest < -15.0, "{name}: {rest} dB of something else");
        // Nothing is missing at either end.
        let quarter = expected as usize / 40;
        for part in [&samples[quarter..5 * quarter], &samples[samples.len() - 5 * quarter..samples.len() - quarter]] {
            assert!((tone(part, expected).0 + 6.02).abs() < 1.0, "{name}");
        }
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    for (name, _) in FILES {
        let file = audio(name);
        let whole = decode(&file, file.len());
        for size in [1, 7, 333, 4096, 10_000] {
            assert_eq!(decode(&file, size), whole, "{name} by {size}");
        }
    }
}

#[test]
fn the_first_sound_comes_long_before_the_last_octet() {
    // A page of Vorbis has seconds in it.
    for (name, rate) in FILES.into_iter().filter(|(name, _)| *name != "tone.ogg") {
        let file = audio(name);
        let (samples, _, end) = decode(&file[..file.len() / 2], 1000);
        assert!(samples.len() > rate as usize * 9 / 10, "{name}: {}", samples.len());
        assert_eq!(end, Err(FileError::Truncated), "{name}");
    }
}

#[test]
fn a_wav_file_cut_short_is_told_one_without_a_length_is_not() {
    let mut file = Vec::new();
    let mut writer = wav::Writer::new(std::io::Cursor::new(&mut file), 1, 8000).unwrap();
    writer.write(&[1000; 4000]).unwrap();
    writer.finish().unwrap();
    assert_eq!(decode(&file, 100), (vec![1000; 4000], Some(8000), Ok(())));
    let (samples, _, end) = decode(&file[..file.len() - 3], 1000);
    assert_eq!((samples.len(), end), (3998, Err(FileError::Truncated)));
    file[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode(&file[..file.len() - 3], 1000).2, Ok(()));
}

#[test]
fn what_is_no_audio_is_refused_at_once() {
    for page in [&b"<!DOCTYPE html><html>"[..], b"{\"error\": 1}", b"\x89PNG\r\n", b"\xFF\xD8\xFF\xE0 JFIF", b"fLaC"] {
        assert_eq!(Reader::new().push(page, |_, _| NONE), Err(Stopped::File(FileError::Unknown)), "{page:?}");
    }
    assert_eq!(decode(b"", 1).2, Err(FileError::Unknown));
    assert_eq!(decode(b"RI", 1).2, Err(FileError::Unknown));
    assert_eq!(decode(b"RIFF\0\0\0\0AVI LIST", 1).2, Err(FileError::Wav(WavError::NotWav)));
    // A tag with nothing behind it, and one with a page behind it.
    assert_eq!(decode(b"ID3\x04\0\0\0\0\0\x01 ", 3).2, Err(FileError::NoFrames));
    let mut page = b"ID3\x04\0\0\0\0\0\0".to_vec();
    page.resize(200_000, b'x');
    assert_eq!(decode(&page, 1000).2, Err(FileError::NoFrames));
    let mut file = audio("tone.opus");
    file[100] ^= 1;
    assert!(matches!(decode(&file, 1000).2, Err(FileError::Damaged(_))));
}

#[test]
fn whoever_takes_no_more_stops_it() {
    let file = audio("tone.mp3");
    assert_eq!(Reader::new().push(&file, |_, _| Err("enough")), Err(Stopped::Refused("enough")));
}

#[test]
fn an_mp3_with_tags_around_it_and_rubbish_within_plays_on() {
    let tone = audio("tone.mp3");
    let mut file = b"ID3\x04\0\0\0\0\x02\x00".to_vec();
    file.resize(10 + 256, 0xFF);
    let cut = tone.len() / 2;
    file.extend_from_slice(&tone[..cut]);
    file.extend_from_slice(&[0x55; 999]);
    file.extend_from_slice(&tone[cut..]);
    file.extend_from_slice(b"TAG");
    file.resize(file.len() + 125, b' ');
    let (samples, rate, end) = decode(&file, 500);
    assert_eq!(rate, Some(44_100));
    assert_eq!(end, Ok(()));
    assert!(samples.len() > 44_100 * 29 / 10, "{}", samples.len());
}
