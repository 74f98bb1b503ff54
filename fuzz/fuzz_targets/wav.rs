//! WAV files from anywhere: read or refused, never more samples than octets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentact_media::wav;

fuzz_target!(|octets: &[u8]| {
    if let Ok(clip) = wav::read(octets) {
        assert!(clip.samples.len() <= octets.len());
        assert!(clip.rate > 0);
    }
    // What is no WAV file may be MP3.
    opentact_fuzz::read_audio(octets, 24);
});
