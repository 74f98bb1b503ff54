use std::io::Cursor;

use super::*;
use crate::recorder::Stored;

/// A file with one format chunk, a chunk to skip of odd length, and the data.
fn file(format: u16, bits: u16, channels: u16, rate: u32, data: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    for value in [format, channels] {
        chunk.extend_from_slice(&value.to_le_bytes());
    }
    chunk.extend_from_slice(&rate.to_le_bytes());
    chunk.extend_from_slice(&[0; 6]);
    chunk.extend_from_slice(&bits.to_le_bytes());
    with_format(&chunk, data)
}

fn with_format(format: &[u8], data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    for (name, body) in [(b"fmt ", format), (b"LIST", b"odd".as_slice()), (b"data", data)] {
        file.extend_from_slice(name);
        file.extend_from_slice(&(body.len() as u32).to_le_bytes());
        file.extend_from_slice(body);
        file.resize(file.len() + body.len() % 2, 0);
    }
    file
}

#[track_caller]
fn reads(file: &[u8], samples: &[i16]) {
    assert_eq!(read(file).unwrap().samples, samples);
}

#[test]
fn every_width_reads_the_same() {
    reads(&file(1, 8, 1, 8000, &[0, 128, 255]), &[-32768, 0, 32512]);
    reads(&file(1, 16, 1, 8000, &[0, 0x80, 0xFF, 0x7F]), &[-32768, 32767]);
    reads(&file(1, 24, 1, 8000, &[9, 0, 0x80, 9, 0xFF, 0x7F]), &[-32768, 32767]);
    reads(&file(1, 32, 1, 8000, &[9, 9, 0, 0x80, 9, 9, 0xFF, 0x7F]), &[-32768, 32767]);
    let floats: Vec<u8> = [-1.0f32, 0.5, 7.0, f32::NAN].iter().flat_map(|f| f.to_le_bytes()).collect();
    reads(&file(3, 32, 1, 8000, &floats), &[-32767, 16384, 32767, 0]);
    let doubles: Vec<u8> = [-0.5f64, 1.0].iter().flat_map(|f| f.to_le_bytes()).collect();
    reads(&file(3, 64, 1, 8000, &doubles), &[-16384, 32767]);
    reads(&file(6, 8, 1, 8000, &[0xD5, 0xAA]), &[8, 32256]);
    reads(&file(7, 8, 1, 8000, &[0xFF, 0x80]), &[0, 32124]);
}

#[test]
fn channels_are_mixed() {
    let frames = [1000i16, 3000, -500, 500].iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>();
    reads(&file(1, 16, 2, 44100, &frames), &[2000, 0]);
}

#[test]
fn extensible_names_its_format_in_its_guid() {
    let mut format = Vec::new();
    format.extend_from_slice(&[0xFE, 0xFF, 1, 0]);
    format.extend_from_slice(&8000u32.to_le_bytes());
    format.extend_from_slice(&[0, 0, 0, 0, 2, 0, 16, 0]);
    format.extend_from_slice(&[22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
    format.extend_from_slice(&[0; 14]);
    reads(&with_format(&format, &[1, 0]), &[1]);
}

#[test]
fn what_is_cut_short_is_read_as_far_as_it_goes() {
    let mut file = file(1, 16, 1, 8000, &[1, 0, 2, 0, 3, 0]);
    file.truncate(file.len() - 1);
    reads(&file, &[1, 2]);
    let at = file.len() - 5 - 4;
    file[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    reads(&file, &[1, 2]);
}

#[test]
fn what_is_no_wav_is_refused() {
    assert_eq!(read(b""), Err(WavError::NotWav));
    assert_eq!(read(b"ID3\x04 mp3 and so on"), Err(WavError::NotWav));
    assert_eq!(read(b"RIFF\0\0\0\0WAVE"), Err(WavError::NoData));
    assert_eq!(read(b"RIFF\0\0\0\0WAVEdata\0\0\0\0"), Err(WavError::NoFormat));
    assert_eq!(read(&file(2, 4, 1, 8000, &[])), Err(WavError::Unsupported { format: 2, bits: 4 }));
    assert_eq!(read(&file(1, 16, 0, 8000, &[])), Err(WavError::Implausible { channels: 0, rate: 8000 }));
    assert_eq!(read(&file(1, 16, 1, 0, &[])), Err(WavError::Implausible { channels: 1, rate: 0 }));
}

#[test]
fn what_is_written_is_read_by_us_and_by_others() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, 2, 8000).unwrap();
    writer.write(&[1, 2, -3, -4]).unwrap();
    writer.write(&[5, 6]).unwrap();
    assert_eq!(writer.len(), 44 + 12);
    assert_eq!(writer.finish().unwrap(), Stored { channels: 2, rate: 8000, duration_ms: 0, bytes: 56 });
    let file = file.into_inner();
    assert_eq!(read(&file).unwrap(), Wav { samples: vec![1, -3, 5], rate: 8000 });
    let mut other = hound::WavReader::new(Cursor::new(&file)).unwrap();
    assert_eq!((other.spec().channels, other.spec().sample_rate), (2, 8000));
    let samples: Vec<i16> = other.samples::<i16>().map(Result::unwrap).collect();
    assert_eq!(samples, [1, 2, -3, -4, 5, 6]);
}

#[test]
fn a_file_never_finished_is_readable() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, 1, 8000).unwrap();
    writer.write(&[7; 8000]).unwrap();
    assert_eq!(writer.duration_ms(), 1000);
    drop(writer);
    assert_eq!(read(file.get_ref()).unwrap().samples.len(), 8000);
}

#[test]
fn a_file_that_was_cut_off_is_whole_again() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, 2, 16_000).unwrap();
    writer.write(&[7; 32_000]).unwrap();
    // One frame more, and a part of another.
    let mut file = file.into_inner();
    file.extend_from_slice(&[1, 0, 2, 0, 3, 0, 4]);
    let mut file = Cursor::new(file);
    let stored = repair(&mut file).unwrap();
    assert_eq!(stored, Stored { channels: 2, rate: 16_000, duration_ms: 1000, bytes: 44 + 64_004 });
    let mut file = file.into_inner();
    file.truncate(stored.bytes as usize);
    let mut other = hound::WavReader::new(Cursor::new(&file)).unwrap();
    assert_eq!(other.duration(), 16_001);
    assert_eq!(other.samples::<i16>().map(Result::unwrap).last(), Some(2));
    assert_eq!(repair(&mut Cursor::new(file)).unwrap(), stored);
    for none in [&b""[..], b"RIFF", &[0; 100]] {
        assert!(repair(&mut Cursor::new(none.to_vec())).is_err());
    }
}
