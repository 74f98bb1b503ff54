//! Ogg files from anywhere, with Opus and Vorbis in them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    opentact_fuzz::forgive("symphonia-codec-vorbis");
    let mut octets = octets.to_vec();
    opentact_fuzz::seal_ogg(&mut octets);
    // A packet of one octet may be 120 ms of Opus, or a long block of Vorbis.
    opentact_fuzz::read_audio(&octets, 8192);
});
