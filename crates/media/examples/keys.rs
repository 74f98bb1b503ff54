//! Keys that are heard in WAV files: `keys FILE.wav...` writes a line for each, its name and the keys.
#![allow(clippy::expect_used, reason = "a program for the bench")]

use std::path::Path;

use opentact_media::dtmf::{Detector, Heard, RATE};
use opentact_media::{resample, wav};

fn main() {
    for path in std::env::args().skip(1) {
        let file = wav::read(&std::fs::read(&path).expect("a file")).expect("a WAV file");
        let samples = resample::convert(&file.samples, file.rate, RATE).expect("a rate that can be converted");
        let mut keys = String::new();
        let mut detector = Detector::default();
        detector.listen(&samples, |heard| {
            if let Heard::Pressed(key) = heard {
                keys.push(key);
            }
        });
        let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy();
        println!("{name} {keys}");
    }
}
