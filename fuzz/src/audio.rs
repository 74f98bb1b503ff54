//! Audio files, in pieces.

use std::panic::{set_hook, take_hook};
use std::sync::Once;

use opentact_media::file::{Reader, Stopped};

/// Reads a file. It is read or refused, to the same end whatever the pieces in which it comes, and what one octet makes is
/// limited.
pub fn read(file: &[u8], most_samples_an_octet: usize) {
    let read = |size: usize| {
        let (mut reader, mut count) = (Reader::new(), 0);
        let mut take = |samples: &[i16], rate: u32| {
            assert!((1_000..=384_000).contains(&rate));
            count += samples.len();
            Ok::<(), ()>(())
        };
        let pushed = file.chunks(size).try_for_each(|piece| reader.push(piece, &mut take));
        let end = pushed.and_then(|()| reader.finish(&mut take));
        assert!(!matches!(end, Err(Stopped::Refused(()))));
        assert!(count <= file.len() * most_samples_an_octet);
        (count, end)
    };
    assert_eq!(read(file.len() % 257 + 1), read(file.len().max(1)));
}

/// Lets panics of a library pass that its caller catches; all others end the run.
pub fn forgive(library: &'static str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fatal = take_hook();
        set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|place| place.file().contains(library)) {
                fatal(panic);
            }
        }));
    });
}

/// Makes the checksums of Ogg pages right, without which nothing gets past them (RFC 3533 6).
pub fn seal(file: &mut [u8]) {
    let mut at = 0;
    while let Some(page) = file.get_mut(at..) {
        let Some(next) = page.windows(4).position(|window| window == b"OggS") else { return };
        let page = &mut page[next..];
        let Some(segments) = page.get(26).map(|count| usize::from(*count)) else { return };
        let Some(table) = page.get(27..27 + segments) else { return };
        let length = 27 + segments + table.iter().map(|lace| usize::from(*lace)).sum::<usize>();
        let Some(page) = page.get_mut(..length) else { return };
        page[22..26].fill(0);
        let sum = page.iter().fold(0u32, |sum, octet| {
            let mut sum = sum ^ u32::from(*octet) << 24;
            for _ in 0..8 {
                sum = sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
            }
            sum
        });
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        at += next + length;
    }
}
