//! MP3 files from anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The shortest frame has 24 octets and 576 samples.
fuzz_target!(|octets: &[u8]| opentact_fuzz::read_audio(octets, 24));
